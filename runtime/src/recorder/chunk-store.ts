import { hash } from 'node:crypto';
import {
  closeSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readdirSync,
  renameSync,
  statSync,
  writeSync,
} from 'node:fs';
import { open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { constants, zstdCompress, zstdCompressSync } from 'node:zlib';
import { maxChunkBytes } from '@chaperone/core/events/recording.ts';
import type { Clock, Timer } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import type { Spool } from './spool.ts';

const compress = promisify(zstdCompress);
/** The fastest level makes rows no larger than the default one; and a chunk comes out in one step. */
const compression = {
  params: { [constants.ZSTD_c_compressionLevel]: 1 },
  chunkSize: maxChunkBytes,
};
/** A file takes at least this much of the volume. */
const blockBytes = 4096;
/** Chunks compressed and written in the background; the next one is written before `put` returns. */
const maxPending = 16;
/** Buffers of whole chunks kept for the next ones: first touching fresh memory costs as much as hashing it. */
const maxSpareBuffers = 8;
const retryMs = 1000;
const chunkName = /^([0-9a-f]{64})\.zst$/;

interface Pending {
  readonly digest: string;
  readonly bytes: Buffer;
  readonly reservedBytes: number;
}

/** Keeps recorded chunks as compressed files, named by the digest of their content, until they are uploaded. */
export class ChunkStore {
  readonly #directory: string;
  readonly #spool: Spool;
  readonly #clock: Clock;
  readonly #onFailure: (cause: unknown) => void;
  readonly #pending = new Set<Pending>();
  readonly #spare: Buffer[] = [];
  #stuck: Pending[] = [];
  #retry: Timer | undefined;
  #waiting: { readonly chunks: Set<Pending>; readonly callback: () => void }[] = [];
  #sync = false;
  #closed = false;
  /** Digests of the files that stand in the directory. */
  readonly #stored = new Map<string, number>();
  /** Told of each chunk once it is stored. */
  onStored: (digest: string) => void = () => {};

  constructor(spool: Spool, clock: Clock, onFailure: (cause: unknown) => void) {
    this.#spool = spool;
    this.#clock = clock;
    this.#onFailure = onFailure;
    this.#directory = join(spool.directory, 'recordings');
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#directory)) {
      const digest = chunkName.exec(name)?.[1];
      if (digest === undefined) continue;
      this.#add(digest, onDisk(statSync(join(this.#directory, name)).size));
    }
  }

  /** Digests of the chunks that wait for upload. */
  stored(): string[] {
    return [...this.#stored.keys()];
  }

  /** From now on each chunk is synced to disk when it is written. */
  requireSync(): void {
    this.#sync = true;
  }

  /** Why `bytes` more of a result are not kept now (CHP-4007), if they are not. */
  refusal(bytes: number): ChaperoneError | undefined {
    if (this.#stuck.length > 0) {
      return new ChaperoneError('CHP-4007', 'earlier chunks of recordings cannot be written');
    }
    if (this.#spool.fits(bytes)) return undefined;
    const { maxBytes } = this.#spool;
    return new ChaperoneError('CHP-4007', `the spool holds its bound of ${maxBytes} bytes`);
  }

  /** A buffer of `maxChunkBytes`, to be given to `put`. */
  takeBuffer(): Buffer {
    return this.#spare.pop() ?? Buffer.allocUnsafeSlow(maxChunkBytes);
  }

  /**
   * Takes over a whole chunk: the beginning of a buffer of its own, which is used again afterwards. Returns its digest, or the failure
   * (CHP-4007) because of which it is not kept.
   */
  put(bytes: Buffer): string | ChaperoneError {
    const reservedBytes = onDisk(bytes.length);
    const refusal = this.refusal(reservedBytes);
    if (refusal !== undefined) return refusal;
    const digest = hash('sha256', bytes, 'hex');
    const pending: Pending = { digest, bytes, reservedBytes };
    this.#spool.otherBytes += reservedBytes;
    this.#pending.add(pending);
    if (this.#pending.size <= maxPending) void this.#write(pending);
    else return this.#writeNow(pending) ?? digest;
    return digest;
  }

  /** Calls back once every chunk put so far is stored. */
  settled(callback: () => void): void {
    if (this.#pending.size === 0) callback();
    else this.#waiting.push({ chunks: new Set(this.#pending), callback });
  }

  /** The compressed bytes of a stored chunk. */
  read(digest: string): Promise<Buffer> {
    return readFile(this.#path(digest));
  }

  /** Forgets a chunk that the collector has. */
  async remove(digest: string): Promise<void> {
    const bytes = this.#stored.get(digest);
    if (bytes === undefined) return;
    this.#stored.delete(digest);
    this.#spool.otherBytes -= bytes;
    await rm(this.#path(digest), { force: true });
  }

  /** Ends the retries and calls back once nothing is being written. What could not be written is lost. */
  close(callback: () => void): void {
    this.#closed = true;
    this.#retry?.cancel();
    for (const stuck of this.#stuck) this.#finish(stuck);
    this.settled(callback);
  }

  #path(digest: string): string {
    return join(this.#directory, `${digest}.zst`);
  }

  #add(digest: string, bytes: number): void {
    this.#spool.otherBytes += bytes - (this.#stored.get(digest) ?? 0);
    this.#stored.set(digest, bytes);
  }

  async #write(pending: Pending): Promise<void> {
    const path = this.#path(pending.digest);
    try {
      const packed = await compress(pending.bytes, compression);
      const handle = await open(`${path}.tmp`, 'w', 0o600);
      try {
        await handle.writeFile(packed);
        if (this.#sync) await handle.sync();
      } finally {
        await handle.close();
      }
      await rename(`${path}.tmp`, path);
      this.#done(pending, packed.length);
    } catch (cause) {
      this.#keepForRetry(pending, cause);
    }
  }

  /** The producer is faster than the disk: it waits here, so that memory stays bounded. */
  #writeNow(pending: Pending): ChaperoneError | undefined {
    const path = this.#path(pending.digest);
    try {
      const packed = zstdCompressSync(pending.bytes, compression);
      const fd = openSync(`${path}.tmp`, 'w', 0o600);
      try {
        for (let done = 0; done < packed.length; ) done += writeSync(fd, packed, done);
        if (this.#sync) fsyncSync(fd);
      } finally {
        closeSync(fd);
      }
      renameSync(`${path}.tmp`, path);
      this.#done(pending, packed.length);
      return undefined;
    } catch (cause) {
      this.#keepForRetry(pending, cause);
      return new ChaperoneError('CHP-4007', 'a chunk of a recording cannot be written', { cause });
    }
  }

  #done(pending: Pending, packedBytes: number): void {
    this.#add(pending.digest, onDisk(packedBytes));
    this.onStored(pending.digest);
    this.#finish(pending);
  }

  #finish(pending: Pending): void {
    this.#pending.delete(pending);
    const { buffer } = pending.bytes;
    if (buffer.byteLength === maxChunkBytes && this.#spare.length < maxSpareBuffers) {
      this.#spare.push(Buffer.from(buffer));
    }
    this.#spool.otherBytes -= pending.reservedBytes;
    for (const { chunks } of this.#waiting) chunks.delete(pending);
    while (this.#waiting[0]?.chunks.size === 0) this.#waiting.shift()?.callback();
  }

  #keepForRetry(pending: Pending, cause: unknown): void {
    if (this.#stuck.length === 0) this.#onFailure(cause);
    if (this.#closed) {
      this.#finish(pending);
      return;
    }
    this.#stuck.push(pending);
    this.#retry ??= this.#clock.setTimer(retryMs, () => {
      this.#retry = undefined;
      const again = this.#stuck;
      this.#stuck = [];
      for (const one of again) void this.#write(one);
    });
  }
}

function onDisk(bytes: number): number {
  return Math.ceil(bytes / blockBytes) * blockBytes;
}
