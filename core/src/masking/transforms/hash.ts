import { byteaCodec, uuidCodec } from '../codecs/bytes.ts';
import { dateCodec, timeCodec, timestampCodec } from '../codecs/datetime.ts';
import { floatCodec } from '../codecs/float.ts';
import { integerCodec } from '../codecs/integer.ts';
import { numericCodec } from '../codecs/numeric.ts';
import type { FieldType } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { ComputedMask } from './computed.ts';
import type { KeyedDigest } from './keyed.ts';

const space = 0x20;
const hexDigits = Buffer.from('0123456789abcdef');
/** Hexadecimal digits of a text's hash: 128 bits. */
const textLength = 32;

/**
 * The keyed digest of a text, in hexadecimal. With `capped` (varchar, bpchar) no more characters than the
 * value had; with `padded` (bpchar) filled with spaces to as many. With `quote`, as a JSON string.
 */
export class HashTextMask implements FieldMask {
  readonly rule: FieldMask['rule'];
  readonly lastHit = true;
  readonly #digest: KeyedDigest;
  readonly #capped: boolean;
  readonly #padded: boolean;
  readonly #before: Buffer;
  readonly #after: Buffer;

  constructor(
    rule: FieldMask['rule'],
    digest: KeyedDigest,
    shape: { capped?: boolean; padded?: boolean; before?: string; after?: string },
  ) {
    this.rule = rule;
    this.#digest = digest;
    this.#capped = shape.capped ?? false;
    this.#padded = shape.padded ?? false;
    this.#before = Buffer.from(shape.before ?? '');
    this.#after = Buffer.from(shape.after ?? '');
  }

  maxLength(inputLength: number): number {
    if (this.#capped) return inputLength;
    return textLength + this.#before.length + this.#after.length;
  }

  write(src: Buffer, start: number, end: number, dst: Buffer, at: number): number {
    let contentEnd = end;
    if (this.#padded) while (contentEnd > start && src[contentEnd - 1] === space) contentEnd -= 1;
    // The version byte of binary jsonb is no part of the value: both formats hash alike.
    const digest = this.#digest.of(
      'text',
      src.subarray(start + (this.#before[0] === 1 ? 1 : 0), contentEnd),
    );
    let length = textLength;
    let padding = 0;
    if (this.#capped) {
      let characters = 0;
      for (let index = start; index < end; index += 1) {
        if ((src[index]! & 0xc0) !== 0x80) characters += 1;
      }
      length = Math.min(length, characters);
      if (this.#padded) padding = characters - length;
    }
    let out = at + this.#before.copy(dst, at);
    for (let index = 0; index < length; index += 1) {
      const byte = digest[index >> 1]!;
      dst[out++] = hexDigits[index % 2 === 0 ? byte >> 4 : byte & 15]!;
    }
    for (; padding > 0; padding -= 1) dst[out++] = space;
    return out + this.#after.copy(dst, out) - at;
  }
}

/** Hashed dates lie within 1900 to 2099: days from 2000-01-01. */
const firstDay = -36_524n;
const dayCount = 73_049n;
const daySeconds = 86_400n;
const microsPerSecond = 1_000_000n;

/**
 * The hash of a value of one type: a value of that type, equal for equal values in both formats. Undefined
 * where a hash would tell as much as the value (bool), or is of no use: the neutral value then stands.
 */
export function hash(
  digest: KeyedDigest,
  type: FieldType,
  format: FieldFormat,
  neutral: FieldMask,
): FieldMask | undefined {
  const { rule } = neutral;
  const whole = (width: 2 | 4 | 8, bits: bigint): FieldMask =>
    new ComputedMask(
      integerCodec(width),
      format,
      (value) => digest.number('int', value.toString(), 1n << bits),
      neutral,
    );
  const float = (width: 4 | 8, bits: bigint): FieldMask =>
    new ComputedMask(
      floatCodec(width),
      format,
      (value) => Number(digest.number('float', String(value), 1n << bits)),
      neutral,
    );
  const moment = (withZone: boolean): FieldMask =>
    new ComputedMask(
      timestampCodec(withZone),
      format,
      (micros) => {
        const seconds = digest.number('timestamp', micros.toString(), dayCount * daySeconds);
        return (firstDay * daySeconds + seconds) * microsPerSecond;
      },
      neutral,
    );
  switch (type.family) {
    case 'text':
    case 'xml':
      return new HashTextMask(rule, digest, {});
    case 'varchar':
      return new HashTextMask(rule, digest, { capped: true });
    case 'bpchar':
      return new HashTextMask(rule, digest, { capped: true, padded: true });
    case 'json':
      return new HashTextMask(rule, digest, { before: '"', after: '"' });
    case 'jsonb':
      return new HashTextMask(rule, digest, { before: format === 1 ? '\u0001"' : '"', after: '"' });
    case 'int2':
      return whole(2, 15n);
    case 'int4':
      return whole(4, 31n);
    case 'int8':
      // What a double holds exactly: many clients read int8 as one.
      return whole(8, 53n);
    case 'float4':
      return float(4, 24n);
    case 'float8':
      return float(8, 53n);
    case 'numeric':
      return new ComputedMask(
        numericCodec,
        format,
        (value) => digest.number('numeric', withoutScale(value), 1n << 53n).toString(),
        neutral,
      );
    case 'date':
      return new ComputedMask(
        dateCodec,
        format,
        (days) => Number(firstDay + digest.number('date', days.toString(), dayCount)),
        neutral,
      );
    case 'time':
      return new ComputedMask(
        timeCodec,
        format,
        (micros) => digest.number('time', micros.toString(), daySeconds) * microsPerSecond,
        neutral,
      );
    case 'timestamp':
      return moment(false);
    case 'timestamptz':
      return moment(true);
    case 'uuid':
      return new ComputedMask(
        uuidCodec,
        format,
        (value) => uuidOf(digest.of('uuid', value)),
        neutral,
      );
    case 'bytea':
      return new ComputedMask(byteaCodec, format, (value) => digest.of('bytea', value), neutral);
    default:
      return undefined;
  }
}

/** 12.50 and 12.5 are one value. */
const withoutScale = (value: string): string =>
  value.includes('.') ? value.replace(/\.?0+$/, '') : value;

/** Sixteen bytes as a UUID of version 8, whose contents are free (RFC 9562, section 5.8). */
function uuidOf(digest: Buffer): Buffer {
  const bytes = Buffer.from(digest.subarray(0, 16));
  bytes[6] = (bytes[6]! & 0x0f) | 0x80;
  bytes[8] = (bytes[8]! & 0x3f) | 0x80;
  return bytes;
}
