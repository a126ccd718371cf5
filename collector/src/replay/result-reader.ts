import { showValue, textOf } from './values.ts';

/** What a recorded result holds, one after the other. */
export type ResultItem =
  | { readonly kind: 'Columns'; readonly names: readonly string[] }
  | { readonly kind: 'Row'; readonly values: readonly (string | null)[] }
  /** A chunk of COPY data: lines of text, or hex where it is binary. */
  | { readonly kind: 'Copy'; readonly text: string }
  /** A row or chunk too large to be shown. */
  | { readonly kind: 'Large'; readonly bytes: number }
  /** The stream could not be read further from here. */
  | { readonly kind: 'Damaged'; readonly reason: string };

interface Column {
  readonly name: string;
  readonly typeOid: number;
  readonly format: number;
}

const headerBytes = 5;
/** PostgreSQL's own bound of a message. */
const maxMessageBytes = 1 << 30;
/** Larger messages are passed over without being held. */
const maxShownBytes = 4 << 20;
const shownTypes = ['T', 'D', 'd'];

class Cursor {
  readonly #bytes: Buffer;
  #at = 0;

  constructor(bytes: Buffer) {
    this.#bytes = bytes;
  }

  skip(count: number): void {
    this.take(count);
  }

  take(count: number): Buffer {
    const end = this.#at + count;
    if (count < 0 || end > this.#bytes.length) throw new RangeError('a message ends too early');
    const taken = this.#bytes.subarray(this.#at, end);
    this.#at = end;
    return taken;
  }

  int16 = (): number => this.take(2).readInt16BE();
  int32 = (): number => this.take(4).readInt32BE();

  text(): string {
    const end = this.#bytes.indexOf(0, this.#at);
    if (end < 0) throw new RangeError('a name has no end');
    const text = textOf(this.take(end - this.#at));
    this.skip(1);
    return text;
  }

  end(): void {
    if (this.#at !== this.#bytes.length) throw new RangeError('a message is longer than it says');
  }
}

function readColumns(body: Buffer): Column[] {
  const cursor = new Cursor(body);
  const columns = Array.from({ length: Math.max(0, cursor.int16()) }, () => {
    const name = cursor.text();
    cursor.skip(6); // the table's OID and the column's number
    const typeOid = cursor.int32();
    cursor.skip(6); // the type's size and modifier
    return { name, typeOid, format: cursor.int16() };
  });
  cursor.end();
  return columns;
}

function readRow(body: Buffer, columns: readonly Column[] | undefined): (string | null)[] {
  const cursor = new Cursor(body);
  const values = Array.from({ length: Math.max(0, cursor.int16()) }, (_, at) => {
    const length = cursor.int32();
    if (length === -1) return null;
    const column = columns?.[at];
    return showValue(cursor.take(length), column?.typeOid ?? 0, column?.format);
  });
  cursor.end();
  return values;
}

/**
 * Reads a recorded result: backend messages RowDescription (T), DataRow (D) and CopyData (d), as they went to
 * the client; others are passed over. A message may stand in two chunks. An `undefined` chunk is one that is
 * gone: what follows it cannot be read. Never throws for what the bytes are.
 */
export async function* readResult(
  chunks: AsyncIterable<Uint8Array | undefined>,
): AsyncGenerator<ResultItem> {
  let pending: Buffer = Buffer.alloc(0);
  let columns: readonly Column[] | undefined;
  let skipBytes = 0;
  for await (const whole of chunks) {
    const chunk = whole?.subarray(Math.min(skipBytes, whole.length));
    if (whole && chunk) skipBytes -= whole.length - chunk.length;
    if (chunk === undefined) {
      yield { kind: 'Damaged', reason: 'a part of the recording is not kept' };
      return;
    }
    pending = pending.length === 0 ? Buffer.from(chunk) : Buffer.concat([pending, chunk]);
    let at = 0;
    while (pending.length - at >= headerBytes) {
      const length = pending.readInt32BE(at + 1);
      if (length < 4 || length > maxMessageBytes) {
        yield { kind: 'Damaged', reason: 'a message has an impossible length' };
        return;
      }
      const end = at + 1 + length;
      const type = String.fromCharCode(pending[at]!);
      if (length > maxShownBytes) {
        if (shownTypes.includes(type)) yield { kind: 'Large', bytes: length };
        skipBytes = Math.max(0, end - pending.length);
        at = Math.min(end, pending.length);
        continue;
      }
      if (end > pending.length) break;
      const body = pending.subarray(at + headerBytes, end);
      at = end;
      try {
        if (type === 'T') {
          columns = readColumns(body);
          yield { kind: 'Columns', names: columns.map(({ name }) => name) };
        } else if (type === 'D') {
          yield { kind: 'Row', values: readRow(body, columns) };
        } else if (type === 'd') {
          yield { kind: 'Copy', text: textOf(body) };
        }
      } catch (error) {
        yield { kind: 'Damaged', reason: (error as Error).message };
        return;
      }
    }
    pending = pending.subarray(at);
  }
  if (pending.length > 0 || skipBytes > 0) {
    yield { kind: 'Damaged', reason: 'the recording ends within a message' };
  }
}
