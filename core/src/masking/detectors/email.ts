import { escapeEnd, isDigit, isLetter } from './bytes.ts';
import type { Detector } from './detector.ts';

const at = 0x40;
const dot = 0x2e;
const dash = 0x2d;

/** RFC 5321, section 4.5.3.1. */
const maxLocal = 64;
const maxDomain = 255;

/** Characters of the local part, those left out that delimit values in JSON, arrays, SQL and URLs. */
const local: readonly boolean[] = Array.from(
  { length: 256 },
  (_, byte) =>
    isDigit(byte) ||
    isLetter(byte) ||
    byte >= 0x80 ||
    '._%+-#!$&*~^`'.includes(String.fromCharCode(byte)),
);

const isDomain = (byte: number): boolean =>
  isDigit(byte) || isLetter(byte) || byte >= 0x80 || byte === dot || byte === dash;

/**
 * Where the domain that begins at `from` ends, or -1 when it is none. The longest one whose last label has
 * two characters or more and not only digits: what comes behind (`.a`, `.5`) is no part of it.
 */
function domainEnd(buf: Buffer, from: number, end: number): number {
  let to = from;
  while (to < end && to - from < maxDomain && isDomain(buf[to]!)) to += 1;
  for (;;) {
    while (to > from && (buf[to - 1] === dot || buf[to - 1] === dash)) to -= 1;
    let label = to;
    let digits = true;
    while (label > from && buf[label - 1] !== dot) {
      label -= 1;
      if (!isDigit(buf[label]!)) digits = false;
    }
    if (label <= from + 1) return -1;
    if (to - label >= 2 && !digits) return to;
    to = label - 1;
  }
}

/** Addresses of electronic mail. */
export const email: Detector = {
  name: 'Email',
  next(buf, start, end, from, hit) {
    for (let index = from; index < end; index += 1) {
      if (buf[index] !== at) continue;
      let first = index;
      while (first > from && index - first < maxLocal && local[buf[first - 1]!]) first -= 1;
      // Not into the middle of a character beyond ASCII.
      while (first < index && (buf[first]! & 0xc0) === 0x80) first += 1;
      first = escapeEnd(buf, start, end, first);
      if (first >= index) continue;
      const to = domainEnd(buf, index + 1, end);
      if (to < 0) continue;
      hit.from = first;
      hit.to = to;
      return true;
    }
    return false;
  },
};
