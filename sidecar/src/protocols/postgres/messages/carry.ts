import { HEADER_BYTES } from './frame.ts';

const nothing: Buffer = Buffer.alloc(0);

/** Joins the unfinished message at the end of one chunk with the next chunk, without copying twice. */
export class Carry {
  /** Bytes kept are `#buffer[0, #length)`. */
  #buffer: Buffer = nothing;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /**
   * How many bytes of `chunk` end the message of which the beginning is kept, as far as can be told: joined by
   * itself, it spares the rest of the chunk from being copied behind it.
   */
  lacks(chunk: Buffer): number {
    if (this.#length === 0) return chunk.length;
    const lacking =
      this.#length < HEADER_BYTES
        ? HEADER_BYTES - this.#length
        : 1 + this.#buffer.readInt32BE(1) - this.#length;
    return lacking > 0 && lacking < chunk.length ? lacking : chunk.length;
  }

  /** What was kept and the chunk behind it, as one buffer that the caller may change in place. */
  join(chunk: Buffer): Buffer {
    if (this.#length === 0) return chunk;
    const total = this.#length + chunk.length;
    if (total > this.#buffer.length) {
      // Grows by doubling what has arrived, never by a length that the peer announced.
      const grown = Buffer.allocUnsafeSlow(Math.max(total, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, this.#length);
      this.#buffer = grown;
    }
    chunk.copy(this.#buffer, this.#length);
    return this.#buffer.subarray(0, total);
  }

  /** Keeps `joined[consumed…]`, where `joined` is what `join` returned last. */
  keep(joined: Buffer, consumed: number): void {
    const rest = joined.length - consumed;
    if (rest === 0) {
      this.#buffer = nothing;
      this.#length = 0;
      return;
    }
    const own =
      joined.buffer === this.#buffer.buffer && joined.byteOffset === this.#buffer.byteOffset;
    if (consumed > 0 || !own) {
      // What was consumed may still wait in a socket's queue, so its memory is not used again.
      const kept = Buffer.allocUnsafeSlow(Math.max(rest, 256));
      joined.copy(kept, 0, consumed);
      this.#buffer = kept;
    }
    this.#length = rest;
  }
}
