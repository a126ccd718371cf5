import type { FillRandom } from '@chaperone/core/events/random.ts';
import {
  chunkHeaderBytes,
  chunkKinds,
  chunkSaltBytes,
  digestBytes,
  maxChunkBytes,
  maxIndexedChunks,
  maxListedChunks,
  maxPartResultBytes,
} from '@chaperone/core/events/recording.ts';
import type { ChaperoneError } from '../errors/chaperone-error.ts';

/** Where chunks go. */
export interface ChunkSink {
  /** A buffer of `maxChunkBytes`, to be given to `put`. */
  takeBuffer(): Buffer;
  /** Takes over a chunk, and the buffer it stands in; its digest (SHA-256, hex), or why it is not kept. */
  put(chunk: Buffer): string | ChaperoneError;
  /** Why so many bytes of a result are not kept now, if they are not. */
  refusal(bytes: number): ChaperoneError | undefined;
}

/** Results begin in buffers of this size, which holds those that are a part, and room for a chunk's header. */
const firstBufferBytes = chunkHeaderBytes + maxPartResultBytes;
/** Of the spool, what the event of such a result takes at most: its base64, and some more. */
const partRoomBytes = 2 * maxPartResultBytes;
/** Such buffers kept for the next results, a mebibyte of them: each is in use for the time of one result. */
const maxSpareBuffers = 64;

/** What the results of all sessions share. */
export class ResultKeeper {
  readonly chunks: ChunkSink;
  readonly fill: FillRandom;
  readonly #spare: Buffer[] = [];

  constructor(chunks: ChunkSink, fill: FillRandom) {
    this.chunks = chunks;
    this.fill = fill;
  }

  takeBuffer(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(firstBufferBytes);
  }

  giveBuffer(buffer: Buffer): void {
    if (this.#spare.length < maxSpareBuffers) this.#spare.push(buffer);
  }
}

/** What a result came to. */
export interface EndedResult {
  /** A result small enough to be a part, whole. Its bytes stand until `release`. */
  readonly content?: Uint8Array;
  /**
   * Of a larger one the digests in order: of data chunks, or of index chunks where they are more than
   * `maxListedChunks`.
   */
  readonly digests: readonly string[];
}

/** One recorded result: kept whole while it is small, cut into chunks as it comes when it is not. */
export class ResultStream {
  readonly #keeper: ResultKeeper;
  /** Of the keeper, until the result is too large for a part; content begins behind a chunk's header. */
  #first: Buffer | undefined;
  #buffer: Buffer | undefined;
  #length = 0;
  #digests: string[] = [];
  /** Digests of index chunks, each in the place of `maxIndexedChunks` data chunks. */
  readonly #indexes: string[] = [];
  #failure: ChaperoneError | undefined;

  constructor(keeper: ResultKeeper) {
    this.#keeper = keeper;
    // Refused while it can still be cut: at its end nobody could tell the client.
    this.#failure = keeper.chunks.refusal(partRoomBytes);
  }

  /** Copies `bytes`; a failure is final for this result. */
  append(bytes: Uint8Array): ChaperoneError | undefined {
    let at = 0;
    while (at < bytes.length && this.#failure === undefined) {
      const room = this.#reserve(bytes.length - at);
      const count = Math.min(room.length - this.#length, bytes.length - at);
      room.set(count === bytes.length ? bytes : bytes.subarray(at, at + count), this.#length);
      this.#length += count;
      at += count;
      if (this.#length === maxChunkBytes) this.#finishChunk();
    }
    return this.#failure;
  }

  end(): EndedResult {
    if (this.#failure === undefined) {
      if (this.#first !== undefined && this.#first === this.#buffer) {
        // Given up where the spool has filled up meanwhile, as a chunk would be: the event is not.
        if (this.#keeper.chunks.refusal(partRoomBytes) !== undefined) return { digests: [] };
        return { content: this.#first.subarray(chunkHeaderBytes, this.#length), digests: [] };
      }
      this.#finishChunk();
    }
    if (this.#indexes.length === 0 && this.#digests.length <= maxListedChunks) {
      return { digests: this.#digests };
    }
    if (this.#digests.length > 0) this.#finishIndex();
    return { digests: this.#indexes };
  }

  /** Nothing of it is used any more. */
  release(): void {
    const first = this.#first;
    this.#first = undefined;
    this.#buffer = undefined;
    if (first !== undefined) this.#keeper.giveBuffer(first);
  }

  /** The first chunk grows by doubling: most results are small, and many sessions record at once. */
  #reserve(bytes: number): Buffer {
    const buffer = this.#buffer;
    if (buffer === undefined) return this.#begin();
    const needed = Math.min(maxChunkBytes, this.#length + bytes);
    if (buffer.length >= needed) return buffer;
    const size = Math.min(maxChunkBytes, Math.max(buffer.length * 2, needed));
    const grown =
      size === maxChunkBytes ? this.#keeper.chunks.takeBuffer() : Buffer.allocUnsafeSlow(size);
    buffer.copy(grown, 0, 0, this.#length);
    this.release();
    this.#buffer = grown;
    return grown;
  }

  #begin(): Buffer {
    this.#length = chunkHeaderBytes;
    if (this.#digests.length > 0 || this.#indexes.length > 0) {
      this.#buffer = this.#keeper.chunks.takeBuffer();
      return this.#buffer;
    }
    this.#first = this.#keeper.takeBuffer();
    this.#buffer = this.#first;
    return this.#first;
  }

  #finishChunk(): void {
    if (this.#buffer === undefined) return;
    const chunk = this.#buffer.subarray(0, this.#length);
    this.#buffer = undefined;
    this.#keeper.fill(chunk.subarray(0, chunkSaltBytes));
    chunk[chunkSaltBytes] = chunkKinds.data;
    const digest = this.#keeper.chunks.put(chunk);
    if (typeof digest !== 'string') {
      this.#failure = digest;
      return;
    }
    this.#digests.push(digest);
    if (this.#digests.length === maxIndexedChunks) this.#finishIndex();
  }

  #finishIndex(): void {
    const chunk = Buffer.allocUnsafeSlow(chunkHeaderBytes + this.#digests.length * digestBytes);
    this.#keeper.fill(chunk.subarray(0, chunkSaltBytes));
    chunk[chunkSaltBytes] = chunkKinds.index;
    let at = chunkHeaderBytes;
    for (const digest of this.#digests) at += chunk.write(digest, at, 'hex');
    this.#digests = [];
    const digest = this.#keeper.chunks.put(chunk);
    if (typeof digest === 'string') this.#indexes.push(digest);
    else this.#failure ??= digest;
  }
}
