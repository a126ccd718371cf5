import { type FileHandle, open } from 'node:fs/promises';
import { type EventBatch, wholeFrames } from './event-batch.ts';
import { frameHeaderBytes, scanFrame, segmentHeader } from './frame.ts';
import type { Segment, Spool } from './spool.ts';

/** Events read back, and the position behind the last of them. */
export interface SpoolBatch {
  /** By session, each in order. */
  readonly events: readonly EventBatch[];
  readonly end: number;
  /** Bytes that could not be read back: they end at `end`. */
  readonly unreadable?: { readonly bytes: number; readonly cause: string };
}

/** Reads frames back for shipping: what was written last from memory, a backlog of any size from its files. */
export class SpoolReader {
  readonly #spool: Spool;
  readonly #batchBytes: number;
  #closed = false;
  #open: { readonly segment: Segment; readonly handle: FileHandle } | undefined;

  constructor(spool: Spool, batchBytes = 256 * 1024) {
    this.#spool = spool;
    this.#batchBytes = batchBytes;
  }

  /** The whole frames from `position` on, at least one and about `batchBytes`; undefined when there is none. */
  async read(position: number): Promise<SpoolBatch | undefined> {
    const recent = this.#spool.recent.read(position, this.#batchBytes);
    if (recent !== undefined) {
      const { events, bytes } = wholeFrames(recent, true);
      if (bytes > 0) return { events, end: position + bytes };
    }
    const segment = this.#spool.segmentAt(position);
    if (segment === undefined) return undefined;
    // What is appended while this reads belongs to the next batch.
    const available = segment.start + segment.bytes - position;
    try {
      const handle = await this.#handle(segment);
      const offset = segmentHeader.length + position - segment.start;
      let bytes = await readAt(handle, offset, Math.min(available, this.#batchBytes));
      const cut = scanFrame(bytes, 0, bytes.length).kind === 'Incomplete';
      if (cut && bytes.length >= frameHeaderBytes && bytes.length < available) {
        const wanted = bytes.readUInt32LE(0) + frameHeaderBytes;
        bytes = await readAt(handle, offset, Math.min(available, wanted));
      }
      const whole = wholeFrames(bytes, false);
      if (whole.bytes > 0) return { events: whole.events, end: position + whole.bytes };
      // Cut off while we run: by then what stands before the cut has been read.
      const shorter = scanFrame(bytes, 0, bytes.length).kind === 'Incomplete';
      const cause = shorter
        ? 'the file is shorter than what was written to it'
        : 'its checksum does not match';
      return this.#unreadable(segment, position, available, cause);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      return this.#unreadable(segment, position, available, reason);
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#release();
  }

  /** Frames cannot be found again behind a broken one, so the rest of the segment goes with it. */
  #unreadable(segment: Segment, position: number, bytes: number, cause: string): SpoolBatch {
    if (!segment.sealed) this.#spool.seal();
    return { events: [], end: position + bytes, unreadable: { bytes, cause } };
  }

  async #handle(segment: Segment): Promise<FileHandle> {
    if (this.#open?.segment === segment) return this.#open.handle;
    await this.#release();
    const handle = await open(segment.path, 'r');
    this.#open = { segment, handle };
    if (this.#closed) await this.#release();
    return handle;
  }

  async #release(): Promise<void> {
    const open = this.#open;
    this.#open = undefined;
    await open?.handle.close();
  }
}

/** Fewer bytes than asked for where the file ends before them. */
async function readAt(handle: FileHandle, offset: number, length: number): Promise<Buffer> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let done = 0;
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, offset + done);
    if (bytesRead === 0) break;
    done += bytesRead;
  }
  return bytes.subarray(0, done);
}
