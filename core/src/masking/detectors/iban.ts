import { countrySpecs, isValidIBAN } from 'ibantools';
import { isDigit, isLetter } from './bytes.ts';
import type { Detector } from './detector.ts';

/** Length by country code (two letters packed into one number), for countries that have IBANs. */
const lengths = new Map<number, number>();
for (const [code, spec] of Object.entries(countrySpecs)) {
  if (spec.chars) lengths.set((code.charCodeAt(0) << 8) | code.charCodeAt(1), spec.chars);
}

const isSeparator = (byte: number): boolean => byte === 0x20 || byte === 0x2d;

/** The end of an IBAN that begins at `from`, single spaces or dashes between its characters; or -1. */
function ibanEnd(buf: Buffer, from: number, end: number): number {
  const first = buf[from]!;
  const second = buf[from + 1]!;
  if (!isLetter(first) || !isLetter(second)) return -1;
  const length = lengths.get(((first & 0xdf) << 8) | (second & 0xdf));
  if (length === undefined) return -1;
  let compact = '';
  let index = from;
  for (; index < end && compact.length < length; index += 1) {
    const byte = buf[index]!;
    if (isDigit(byte) || isLetter(byte)) compact += String.fromCharCode(byte);
    else if (!isSeparator(byte) || isSeparator(buf[index - 1]!)) return -1;
  }
  return compact.length === length && isValidIBAN(compact.toUpperCase()) ? index : -1;
}

/**
 * International bank account numbers (ISO 13616) with right check digits: two letters, two digits, then what
 * the country says. Every second byte is probed, since the digits come in twos.
 */
export const iban: Detector = {
  name: 'IBAN',
  next(buf, _start, end, from, hit) {
    for (let probe = from + 2; probe < end; probe += 2) {
      if (!isDigit(buf[probe]!)) continue;
      for (let first = probe - 3; first <= probe - 2; first += 1) {
        if (first < from || first + 3 >= end) continue;
        if (!isDigit(buf[first + 2]!) || !isDigit(buf[first + 3]!)) continue;
        const to = ibanEnd(buf, first, end);
        if (to < 0) continue;
        hit.from = first;
        hit.to = to;
        return true;
      }
    }
    return false;
  },
};
