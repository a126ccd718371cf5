import { integerCodec, largestInteger } from '../codecs/integer.ts';
import { numericCodec } from '../codecs/numeric.ts';
import type { FieldType } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { ComputedMask } from './computed.ts';
import type { KeyedDigest } from './keyed.ts';

const space = 0x20;
const digestLength = 32;

/**
 * A text of the same shape: each digit becomes a digit, each letter a letter of its case, each character
 * beyond ASCII a small letter; punctuation and spaces stay, and so does what makes an address an address.
 * Equal values become equal.
 */
export class PseudonymTextMask implements FieldMask {
  readonly rule: FieldMask['rule'];
  readonly lastHit = true;
  readonly #digest: KeyedDigest;
  readonly #padded: boolean;

  constructor(rule: FieldMask['rule'], digest: KeyedDigest, padded: boolean) {
    this.rule = rule;
    this.#digest = digest;
    this.#padded = padded;
  }

  maxLength(inputLength: number): number {
    return inputLength;
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    let contentEnd = end;
    if (this.#padded) while (contentEnd > start && src[contentEnd - 1] === space) contentEnd -= 1;
    // A copy: in place, the value is overwritten while further blocks of the stream are still made of it.
    const value = Buffer.from(src.subarray(start, end));
    const content = value.subarray(0, contentEnd - start);
    let block = this.#digest.of('pseudonym', content);
    let used = 0;
    let counter = 0;
    let out = at;
    for (let index = 0; index < value.length; index += 1) {
      const byte = value[index]!;
      if ((byte & 0xc0) === 0x80) continue;
      if (used === digestLength) {
        counter += 1;
        block = this.#digest.of('pseudonym', content, counter);
        used = 0;
      }
      dst[out++] = substitute(byte, block[used++]!);
    }
    return out - at;
  }
}

/** A character of the same kind, chosen by one byte of the keyed stream. */
export function substitute(byte: number, random: number): number {
  if (byte >= 0x30 && byte <= 0x39) return 0x30 + (random % 10);
  if (byte >= 0x41 && byte <= 0x5a) return 0x41 + (random % 26);
  if ((byte >= 0x61 && byte <= 0x7a) || byte >= 0x80) return 0x61 + (random % 26);
  return byte;
}

/** A number of the type with as many digits and the same sign. */
function integer(digest: KeyedDigest, value: bigint, width: 2 | 4 | 8): bigint {
  const digits = (value < 0n ? -value : value).toString();
  const least = digits.length === 1 ? 0n : 10n ** BigInt(digits.length - 1);
  const most = 10n ** BigInt(digits.length) - 1n;
  const largest = largestInteger(width);
  const span = (most < largest ? most : largest) - least + 1n;
  const chosen = least + digest.number('pseudonym-int', value.toString(), span);
  return value < 0n ? -chosen : chosen;
}

function decimal(digest: KeyedDigest, value: string): string {
  let counter = 0;
  let block = digest.of('pseudonym-numeric', value);
  let used = 0;
  let leading = true;
  return value.replace(/\d/g, (digit) => {
    if (used === digestLength) {
      counter += 1;
      block = digest.of('pseudonym-numeric', value, counter);
      used = 0;
    }
    const random = block[used++]!;
    // The first digit stays a first digit, so that the number keeps its length.
    const chosen = leading && digit !== '0' ? 1 + (random % 9) : leading ? 0 : random % 10;
    leading = leading && digit === '0';
    return String(chosen);
  });
}

/** The pseudonym of a value of one type; undefined for types without digits or letters of their own. */
export function pseudonym(
  digest: KeyedDigest,
  type: FieldType,
  format: FieldFormat,
  neutral: FieldMask,
): FieldMask | undefined {
  const whole = (width: 2 | 4 | 8): FieldMask =>
    new ComputedMask(
      integerCodec(width),
      format,
      (value) => integer(digest, value, width),
      neutral,
    );
  switch (type.family) {
    case 'text':
    case 'varchar':
      return new PseudonymTextMask(neutral.rule, digest, false);
    case 'bpchar':
      return new PseudonymTextMask(neutral.rule, digest, true);
    case 'int2':
      return whole(2);
    case 'int4':
      return whole(4);
    case 'int8':
      return whole(8);
    case 'numeric':
      return new ComputedMask(numericCodec, format, (value) => decimal(digest, value), neutral);
    default:
      return undefined;
  }
}
