import type { RuleRef } from '../../policy/types.ts';
import type { FieldMask } from '../types.ts';

const star = 0x2a;
const space = 0x20;

const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/**
 * Keeps the first and last characters of a text and puts one `*` in place of each other one. A value with no
 * more characters than would be kept is masked whole. UTF-8; characters are never cut. With `padded`
 * (bpchar), trailing spaces are not characters of the value and stay.
 */
export class PartialTextMask implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = true;
  readonly #keepFirst: number;
  readonly #keepLast: number;
  readonly #padded: boolean;

  constructor(rule: RuleRef, keepFirst: number, keepLast: number, padded: boolean) {
    this.rule = rule;
    this.#keepFirst = keepFirst;
    this.#keepLast = keepLast;
    this.#padded = padded;
  }

  maxLength(inputLength: number): number {
    return inputLength;
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    let last = end;
    if (this.#padded) while (last > start && src[last - 1] === space) last -= 1;

    let characters = 0;
    for (let index = start; index < last; index += 1) {
      if (!isContinuation(src[index]!)) characters += 1;
    }
    const short = characters <= this.#keepFirst + this.#keepLast;
    const keepFirst = short ? 0 : this.#keepFirst;
    const keepLast = short ? 0 : this.#keepLast;

    let prefixEnd = start;
    for (let kept = 0; kept < keepFirst; kept += 1) {
      prefixEnd += 1;
      while (prefixEnd < last && isContinuation(src[prefixEnd]!)) prefixEnd += 1;
    }
    let suffixStart = last;
    for (let kept = 0; kept < keepLast; kept += 1) {
      suffixStart -= 1;
      while (suffixStart > prefixEnd && isContinuation(src[suffixStart]!)) suffixStart -= 1;
    }

    // What is written never overtakes what is still to be read: a `*` is no longer than a character.
    let out = at;
    for (let index = start; index < prefixEnd; index += 1) dst[out++] = src[index]!;
    for (let masked = characters - keepFirst - keepLast; masked > 0; masked -= 1) dst[out++] = star;
    for (let index = suffixStart; index < end; index += 1) dst[out++] = src[index]!;
    return out - at;
  }
}

/**
 * The digits of a whole number, all but the first and last ones 0. The sign stays with the first digits. A
 * number with no more digits than would be kept becomes 0.
 */
export function partialInteger(value: bigint, keepFirst: number, keepLast: number): bigint {
  const digits = (value < 0n ? -value : value).toString();
  if (digits.length <= keepFirst + keepLast) return 0n;
  const first = digits.slice(0, keepFirst).padEnd(digits.length - keepLast, '0');
  const masked = BigInt(first + digits.slice(digits.length - keepLast));
  return value < 0n && keepFirst > 0 ? -masked : masked;
}
