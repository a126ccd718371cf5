import {
  closeSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readdirSync,
  rmSync,
  statSync,
  unlinkSync,
} from 'node:fs';
import { join } from 'node:path';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { segmentHeader } from './frame.ts';
import { RecentWrites } from './recent-writes.ts';
import { recoverSegment, type SpoolDamage } from './recover.ts';
import { nodeSpoolFiles, type SpoolFiles } from './spool-files.ts';

/** A file of frames. Positions count the bytes of frames from the oldest segment at start-up on. */
export interface Segment {
  readonly path: string;
  /** Position of its first frame. */
  readonly start: number;
  /** Bytes of frames. */
  bytes: number;
  /** No more is written to it. */
  sealed: boolean;
}

export interface SpoolOptions {
  readonly directory: string;
  /** Bound of everything in the directory, in bytes. */
  readonly maxBytes: number;
  readonly segmentBytes?: number;
  readonly files?: SpoolFiles;
  /** A segment's descriptor is not written to any more: sync it, then close it. */
  readonly onSealed: (fd: number) => void;
  /** A file came into the directory, whose name is durable only once the directory is synced. */
  readonly onCreated: () => void;
}

const segmentName = /^(\d{12})\.seg$/;

/**
 * The segment files of one recorder. Writes are synchronous and at explicit positions, so that a write that
 * failed half-way is simply written over by the next attempt.
 */
export class Spool {
  /** Oldest first; the last one is written to unless it is sealed. */
  readonly segments: Segment[] = [];
  /** What recovery found wrong. */
  readonly damages: SpoolDamage[] = [];
  /** Events that an earlier process left. */
  readonly recoveredEvents: number;
  /** About when the oldest of them was written at the latest, in epoch ms. */
  readonly recoveredSinceMs: number;
  /** Position up to which frames are written. */
  written: number;
  /** What this process wrote last, while it is still in memory. */
  readonly recent = new RecentWrites();
  /** Bytes in files beside the segments (recordings, rejected and damaged bytes); kept up by their owners. */
  otherBytes = 0;
  readonly maxBytes: number;
  readonly directory: string;
  readonly #segmentBytes: number;
  readonly #reserveBytes: number;
  readonly #files: SpoolFiles;
  readonly #onSealed: (fd: number) => void;
  readonly #onCreated: () => void;
  #segmentBytesTotal = 0;
  #number = 0;
  #fd: number | undefined;

  constructor(options: SpoolOptions) {
    this.directory = options.directory;
    this.maxBytes = options.maxBytes;
    const eighth = Math.min(8 * 1024 * 1024, Math.floor(options.maxBytes / 8));
    this.#segmentBytes = options.segmentBytes ?? eighth;
    this.#reserveBytes = eighth;
    this.#onCreated = options.onCreated;
    this.#files = options.files ?? nodeSpoolFiles;
    this.#onSealed = options.onSealed;
    mkdirSync(this.damagedDirectory, { recursive: true, mode: 0o700 });
    const numbers = readdirSync(this.directory)
      .map((name) => Number(segmentName.exec(name)?.[1] ?? Number.NaN))
      .filter((number) => !Number.isNaN(number))
      .sort((a, b) => a - b);
    let events = 0;
    let position = 0;
    let sinceMs = Number.POSITIVE_INFINITY;
    for (const [index, number] of numbers.entries()) {
      const path = this.#path(number);
      const { mtimeMs } = statSync(path);
      const found = recoverSegment(path, number, index === numbers.length - 1, (offset) =>
        join(this.damagedDirectory, `${String(number).padStart(12, '0')}-${offset}`),
      );
      this.#number = number;
      if (found.damage !== undefined) this.damages.push(found.damage);
      if (found.frames === 0) {
        unlinkSync(path);
        continue;
      }
      this.segments.push({ path, start: position, bytes: found.frameBytes, sealed: true });
      this.#segmentBytesTotal += segmentHeader.length + found.frameBytes;
      position += found.frameBytes;
      events += found.frames;
      sinceMs = Math.min(sinceMs, mtimeMs);
    }
    for (const name of readdirSync(this.damagedDirectory)) {
      this.otherBytes += statSync(join(this.damagedDirectory, name)).size;
    }
    this.recoveredEvents = events;
    this.recoveredSinceMs = sinceMs;
    this.written = position;
  }

  get damagedDirectory(): string {
    return join(this.directory, 'damaged');
  }

  /** Bytes that the directory takes. */
  get bytes(): number {
    return this.#segmentBytesTotal + this.otherBytes;
  }

  /**
   * Past this, new statements are refused; the reserve beyond it is for the ends of those that run, and
   * for saying that it is full.
   */
  get full(): boolean {
    return this.bytes > this.maxBytes - this.#reserveBytes;
  }

  /** Whether `bytes` more fit under the bound less the reserve: for what is not an event. */
  fits(bytes: number): boolean {
    return this.bytes + bytes <= this.maxBytes - this.#reserveBytes;
  }

  /** Descriptor of the segment being written, if there is one. */
  get activeFd(): number | undefined {
    return this.#fd;
  }

  /**
   * Writes whole frames. Throws ChaperoneError CHP-4001 (not writable) or CHP-4002 (full); the frames then
   * count as not written and may be given again.
   */
  append(frames: Uint8Array, length: number): void {
    if (this.bytes + length > this.maxBytes) {
      throw new ChaperoneError('CHP-4002', `the spool holds its bound of ${this.maxBytes} bytes`);
    }
    try {
      const active = this.segments.at(-1);
      if (active !== undefined && active.bytes + length > this.#segmentBytes) this.seal();
      const { fd, segment } = this.#writable();
      const position = segmentHeader.length + segment.bytes;
      try {
        this.#writeAll(fd, frames, length, position);
      } catch (cause) {
        truncateQuietly(fd, position);
        throw cause;
      }
      this.recent.add(this.written, frames.subarray(0, length));
      segment.bytes += length;
      this.#segmentBytesTotal += length;
      this.written += length;
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ChaperoneError('CHP-4001', `the spool cannot be written: ${reason}`, { cause });
    }
  }

  /** Ends the segment being written; the next append begins another. */
  seal(): void {
    const active = this.segments.at(-1);
    if (this.#fd === undefined || active === undefined) return;
    active.sealed = true;
    const fd = this.#fd;
    this.#fd = undefined;
    this.#onSealed(fd);
  }

  /** Deletes the sealed segments that end at or before `position`. */
  free(position: number): void {
    for (;;) {
      const oldest = this.segments[0];
      if (oldest === undefined || !oldest.sealed || oldest.start + oldest.bytes > position) return;
      rmSync(oldest.path, { force: true });
      this.segments.shift();
      this.#segmentBytesTotal -= segmentHeader.length + oldest.bytes;
    }
  }

  /** The segment that holds the frame at `position`, or undefined when nothing is written there yet. */
  segmentAt(position: number): Segment | undefined {
    return this.segments.find(({ start, bytes }) => position >= start && position < start + bytes);
  }

  #path(number: number): string {
    return join(this.directory, `${String(number).padStart(12, '0')}.seg`);
  }

  #writable(): { readonly fd: number; readonly segment: Segment } {
    const active = this.segments.at(-1);
    if (this.#fd !== undefined && active !== undefined) return { fd: this.#fd, segment: active };
    const path = this.#path(this.#number + 1);
    const fd = openSync(path, 'wx', 0o600);
    try {
      this.#writeAll(fd, segmentHeader, segmentHeader.length, 0);
    } catch (cause) {
      closeSync(fd);
      unlinkSync(path);
      throw cause;
    }
    this.#onCreated();
    this.#number += 1;
    this.#fd = fd;
    const segment: Segment = { path, start: this.written, bytes: 0, sealed: false };
    this.segments.push(segment);
    this.#segmentBytesTotal += segmentHeader.length;
    return { fd, segment };
  }

  #writeAll(fd: number, bytes: Uint8Array, length: number, position: number): void {
    let done = 0;
    while (done < length) {
      const count = this.#files.write(fd, bytes, done, length - done, position + done);
      if (count === 0) throw new Error('nothing was written');
      done += count;
    }
  }
}

function truncateQuietly(fd: number, length: number): void {
  try {
    ftruncateSync(fd, length);
  } catch {
    // The next write begins at the same position and covers what is left there.
  }
}
