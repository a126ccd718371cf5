import {
  parseCommandComplete,
  parseCopyResponse,
  parseParameterDescription,
} from '../messages/backend-reader.ts';
import { HEADER_BYTES } from '../messages/frame.ts';
import { parseEmpty } from '../messages/frontend-reader.ts';
import { Backend, TransactionStatus } from '../messages/types.ts';
import type {
  ExecuteExpectation,
  Execution,
  FunctionCallExpectation,
  InBandExpectation,
  QueryExpectation,
  StatementRun,
} from './expectation.ts';
import { countCells, type ResponseFlow, unexpected } from './response-flow.ts';
import type { ResultRows } from './result-rows.ts';

/** Nothing stands in them: what did would reach the client as it is. */
const emptyAnswers: ReadonlySet<number> = new Set([
  Backend.ParseComplete,
  Backend.BindComplete,
  Backend.CloseComplete,
  Backend.NoData,
  Backend.EmptyQueryResponse,
  Backend.PortalSuspended,
  Backend.CopyDone,
]);

/** Answers other than rows and errors, each held against what was asked. */
export class Answers {
  readonly #flow: ResponseFlow;
  readonly #rows: ResultRows;

  constructor(flow: ResponseFlow, rows: ResultRows) {
    this.#flow = flow;
    this.#rows = rows;
  }

  /** Takes the whole message `[at, end)`. @throws ProtocolError when it is not the answer that is due */
  answer(type: number, view: Buffer, at: number, end: number): void {
    const { inflight } = this.#flow.state;
    const { first } = inflight;
    if (first === undefined) throw unexpected(type);
    if (emptyAnswers.has(type)) parseEmpty(view, at + HEADER_BYTES, end);
    if (first.kind === 'InBand') {
      this.#answerInBand(first, type);
      return;
    }
    switch (first.kind) {
      case 'Parse':
        this.#expect(type, Backend.ParseComplete);
        break;
      case 'Bind':
        this.#expect(type, Backend.BindComplete);
        break;
      case 'Close':
        this.#expect(type, Backend.CloseComplete);
        break;
      case 'Describe':
        if (type === Backend.ParameterDescription && first.parametersDue) {
          parseParameterDescription(view, at + HEADER_BYTES, end);
          first.parametersDue = false;
          this.#flow.pass(at, end);
          return;
        }
        if (first.parametersDue) throw unexpected(type);
        if (type !== Backend.RowDescription) this.#expect(type, Backend.NoData);
        else this.#rows.checkDescription(first, view, at, end);
        break;
      case 'LeftPortal':
        this.#expect(type, first.nothing);
        break;
      case 'Execute':
        this.#answerExecute(first, type, view, at, end);
        return;
      case 'Query':
        this.#answerQuery(first, type, view, at, end);
        return;
      case 'FunctionCall':
        this.#expect(type, Backend.FunctionCallResponse);
        this.functionCall(first, view, at, end);
        return;
      default:
        throw unexpected(type);
    }
    const passes = first.kind === 'LeftPortal' || !first.silent || type === Backend.RowDescription;
    if (passes) this.#flow.pass(at, end);
    inflight.shift();
    if (first.barrier || inflight.letsGoOn) this.#flow.events.settled();
  }

  #expect(type: number, expected: number): void {
    if (type !== expected) throw unexpected(type);
  }

  #answerInBand(expectation: InBandExpectation, type: number): void {
    switch (type) {
      case Backend.ParseComplete:
      case Backend.BindComplete:
        return;
      case Backend.CommandComplete:
        expectation.commandsLeft -= 1;
        return;
      case Backend.CloseComplete:
        expectation.closesLeft -= 1;
        break;
      default:
        throw unexpected(type);
    }
    if (expectation.closesLeft > 0) return;
    if (expectation.commandsLeft !== 0) throw unexpected(type);
    this.#flow.state.inflight.shift();
    expectation.done(undefined, expectation.results);
    this.#flow.events.settled();
  }

  /** The FunctionCallResponse `view[at, end)`, of which the rest may still be to come. */
  functionCall(call: FunctionCallExpectation, view: Buffer, at: number, end: number): void {
    this.#flow.state.carriedOut(call.decided.analysis);
    call.execution.rows += 1;
    call.execution.bytes += end - at;
    this.#flow.stream(view, at, end, !this.#flow.silentUntilReady, undefined);
  }

  #answerExecute(
    expectation: ExecuteExpectation,
    type: number,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const { execution, run } = expectation;
    if (this.#copy(run, execution, type, view, at, end)) return;
    switch (type) {
      case Backend.CommandComplete:
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        break;
      default:
        throw unexpected(type);
    }
    this.#flow.copyOut = undefined;
    this.#flow.state.copyIn = false;
    this.#flow.state.carriedOut(run.decided.analysis);
    if (type === Backend.CommandComplete) this.#finishStatement(run, execution, view, at, end);
    if (expectation.maxRowsChanged !== undefined) {
      execution.cut ??= this.#flow.events.overWritten(run, run.rows);
    }
    const { cut } = execution;
    if (cut !== undefined) {
      // It ended before the cancellation reached it: the client is told all the same, and hears nothing
      // more until the Sync that it sent, or will send.
      if (!this.#flow.silentUntilReady) this.#flow.output.insert(cut.error, end);
      this.#flow.silentUntilReady = true;
    } else {
      this.#flow.pass(at, end);
      if (execution.recordResults && !this.#flow.silentUntilReady) {
        this.#flow.events.recordResult(execution, view.subarray(at, end));
      }
    }
    this.#flow.state.inflight.shift();
    if (endsTransaction(run)) {
      // They take effect at once: what follows in the pipeline is another transaction.
      this.#flow.state.inflight.markSynced();
      this.#flow.state.status = TransactionStatus.Idle;
    }
    const outcome = cut ? 'Cut' : type === Backend.PortalSuspended ? 'Suspended' : 'Ok';
    this.#flow.complete(execution, [run], outcome);
    if (cut !== undefined) this.#undo(expectation);
    this.#flow.events.settled();
  }

  /** After a cut that the backend did not notice: it is made to fail, as the client was told that it did. */
  #undo({ leavesSomething, maxRowsChanged }: ExecuteExpectation): void {
    const { state, events } = this.#flow;
    const isToFail =
      leavesSomething || maxRowsChanged !== undefined || state.status !== TransactionStatus.Idle;
    if (Array.from(state.inflight).some(({ kind }) => kind === 'Sync')) {
      if (isToFail) this.#failBehind();
    } else if (isToFail) events.failBackend('Flush');
    // Nothing is to be undone: what the client sends before its Sync is just not forwarded.
    else state.skipping = true;
  }

  /** Too late to undo what the Sync or Query has committed, but not for the block that they may have left open. */
  #failBehind(): void {
    const { inflight } = this.#flow.state;
    const ends = Array.from(inflight).filter(({ kind }) => kind === 'Sync' || kind === 'Query');
    const [only] = ends;
    // Not behind what was sent, and is answered, as if it had not failed.
    if (ends.length !== 1 || only !== inflight.last) return;
    if (only?.kind !== 'Sync' && only?.kind !== 'Query') return;
    only.readyFollows = true;
    this.#flow.events.failBackend('Sync');
  }

  #answerQuery(query: QueryExpectation, type: number, view: Buffer, at: number, end: number): void {
    const { execution } = query;
    if (execution === undefined) throw unexpected(type);
    if (type === Backend.EmptyQueryResponse && query.runs.length === 0) {
      this.#flow.pass(at, end);
      return;
    }
    const run = query.runs[query.index];
    if (run === undefined) throw unexpected(type);
    if (this.#copy(run, execution, type, view, at, end)) return;
    switch (type) {
      case Backend.RowDescription:
        this.#rows.describe(run, execution, view, at, end);
        return;
      case Backend.CommandComplete:
        break;
      default:
        throw unexpected(type);
    }
    this.#flow.copyOut = undefined;
    this.#flow.state.copyIn = false;
    this.#flow.state.carriedOut(run.decided.analysis);
    this.#finishStatement(run, execution, view, at, end);
    query.index += 1;
    if (execution.cut !== undefined) {
      if (!this.#flow.silentUntilReady) this.#flow.output.insert(execution.cut.error, end);
      this.#flow.silentUntilReady = true;
      if (!query.readyFollows && this.#mayStandInBlock(query)) this.#failBehind();
      return;
    }
    this.#flow.pass(at, end);
    if (execution.recordResults) this.#flow.events.recordResult(execution, view.subarray(at, end));
  }

  #mayStandInBlock({ runs }: QueryExpectation): boolean {
    return (
      this.#flow.state.status !== TransactionStatus.Idle ||
      runs.some(({ decided }) => decided.analysis.effects.transaction === 'Begin')
    );
  }

  /** COPY begins and ends alike in both protocols; false when the message is not of a COPY. */
  #copy(
    run: StatementRun,
    execution: Execution,
    type: number,
    view: Buffer,
    at: number,
    end: number,
  ): boolean {
    switch (type) {
      case Backend.CopyInResponse:
        parseCopyResponse(view, at + HEADER_BYTES, end);
        this.#flow.state.copyIn = true;
        // Every Sync sent so far is read, and ignored, as part of the COPY data.
        this.#flow.state.inflight.dropSyncsBehindFirst();
        this.#flow.pass(at, end);
        this.#flow.events.settled();
        return true;
      case Backend.CopyOutResponse:
        this.#rows.beginCopy(run, execution, view, at, end);
        return true;
      case Backend.CopyDone:
        this.#endCopyOut(execution);
        if (execution.cut === undefined) this.#flow.pass(at, end);
        return true;
      default:
        return false;
    }
  }

  #endCopyOut(execution: Execution): void {
    const { copyOut } = this.#flow;
    if (copyOut !== undefined) countCells(execution, copyOut.cells);
    this.#flow.copyOut = undefined;
  }

  /** A statement has come to its end: its tag tells what it changed. */
  #finishStatement(
    run: StatementRun,
    execution: Execution,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    if (run.masker !== undefined) countCells(execution, run.masker.cells);
    const tag = parseCommandComplete(view, at + HEADER_BYTES, end);
    if (run.rows === 0) {
      const affected = affectedRows(tag);
      run.rows += affected;
      execution.rows += affected;
    }
  }
}

/** `INSERT 0 5`, `UPDATE 5`, `COPY 5`: the number at the end; 0 where there is none. */
function affectedRows(tag: string): number {
  if (!/^(?:INSERT|UPDATE|DELETE|MERGE|COPY|MOVE|FETCH|SELECT) /.test(tag)) return 0;
  const count = Number(tag.slice(tag.lastIndexOf(' ') + 1));
  return Number.isSafeInteger(count) ? count : 0;
}

/** COMMIT or ROLLBACK, where no AND CHAIN begins another block at once; DISCARD ALL, which is none but its own. */
function endsTransaction({ decided: { analysis } }: StatementRun): boolean {
  const { transaction, chain, discard } = analysis.effects;
  if (discard === 'All') return true;
  return (transaction === 'Commit' || transaction === 'Rollback') && chain !== true;
}
