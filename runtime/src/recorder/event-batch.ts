import { uuidFromBytes } from '@chaperone/core/events/uuid.ts';
import { frameHeaderBytes, readFrame, scanFrame } from './frame.ts';
import type { ShippedEvent } from './transport.ts';

/** Events of one session in order, as frames in the bytes that they were read as: looked into by who takes them. */
export class EventBatch {
  readonly session: string;
  readonly #bytes: Buffer;
  readonly #seqs: number[] = [];
  readonly #starts: number[] = [];
  readonly #ends: number[] = [];

  /** `bytes`: where the frames that are added stand. */
  constructor(session: string, bytes: Buffer) {
    this.session = session;
    this.#bytes = bytes;
  }

  /** Adds the whole frame at `[start, end)`. */
  add(start: number, end: number): void {
    this.#seqs.push(sequenceAt(this.#bytes, start));
    this.#starts.push(start);
    this.#ends.push(end);
  }

  get count(): number {
    return this.#seqs.length;
  }

  /** Of a batch that is not empty. */
  get firstSeq(): number {
    return this.#seqs[0]!;
  }

  /** Of a batch that is not empty. */
  get lastSeq(): number {
    return this.#seqs.at(-1)!;
  }

  /** Those that `acknowledged` does not reach. A number that is none reaches nothing. */
  beyond(acknowledged: number): EventBatch {
    const rest = new EventBatch(this.session, this.#bytes);
    for (const [at, seq] of this.#seqs.entries()) {
      if (!(seq <= acknowledged)) rest.add(this.#starts[at]!, this.#ends[at]!);
    }
    return rest;
  }

  /** The frames, one right behind the other. */
  frames(): Buffer {
    const lengths = this.#starts.map((start, at) => this.#ends[at]! - start);
    const first = this.#starts[0] ?? 0;
    const total = lengths.reduce((sum, length) => sum + length, 0);
    if ((this.#ends.at(-1) ?? 0) - first === total) {
      return this.#bytes.subarray(first, first + total);
    }
    const joined = Buffer.allocUnsafeSlow(total);
    let to = 0;
    for (const [at, start] of this.#starts.entries()) {
      to += this.#bytes.copy(joined, to, start, this.#ends[at]);
    }
    return joined;
  }

  /** The same as NDJSON. */
  ndjson(): string {
    return this.lines()
      .map((line) => `${line}\n`)
      .join('');
  }

  /** Each event as the JSON text of a `ShippedEvent`, without newlines. */
  lines(): string[] {
    return this.#starts.map((start, at) => encodeShipped(this.#bytes, start, this.#ends[at]!));
  }
}

/**
 * The whole frames at the beginning of `bytes`, by session in the order in which they begin; one that is cut at the end
 * is left out. `trusted`: they have not left this process.
 */
export function wholeFrames(
  bytes: Buffer,
  trusted: boolean,
): { readonly events: readonly EventBatch[]; readonly bytes: number } {
  const batches = new Map<string, EventBatch>();
  let at = 0;
  for (;;) {
    const scan = scanFrame(bytes, at, bytes.length, trusted);
    if (scan.kind !== 'Frame') break;
    if (!trusted && readFrame(bytes, at, scan.end) === undefined) break;
    const session = at + frameHeaderBytes;
    // The bytes themselves are a key that costs less to make than the text.
    const key = bytes.toString('latin1', session, session + 16);
    let batch = batches.get(key);
    if (batch === undefined) {
      batch = new EventBatch(uuidFromBytes(bytes, session), bytes);
      batches.set(key, batch);
    }
    batch.add(at, scan.end);
    at = scan.end;
  }
  return { events: [...batches.values()], bytes: at };
}

function sequenceAt(bytes: Buffer, start: number): number {
  return bytes.readUIntLE(start + frameHeaderBytes + 16, 6);
}

function encodeShipped(bytes: Buffer, start: number, end: number): string {
  const frame = readFrame(bytes, start, end);
  if (frame === undefined) throw new Error('a frame that was whole is not');
  const event: ShippedEvent = {
    seq: frame.seq,
    line: utf8(frame.line),
    parts: frame.parts.map(({ name, salt, content }) => ({
      name,
      salt: Buffer.from(salt.buffer, salt.byteOffset, salt.byteLength).toString('base64'),
      content: utf8(content),
    })),
  };
  return JSON.stringify(event);
}

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}
