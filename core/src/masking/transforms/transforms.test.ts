import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TransformSpec } from '../../policy/types.ts';
import { refOf } from '../../testing/policy-fixtures.ts';
import { type FieldFormat, type FieldMask, NULL_FIELD } from '../types.ts';
import { bindTransform } from './bind.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const otherKey = Buffer.alloc(32, 8).toString('base64');

function bind(
  spec: TransformSpec,
  oid: number,
  format: FieldFormat = 0,
  secret: string | undefined = key,
): FieldMask | undefined {
  return bindTransform(spec, refOf('m'), secret, oid, format);
}

/** The masked bytes, written apart from the input; null for NULL. Checks the bound, and what lies around. */
function apart(mask: FieldMask, input: Buffer): Buffer | null {
  const src = Buffer.concat([Buffer.from('<<'), input, Buffer.from('>>')]);
  const room = mask.maxLength(input.length);
  const dst = Buffer.alloc(room + 20, 0x7e);
  const written = mask.write(src, 2, 2 + input.length, dst, 10);
  expect(src.subarray(2, 2 + input.length)).toEqual(input);
  if (written === NULL_FIELD) return null;
  expect(written).toBeLessThanOrEqual(room);
  expect(dst.subarray(0, 10).toString()).toBe('~'.repeat(10));
  expect(dst.subarray(10 + room).toString()).toBe('~'.repeat(10));
  return Buffer.from(dst.subarray(10, 10 + written));
}

/** The same, written over the input, `gap` bytes before it, where there is room for it. */
function inPlace(mask: FieldMask, input: Buffer, gap: number): Buffer | null | undefined {
  if (mask.maxLength(input.length) > input.length + gap) return undefined;
  const buf = Buffer.concat([Buffer.alloc(gap, 0x7e), input, Buffer.from('>>>>')]);
  const written = mask.write(buf, gap, gap + input.length, buf, 0);
  expect(buf.subarray(gap + input.length).toString()).toBe('>>>>');
  return written === NULL_FIELD ? null : Buffer.from(buf.subarray(0, written));
}

/** Masks in every way and expects one result. */
function apply(mask: FieldMask, input: Buffer): Buffer | null {
  const result = apart(mask, input);
  for (const gap of [0, 1, 3, 64]) {
    const other = inPlace(mask, input, gap);
    if (other !== undefined) expect(other).toEqual(result);
  }
  return result;
}

const text = (spec: TransformSpec, oid: number, value: string, secret = key): string | undefined =>
  apply(bind(spec, oid, 0, secret)!, Buffer.from(value))?.toString();
const hex = (spec: TransformSpec, oid: number, value: string): string | undefined =>
  apply(bind(spec, oid, 1)!, Buffer.from(value.replaceAll(' ', ''), 'hex'))?.toString('hex');

const oids = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int4: 23,
  text: 25,
  oid: 26,
  json: 114,
  xml: 142,
  cidr: 650,
  float4: 700,
  float8: 701,
  unknown: 705,
  money: 790,
  macaddr: 829,
  inet: 869,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  numeric: 1700,
  uuid: 2950,
  jsonb: 3802,
  int4Array: 1007,
  textArray: 1009,
} as const;

describe('Redact', () => {
  const redact: TransformSpec = { type: 'Redact' };
  test.each<[keyof typeof oids, string, string, string, string]>([
    ['text', 'secret', '***', '736563726574', '2a2a2a'],
    ['name', 'ab', '***', '6162', '2a2a2a'],
    ['unknown', '', '***', '', '2a2a2a'],
    ['varchar', 'secret', '***', '736563726574', '2a2a2a'],
    ['varchar', 'ab', '**', '6162', '2a2a'],
    ['varchar', '', '', '', ''],
    ['varchar', '日', '*', 'e697a5', '2a'],
    ['bpchar', 'secret', '***   ', '736563726574', '2a2a2a202020'],
    ['bpchar', '日本  ', '*** ', 'e697a5e69cac2020', '2a2a2a20'],
    ['char', 'x', '*', '78', '2a'],
    ['xml', '<a/>', '***', '3c612f3e', '2a2a2a'],
    ['json', '{"a": 1}', '"***"', '7b7d', '222a2a2a22'],
    ['jsonb', '{"a": 1}', '"***"', '01 7b7d', '01222a2a2a22'],
    ['int2', '-12', '0', 'fff4', '0000'],
    ['int4', '123', '0', '0000007b', '00000000'],
    ['int8', '123', '0', '000000000000007b', '0000000000000000'],
    ['oid', '16384', '0', '00004000', '00000000'],
    ['float4', '1.5', '0', '3fc00000', '00000000'],
    ['float8', 'NaN', '0', '7ff8000000000000', '0000000000000000'],
    ['numeric', '12.50', '0', '0002 0000 0000 0002 000c 1388', '0000000000000000'],
    ['money', '$1.00', '0.00', '0000000000000064', '0000000000000000'],
    ['bool', 't', 'f', '01', '00'],
    ['date', '2024-05-17', '2000-01-01', '000022c5', '00000000'],
    ['time', '12:34:56', '00:00:00', '0000000a8c000000', '0000000000000000'],
    ['timetz', '12:34:56+02', '00:00:00+00', '0000000a8c000000ffffe3e0', '00'.repeat(12)],
    ['timestamp', '2024-05-17 12:34:56', '2000-01-01 00:00:00', '0002bb0000000000', '00'.repeat(8)],
    [
      'timestamptz',
      '2024-05-17 12:34:56+02',
      '2000-01-01 00:00:00+00',
      '0002bb0000000000',
      '00'.repeat(8),
    ],
    ['interval', '3 days', '00:00:00', `${'00'.repeat(8)}0000000300000000`, '00'.repeat(16)],
    [
      'uuid',
      '9b2d6b0e-6f3e-4a7e-9c42-0f2d3a4b5c6d',
      '00000000-0000-0000-0000-000000000000',
      '9b2d6b0e6f3e4a7e9c420f2d3a4b5c6d',
      '00'.repeat(16),
    ],
    ['bytea', '\\xdeadbeef', '\\x', 'deadbeef', ''],
    ['inet', '10.1.2.3', '0.0.0.0', '02 20 00 04 0a010203', '0220000400000000'],
    ['cidr', '10.1.2.0/24', '0.0.0.0/32', '02 18 01 04 0a010200', '0220010400000000'],
    ['macaddr', '08:00:2b:01:02:03', '00:00:00:00:00:00', '08002b010203', '000000000000'],
    ['int4Array', '{1,2}', '{}', '00', '00000000 00000000 00000017'],
    ['textArray', '{a,"b c"}', '{}', '00', '00000000 00000000 00000019'],
  ])('%s %j', (type, value, asText, binary, asBinary) => {
    expect(text(redact, oids[type], value)).toBe(asText);
    expect(hex(redact, oids[type], binary)).toBe(asBinary.replaceAll(' ', ''));
  });
});

describe('Partial', () => {
  const last4: TransformSpec = { type: 'Partial', keepLast: 4 };
  const both: TransformSpec = { type: 'Partial', keepFirst: 1, keepLast: 2 };
  test.each<[TransformSpec, keyof typeof oids, string, string]>([
    [last4, 'text', '078-05-1120', '*******1120'],
    [last4, 'varchar', '12345', '*2345'],
    [last4, 'text', '1234', '****'],
    [last4, 'text', '12', '**'],
    [last4, 'text', '', ''],
    [last4, 'bpchar', '078-05-1120    ', '*******1120    '],
    [last4, 'bpchar', '    ', '    '],
    [last4, 'text', 'žluťoučký', '*****učký'],
    [last4, 'text', '👩‍👩 日本語', '***' + ' 日本語'],
    [both, 'text', 'Jürgen', 'J***en'],
    [both, 'text', '日本語です', '日**です'],
    [{ type: 'Partial', keepFirst: 2 }, 'text', 'abcdef', 'ab****'],
    [last4, 'int8', '4111111111111111', '1111'],
    [last4, 'int8', '4111111110000003', '3'],
    [last4, 'int4', '1234', '0'],
    [last4, 'int4', '-98765', '8765'],
    [both, 'int4', '-98765', '-90065'],
    [last4, 'int2', '32767', '2767'],
    [last4, 'date', '2024-05-17', '2000-01-01'],
    [last4, 'json', '{"card":"4111111111111111"}', '"***"'],
    [last4, 'uuid', '9b2d6b0e-6f3e-4a7e-9c42-0f2d3a4b5c6d', '00000000-0000-0000-0000-000000000000'],
  ])('%j of %s %j', (spec, type, value, expected) => {
    expect(text(spec, oids[type], value)).toBe(expected);
  });
  test('in binary', () => {
    expect(hex(last4, oids.int4, '000181cd')).toBe('0000223d');
    expect(hex(last4, oids.int8, '000e9b08a568f1c7')).toBe('0000000000000457');
    expect(hex(last4, oids.int4, '0001')).toBe('00000000');
    expect(hex(last4, oids.text, Buffer.from('žluťoučký').toString('hex'))).toBe(
      Buffer.from('*****učký').toString('hex'),
    );
  });
});

describe('Generalize', () => {
  const year: TransformSpec = { type: 'Generalize', dateUnit: 'Year', step: 10 };
  const month: TransformSpec = { type: 'Generalize', dateUnit: 'Month', step: 1000 };
  test.each<[TransformSpec, keyof typeof oids, string, string]>([
    [year, 'date', '2024-05-17', '2024-01-01'],
    [month, 'date', '2024-05-17', '2024-05-01'],
    [month, 'date', '1999-12-31', '1999-12-01'],
    [month, 'date', '0044-03-15 BC', '2000-01-01'],
    [month, 'date', 'infinity', '2000-01-01'],
    [month, 'date', '17.05.2024', '2000-01-01'],
    [year, 'timestamp', '2024-05-17 12:34:56.789', '2024-01-01 00:00:00'],
    [month, 'timestamp', '1970-02-03 04:05:06', '1970-02-01 00:00:00'],
    [month, 'timestamptz', '2024-05-01 01:00:00+02', '2024-04-01 00:00:00+00'],
    [month, 'timestamptz', '2024-05-01 01:00:00-05:30', '2024-05-01 00:00:00+00'],
    [year, 'int4', '47', '40'],
    [year, 'int4', '-47', '-50'],
    [year, 'int2', '-32768', '0'],
    [month, 'int8', '9223372036854775807', '9223372036854775000'],
    [year, 'numeric', '47.99', '40'],
    [year, 'numeric', '-0.01', '-10'],
    [year, 'numeric', 'NaN', '0'],
    [month, 'numeric', '123456789012345678901234567890.5', '123456789012345678901234567000'],
    [{ type: 'Generalize', step: 0.5 }, 'float8', '1.74', '1.5'],
    [{ type: 'Generalize', step: 0.5 }, 'int4', '7', '0'],
    [{ type: 'Generalize', step: 5 }, 'date', '2024-05-17', '2000-01-01'],
    [year, 'text', 'forty-seven', '***'],
    [year, 'bool', 't', 'f'],
  ])('%j of %s %s', (spec, type, value, expected) => {
    expect(text(spec, oids[type], value)).toBe(expected);
  });
  test('in binary', () => {
    // 2024-05-17 is day 8903, 2024-05-01 is day 8887 from 2000-01-01.
    expect(hex(month, oids.date, '000022c7')).toBe('000022b7');
    const micros = (iso: string) => BigInt(Date.parse(iso) - Date.UTC(2000, 0, 1)) * 1000n;
    const encoded = Buffer.alloc(8);
    encoded.writeBigInt64BE(micros('1999-05-17T12:34:56Z'));
    const expected = Buffer.alloc(8);
    expected.writeBigInt64BE(micros('1999-05-01T00:00:00Z'));
    expect(hex(month, oids.timestamptz, encoded.toString('hex'))).toBe(expected.toString('hex'));
    expect(hex(month, oids.timestamp, '7fffffffffffffff')).toBe('0000000000000000');
    expect(hex(year, oids.int2, 'ffd1')).toBe('ffce');
    // 12347.50 has digits 1, 2347, 5000; 12340 has digits 1, 2340.
    expect(hex(year, oids.numeric, '0003 0001 0000 0002 0001 092b 1388')).toBe(
      '00020001000000000001' + '0924',
    );
    expect(hex(year, oids.numeric, '0000 0000 c000 0000')).toBe('0000000000000000');
    expect(hex(year, oids.float8, '4047800000000000')).toBe('4044000000000000');
  });
});

describe('Fixed', () => {
  const fixed = (value: string): TransformSpec => ({ type: 'Fixed', fixed: value });
  test.each<[string, keyof typeof oids, string, string, string]>([
    ['hidden', 'text', 'x', 'hidden', Buffer.from('hidden').toString('hex')],
    ['hidden', 'varchar', 'abcd', 'hidd', Buffer.from('hidd').toString('hex')],
    ['日本', 'varchar', 'a', '日', 'e697a5'],
    ['no', 'bpchar', 'abcd', 'no  ', '6e6f2020'],
    ['hidden', 'json', '{}', '"hidden"', Buffer.from('"hidden"').toString('hex')],
    ['{"a":1}', 'jsonb', '[]', '{"a":1}', `01${Buffer.from('{"a":1}').toString('hex')}`],
    ['-7', 'int4', '5', '-7', 'fffffff9'],
    ['2.5', 'float4', '5', '2.5', '40200000'],
    ['0.1', 'float4', '5', '0.1', '3dcccccd'],
    ['-10000.05', 'numeric', '5', '-10000.05', '00030001400000020001000001f4'],
    ['true', 'bool', 'f', 't', '01'],
    ['1999-12-31', 'date', '2024-01-01', '1999-12-31', 'ffffffff'],
    ['00:00:01', 'time', '12:00:00', '00:00:01', '00000000000f4240'],
    ['2000-01-01 00:00:00.5', 'timestamp', '', '2000-01-01 00:00:00.5', '000000000007a120'],
    ['2000-01-01 01:00:00+01', 'timestamptz', '', '2000-01-01 00:00:00+00', '0000000000000000'],
    ['\\x00ff', 'bytea', '\\x', '\\x00ff', '00ff'],
  ])('%s as %s', (value, type, input, asText, asBinary) => {
    expect(text(fixed(value), oids[type], input)).toBe(asText);
    expect(hex(fixed(value), oids[type], Buffer.from(input).toString('hex'))).toBe(asBinary);
  });
  test.each<[string, keyof typeof oids]>([
    ['hidden', 'int4'],
    ['99999999999', 'int4'],
    ['hidden', 'uuid'],
    ['2024-02-30', 'date'],
    ['x', 'xml'],
    ['x', 'inet'],
    ['{}', 'int4Array'],
  ])('%s is no %s that could be kept', (value, type) => {
    expect(bind(fixed(value), oids[type])).toBeUndefined();
  });
});

test('what cannot be bound', () => {
  const userType = 54_321;
  for (const type of ['Redact', 'Partial', 'Hash', 'Pseudonym', 'Generalize', 'Fixed'] as const) {
    expect(bind({ type, keepLast: 1, step: 1, fixed: 'x' }, userType)).toBeUndefined();
  }
  expect(bind({ type: 'Fixed' }, oids.text)).toBeUndefined();
  for (const secret of [undefined, '', 'c2hvcnQ=']) {
    expect(bindTransform({ type: 'Hash' }, refOf('m'), secret, oids.text, 0)).toBeUndefined();
    expect(bindTransform({ type: 'Pseudonym' }, refOf('m'), secret, oids.int4, 1)).toBeUndefined();
  }
  const nulled = bind({ type: 'Null' }, userType, 1)!;
  expect(apply(nulled, Buffer.from('anything'))).toBeNull();
});

describe('Hash and Pseudonym', () => {
  const hash: TransformSpec = { type: 'Hash' };
  const pseudonym: TransformSpec = { type: 'Pseudonym' };

  test.each([
    ['078-05-1120', /^\d{3}-\d\d-\d{4}$/],
    ['Ann.Lee@example.com', /^[A-Z][a-z]{2}\.[A-Z][a-z]{2}@[a-z]{7}\.[a-z]{3}$/],
    ['Žofie', /^[a-z]{5}$/],
  ])('a pseudonym of %s keeps its shape', (value, shape) => {
    const masked = text(pseudonym, oids.text, value)!;
    expect(masked).toMatch(shape);
    expect(masked).not.toBe(value);
    expect(text(pseudonym, oids.varchar, value)).toBe(masked);
    expect(text(pseudonym, oids.bpchar, `${value}  `)).toBe(`${masked}  `);
    expect(text(pseudonym, oids.text, value, otherKey)).not.toBe(masked);
  });

  test('a long value has a pseudonym that does not repeat, also in place', () => {
    const masked = text(pseudonym, oids.text, 'x'.repeat(200))!;
    expect(masked).toMatch(/^[a-z]{200}$/);
    expect(masked.slice(0, 32)).not.toBe(masked.slice(32, 64));
  });

  test('numbers keep their digits and sign', () => {
    expect(text(pseudonym, oids.int4, '-4711')).toMatch(/^-[1-9]\d{3}$/);
    expect(text(pseudonym, oids.numeric, '-0047.110')).toMatch(/^-00[1-9]\d\.\d{3}$/);
    for (const value of ['2147483647', '1000000000', '-2147483648']) {
      const masked = BigInt(text(pseudonym, oids.int4, value)!);
      expect(BigInt.asIntN(32, masked)).toBe(masked);
      expect(String(masked).replace('-', '')).toHaveLength(10);
    }
  });

  test('a value without room for its pseudonym becomes neutral', () => {
    // 1e1000 is one digit in binary, and a thousand once they are chosen.
    expect(hex(pseudonym, oids.numeric, '0001 00fa 0000 0000 0001')).toBe('0000000000000000');
  });

  test('equal values have equal hashes, in both formats; without the key nobody has them', () => {
    expect(text(hash, oids.text, 'a')).toMatch(/^[0-9a-f]{32}$/);
    expect(text(hash, oids.text, 'a')).toBe(text(hash, oids.name, 'a'));
    expect(text(hash, oids.text, 'a')).not.toBe(text(hash, oids.text, 'b'));
    expect(text(hash, oids.text, 'a')).not.toBe(text(hash, oids.text, 'a', otherKey));
    expect(text(hash, oids.varchar, 'abcdef')).toBe(text(hash, oids.text, 'abcdef')!.slice(0, 6));
    expect(text(hash, oids.bpchar, 'ab  ')).toBe(text(hash, oids.text, 'ab')!.slice(0, 4));
    expect(text(hash, oids.numeric, '12.50')).toBe(text(hash, oids.numeric, '12.5'));
    expect(text(hash, oids.numeric, '10')).not.toBe(text(hash, oids.numeric, '1'));
    expect(text(hash, oids.bool, 't')).toBe('f');
    const tenth = Buffer.from('3dcccccd', 'hex');
    const hashed = apply(bind(hash, oids.float4, 1)!, tenth)!.readFloatBE();
    expect(Number(text(hash, oids.float4, '0.1'))).toBe(hashed);
    const json = text(hash, oids.jsonb, '{"a": 1}')!;
    expect(JSON.parse(json)).toHaveLength(32);
    expect(hex(hash, oids.jsonb, `01${Buffer.from('{"a": 1}').toString('hex')}`)).toBe(
      `01${Buffer.from(json).toString('hex')}`,
    );
  });
});

/** For types with both formats: a value in either, and what a valid masked value looks like. */
interface Sample {
  readonly type: keyof typeof oids;
  readonly text: string;
  readonly binary: Buffer;
}

const bytesOf = (length: number, write: (bytes: Buffer) => void): Buffer => {
  const bytes = Buffer.alloc(length);
  write(bytes);
  return bytes;
};
const pgEpoch = Date.UTC(2000, 0, 1);
const day = fc.integer({ min: -300_000, max: 700_000 });
const sample: fc.Arbitrary<Sample> = fc.oneof(
  fc.integer({ min: -32768, max: 32767 }).map((value) => ({
    type: 'int2' as const,
    text: String(value),
    binary: bytesOf(2, (bytes) => bytes.writeInt16BE(value)),
  })),
  fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }).map((value) => ({
    type: 'int4' as const,
    text: String(value),
    binary: bytesOf(4, (bytes) => bytes.writeInt32BE(value)),
  })),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map((value) => ({
    type: 'int8' as const,
    text: String(value),
    binary: bytesOf(8, (bytes) => bytes.writeBigInt64BE(value)),
  })),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => ({
    type: 'float8' as const,
    text: String(value),
    binary: bytesOf(8, (bytes) => bytes.writeDoubleBE(value)),
  })),
  day.map((days) => ({
    type: 'date' as const,
    text: new Date(pgEpoch + days * 86_400_000).toISOString().slice(0, 10),
    binary: bytesOf(4, (bytes) => bytes.writeInt32BE(days)),
  })),
  fc.tuple(day, fc.integer({ min: 0, max: 86_399_999 })).map(([days, ms]) => {
    const at = pgEpoch + days * 86_400_000 + ms;
    return {
      type: 'timestamptz' as const,
      text: `${new Date(at).toISOString().replace('T', ' ').slice(0, -1)}+00`,
      binary: bytesOf(8, (bytes) => bytes.writeBigInt64BE(BigInt(at - pgEpoch) * 1000n)),
    };
  }),
  fc.uint8Array({ minLength: 16, maxLength: 16 }).map((value) => {
    const hex = Buffer.from(value).toString('hex');
    return {
      type: 'uuid' as const,
      text: hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-'),
      binary: Buffer.from(value),
    };
  }),
  fc.uint8Array({ maxLength: 40 }).map((value) => ({
    type: 'bytea' as const,
    text: `\\x${Buffer.from(value).toString('hex')}`,
    binary: Buffer.from(value),
  })),
  fc
    .tuple(
      fc.boolean(),
      fc.array(fc.integer({ min: 0, max: 9999 }), { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 0, max: 6 }),
    )
    .map(([minus, groups, scale]) => numericSample(minus, groups, scale)),
);

/** A numeric with these base-10000 digits before the point, and a fraction of 1 at the last place. */
function numericSample(minus: boolean, groups: readonly number[], scale: number): Sample {
  const whole = groups
    .map((group) => String(group).padStart(4, '0'))
    .join('')
    .replace(/^0+(?=\d)/, '');
  const fraction = scale === 0 ? '' : `${'0'.repeat(scale - 1)}1`;
  const digits = [
    ...groups,
    ...(fraction.padEnd(Math.ceil(scale / 4) * 4, '0').match(/.{4}/g) ?? []).map(Number),
  ];
  let weight = groups.length - 1;
  while (digits.length > 0 && digits[0] === 0) {
    digits.shift();
    weight -= 1;
  }
  while (digits.at(-1) === 0) digits.pop();
  const zero = digits.length === 0;
  const header = [digits.length, zero ? 0 : weight & 0xffff, minus && !zero ? 0x4000 : 0, scale];
  return {
    type: 'numeric',
    text: `${minus && !zero ? '-' : ''}${whole}${scale === 0 ? '' : `.${fraction}`}`,
    binary: bytesOf(8 + 2 * digits.length, (bytes) => {
      [...header, ...digits].forEach((value, index) => {
        bytes.writeUInt16BE(value, 2 * index);
      });
    }),
  };
}

/** A binary value as its text, as the server would print it; throws on what the server would not take. */
function print(type: Sample['type'], bytes: Buffer): string {
  const exactly = (length: number): void => expect(bytes).toHaveLength(length);
  switch (type) {
    case 'int2':
      exactly(2);
      return String(bytes.readInt16BE());
    case 'int4':
      exactly(4);
      return String(bytes.readInt32BE());
    case 'int8':
      exactly(8);
      return String(bytes.readBigInt64BE());
    case 'float8':
      exactly(8);
      return String(bytes.readDoubleBE());
    case 'date':
      exactly(4);
      return new Date(pgEpoch + bytes.readInt32BE() * 86_400_000).toISOString().slice(0, 10);
    case 'timestamptz': {
      exactly(8);
      const at = new Date(pgEpoch + Number(bytes.readBigInt64BE() / 1000n)).toISOString();
      return `${at
        .replace('T', ' ')
        .slice(0, -1)
        .replace(/\.?0+$/, '')}+00`.replace(/:(\d)\+/, ':$10+');
    }
    case 'uuid':
      exactly(16);
      return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
    case 'bytea':
      return `\\x${bytes.toString('hex')}`;
    case 'numeric':
      return printNumeric(bytes);
    default:
      throw new Error(type);
  }
}

function printNumeric(bytes: Buffer): string {
  const count = bytes.readUInt16BE(0);
  const weight = bytes.readInt16BE(2);
  const sign = bytes.readUInt16BE(4);
  const scale = bytes.readUInt16BE(6);
  expect(bytes).toHaveLength(8 + 2 * count);
  expect([0, 0x4000]).toContain(sign);
  let scaled = 0n;
  const lowest = -Math.ceil(scale / 4);
  for (let position = weight; position >= lowest; position -= 1) {
    const index = weight - position;
    const digit = index < count ? bytes.readUInt16BE(8 + 2 * index) : 0;
    expect(digit).toBeLessThan(10_000);
    scaled = scaled * 10_000n + BigInt(digit);
  }
  if (weight < lowest) scaled = 0n;
  const all = scaled.toString().padStart(4 * Math.ceil(scale / 4) + 1, '0');
  const point = all.length - 4 * Math.ceil(scale / 4);
  const fraction = scale === 0 ? '' : `.${all.slice(point, point + scale)}`;
  return `${sign === 0 ? '' : '-'}${all.slice(0, point)}${fraction}`;
}

const spec: fc.Arbitrary<TransformSpec> = fc.oneof(
  fc.constant<TransformSpec>({ type: 'Redact' }),
  fc.constant<TransformSpec>({ type: 'Hash' }),
  fc.constant<TransformSpec>({ type: 'Pseudonym' }),
  fc.record({
    type: fc.constant('Partial' as const),
    keepFirst: fc.integer({ min: 0, max: 5 }),
    keepLast: fc.integer({ min: 0, max: 5 }),
  }),
  fc.record({
    type: fc.constant('Generalize' as const),
    dateUnit: fc.constantFrom('Year' as const, 'Month' as const),
    step: fc.constantFrom(1, 10, 1000, 1e12),
  }),
);

describe('whatever the value', () => {
  test('text and binary are masked alike, to a value of the type', () => {
    fc.assert(
      fc.property(sample, spec, (value, transform) => {
        const oid = oids[value.type];
        expect(print(value.type, value.binary).replace('-0', '0')).toBeDefined();
        const asText = apply(bind(transform, oid, 0)!, Buffer.from(value.text))!.toString();
        const asBinary = apply(bind(transform, oid, 1)!, value.binary)!;
        const printed = print(value.type, asBinary);
        if (value.type === 'float8') expect(Number(printed)).toBe(Number(asText) + 0);
        else if (value.type === 'numeric') expect(Number(printed)).toBe(Number(asText));
        else expect(asText).toBe(printed);
      }),
      { numRuns: 1000 },
    );
  });

  test('text stays UTF-8, within its length, and shows no more than is kept', () => {
    const characters = fc.array(
      fc.oneof(fc.constantFrom(...'abcXYZ019 -.@'), fc.constantFrom('ž', '日', '👩', 'é')),
      { maxLength: 30 },
    );
    const types = fc.constantFrom('text', 'varchar', 'bpchar', 'name', 'unknown' as const);
    fc.assert(
      fc.property(characters, types, spec, (chars, type, transform) => {
        const input = Buffer.from(chars.join(''));
        const masked = apply(bind(transform, oids[type as keyof typeof oids])!, input)!;
        const out = masked.toString();
        expect(Buffer.from(out)).toEqual(masked);
        if (type === 'varchar') expect(Array.from(out).length).toBeLessThanOrEqual(chars.length);
        if (type === 'bpchar') expect(Array.from(out)).toHaveLength(chars.length);
        if (transform.type === 'Partial') {
          const content = type === 'bpchar' ? chars.join('').replace(/ +$/, '') : chars.join('');
          const kept = (transform.keepFirst ?? 0) + (transform.keepLast ?? 0);
          const all = Array.from(content);
          const stars = Array.from(out).filter((char) => char === '*').length;
          expect(stars).toBe(all.length <= kept ? all.length : all.length - kept);
        }
      }),
      { numRuns: 500 },
    );
  });

  test('bytes that are no value of the type become a neutral one, and never fail', () => {
    const types = fc.constantFrom(...Object.values(oids));
    const format = fc.constantFrom(0 as const, 1 as const);
    fc.assert(
      fc.property(
        fc.uint8Array({ maxLength: 40 }),
        types,
        format,
        spec,
        (bytes, oid, form, one) => {
          expect(apply(bind(one, oid, form)!, Buffer.from(bytes))).not.toBeNull();
        },
      ),
      { numRuns: 1000 },
    );
  });
});
