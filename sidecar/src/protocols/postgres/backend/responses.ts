/**
 * Everything the backend sends, message by message: checked against what was asked, masked, counted, cut
 * at the limits, and passed on in place. What was not asked for is a protocol violation.
 */
import type { PlannedMask } from '@chaperone/core/masking/types.ts';
import type { RuleRef } from '@chaperone/core/policy/types.ts';
import { rebuildReport } from '../errors/rebuild.ts';
import {
  type ColumnDescription,
  parseCommandComplete,
  parseCopyResponse,
  parseErrorFields,
  parseParameterStatus,
  parseReadyForQuery,
  parseRowDescription,
} from '../messages/backend-reader.ts';
import { Carry } from '../messages/carry.ts';
import { HEADER_BYTES, MAX_LARGE_BYTES } from '../messages/frame.ts';
import { formatAt } from '../messages/frontend-reader.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Backend, TransactionStatus } from '../messages/types.ts';
import type { SessionState } from '../session-state.ts';
import { ClientOutput } from './client-output.ts';
import { CopyMasker } from './copy-masker.ts';
import type {
  Cut,
  ExecuteExpectation,
  Execution,
  Expectation,
  FunctionCallExpectation,
  QueryExpectation,
  StatementRun,
} from './expectation.ts';
import { bindMasks } from './mask-binding.ts';
import { checkProvenance } from './provenance.ts';

/** In a failed transaction PostgreSQL looks at nothing but its end. */
const failedTransaction = '25P02';

/** Everything but rows and COPY data is short; a server that says otherwise is not believed. */
const maxControlBytes = 16 * 1024 * 1024;

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
  /** Makes the backend fail, so that what is not synced is undone; its error reaches nobody. */
  failBackend(): void;
  /** Makes the backend stop what it does now. */
  cancelBackend(): void;
  /** Answers have been taken: what waited for them may go on. */
  settled(): void;
  /** Something of ours failed at the backend in the middle of a pipeline: what the client is told. */
  inBandFailure(): Buffer;
  /** A result that may not be delivered, for a reason found only when it came. */
  undeliverable(rule: RuleRef | undefined, why: string): Cut;
  parameterChanged(name: string, value: string): void;
  /** The backend describes a protected column where the analysis saw none: the session must end. */
  leaking(rule: RuleRef, why: string): void;
  /** Epoch ms. */
  nowMs(): number;
}

export interface ResponseOptions {
  /** A row with a masked field is held whole up to this many bytes (decisions 9). */
  readonly maxMaskedRowBytes: number;
}

export class Responses {
  readonly #state: SessionState;
  readonly #events: ResponseEvents;
  readonly #options: ResponseOptions;
  readonly #carry = new Carry();
  readonly #output = new ClientOutput();
  /** Bytes of the current message that are still to come, and whether they pass or are dropped. */
  #bodyLeft = 0;
  #bodyPasses = false;
  #bodyOf: Execution | undefined;
  /** After a cut the client waits for ReadyForQuery: all else is dropped. */
  #silentUntilReady = false;
  #copyOut: CopyMasker | undefined;
  #scratch = Buffer.allocUnsafeSlow(64 * 1024);

  constructor(state: SessionState, events: ResponseEvents, options: ResponseOptions) {
    this.#state = state;
    this.#events = events;
    this.#options = options;
  }

  /** Takes one chunk, which is ours to change. @throws ProtocolError when the backend breaks the protocol */
  feed(chunk: Buffer): void {
    const view = this.#carry.join(chunk);
    this.#output.begin(view, 0);
    const consumed = this.#consume(view);
    const pieces = this.#output.end();
    this.#carry.keep(view, consumed);
    if (pieces.length > 0) this.#events.toClient(pieces);
  }

  /** Ends what runs now for a reason from outside (a policy withdrawn); false when nothing runs. */
  cutRunning(select: (run: StatementRun) => Cut | undefined): boolean {
    let any = false;
    for (const expectation of this.#state.inflight) {
      const run =
        expectation.kind === 'Execute'
          ? expectation.run
          : expectation.kind === 'Query'
            ? expectation.runs[expectation.index]
            : undefined;
      const execution =
        expectation.kind === 'Execute' || expectation.kind === 'Query'
          ? expectation.execution
          : undefined;
      if (run === undefined || execution === undefined || execution.cut !== undefined) continue;
      const cut = select(run);
      if (cut === undefined) continue;
      execution.cut = cut;
      any = true;
    }
    if (any) this.#events.cancelBackend();
    return any;
  }

  #consume(view: Buffer): number {
    const { length } = view;
    let at = 0;
    while (at < length) {
      if (this.#bodyLeft > 0) {
        const piece = Math.min(this.#bodyLeft, length - at);
        this.#passOrDrop(view, at, at + piece);
        this.#bodyLeft -= piece;
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
        if (!this.#rows(type, view, at, end, whole)) break;
        at = Math.min(end, length);
        continue;
      }
      if (!whole) {
        if (type === Backend.FunctionCallResponse) this.#stream(view, at, end, true, undefined);
        else if (size > maxControlBytes) {
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

  /** Passes or drops a message that is not all there; the rest follows the same way. */
  #stream(view: Buffer, at: number, end: number, passes: boolean, of: Execution | undefined): void {
    const available = Math.min(end, view.length);
    this.#bodyPasses = passes;
    this.#bodyOf = of;
    this.#bodyLeft = end - available;
    this.#passOrDrop(view, at, available);
  }

  #passOrDrop(view: Buffer, from: number, to: number): void {
    if (!this.#bodyPasses) return;
    if (this.#bodyOf?.recordResults)
      this.#events.recordResult(this.#bodyOf, view.subarray(from, to));
    this.#output.keep(from, to);
  }

  // ── Rows ────────────────────────────────────────────────────────────────────────────────────────────

  /** False when the message has to be there as a whole first. */
  #rows(type: number, view: Buffer, at: number, end: number, whole: boolean): boolean {
    const { first } = this.#state.inflight;
    if (first?.kind === 'InBand' && type === Backend.DataRow) {
      if (!whole) {
        if (end - at > MAX_LARGE_BYTES)
          throw new ProtocolError('TooLarge', 'an answer is too long');
        return false;
      }
      first.results.push(textValues(view, at, end));
      return true;
    }
    const found = runOf(first);
    if (found === undefined) throw unexpected(type);
    const { execution, run } = found;
    if (run === undefined) throw unexpected(type);
    if (execution.cut !== undefined || this.#silentUntilReady) {
      this.#stream(view, at, end, false, undefined);
      return true;
    }
    const isCopy = type === Backend.CopyData;
    if (isCopy && this.#copyOut === undefined && run.masks !== null) throw unexpected(type);
    const masker = isCopy ? this.#copyOut : run.masker;
    if (!whole && masker !== undefined) {
      if (end - at <= this.#options.maxMaskedRowBytes) return false;
      this.#cut(
        execution,
        this.#events.undeliverable(
          undefined,
          'a row with a masked field is larger than the proxy holds',
        ),
      );
      this.#stream(view, at, end, false, undefined);
      return true;
    }
    const bytes = end - at;
    const cut = this.#events.overLimit(execution, run, run.rows + 1, run.bytes + bytes);
    if (cut !== undefined) {
      this.#cut(execution, cut);
      this.#stream(view, at, end, false, undefined);
      return true;
    }
    run.rows += 1;
    run.bytes += bytes;
    execution.rows += 1;
    execution.bytes += bytes;
    if (masker === undefined) this.#stream(view, at, end, true, execution);
    else if (isCopy) this.#maskCopyRow(view, at, end, execution);
    else this.#maskRow(view, at, end, run, execution);
    return true;
  }

  #maskRow(view: Buffer, at: number, end: number, run: StatementRun, execution: Execution): void {
    const masker = run.masker!;
    const bound = masker.measure(view, at, end);
    const position = this.#output.position;
    if (!masker.grows) {
      const written = masker.write(view, at, end, view, position);
      this.#output.advance(written);
      if (execution.recordResults) {
        this.#events.recordResult(execution, view.subarray(position, written));
      }
      return;
    }
    if (this.#scratch.length < bound) this.#scratch = Buffer.allocUnsafeSlow(bound * 2);
    const length = masker.write(view, at, end, this.#scratch, 0);
    const row = this.#scratch.subarray(0, length);
    if (execution.recordResults) this.#events.recordResult(execution, row);
    // The scratch is used again for the next row, so what does not fit in place is copied.
    this.#output.insert(end - position >= length ? row : Buffer.from(row), end);
  }

  #maskCopyRow(view: Buffer, at: number, end: number, execution: Execution): void {
    const row = this.#copyOut!.mask(view.subarray(at + HEADER_BYTES, end));
    const message = Buffer.allocUnsafe(HEADER_BYTES + row.length);
    message[0] = Backend.CopyData;
    message.writeInt32BE(4 + row.length, 1);
    row.copy(message, HEADER_BYTES);
    if (execution.recordResults) this.#events.recordResult(execution, message);
    this.#output.insert(message, end);
  }

  #cut(execution: Execution, cut: Cut): void {
    execution.cut = cut;
    this.#events.cancelBackend();
  }

  // ── Everything else ─────────────────────────────────────────────────────────────────────────────────

  #control(type: number, view: Buffer, at: number, end: number): void {
    const body = at + HEADER_BYTES;
    switch (type) {
      case Backend.ParameterStatus: {
        const { name, value } = parseParameterStatus(view, body, end);
        this.#events.parameterChanged(name, value);
        this.#output.keep(at, end);
        return;
      }
      case Backend.NotificationResponse:
        this.#output.keep(at, end);
        return;
      case Backend.NoticeResponse:
        this.#report(view, at, end);
        return;
      case Backend.ErrorResponse:
        this.#error(view, at, end);
        return;
      case Backend.ReadyForQuery:
        this.#ready(parseReadyForQuery(view, body, end), at, end);
        return;
      default:
        this.#answer(type, view, at, end);
    }
  }

  /** An error or notice text passes as it is only where it cannot carry a protected value (decisions 8). */
  #report(view: Buffer, at: number, end: number): void {
    const { first } = this.#state.inflight;
    if (first?.kind === 'InBand' || first?.kind === 'InBandSync') return;
    if (this.#rebuilds(first)) {
      this.#output.insert(
        rebuildReport(view.subarray(at, end), { userCode: mayRunUserCode(first) }),
        end,
      );
    } else this.#output.keep(at, end);
  }

  #rebuilds(expectation: Expectation | undefined): boolean {
    if (!this.#state.context.key.policy.anyMask) return false;
    if (this.#state.context.key.policy.bundle.target.enforcement === 'Observe') return false;
    switch (expectation?.kind) {
      case 'Query':
        return expectation.runs.some((run) => run.decided.permit?.masks.rebuildErrors ?? true);
      case 'Execute':
        return expectation.run.decided.permit?.masks.rebuildErrors ?? true;
      // Parse and Bind evaluate constants and parameters, and a Sync runs deferred constraints and
      // triggers of anything before it.
      default:
        return true;
    }
  }

  #error(view: Buffer, at: number, end: number): void {
    const fields = parseErrorFields(view, at + HEADER_BYTES, end);
    const sqlstate = fields.get('C') ?? 'XX000';
    const severity = fields.get('V') ?? fields.get('S') ?? 'ERROR';
    const { first } = this.#state.inflight;
    if (severity === 'FATAL' || severity === 'PANIC' || first === undefined) {
      this.#report(view, at, end);
      return;
    }
    switch (first.kind) {
      case 'Query':
        this.#errorOfQuery(first, sqlstate, view, at, end);
        return;
      case 'FunctionCall':
        first.failed = true;
        first.execution.sqlstate = sqlstate;
        this.#report(view, at, end);
        return;
      case 'Sync':
        this.#state.resolutionDirty ||= this.#state.resolutionTouched;
        this.#report(view, at, end);
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
    this.#state.copyIn = false;
    this.#copyOut = undefined;
    if (this.#silentUntilReady) return;
    query.failed = true;
    if (query.replacement && sqlstate !== failedTransaction) {
      this.#output.insert(query.replacement, end);
    } else if (query.execution?.cut) this.#output.insert(query.execution.cut.error, end);
    else {
      if (query.execution) query.execution.sqlstate ??= sqlstate;
      this.#report(view, at, end);
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
    const { inflight } = this.#state;
    this.#state.copyIn = false;
    this.#copyOut = undefined;
    const silent = this.#silentUntilReady;
    if (first.kind === 'Execute') {
      if (!silent && first.execution.cut === undefined) first.execution.sqlstate ??= sqlstate;
    }
    if (!silent) {
      if (first.kind === 'Refused') this.#output.insert(first.replacement, end);
      else if (first.kind === 'InBand') this.#output.insert(this.#events.inBandFailure(), end);
      else if (first.kind === 'Execute' && first.execution.cut) {
        this.#output.insert(first.execution.cut.error, end);
      } else this.#report(view, at, end);
    }
    const dropped = inflight.dropUntilSync();
    for (const item of dropped.toReversed()) item.undo?.();
    for (const item of dropped) {
      if (item.kind === 'Execute') {
        const outcome = item !== first ? 'Skipped' : item.execution.cut ? 'Cut' : 'Error';
        this.#complete(item.execution, [item.run], outcome);
      } else if (item.kind === 'InBand') {
        if (item === first) item.done(new Error(`SQLSTATE ${sqlstate}`), item.results);
        else item.skipped();
      }
    }
    // Statements of our own end in their own Sync, and the client is not skipping.
    const next = inflight.first;
    if (next === undefined) this.#state.skipping = true;
    this.#state.resolutionDirty ||= this.#state.resolutionTouched;
    this.#events.settled();
  }

  #ready(status: number, at: number, end: number): void {
    const { inflight } = this.#state;
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
    this.#silentUntilReady = false;
    this.#state.copyIn = false;
    this.#copyOut = undefined;
    if (first.kind === 'Query' && first.failed) first.undo?.();
    this.#transaction(status, inflight.firstNumber);
    inflight.shift();
    if (first.kind === 'InBandSync') {
      this.#events.settled();
      return;
    }
    this.#output.keep(at, end);
    if (first.kind === 'Query' && first.execution) {
      const { execution } = first;
      const outcome = execution.cut ? 'Cut' : first.failed ? 'Error' : 'Ok';
      this.#complete(execution, first.runs, outcome);
    } else if (first.kind === 'FunctionCall') {
      this.#complete(first.execution, [], first.failed ? 'Error' : 'Ok');
    }
    this.#events.settled();
  }

  /**
   * What a new transaction status means for names and portals. `number`: of what was answered; portals that
   * were opened behind it belong to the next transaction.
   */
  #transaction(status: number, number: number): void {
    const state = this.#state;
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

  #answer(type: number, view: Buffer, at: number, end: number): void {
    const { inflight } = this.#state;
    const { first } = inflight;
    if (first === undefined) throw unexpected(type);
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
          first.parametersDue = false;
          this.#pass(at, end);
          return;
        }
        if (first.parametersDue) throw unexpected(type);
        if (type !== Backend.RowDescription) this.#expect(type, Backend.NoData);
        else this.#checkDescription(first, view, at, end);
        break;
      case 'Execute':
        this.#answerExecute(first, type, view, at, end);
        return;
      case 'Query':
        this.#answerQuery(first, type, view, at, end);
        return;
      case 'FunctionCall':
        this.#answerFunctionCall(first, type, at, end);
        return;
      default:
        throw unexpected(type);
    }
    if (!(first.silent && type !== Backend.RowDescription)) this.#pass(at, end);
    inflight.shift();
    if (first.barrier) this.#events.settled();
  }

  /** Rows of a prepared statement come without a description of their own, so this one is checked. */
  #checkDescription(
    describe: Extract<Expectation, { kind: 'Describe' }>,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const columns = parseRowDescription(view, at + HEADER_BYTES, end);
    const leak = this.#leak(columns, describe.planned);
    if (leak !== undefined) this.#events.leaking(leak.rule, leak.why);
  }

  #expect(type: number, expected: number): void {
    if (type !== expected) throw unexpected(type);
  }

  #pass(at: number, end: number): void {
    if (!this.#silentUntilReady) this.#output.keep(at, end);
  }

  #answerInBand(expectation: Extract<Expectation, { kind: 'InBand' }>, type: number): void {
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
    this.#state.inflight.shift();
    expectation.done(undefined, expectation.results);
    this.#events.settled();
  }

  #answerFunctionCall(call: FunctionCallExpectation, type: number, at: number, end: number): void {
    this.#expect(type, Backend.FunctionCallResponse);
    call.execution.rows += 1;
    call.execution.bytes += end - at;
    this.#pass(at, end);
  }

  #answerExecute(
    expectation: ExecuteExpectation,
    type: number,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const { execution, run } = expectation;
    switch (type) {
      case Backend.CopyInResponse:
        this.#state.copyIn = true;
        this.#state.inflight.dropSyncsBehindFirst();
        this.#pass(at, end);
        this.#events.settled();
        return;
      case Backend.CopyOutResponse:
        this.#beginCopyOut(run, execution, view, at, end);
        return;
      case Backend.CopyDone:
        this.#copyOut = undefined;
        if (execution.cut === undefined) this.#pass(at, end);
        return;
      case Backend.CommandComplete:
      case Backend.EmptyQueryResponse:
      case Backend.PortalSuspended:
        break;
      default:
        throw unexpected(type);
    }
    this.#copyOut = undefined;
    this.#state.copyIn = false;
    if (type === Backend.CommandComplete) this.#finishStatement(run, execution, view, at, end);
    if (expectation.maxRowsChanged !== undefined) {
      execution.cut ??= this.#events.overWritten(run, run.rows);
    }
    const { cut } = execution;
    if (cut !== undefined && expectation.maxRowsChanged !== undefined) {
      if (!this.#silentUntilReady) this.#output.insert(cut.error, end);
      this.#state.inflight.shift();
      this.#complete(execution, [run], 'Cut');
      this.#events.failBackend();
      return;
    }
    if (cut !== undefined) {
      // It ended before the cancellation reached it: the client is told all the same, and hears nothing
      // more until the Sync that it sent, or will send.
      if (!this.#silentUntilReady) this.#output.insert(cut.error, end);
      this.#silentUntilReady = true;
      this.#skipToSync();
    } else {
      this.#pass(at, end);
      if (execution.recordResults && !this.#silentUntilReady) {
        this.#events.recordResult(execution, view.subarray(at, end));
      }
    }
    if (this.#state.inflight.first === expectation) this.#state.inflight.shift();
    if (endsTransaction(run) && this.#state.inflight.length === 0) {
      // COMMIT and ROLLBACK take effect at once: what follows in the pipeline is another transaction.
      this.#state.inflight.markSynced();
      this.#state.status = TransactionStatus.Idle;
    }
    const outcome = cut ? 'Cut' : type === Backend.PortalSuspended ? 'Suspended' : 'Ok';
    this.#complete(execution, [run], outcome);
    this.#events.settled();
  }

  /** After a cut that the backend did not notice: what the client sends before its Sync is not forwarded. */
  #skipToSync(): void {
    for (const item of this.#state.inflight) if (item.kind === 'Sync') return;
    this.#state.skipping = true;
  }

  #answerQuery(query: QueryExpectation, type: number, view: Buffer, at: number, end: number): void {
    const { execution } = query;
    if (execution === undefined) throw unexpected(type);
    if (type === Backend.EmptyQueryResponse && query.runs.length === 0) {
      this.#pass(at, end);
      return;
    }
    const run = query.runs[query.index];
    if (run === undefined) throw unexpected(type);
    switch (type) {
      case Backend.RowDescription:
        this.#beginRows(run, execution, view, at, end);
        return;
      case Backend.CopyInResponse:
        this.#state.copyIn = true;
        this.#pass(at, end);
        this.#events.settled();
        return;
      case Backend.CopyOutResponse:
        this.#beginCopyOut(run, execution, view, at, end);
        return;
      case Backend.CopyDone:
        this.#copyOut = undefined;
        if (execution.cut === undefined) this.#pass(at, end);
        return;
      case Backend.CommandComplete:
        break;
      default:
        throw unexpected(type);
    }
    this.#copyOut = undefined;
    this.#state.copyIn = false;
    this.#finishStatement(run, execution, view, at, end);
    query.index += 1;
    if (execution.cut !== undefined) {
      if (!this.#silentUntilReady) this.#output.insert(execution.cut.error, end);
      this.#silentUntilReady = true;
      return;
    }
    this.#pass(at, end);
    if (execution.recordResults) this.#events.recordResult(execution, view.subarray(at, end));
  }

  /** A statement has been carried out: what it changed holds from here on. */
  #finishStatement(
    run: StatementRun,
    execution: Execution,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const { effects } = run.decided.analysis;
    const state = this.#state;
    if (effects.resolution) {
      state.resolutionDirty = true;
      state.resolutionTouched = true;
    }
    if (effects.catalog) {
      state.catalogDirty = true;
      state.catalogTouched = true;
    }
    const { transaction } = effects;
    if (transaction === 'Commit' || transaction === 'Rollback' || transaction === 'RollbackTo') {
      // SET LOCAL and what is rolled back hold no longer, even where the next transaction follows at once.
      state.resolutionDirty ||= state.resolutionTouched;
      state.catalogDirty ||= state.catalogTouched;
    }
    if (run.masker !== undefined) countCells(execution, run.masker.masks, run.masker.cells);
    if (run.rows === 0) {
      const affected = affectedRows(parseCommandComplete(view, at + HEADER_BYTES, end));
      run.rows += affected;
      execution.rows += affected;
    }
  }

  #beginRows(run: StatementRun, execution: Execution, view: Buffer, at: number, end: number): void {
    const columns = parseRowDescription(view, at + HEADER_BYTES, end);
    const cut = this.#bindColumns(run, columns);
    if (cut !== undefined) {
      this.#cut(execution, cut);
      return;
    }
    if (execution.cut !== undefined) return;
    if (execution.recordResults) this.#events.recordResult(execution, view.subarray(at, end));
    this.#pass(at, end);
  }

  #bindColumns(run: StatementRun, columns: readonly ColumnDescription[]): Cut | undefined {
    const planned: readonly (PlannedMask | null)[] = run.decided.permit?.masks.columns ?? [];
    const leak = this.#leak(columns, planned);
    if (leak !== undefined) return this.#events.undeliverable(leak.rule, leak.why);
    const types = columns.map((column) => column.typeOid);
    const bound = bindMasks(planned, types, (index) => columns[index]!.format);
    if ('why' in bound) return this.#events.undeliverable(bound.rule, bound.why);
    run.masks = bound.masks;
    if (bound.masker !== undefined) run.masker = bound.masker;
    return undefined;
  }

  #leak(
    columns: readonly ColumnDescription[],
    planned: readonly (PlannedMask | null)[],
  ): ReturnType<typeof checkProvenance> {
    const { policy, catalog } = this.#state.context.key;
    if (policy.bundle.target.enforcement === 'Observe') return undefined;
    return checkProvenance(columns, planned, policy.maskSet, catalog, this.#events.nowMs());
  }

  #beginCopyOut(
    run: StatementRun,
    execution: Execution,
    view: Buffer,
    at: number,
    end: number,
  ): void {
    const { columnFormats } = parseCopyResponse(view, at + HEADER_BYTES, end);
    const planned = run.decided.permit?.masks.columns ?? [];
    if (planned.some((mask) => mask !== null)) {
      const format = run.decided.analysis.effects.copy?.format;
      const outputs = run.decided.analysis.outputs ?? [];
      const bound = bindMasks(
        planned,
        outputs.map((output, index) => planned[index]?.typeOid ?? output.typeOid ?? 25),
        (index) => formatAt(columnFormats, index),
      );
      const unusable =
        'why' in bound
          ? bound
          : columnFormats.length !== planned.length || format === undefined || format === 'binary'
            ? { rule: undefined, why: 'the result is in a format that cannot be masked' }
            : undefined;
      if (unusable !== undefined || 'why' in bound || format === undefined || format === 'binary') {
        this.#cut(execution, this.#events.undeliverable(unusable?.rule, unusable?.why ?? ''));
        return;
      }
      run.masks = bound.masks;
      if (bound.masks !== null) this.#copyOut = new CopyMasker(bound.masks, format);
    }
    if (execution.recordResults) this.#events.recordResult(execution, view.subarray(at, end));
    this.#pass(at, end);
  }

  #complete(execution: Execution, runs: readonly StatementRun[], outcome: Outcome): void {
    if (outcome !== 'Ok') {
      for (const run of runs) {
        if (run.masker !== undefined && execution.masked.size === 0) {
          countCells(execution, run.masker.masks, run.masker.cells);
        }
      }
    }
    this.#events.completed(execution, outcome);
  }
}

function runOf(
  expectation: Expectation | undefined,
): { execution: Execution; run: StatementRun | undefined } | undefined {
  if (expectation?.kind === 'Execute') return expectation;
  if (expectation?.kind === 'Query' && expectation.execution !== undefined) {
    return { execution: expectation.execution, run: expectation.runs[expectation.index] };
  }
  return undefined;
}

function countCells(
  execution: Execution,
  masks: readonly ({ readonly rule: RuleRef } | null)[],
  cells: number[],
): void {
  masks.forEach((mask, column) => {
    const count = cells[column] ?? 0;
    if (mask === null || count === 0) return;
    const name = `${mask.rule.namespace}/${mask.rule.object}`;
    execution.masked.set(name, (execution.masked.get(name) ?? 0) + count);
    cells[column] = 0;
  });
}

/** `INSERT 0 5`, `UPDATE 5`, `COPY 5`: the number at the end; 0 where there is none. */
function affectedRows(tag: string): number {
  if (!/^(?:INSERT|UPDATE|DELETE|MERGE|COPY|MOVE|FETCH|SELECT) /.test(tag)) return 0;
  const count = Number(tag.slice(tag.lastIndexOf(' ') + 1));
  return Number.isSafeInteger(count) ? count : 0;
}

/** The fields of a DataRow in text format; for answers to statements of our own. */
function textValues(view: Buffer, start: number, end: number): (string | null)[] {
  const count = view.readUInt16BE(start + HEADER_BYTES);
  const values: (string | null)[] = [];
  let at = start + HEADER_BYTES + 2;
  for (let index = 0; index < count; index += 1) {
    if (at + 4 > end) throw new ProtocolError('Truncated', 'a DataRow ends within a length');
    const length = view.readInt32BE(at);
    at += 4;
    if (length < -1 || length > end - at) {
      throw new ProtocolError('Truncated', 'a DataRow field reaches beyond its message');
    }
    values.push(length === -1 ? null : view.toString('utf8', at, at + length));
    at += Math.max(length, 0);
  }
  return values;
}

function unexpected(type: number): ProtocolError {
  const letter = String.fromCharCode(type);
  return new ProtocolError(
    'UnexpectedMessage',
    `the server sent a message of type ${JSON.stringify(letter)} that nothing asked for`,
  );
}

/** Whether code of the target's owner may have written the report; where that is not known, it may. */
function mayRunUserCode(expectation: Expectation | undefined): boolean {
  switch (expectation?.kind) {
    case 'Query':
      return expectation.runs.some(runsUserCode);
    case 'Execute':
      return runsUserCode(expectation.run);
    default:
      return true;
  }
}

/** COMMIT or ROLLBACK; with AND CHAIN another transaction block follows at once. */
function endsTransaction({ decided: { analysis } }: StatementRun): boolean {
  const { transaction, chain } = analysis.effects;
  return (transaction === 'Commit' || transaction === 'Rollback') && chain !== true;
}

function runsUserCode({ decided: { analysis } }: StatementRun): boolean {
  return (
    analysis.userCode || analysis.operations.some((operation) => operation.sideEffects === true)
  );
}
