import type { RuleRef } from '../../policy/types.ts';
import type { FieldMask } from '../types.ts';

/** The same bytes in place of every value. */
export class ConstantMask implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = true;
  readonly #bytes: Buffer;

  constructor(rule: RuleRef, bytes: Buffer) {
    this.rule = rule;
    this.#bytes = bytes;
  }

  maxLength(): number {
    return this.#bytes.length;
  }

  write(_src: Buffer, _start: number, _end: number, dst: Buffer, at: number): number {
    const bytes = this.#bytes;
    // Values are short: a loop is faster than a call out of JavaScript.
    for (let index = 0; index < bytes.length; index += 1) dst[at + index] = bytes[index]!;
    return bytes.length;
  }
}

const space = 0x20;

/**
 * A text in place of every value, for types of limited length: never more characters than the value had,
 * since how many fit is not known here. With `pad` (bpchar), exactly as many.
 */
export class CappedTextMask implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = true;
  readonly #bytes: Buffer;
  /** Where each character of the text ends. */
  readonly #ends: readonly number[];
  readonly #pad: boolean;

  constructor(rule: RuleRef, text: string, pad: boolean) {
    this.rule = rule;
    this.#bytes = Buffer.from(text);
    let end = 0;
    this.#ends = Array.from(text, (char) => (end += Buffer.byteLength(char)));
    this.#pad = pad;
  }

  maxLength(inputLength: number): number {
    return Math.min(this.#bytes.length, 4 * inputLength) + (this.#pad ? inputLength : 0);
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    const most = this.#pad ? Number.POSITIVE_INFINITY : this.#ends.length;
    let characters = 0;
    for (let index = start; index < end && characters < most; index += 1) {
      if ((src[index]! & 0xc0) !== 0x80) characters += 1;
    }
    const kept = Math.min(characters, this.#ends.length);
    const length = kept === 0 ? 0 : this.#ends[kept - 1]!;
    for (let index = 0; index < length; index += 1) dst[at + index] = this.#bytes[index]!;
    if (!this.#pad) return length;
    for (let index = 0; index < characters - kept; index += 1) dst[at + length + index] = space;
    return length + characters - kept;
  }
}
