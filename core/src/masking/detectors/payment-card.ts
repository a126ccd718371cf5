import isCreditCard from 'validator/lib/isCreditCard.js';
import { escapeEnd, isDigit } from './bytes.ts';
import type { Detector, Hit } from './detector.ts';

/** ISO/IEC 7812: digits of the card numbers in use. */
const fewest = 13;
const most = 19;

const isSeparator = (byte: number): boolean => byte === 0x20 || byte === 0x2d;

/** Whether the byte belongs to a run of digits: a digit, or one separator between two. */
function inRun(buf: Buffer, from: number, end: number, at: number): boolean {
  const byte = buf[at]!;
  if (isDigit(byte)) return true;
  return (
    isSeparator(byte) && at > from && at + 1 < end && isDigit(buf[at - 1]!) && isDigit(buf[at + 1]!)
  );
}

/** The check of ISO/IEC 7812-1, annex B, over the digits of `[from, to)`. */
function passesLuhn(buf: Buffer, from: number, to: number): boolean {
  let sum = 0;
  let double = false;
  for (let index = to - 1; index >= from; index -= 1) {
    const byte = buf[index]!;
    if (!isDigit(byte)) continue;
    let digit = byte - 0x30;
    if (double && (digit *= 2) > 9) digit -= 9;
    sum += digit;
    double = !double;
  }
  return sum % 10 === 0;
}

/** The longest card number that begins at `from`, which is a digit: its end, or -1. */
function cardAt(buf: Buffer, from: number, runEnd: number): number {
  let digits = 0;
  let found = -1;
  for (let index = from; index < runEnd; index += 1) {
    if (!isDigit(buf[index]!)) continue;
    digits += 1;
    if (digits > most) break;
    const groupEnds = index + 1 === runEnd || !isDigit(buf[index + 1]!);
    if (groupEnds && digits >= fewest && passesLuhn(buf, from, index + 1)) {
      if (isCreditCard(buf.toString('latin1', from, index + 1))) found = index + 1;
    }
  }
  return found;
}

/** A card number within a run of digits and separators, beginning where a group of digits does. */
function inDigits(buf: Buffer, start: number, runStart: number, runEnd: number, hit: Hit): boolean {
  // The digits of an escape before the number (`\u0020`) look like its own.
  const afterEscape = escapeEnd(buf, start, runEnd, runStart);
  for (let index = runStart; index + fewest <= runEnd; index += 1) {
    if (!isDigit(buf[index]!)) continue;
    const groupStarts = index === runStart || index === afterEscape || !isDigit(buf[index - 1]!);
    if (!groupStarts) continue;
    const to = cardAt(buf, index, runEnd);
    if (to < 0) continue;
    hit.from = index;
    hit.to = to;
    return true;
  }
  return false;
}

/**
 * Numbers of payment cards: 13 to 19 digits of a known issuer with a right check digit, single spaces or
 * dashes between groups. A number spans at least 13 bytes, so that one probe every 13 finds its run.
 */
export const paymentCard: Detector = {
  name: 'PaymentCard',
  next(buf, start, end, from, hit) {
    for (let probe = from + fewest - 1; probe < end; probe += fewest) {
      if (!inRun(buf, from, end, probe)) continue;
      let runStart = probe;
      while (runStart > from && inRun(buf, from, end, runStart - 1)) runStart -= 1;
      let runEnd = probe + 1;
      while (runEnd < end && inRun(buf, from, end, runEnd)) runEnd += 1;
      if (runEnd - runStart >= fewest && inDigits(buf, start, runStart, runEnd, hit)) return true;
      // The next run begins behind this one, so the next probe may stand 13 bytes further.
      probe = runEnd - 1;
    }
    return false;
  },
};
