import { crc32 } from 'node:zlib';
import { saltBytes } from '@chaperone/core/events/parts.ts';
import { uuidFromBytes } from '@chaperone/core/events/uuid.ts';

/**
 * A segment is this header and frames. All integers are little-endian.
 *
 *     frame   = u32 length of payload, u32 CRC-32 of payload, payload
 *     payload = 16 bytes session id, u48 seq, u8 number of parts, parts, line (the rest)
 *     part    = u8 length of name, name (ASCII), 16 bytes salt, u32 length of content, content (UTF-8)
 */
export const segmentHeader: Uint8Array = Buffer.from('CHPSPL1\n', 'latin1');
export const frameHeaderBytes = 8;
/** Media type of frames one behind the other, without a segment's header: how they are shipped. */
export const framesMediaType = 'application/vnd.chaperone.frames';
const fixedPayloadBytes = 16 + 6 + 1;
/** No frame is longer: a length beyond it is damage. Two parts of 1 MiB and a line fit several times. */
export const maxFrameBytes = 8 * 1024 * 1024;

/** A part as the spool keeps it. `content` and `salt` are views into the segment's bytes. */
export interface FramePart {
  readonly name: string;
  readonly salt: Uint8Array;
  readonly content: Uint8Array;
}

/** An event as the spool keeps it; byte fields are views into the segment's bytes. */
export interface Frame {
  readonly session: string;
  readonly seq: number;
  readonly line: Uint8Array;
  readonly parts: readonly FramePart[];
}

/**
 * Frames of one event-loop turn, in one reused buffer. Between `begin` and `end` a frame's parts are added
 * in order, then the line piece by piece.
 */
export class FrameBatch {
  buffer: Buffer;
  length = 0;
  /** Frames in the batch. */
  count = 0;
  readonly #initialBytes: number;
  #frameStart = 0;

  constructor(initialBytes = 64 * 1024) {
    this.#initialBytes = initialBytes;
    this.buffer = Buffer.allocUnsafeSlow(initialBytes);
  }

  #reserve(bytes: number): void {
    const needed = this.length + bytes;
    if (needed <= this.buffer.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.max(needed, this.buffer.length * 2));
    this.buffer.copy(grown, 0, 0, this.length);
    this.buffer = grown;
  }

  begin(session: Uint8Array, seq: number): void {
    this.#reserve(frameHeaderBytes + fixedPayloadBytes);
    this.#frameStart = this.length;
    const at = this.length + frameHeaderBytes;
    this.buffer.set(session, at);
    this.buffer.writeUIntLE(seq, at + 16, 6);
    this.buffer[at + 22] = 0;
    this.length = at + fixedPayloadBytes;
  }

  /** `content`: `length` bytes of `source` from `start` on; the salt is the 16 bytes at `saltOffset`. */
  part(
    name: string,
    salts: Uint8Array,
    saltOffset: number,
    source: Uint8Array,
    start: number,
    length: number,
  ): void {
    this.#reserve(1 + name.length + saltBytes + 4 + length);
    const { buffer: bytes } = this;
    bytes[this.#frameStart + frameHeaderBytes + 22]! += 1;
    let at = this.length;
    bytes[at] = name.length;
    at += 1 + bytes.write(name, at + 1, 'latin1');
    for (let i = 0; i < saltBytes; i += 1) bytes[at + i] = salts[saltOffset + i]!;
    at = bytes.writeUInt32LE(length, at + saltBytes);
    bytes.set(source.subarray(start, start + length), at);
    this.length = at + length;
  }

  /** Makes room for a piece of the line and returns where it is to be written; `wrote` says where it ends. */
  room(bytes: number): number {
    this.#reserve(bytes);
    return this.length;
  }

  wrote(end: number): void {
    this.length = end;
  }

  /** A piece of the line, of ASCII alone. */
  ascii(piece: string): void {
    this.#reserve(piece.length);
    this.length += this.buffer.write(piece, this.length, 'latin1');
  }

  /** A piece of the line. */
  text(piece: string): void {
    this.#reserve(piece.length * 3);
    this.length += this.buffer.write(piece, this.length, 'utf8');
  }

  /** A piece of the line, in UTF-8. */
  bytes(piece: Uint8Array): void {
    this.#reserve(piece.length);
    this.buffer.set(piece, this.length);
    this.length += piece.length;
  }

  /** Ends the frame behind the last piece of its line. */
  end(): void {
    const { buffer: bytes } = this;
    const payload = this.#frameStart + frameHeaderBytes;
    bytes.writeUInt32LE(this.length - payload, this.#frameStart);
    bytes.writeUInt32LE(crc32(bytes.subarray(payload, this.length)), this.#frameStart + 4);
    this.count += 1;
  }

  /** Takes back the frame that was begun and not ended. */
  abandon(): void {
    this.length = this.#frameStart;
  }

  /** Empties the batch; a buffer that one large event made grow is let go. */
  clear(): void {
    this.length = 0;
    this.count = 0;
    if (this.buffer.length > 16 * this.#initialBytes) {
      this.buffer = Buffer.allocUnsafeSlow(this.#initialBytes);
    }
  }
}

/** What stands at an offset of a segment. */
export type FrameScan =
  /** A whole frame; the next one begins at `end`. */
  | { readonly kind: 'Frame'; readonly end: number }
  /** Nothing, or only the beginning of a frame, before the bytes end. */
  | { readonly kind: 'Incomplete' }
  /** Bytes that no recorder wrote. `end`: where the frame would have ended, if its length is believed. */
  | { readonly kind: 'Damaged'; readonly end: number };

/**
 * Looks at the frame at `offset` of `bytes`, of which the first `length` count. `trusted`: they have not left
 * this process, so that the checksum need not be made again.
 */
export function scanFrame(
  bytes: Buffer,
  offset: number,
  length: number,
  trusted = false,
): FrameScan {
  if (length - offset < frameHeaderBytes) return { kind: 'Incomplete' };
  const payload = offset + frameHeaderBytes;
  const size = bytes.readUInt32LE(offset);
  if (size < fixedPayloadBytes || size > maxFrameBytes) return { kind: 'Damaged', end: payload };
  const end = payload + size;
  if (end > length) return { kind: 'Incomplete' };
  if (!trusted && crc32(bytes.subarray(payload, end)) !== bytes.readUInt32LE(offset + 4)) {
    return { kind: 'Damaged', end };
  }
  return { kind: 'Frame', end };
}

/** Reads the frame that `scanFrame` found from `offset` to `end`; undefined when its inside does not add up. */
export function readFrame(bytes: Buffer, offset: number, end: number): Frame | undefined {
  let at = offset + frameHeaderBytes;
  const session = uuidFromBytes(bytes, at);
  const seq = bytes.readUIntLE(at + 16, 6);
  const count = bytes[at + 22]!;
  at += fixedPayloadBytes;
  const parts: FramePart[] = [];
  for (let i = 0; i < count; i += 1) {
    if (at >= end) return undefined;
    const nameEnd = at + 1 + bytes[at]!;
    const contentStart = nameEnd + saltBytes + 4;
    if (contentStart > end) return undefined;
    const contentEnd = contentStart + bytes.readUInt32LE(nameEnd + saltBytes);
    if (contentEnd > end) return undefined;
    parts.push({
      name: bytes.toString('latin1', at + 1, nameEnd),
      salt: bytes.subarray(nameEnd, nameEnd + saltBytes),
      content: bytes.subarray(contentStart, contentEnd),
    });
    at = contentEnd;
  }
  return { session, seq, line: bytes.subarray(at, end), parts };
}
