import type { RuleRef } from '../../policy/types.ts';
import type { Codec } from '../codecs/codec.ts';
import type { FieldFormat, FieldMask } from '../types.ts';

/**
 * A mask that computes a value of the type from the value: decode, change, encode. What does not decode or
 * has no image becomes the neutral value.
 */
export class ComputedMask<T> implements FieldMask {
  readonly rule: RuleRef;
  readonly lastHit = true;
  readonly #codec: Codec<T>;
  readonly #format: FieldFormat;
  readonly #change: (value: T) => T | undefined;
  readonly #neutral: FieldMask;

  constructor(
    codec: Codec<T>,
    format: FieldFormat,
    change: (value: T) => T | undefined,
    neutral: FieldMask,
  ) {
    this.rule = neutral.rule;
    this.#codec = codec;
    this.#format = format;
    this.#change = change;
    this.#neutral = neutral;
  }

  maxLength(inputLength: number): number {
    return Math.max(this.#codec.maxLength(inputLength), this.#neutral.maxLength(inputLength));
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    const value = this.#codec.decode(src, start, end, this.#format);
    const changed = value === undefined ? undefined : this.#change(value);
    if (changed === undefined) return this.#neutral.write(src, start, end, dst, at);
    const bytes = this.#codec.encode(changed, this.#format);
    // A number whose zeros take no room in binary may have an image whose digits do.
    if (bytes.length > this.maxLength(end - start)) {
      return this.#neutral.write(src, start, end, dst, at);
    }
    return bytes.copy(dst, at);
  }
}
