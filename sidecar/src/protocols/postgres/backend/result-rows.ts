import type { PlannedMask } from '@chaperone/core/masking/types.ts';
import { parseCopyResponse } from '../messages/backend-reader.ts';
import { Cursor } from '../messages/cursor.ts';
import { HEADER_BYTES, MAX_LARGE_BYTES } from '../messages/frame.ts';
import { formatAt } from '../messages/frontend-reader.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Backend } from '../messages/types.ts';
import { CopyMasker } from './copy-masker.ts';
import { type Description, describe } from './descriptions.ts';
import type {
  Cut,
  DescribeExpectation,
  Execution,
  Expectation,
  StatementRun,
} from './expectation.ts';
import { bindMasks } from './mask-binding.ts';
import { type ResponseFlow, unexpected } from './response-flow.ts';
import { RowMasker } from './row-masker.ts';

const nothing = Buffer.alloc(0);
const leastScratchBytes = 4096;
/** Rows up to this size reach the client whole, so that a session may end between any two of them with a reason. */
const maxWholeRowBytes = 64 * 1024;

/** Results: described, masked row by row, counted, and cut at the limits. */
export class ResultRows {
  readonly #flow: ResponseFlow;
  /** For rows that grow: most sessions have none. */
  #scratch: Buffer = nothing;

  constructor(flow: ResponseFlow) {
    this.#flow = flow;
  }

  /** False when the message has to be there as a whole first. */
  row(type: number, view: Buffer, at: number, end: number, whole: boolean): boolean {
    const { first } = this.#flow.state.inflight;
    if (first?.kind === 'InBand' && type === Backend.DataRow) {
      if (!whole) {
        if (end - at > MAX_LARGE_BYTES)
          throw new ProtocolError('TooLarge', 'an answer is too long');
        return false;
      }
      if (first.results.length === first.maxResults) throw unexpected(type);
      first.results.push(textValues(view, at, end));
      return true;
    }
    const found = runOf(first);
    if (found === undefined) throw unexpected(type);
    const { execution, run } = found;
    if (run === undefined) throw unexpected(type);
    if (execution.cut !== undefined || this.#flow.silentUntilReady) {
      this.#flow.stream(view, at, end, false, undefined);
      return true;
    }
    const isCopy = type === Backend.CopyData;
    const masker = isCopy ? this.#flow.copyOut : run.masker;
    // Rows whose masks were never bound: no description came before them.
    if (masker === undefined && run.mustMask) throw unexpected(type);
    if (!whole && masker !== undefined) {
      if (end - at <= this.#flow.options.maxMaskedRowBytes) return false;
      this.#flow.cut(
        execution,
        this.#flow.events.undeliverable(
          undefined,
          'a row with a masked field is larger than the proxy holds',
        ),
      );
      this.#flow.stream(view, at, end, false, undefined);
      return true;
    }
    const bytes = end - at;
    if (!whole && bytes <= maxWholeRowBytes) return false;
    const cut = this.#flow.events.overLimit(execution, run, run.rows + 1, run.bytes + bytes);
    if (cut !== undefined) {
      this.#flow.cut(execution, cut);
      this.#flow.stream(view, at, end, false, undefined);
      return true;
    }
    run.rows += 1;
    run.bytes += bytes;
    execution.rows += 1;
    execution.bytes += bytes;
    if (masker === undefined) this.#flow.stream(view, at, end, true, execution);
    else if (isCopy) this.#maskCopyRow(view, at, end, execution);
    else this.#maskRow(view, at, end, run, execution);
    return true;
  }

  #maskRow(view: Buffer, at: number, end: number, run: StatementRun, execution: Execution): void {
    const masker = run.masker!;
    const bound = masker.measure(view, at, end);
    const position = this.#flow.output.position;
    if (!masker.grows) {
      const written = masker.write(view, at, end, view, position);
      this.#flow.output.advance(written);
      if (execution.recordResults) {
        this.#flow.events.recordResult(execution, view.subarray(position, written));
      }
      return;
    }
    if (this.#scratch.length < bound) {
      this.#scratch = Buffer.allocUnsafeSlow(Math.max(bound * 2, leastScratchBytes));
    }
    const length = masker.write(view, at, end, this.#scratch, 0);
    const row = this.#scratch.subarray(0, length);
    if (execution.recordResults) this.#flow.events.recordResult(execution, row);
    // The scratch is used again for the next row, so what does not fit in place is copied.
    this.#flow.output.insert(end - position >= length ? row : Buffer.from(row), end);
  }

  #maskCopyRow(view: Buffer, at: number, end: number, execution: Execution): void {
    const row = this.#flow.copyOut!.mask(view.subarray(at + HEADER_BYTES, end));
    const message = Buffer.allocUnsafe(HEADER_BYTES + row.length);
    message[0] = Backend.CopyData;
    message.writeInt32BE(4 + row.length, 1);
    row.copy(message, HEADER_BYTES);
    if (execution.recordResults) this.#flow.events.recordResult(execution, message);
    this.#flow.output.insert(message, end);
  }

  /** The RowDescription of a statement in a simple Query. */
  describe(run: StatementRun, execution: Execution, view: Buffer, at: number, end: number): void {
    const planned = run.decided.permit?.masks.columns ?? [];
    const cut = this.#bindColumns(run, planned, this.#describe(planned, view, at, end));
    if (cut !== undefined) {
      this.#flow.cut(execution, cut);
      return;
    }
    if (execution.cut !== undefined) return;
    if (execution.recordResults) this.#flow.events.recordResult(execution, view.subarray(at, end));
    this.#flow.pass(at, end);
  }

  #bindColumns(
    run: StatementRun,
    planned: readonly (PlannedMask | null)[],
    { columns, leak }: Description,
  ): Cut | undefined {
    if (leak !== undefined) return this.#flow.events.undeliverable(leak.rule, leak.why);
    const types = columns.map((column) => column.typeOid);
    const bound = bindMasks(planned, types, (index) => columns[index]!.format);
    if ('why' in bound) return this.#flow.events.undeliverable(bound.rule, bound.why);
    run.masks = bound.masks;
    if (bound.masks !== null) run.masker = new RowMasker(bound.masks);
    return undefined;
  }

  #describe(
    planned: readonly (PlannedMask | null)[],
    view: Buffer,
    at: number,
    end: number,
  ): Description {
    const { state, events } = this.#flow;
    return describe(planned, state.context.key, view, at, end, events.nowMs());
  }

  /** The CopyOutResponse of a COPY … TO STDOUT. */
  beginCopy(run: StatementRun, execution: Execution, view: Buffer, at: number, end: number): void {
    const { columnFormats } = parseCopyResponse(view, at + HEADER_BYTES, end);
    const planned = run.decided.permit?.masks.columns ?? [];
    if (planned.some((mask) => mask !== null)) {
      const format = run.decided.analysis.effects.copy?.format;
      const outputs = run.decided.analysis.outputs ?? [];
      const bound = bindMasks(
        planned,
        outputs.map((output, index) => planned[index]?.typeOid ?? output.typeOid),
        (index) => formatAt(columnFormats, index),
      );
      const unusable =
        'why' in bound
          ? bound
          : columnFormats.length !== planned.length || format === undefined || format === 'binary'
            ? { rule: undefined, why: 'the result is in a format that cannot be masked' }
            : undefined;
      if (unusable !== undefined || 'why' in bound || format === undefined || format === 'binary') {
        this.#flow.cut(
          execution,
          this.#flow.events.undeliverable(unusable?.rule, unusable?.why ?? ''),
        );
        return;
      }
      run.masks = bound.masks;
      if (bound.masks !== null) this.#flow.copyOut = new CopyMasker(bound.masks, format);
    }
    if (execution.recordResults) this.#flow.events.recordResult(execution, view.subarray(at, end));
    this.#flow.pass(at, end);
  }

  /** Rows of a prepared statement come without a description of their own, so this one is checked. */
  checkDescription(expectation: DescribeExpectation, view: Buffer, at: number, end: number): void {
    const { leak } = this.#describe(expectation.planned, view, at, end);
    if (leak !== undefined) this.#flow.events.leaking(leak.rule, leak.why);
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

/**
 * The fields of a DataRow in text format; for answers to statements of our own.
 * @throws ProtocolError when they do not fill it
 */
function textValues(view: Buffer, start: number, end: number): (string | null)[] {
  const cursor = new Cursor(view, start + HEADER_BYTES, end);
  const count = cursor.count(4);
  const values: (string | null)[] = [];
  for (let index = 0; index < count; index += 1) {
    const { start: from, length } = cursor.value();
    values.push(length === -1 ? null : view.toString('utf8', from, from + length));
  }
  cursor.finish();
  return values;
}
