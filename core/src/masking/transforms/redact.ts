import type { RuleRef } from '../../policy/types.ts';
import type { FieldType } from '../field-types.ts';
import type { FieldFormat, FieldMask } from '../types.ts';
import { CappedTextMask, ConstantMask } from './constant.ts';

const stars = '***';

/** Neutral values in text format. `***` where text is meant, else the type's zero. */
const texts = {
  text: stars,
  char: '*',
  xml: stars,
  json: `"${stars}"`,
  jsonb: `"${stars}"`,
  int2: '0',
  int4: '0',
  int8: '0',
  oid: '0',
  float4: '0',
  float8: '0',
  numeric: '0',
  money: '0.00',
  bool: 'f',
  date: '2000-01-01',
  time: '00:00:00',
  timetz: '00:00:00+00',
  timestamp: '2000-01-01 00:00:00',
  timestamptz: '2000-01-01 00:00:00+00',
  interval: '00:00:00',
  uuid: '00000000-0000-0000-0000-000000000000',
  bytea: '\\x',
  inet: '0.0.0.0',
  cidr: '0.0.0.0/32',
  macaddr: '00:00:00:00:00:00',
  array: '{}',
} as const;

/** PGSQL_AF_INET in the binary format of inet and cidr (src/include/utils/inet.h). */
const ipv4Family = 2;

/** Length in bytes of types whose zero value in binary format is all zero bits; dates count from 2000-01-01. */
const zeroLengths: Readonly<Partial<Record<keyof typeof texts, number>>> = {
  int2: 2,
  int4: 4,
  int8: 8,
  oid: 4,
  float4: 4,
  float8: 8,
  /** No digits, weight 0, positive, scale 0. */
  numeric: 8,
  money: 8,
  bool: 1,
  date: 4,
  time: 8,
  timetz: 12,
  timestamp: 8,
  timestamptz: 8,
  interval: 16,
  uuid: 16,
  bytea: 0,
  macaddr: 6,
};

function binaryOf(family: keyof typeof texts, type: FieldType): Buffer {
  const zeros = zeroLengths[family];
  if (zeros !== undefined) return Buffer.alloc(zeros);
  switch (family) {
    case 'jsonb':
      return Buffer.from(`\u0001${texts.jsonb}`);
    case 'inet':
      return Buffer.from([ipv4Family, 32, 0, 4, 0, 0, 0, 0]);
    case 'cidr':
      return Buffer.from([ipv4Family, 32, 1, 4, 0, 0, 0, 0]);
    case 'array': {
      // No dimensions, no NULLs, the element's type.
      const bytes = Buffer.alloc(12);
      bytes.writeUInt32BE(type.elementOid ?? 0, 8);
      return bytes;
    }
    default:
      return Buffer.from(texts[family]);
  }
}

/**
 * A neutral value of the type, the same for every input: `***` for text (not longer than the input where the
 * type limits the length), `"***"` for JSON, 0, false, 2000-01-01, midnight, the nil UUID, 0.0.0.0, no bytes,
 * no elements.
 */
export function redact(rule: RuleRef, type: FieldType, format: FieldFormat): FieldMask {
  const { family } = type;
  if (family === 'varchar') return new CappedTextMask(rule, stars, false);
  if (family === 'bpchar') return new CappedTextMask(rule, stars, true);
  return new ConstantMask(rule, format === 0 ? Buffer.from(texts[family]) : binaryOf(family, type));
}
