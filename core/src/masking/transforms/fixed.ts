import type { RuleRef } from '../../policy/types.ts';
import { boolCodec, byteaCodec, uuidCodec } from '../codecs/bytes.ts';
import type { Codec } from '../codecs/codec.ts';
import { dateCodec, timeCodec, timestampCodec } from '../codecs/datetime.ts';
import { floatCodec } from '../codecs/float.ts';
import { integerCodec } from '../codecs/integer.ts';
import { numericCodec } from '../codecs/numeric.ts';
import type { FieldType } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { CappedTextMask, ConstantMask } from './constant.ts';

/**
 * The rule's own text in place of every value; undefined when it is no value of the type. JSON takes it as it
 * is where it parses as JSON, else as a string. Where the type limits the length it is cut to the value's.
 */
export function fixed(
  text: string,
  rule: RuleRef,
  type: FieldType,
  format: FieldFormat,
): FieldMask | undefined {
  const as = <T>(codec: Codec<T>): FieldMask | undefined => {
    const bytes = Buffer.from(text);
    const value = codec.decode(bytes, 0, bytes.length, 0);
    return value === undefined ? undefined : new ConstantMask(rule, codec.encode(value, format));
  };
  switch (type.family) {
    case 'text':
      return new ConstantMask(rule, Buffer.from(text));
    case 'varchar':
      return new CappedTextMask(rule, text, false);
    case 'bpchar':
      return new CappedTextMask(rule, text, true);
    case 'json':
      return new ConstantMask(rule, Buffer.from(jsonOf(text)));
    case 'jsonb':
      return new ConstantMask(rule, Buffer.from((format === 1 ? '\u0001' : '') + jsonOf(text)));
    case 'int2':
      return as(integerCodec(2));
    case 'int4':
      return as(integerCodec(4));
    case 'int8':
      return as(integerCodec(8));
    case 'float4':
      return as(floatCodec(4));
    case 'float8':
      return as(floatCodec(8));
    case 'numeric':
      return as(numericCodec);
    case 'bool':
      return as(boolCodec);
    case 'date':
      return as(dateCodec);
    case 'time':
      return as(timeCodec);
    case 'timestamp':
      return as(timestampCodec(false));
    case 'timestamptz':
      return as(timestampCodec(true));
    case 'uuid':
      return as(uuidCodec);
    case 'bytea':
      return as(byteaCodec);
    default:
      return undefined;
  }
}

function jsonOf(text: string): string {
  try {
    JSON.parse(text);
    return text;
  } catch {
    return JSON.stringify(text);
  }
}
