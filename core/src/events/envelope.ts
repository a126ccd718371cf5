import { eventVersion } from './encode.ts';
import { MicrosecondTime, timeBytes } from './time.ts';
import { type UuidGenerator, uuidBytes } from './uuid.ts';

const beginning = Buffer.from(`{"eventVersion":${eventVersion},"id":"`, 'latin1');
const beforeTime = Buffer.from(',"time":"', 'latin1');
const ending = Buffer.from('",', 'latin1');
/** Digits of the largest safe integer. */
const maxDigits = 16;

/** The part of a session's envelopes that does not change: what stands behind an event's id, up to its number. */
export function sessionPiece(session: string): Uint8Array {
  return Buffer.from(`","session":"${session}","seq":`, 'latin1');
}

/** Bytes that an envelope takes at most, beside the session's piece. */
export const maxEnvelopeBytes =
  beginning.length + uuidBytes + maxDigits + beforeTime.length + timeBytes + ending.length;

/**
 * Writes what `encodeEnvelope` says, with a fresh id, as bytes: an envelope stands before every event, and as a
 * text it would be put together of some twenty pieces.
 */
export class EnvelopeWriter {
  readonly #ids: UuidGenerator;
  readonly #time = new MicrosecondTime();

  constructor(ids: UuidGenerator) {
    this.#ids = ids;
  }

  /**
   * Writes to `target` from `at` on, which has room for it, and returns the offset behind it.
   * @param session the session's piece
   * @param seq from 1 on
   * @param timeUs microseconds since 1970
   */
  write(target: Uint8Array, at: number, session: Uint8Array, seq: number, timeUs: number): number {
    let end = put(target, at, beginning);
    end = this.#ids.write(timeUs, target, end);
    end = put(target, end, session);
    end = putNumber(target, end, seq);
    end = put(target, end, beforeTime);
    end = this.#time.write(timeUs, target, end);
    return put(target, end, ending);
  }
}

/** For so few bytes a loop costs less than a call of `set`. */
function put(target: Uint8Array, at: number, bytes: Uint8Array): number {
  for (let index = 0; index < bytes.length; index += 1) target[at + index] = bytes[index]!;
  return at + bytes.length;
}

function putNumber(target: Uint8Array, at: number, value: number): number {
  let digits = 1;
  for (let bound = 10; value >= bound; bound *= 10) digits += 1;
  let rest = value;
  for (let index = at + digits - 1; index >= at; index -= 1) {
    const next = Math.floor(rest / 10);
    target[index] = 0x30 + (rest - next * 10);
    rest = next;
  }
  return at + digits;
}
