import type { FillRandom } from '@chaperone/core/events/random.ts';
import {
  chunkHeaderBytes,
  chunkKinds,
  chunkSaltBytes,
  digestBytes,
  maxChunkBytes,
  maxIndexedChunks,
  maxListedChunks,
} from '@chaperone/core/events/recording.ts';
import type { ChaperoneError } from '../errors/chaperone-error.ts';

/** Stores a chunk and returns its digest (SHA-256, hex), or why it is not kept. */
export type PutChunk = (chunk: Uint8Array) => string | ChaperoneError;

const firstBufferBytes = 4096;

/** One recorded result: cut into chunks as it comes, never held whole. */
export class ResultStream {
  readonly #put: PutChunk;
  readonly #fill: FillRandom;
  #buffer: Buffer | undefined;
  #length = 0;
  #digests: string[] = [];
  /** Digests of index chunks, each in the place of `maxIndexedChunks` data chunks. */
  readonly #indexes: string[] = [];
  #failure: ChaperoneError | undefined;

  constructor(put: PutChunk, fill: FillRandom) {
    this.#put = put;
    this.#fill = fill;
  }

  /** Copies `bytes`; a failure is final for this result. */
  append(bytes: Uint8Array): ChaperoneError | undefined {
    let at = 0;
    while (at < bytes.length && this.#failure === undefined) {
      const room = this.#reserve(bytes.length - at);
      const count = Math.min(room.length - this.#length, bytes.length - at);
      room.set(bytes.subarray(at, at + count), this.#length);
      this.#length += count;
      at += count;
      if (this.#length === maxChunkBytes) this.#finishChunk();
    }
    return this.#failure;
  }

  /** Digests in order: of data chunks, or of index chunks where they are more than `maxListedChunks`. */
  end(): readonly string[] {
    if (this.#failure === undefined) this.#finishChunk();
    if (this.#indexes.length === 0 && this.#digests.length <= maxListedChunks) return this.#digests;
    if (this.#digests.length > 0) this.#finishIndex();
    return this.#indexes;
  }

  /** Grows by doubling: most results are small, and many sessions record at once. */
  #reserve(bytes: number): Buffer {
    const needed = Math.min(maxChunkBytes, Math.max(this.#length, chunkHeaderBytes) + bytes);
    let buffer = this.#buffer;
    if (buffer === undefined) {
      buffer = Buffer.allocUnsafeSlow(Math.min(maxChunkBytes, Math.max(firstBufferBytes, needed)));
      this.#fill(buffer.subarray(0, chunkSaltBytes));
      buffer[chunkSaltBytes] = chunkKinds.data;
      this.#length = chunkHeaderBytes;
    } else if (buffer.length < needed) {
      const grown = Buffer.allocUnsafeSlow(
        Math.min(maxChunkBytes, Math.max(buffer.length * 2, needed)),
      );
      buffer.copy(grown, 0, 0, this.#length);
      buffer = grown;
    }
    this.#buffer = buffer;
    return buffer;
  }

  #finishChunk(): void {
    if (this.#buffer === undefined) return;
    const chunk = this.#buffer.subarray(0, this.#length);
    this.#buffer = undefined;
    this.#length = 0;
    const digest = this.#put(chunk);
    if (typeof digest !== 'string') {
      this.#failure = digest;
      return;
    }
    this.#digests.push(digest);
    if (this.#digests.length === maxIndexedChunks) this.#finishIndex();
  }

  #finishIndex(): void {
    const chunk = Buffer.allocUnsafeSlow(chunkHeaderBytes + this.#digests.length * digestBytes);
    this.#fill(chunk.subarray(0, chunkSaltBytes));
    chunk[chunkSaltBytes] = chunkKinds.index;
    let at = chunkHeaderBytes;
    for (const digest of this.#digests) at += chunk.write(digest, at, 'hex');
    this.#digests = [];
    const digest = this.#put(chunk);
    if (typeof digest === 'string') this.#indexes.push(digest);
    else this.#failure ??= digest;
  }
}
