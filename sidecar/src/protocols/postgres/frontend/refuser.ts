/** Answers with an error, recorded, in a way that leaves transaction and pipeline as PostgreSQL would. */
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type { Hold, Refusal } from '@chaperone/core/policy/types.ts';
import { refusalResponse } from '../errors/refusal.ts';
import { readyForQuery } from '../messages/backend-writer.ts';
import * as write from '../messages/frontend-writer.ts';
import { TransactionStatus } from '../messages/types.ts';
import type { AnalyzedText } from './decision-context.ts';
import type { Flow, Taken } from './flow.ts';
import { refusalOfFailure, reservedPrefix, tooLong } from './refusals.ts';

type Protocol = 'Simple' | 'Extended';

export class Refuser {
  readonly #flow: Flow;

  constructor(flow: Flow) {
    this.#flow = flow;
  }

  /** A text that yielded no analysis. */
  failure(protocol: Protocol, analyzed: AnalyzedText, text: string): Taken {
    const failure = analyzed.analysis.failure!;
    const { fingerprint } = analyzed;
    const event = { ...this.#notUnderstood(protocol), fingerprint };
    const reason = failure.kind === 'Syntax' ? 'Syntax' : 'Unknown';
    const decision = this.#flow.events.record({ ...event, reason }, analyzed, text);
    return this.refuse(protocol, refusalOfFailure(failure), decision);
  }

  /** A message too long to be looked at; its text is not recorded. */
  tooLong(protocol: Protocol, maxBytes: number): Taken {
    const decision = this.#flow.events.record(this.#notUnderstood(protocol), undefined, '');
    return this.refuse(protocol, tooLong(maxBytes), decision);
  }

  #notUnderstood(protocol: Protocol): OperationDecided {
    return {
      type: 'OperationDecided',
      verdict: 'Deny',
      enforced: true,
      rules: [],
      reason: 'Unknown',
      operations: [],
      wouldDeny: [],
      policyDigest: this.#flow.state.context.key.policyDigest,
      masks: [],
      exemptions: [],
      protocol,
    };
  }

  /** A statement that was decided so. `event`: of the decision, which `refusal` may go beyond. */
  decided(
    protocol: Protocol,
    refusal: Refusal | Hold,
    event: OperationDecided,
    analyzed: AnalyzedText | undefined,
    text: string,
  ): Taken {
    const reason = refusal.verdict === 'Deny' ? refusal.reason : 'ApprovalRequired';
    const recorded: OperationDecided =
      event.verdict === refusal.verdict
        ? event
        : { ...event, verdict: refusal.verdict, reason, rules: refusal.rule ? [refusal.rule] : [] };
    const decision = this.#flow.events.record(recorded, analyzed, text);
    return this.refuse(protocol, refusalResponse(reason, 'Statement', refusal), decision);
  }

  /**
   * EXECUTE or FETCH of a name that is not there. The backend is asked for another that is not: in a failed
   * transaction it says so (25P02), which we may not know yet, and else its error becomes ours.
   */
  missingName(error: Buffer): Taken {
    if (this.#flow.state.idle) return this.refuse('Simple', error);
    return this.#query(`EXECUTE "${reservedPrefix}missing"`, error);
  }

  /**
   * Answers with an error. Where something is open or in flight it is made to happen at the backend, which
   * then skips, rolls back and reports its state by itself (decisions 1).
   */
  refuse(protocol: Protocol, error: Buffer, decision?: number): Taken {
    const { state, events, queue } = this.#flow;
    const event = decision === undefined ? '' : `: ${events.eventName(decision)}`;
    const text = `Refused by Chaperone${event}`;
    if (protocol === 'Simple') {
      if (!state.idle) return this.#query(text, error);
      events.toClient(Buffer.concat([error, readyForQuery(TransactionStatus.Idle)]));
      return 'Done';
    }
    if (state.idle) {
      events.toClient(error);
      this.#flow.skipping = true;
      return 'Done';
    }
    queue.insert(write.parse(`${reservedPrefix}refused`, text, []));
    state.inflight.push({ kind: 'Refused', replacement: error, barrier: false });
    return 'Done';
  }

  /** A query that fails, and whose error becomes `replacement`. */
  #query(text: string, replacement: Buffer): Taken {
    const { state, queue } = this.#flow;
    queue.insert(write.query(text));
    state.inflight.push({
      kind: 'Query',
      runs: [],
      index: 0,
      failed: false,
      barrier: false,
      replacement,
    });
    return 'Done';
  }
}
