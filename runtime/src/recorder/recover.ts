import { closeSync, fsyncSync, openSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { readFrame, scanFrame, segmentHeader } from './frame.ts';

/** What was wrong with a segment that an earlier process left. */
export interface SpoolDamage {
  /** `TornTail`: the last write was not finished; `Damaged`: bytes changed after they were written. */
  readonly kind: 'TornTail' | 'Damaged';
  readonly segment: number;
  /** Offset in the file from which on nothing could be read, and how many bytes that is. */
  readonly offset: number;
  readonly bytes: number;
  /** The last whole event before it, where there is one. */
  readonly after?: { readonly session: string; readonly seq: number };
  /** File that keeps the unreadable bytes, for whoever investigates. */
  readonly keptIn?: string;
}

/** One segment as recovery found it. */
export interface RecoveredSegment {
  /** Bytes of whole frames, without the header. */
  readonly frameBytes: number;
  readonly frames: number;
  readonly damage?: SpoolDamage;
}

/** True when a whole frame stands anywhere in the bytes: then what precedes it is no torn tail. */
function holdsFrame(bytes: Buffer, from: number): boolean {
  for (let at = from; at < bytes.length; at += 1) {
    if (scanFrame(bytes, at, bytes.length).kind === 'Frame') return true;
  }
  return false;
}

function isTorn(bytes: Buffer, offset: number): boolean {
  // Some file systems leave a tail of zeros after a power cut.
  if (bytes.subarray(offset).every((byte) => byte === 0)) return true;
  if (offset < segmentHeader.length) return bytes.length < segmentHeader.length;
  return (
    scanFrame(bytes, offset, bytes.length).kind === 'Incomplete' && !holdsFrame(bytes, offset + 1)
  );
}

/**
 * Reads a segment through and cuts it at the last whole frame. Only the last segment of a process may end
 * in a torn frame; any other oddity is damage, its bytes are kept in `keepIn`, and both are reported.
 */
export function recoverSegment(
  path: string,
  segment: number,
  isLast: boolean,
  keepIn: (offset: number) => string,
): RecoveredSegment {
  const bytes = readFileSync(path);
  const headerBytes = segmentHeader.length;
  let offset = 0;
  let frames = 0;
  let after: SpoolDamage['after'];
  if (bytes.subarray(0, headerBytes).equals(segmentHeader)) {
    offset = headerBytes;
    for (;;) {
      const scan = scanFrame(bytes, offset, bytes.length);
      if (scan.kind !== 'Frame') break;
      const frame = readFrame(bytes, offset, scan.end);
      if (frame === undefined) break;
      after = { session: frame.session, seq: frame.seq };
      frames += 1;
      offset = scan.end;
    }
  }
  const frameBytes = Math.max(0, offset - headerBytes);
  if (offset === bytes.length && offset >= headerBytes) return { frameBytes, frames };
  const torn = isLast && isTorn(bytes, offset);
  let keptIn: string | undefined;
  if (!torn) {
    keptIn = keepIn(offset);
    writeFileSync(keptIn, bytes.subarray(offset), { mode: 0o600 });
  }
  truncateSync(path, offset);
  const fd = openSync(path, 'r');
  fsyncSync(fd);
  closeSync(fd);
  return {
    frameBytes,
    frames,
    damage: {
      kind: torn ? 'TornTail' : 'Damaged',
      segment,
      offset,
      bytes: bytes.length - offset,
      ...(after === undefined ? {} : { after }),
      ...(keptIn === undefined ? {} : { keptIn }),
    },
  };
}
