/**
 * Everything the backend sends, message by message: checked against what was asked, masked, counted, cut
 * at the limits, and passed on in place. What was not asked for is a protocol violation.
 */
import {
  parseNotification,
  parseParameterStatus,
  parseReadyForQuery,
} from '../messages/backend-reader.ts';
import { Carry } from '../messages/carry.ts';
import { HEADER_BYTES, MAX_LARGE_BYTES } from '../messages/frame.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Backend, TransactionStatus } from '../messages/types.ts';
import type { CutBy } from '../newer-policy.ts';
import type { SessionState } from '../session-state.ts';
import { Answers } from './answers.ts';
import { Failures } from './failures.ts';
import {
  type ResponseEvents,
  ResponseFlow,
  type ResponseOptions,
  unexpected,
} from './response-flow.ts';
import { ResultRows } from './result-rows.ts';

/** Everything but rows and COPY data is short; a server that says otherwise is not believed. */
const maxControlBytes = 16 * 1024 * 1024;

export class Responses {
  readonly #flow: ResponseFlow;
  readonly #rows: ResultRows;
  readonly #answers: Answers;
  readonly #failures: Failures;
  readonly #carry = new Carry();
  #isMidMessage = false;

  constructor(state: SessionState, events: ResponseEvents, options: ResponseOptions) {
    this.#flow = new ResponseFlow(state, events, options);
    this.#rows = new ResultRows(this.#flow);
    this.#answers = new Answers(this.#flow, this.#rows);
    this.#failures = new Failures(this.#flow);
  }

  /** Takes one chunk, which is ours to change. @throws ProtocolError when the backend breaks the protocol */
  feed(chunk: Buffer): void {
    const { output, events } = this.#flow;
    for (let at = 0; at < chunk.length; ) {
      const left = at === 0 ? chunk : chunk.subarray(at);
      const taken = this.#carry.lacks(left);
      const view = this.#carry.join(taken === left.length ? left : left.subarray(0, taken));
      output.begin(view);
      const consumed = this.#consume(view);
      output.finish();
      this.#carry.keep(view, consumed);
      at += taken;
    }
    const pieces = output.take();
    if (pieces.length > 0) events.toClient(pieces);
    this.#isMidMessage = this.#flow.bodyLeft > 0 && this.#flow.bodyPasses;
  }

  /** The client has had a part of a message, and would take anything else for the rest of it. */
  get isMidMessage(): boolean {
    return this.#isMidMessage;
  }

  /**
   * Ends what runs now for a reason from outside (a policy withdrawn). `Queued`: something that has not begun
   * would have to be stopped, which no cancellation can; the session is then to be ended.
   */
  cutRunning(cutBy: CutBy): 'None' | 'Running' | 'Queued' {
    const { inflight } = this.#flow.state;
    let found: 'None' | 'Running' | 'Queued' = 'None';
    for (const expectation of inflight) {
      // Its answer cannot be cut.
      if (expectation.kind === 'FunctionCall' && cutBy(expectation.decided)) return 'Queued';
      if (expectation.kind !== 'Execute' && expectation.kind !== 'Query') continue;
      const { execution } = expectation;
      if (execution === undefined || execution.cut !== undefined) continue;
      const runs =
        expectation.kind === 'Execute'
          ? [expectation.run]
          : expectation.runs.slice(expectation.index);
      for (const [index, run] of runs.entries()) {
        const cut = cutBy(run.decided);
        if (cut === undefined) continue;
        if (index > 0 || expectation !== inflight.first) return 'Queued';
        execution.cut = cut;
        found = 'Running';
        break;
      }
    }
    if (found === 'Running') this.#flow.events.cancelBackend();
    return found;
  }

  #consume(view: Buffer): number {
    const { length } = view;
    let at = 0;
    while (at < length) {
      if (this.#flow.bodyLeft > 0) {
        const piece = Math.min(this.#flow.bodyLeft, length - at);
        this.#flow.passOrDrop(view, at, at + piece);
        this.#flow.bodyLeft -= piece;
        at += piece;
        continue;
      }
      if (length - at < HEADER_BYTES) break;
      const type = view[at]!;
      const size = view.readInt32BE(at + 1);
      if (size < 4 || size > MAX_LARGE_BYTES) {
        throw new ProtocolError(
          'InvalidLength',
          'a message of the server has an impossible length',
        );
      }
      const end = at + 1 + size;
      const whole = end <= length;
      if (type === Backend.DataRow || type === Backend.CopyData) {
        if (!this.#rows.row(type, view, at, end, whole)) break;
        at = Math.min(end, length);
        continue;
      }
      if (!whole) {
        if (type === Backend.FunctionCallResponse) {
          const { first } = this.#flow.state.inflight;
          if (first?.kind !== 'FunctionCall') throw unexpected(type);
          this.#answers.functionCall(first, view, at, end);
        } else if (size > maxControlBytes) {
          throw new ProtocolError('TooLarge', 'a message of the server is too long for its kind');
        } else break;
        at = length;
        continue;
      }
      this.#control(type, view, at, end);
      at = end;
    }
    return at;
  }

  #control(type: number, view: Buffer, at: number, end: number): void {
    const body = at + HEADER_BYTES;
    switch (type) {
      case Backend.ParameterStatus: {
        const { name, value } = parseParameterStatus(view, body, end);
        this.#flow.events.parameterChanged(name, value);
        this.#flow.output.keep(at, end);
        return;
      }
      case Backend.NotificationResponse: {
        const { channel } = parseNotification(view, body, end);
        if (this.#flow.events.mayHear(channel)) this.#flow.output.keep(at, end);
        return;
      }
      case Backend.NoticeResponse:
        this.#flow.report(view, at, end);
        return;
      case Backend.ErrorResponse:
        this.#failures.error(view, at, end);
        return;
      case Backend.ReadyForQuery:
        this.#ready(parseReadyForQuery(view, body, end), at, end);
        return;
      default:
        this.#answers.answer(type, view, at, end);
    }
  }

  #ready(status: number, at: number, end: number): void {
    const { inflight } = this.#flow.state;
    const { first } = inflight;
    if (
      first === undefined ||
      (first.kind !== 'Sync' &&
        first.kind !== 'InBandSync' &&
        first.kind !== 'Query' &&
        first.kind !== 'FunctionCall')
    ) {
      throw unexpected(Backend.ReadyForQuery);
    }
    this.#flow.silentUntilReady = false;
    this.#flow.state.copyIn = false;
    this.#flow.copyOut = undefined;
    if (first.kind === 'Query' && first.failed) first.undo?.();
    this.#transaction(status, inflight.firstNumber);
    inflight.shift();
    if (first.kind === 'InBandSync') {
      this.#flow.events.settled();
      return;
    }
    if (first.kind === 'FunctionCall' || !first.readyFollows) this.#flow.output.keep(at, end);
    if (first.kind === 'Query' && first.execution) {
      const { execution } = first;
      const outcome = execution.cut ? 'Cut' : first.failed ? 'Error' : 'Ok';
      this.#flow.complete(execution, first.runs, outcome);
    } else if (first.kind === 'FunctionCall') {
      this.#flow.complete(first.execution, [], first.failed ? 'Error' : 'Ok');
    }
    this.#flow.events.settled();
  }

  /**
   * What a new transaction status means for names and portals. `number`: of what was answered; portals that
   * were opened behind it belong to the next transaction.
   */
  #transaction(status: number, number: number): void {
    const state = this.#flow.state;
    const ended = status === TransactionStatus.Idle;
    const failed = status === TransactionStatus.Failed;
    if ((ended || failed) && state.resolutionTouched) state.resolutionDirty = true;
    if (ended) {
      if (state.catalogTouched) state.catalogDirty = true;
      state.resolutionTouched = false;
      state.catalogTouched = false;
      state.portals.filter((portal) => portal.hold || portal.openedBy > number);
    }
    state.status = status;
  }
}
