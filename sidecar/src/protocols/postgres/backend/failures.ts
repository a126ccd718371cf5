import type { DecidedStatement } from '../frontend/decision-context.ts';
import { parseErrorFields } from '../messages/backend-reader.ts';
import { HEADER_BYTES } from '../messages/frame.ts';
import type { Expectation, InBandExpectation, QueryExpectation } from './expectation.ts';
import type { ResponseFlow } from './response-flow.ts';

/** In a failed transaction PostgreSQL looks at nothing but its end. */
const failedTransaction = '25P02';

/** What ends a question of ours for reasons of the client's: its cancel request, its own statement_timeout and lock_timeout. */
const interruptions: ReadonlySet<string> = new Set(['57014', '55P03']);

/** Whether a question of ours that failed so is asked again. */
export function isAskedAgain(question: InBandExpectation, sqlstate: string): boolean {
  return question.retriable && interruptions.has(sqlstate);
}

/** The statement that failed. */
function statementOf(expectation: Expectation | undefined): DecidedStatement | undefined {
  switch (expectation?.kind) {
    case 'Query':
      return expectation.runs[expectation.index]?.decided;
    case 'Execute':
      return expectation.run.decided;
    case 'FunctionCall':
      return expectation.decided;
    default:
      return undefined;
  }
}

/** ErrorResponses: whose they are, what the client is told, and what they take back. */
export class Failures {
  readonly #flow: ResponseFlow;

  constructor(flow: ResponseFlow) {
    this.#flow = flow;
  }

  /** Takes the whole ErrorResponse `view[at, end)`. */
  error(view: Buffer, at: number, end: number): void {
    const fields = parseErrorFields(view, at + HEADER_BYTES, end);
    const sqlstate = fields.get('C') ?? 'XX000';
    const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    const { first } = this.#flow.state.inflight;
    const endsSession = severity === 'FATAL' || severity === 'PANIC';
    const begun = statementOf(first);
    if (begun !== undefined) this.#flow.state.carriedOut(begun.analysis);
    if (endsSession || first === undefined) {
      this.#flow.report(view, at, end, endsSession);
      return;
    }
    switch (first.kind) {
      case 'Query':
        this.#errorOfQuery(first, sqlstate, view, at, end);
        return;
      case 'FunctionCall':
        first.failed = true;
        first.execution.sqlstate = sqlstate;
        this.#flow.report(view, at, end);
        return;
      case 'Sync':
        this.#flow.state.resolutionDirty ||= this.#flow.state.resolutionTouched;
        this.#flow.report(view, at, end);
        return;
      case 'InBandSync':
        return;
      default:
        this.#errorInPipeline(first, sqlstate, view, at, end);
    }
  }

  #errorOfQuery(
    query: QueryExpectation,
    sqlstate: string,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    this.#flow.state.copyIn = false;
    this.#flow.copyOut = undefined;
    if (this.#flow.silentUntilReady) return;
    query.failed = true;
    if (query.replacement && sqlstate !== failedTransaction) {
      this.#flow.output.insert(query.replacement, end);
    } else if (query.execution?.cut) this.#flow.output.insert(query.execution.cut.error, end);
    else {
      if (query.execution) query.execution.sqlstate ??= sqlstate;
      this.#flow.report(view, at, end);
    }
  }

  /** The backend now skips to the next Sync, and so everything sent before it is taken back. */
  #errorInPipeline(
    first: Expectation,
    sqlstate: string,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const { inflight } = this.#flow.state;
    this.#flow.state.copyIn = false;
    this.#flow.copyOut = undefined;
    const silent = this.#flow.silentUntilReady;
    if (first.kind === 'Execute') {
      if (!silent && first.execution.cut === undefined) first.execution.sqlstate ??= sqlstate;
    }
    if (!silent) {
      if (first.kind === 'Refused') this.#flow.output.insert(first.replacement, end);
      else if (first.kind === 'InBand') {
        if (!isAskedAgain(first, sqlstate)) {
          this.#flow.output.insert(this.#flow.events.inBandFailure(), end);
        }
      } else if (first.kind === 'Execute' && first.execution.cut) {
        this.#flow.output.insert(first.execution.cut.error, end);
      } else this.#flow.report(view, at, end);
    }
    const dropped = inflight.dropUntilSync();
    for (const item of dropped.toReversed()) {
      item.undo?.();
      if (item !== first) item.undoSkipped?.();
    }
    for (const item of dropped) {
      if (item.kind === 'Execute') {
        const outcome = item !== first ? 'Skipped' : item.execution.cut ? 'Cut' : 'Error';
        this.#flow.complete(item.execution, [item.run], outcome);
      } else if (item.kind === 'InBand') {
        if (item === first) item.done({ sqlstate }, item.results);
        else item.skipped();
      }
    }
    // Statements of our own end in their own Sync, and the client is not skipping.
    const next = inflight.first;
    if (next === undefined) this.#flow.state.skipping = true;
    this.#flow.state.resolutionDirty ||= this.#flow.state.resolutionTouched;
    this.#flow.events.settled();
  }
}
