/** What the parts of the backend's side share: where its messages go, and what is dropped on the way. */
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import { rebuildReport } from '../errors/rebuild.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import type { SessionState } from '../session-state.ts';
import { ClientOutput } from './client-output.ts';
import type { CopyMasker } from './copy-masker.ts';
import type { Cut, Execution, Expectation, StatementRun } from './expectation.ts';
import type { MaskedCells } from './masked-cells.ts';

export type Outcome = 'Ok' | 'Error' | 'Cut' | 'Suspended' | 'Skipped';

/** What the stream asks of its session. */
export interface ResponseEvents {
  /** Bytes for the client, in order. */
  toClient(pieces: Buffer[]): void;
  /** An execution has ended; rows, bytes and masked cells are final. */
  completed(execution: Execution, outcome: Outcome): void;
  /** A recorded result goes on: bytes as the client sees them. */
  recordResult(execution: Execution, bytes: Buffer): void;
  /** The limit error for a statement that returned too much, or undefined while it has not. */
  overLimit(execution: Execution, run: StatementRun, rows: number, bytes: number): Cut | undefined;
  /** The limit error for a write that has changed too many rows, or undefined when it has not. */
  overWritten(run: StatementRun, rows: number): Cut | undefined;
  /**
   * Makes the backend fail, so that what is not synced is undone, or the block has failed; its error reaches nobody.
   * `Sync`: with one of ours behind it, of which the client gets the ReadyForQuery.
   */
  failBackend(ending: 'Flush' | 'Sync'): void;
  /** Makes the backend stop what it does now. */
  cancelBackend(): void;
  /** Answers have been taken: what waited for them may go on. */
  settled(): void;
  /** Something of ours failed at the backend in the middle of a pipeline: what the client is told. */
  inBandFailure(): Buffer;
  /** A result that may not be delivered, for a reason found only when it came. */
  undeliverable(rule: RuleRef | undefined, why: string): Cut;
  parameterChanged(name: string, value: string): void;
  /** Whether a notification of that channel may be delivered. */
  mayHear(channel: string): boolean;
  /** The backend describes a protected column where the analysis saw none: the session must end. */
  leaking(rule: RuleRef, why: string): void;
  /** Epoch ms. */
  nowMs(): number;
}

export interface ResponseOptions {
  /** A row with a masked field is held whole up to this many bytes (decisions 9). */
  readonly maxMaskedRowBytes: number;
}

export class ResponseFlow {
  readonly state: SessionState;
  readonly events: ResponseEvents;
  readonly options: ResponseOptions;
  readonly output = new ClientOutput();
  /** Bytes of the current message that are still to come, and whether they pass or are dropped. */
  bodyLeft = 0;
  bodyPasses = false;
  bodyOf: Execution | undefined;
  /** After a cut the client waits for ReadyForQuery: all else is dropped. */
  silentUntilReady = false;
  /** Set while the rows of a COPY … TO STDOUT are masked. */
  copyOut: CopyMasker | undefined;

  constructor(state: SessionState, events: ResponseEvents, options: ResponseOptions) {
    this.state = state;
    this.events = events;
    this.options = options;
  }

  /** Passes the whole message `[at, end)` on, unless the client hears nothing now. */
  pass(at: number, end: number): void {
    if (!this.silentUntilReady) this.output.keep(at, end);
  }

  /** Passes or drops a message that is not all there; the rest follows the same way. */
  stream(view: Buffer, at: number, end: number, passes: boolean, of: Execution | undefined): void {
    const available = Math.min(end, view.length);
    this.bodyPasses = passes;
    this.bodyOf = of;
    this.bodyLeft = end - available;
    this.passOrDrop(view, at, available);
  }

  passOrDrop(view: Buffer, from: number, to: number): void {
    if (!this.bodyPasses) return;
    if (this.bodyOf?.recordResults) this.events.recordResult(this.bodyOf, view.subarray(from, to));
    this.output.keep(from, to);
  }

  /** The client gets an error instead of what is left, and the backend is told to stop. */
  cut(execution: Execution, cut: Cut): void {
    execution.cut = cut;
    this.events.cancelBackend();
  }

  /**
   * An error or notice text passes as it is only where it cannot carry a protected value (decisions 8). What is said to
   * a question of ours is not for the client, but for the end of its session.
   */
  report(view: Buffer, at: number, end: number, endsSession = false): void {
    const { first } = this.state.inflight;
    if ((first?.kind === 'InBand' || first?.kind === 'InBandSync') && !endsSession) return;
    if (this.#rebuilds(first)) {
      this.output.insert(
        rebuildReport(view.subarray(at, end), { userCode: mayRunUserCode(first) }),
        end,
      );
    } else this.output.keep(at, end);
  }

  #rebuilds(expectation: Expectation | undefined): boolean {
    if (!this.state.context.key.policy.anyMask) return false;
    if (this.state.context.key.policy.bundle.target.enforcement === 'Observe') return false;
    switch (expectation?.kind) {
      case 'Query':
        // An empty query can still be what ends a transaction, and then deferred triggers speak.
        return (
          expectation.runs.length === 0 ||
          expectation.runs.some((run) => run.decided.permit?.masks.rebuildErrors ?? true)
        );
      case 'Execute':
        return expectation.run.decided.permit?.masks.rebuildErrors ?? true;
      // Parse and Bind evaluate constants and parameters, and a Sync runs deferred constraints and
      // triggers of anything before it.
      default:
        return true;
    }
  }

  /** The execution has ended. `runs`: its statements, whose masked cells may not be counted yet. */
  complete(execution: Execution, runs: readonly StatementRun[], outcome: Outcome): void {
    if (outcome !== 'Ok') {
      for (const run of runs) {
        if (run.masker !== undefined && execution.masked === undefined) {
          countCells(execution, run.masker.cells);
        }
      }
    }
    this.events.completed(execution, outcome);
  }
}

/** Adds the masked cells of one statement to its execution's account, by rule. */
export function countCells(execution: Execution, cells: MaskedCells): void {
  for (const [rule, count] of cells.take()) {
    execution.masked ??= new Map();
    const name = `${rule.namespace}/${rule.object}`;
    execution.masked.set(name, (execution.masked.get(name) ?? 0) + count);
  }
}

/** Whether code of the target's owner may have written the report; where that is not known, it may. */
function mayRunUserCode(expectation: Expectation | undefined): boolean {
  switch (expectation?.kind) {
    case 'Query':
      return expectation.runs.length === 0 || expectation.runs.some(runsUserCode);
    case 'Execute':
      return runsUserCode(expectation.run);
    default:
      return true;
  }
}

function runsUserCode({ decided: { analysis } }: StatementRun): boolean {
  return (
    analysis.userCode || analysis.operations.some((operation) => operation.sideEffects === true)
  );
}

/** A message that nothing asked for. */
export function unexpected(type: number): ProtocolError {
  const letter = String.fromCharCode(type);
  return new ProtocolError(
    'UnexpectedMessage',
    `the server sent a message of type ${JSON.stringify(letter)} that nothing asked for`,
  );
}
