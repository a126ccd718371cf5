import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import type { TransformSpec } from '../../policy/types.ts';
import { mask } from '../../testing/policy-fixtures.ts';
import { compileMaskSet } from '../mask-set.ts';
import { type FieldMask, NULL_FIELD } from '../types.ts';
import { bindDetectors } from './detector-mask.ts';

const key = Buffer.alloc(32, 7).toString('base64');
const redact: TransformSpec = { type: 'Redact' };
const last4: TransformSpec = { type: 'Partial', keepLast: 4 };

function detector(detectors: readonly string[], transform = redact, json = false): FieldMask {
  const { masks } = compileMaskSet([
    mask('scan', { detectors, resources: ['**'], transform, key }),
  ]);
  return bindDetectors(masks, true, json);
}

/** Masks in place and apart, and expects the same; null for NULL. */
function apply(one: FieldMask, value: string | Buffer): string | null {
  const input = Buffer.from(value);
  const around = Buffer.concat([Buffer.from('9@A'), input, Buffer.from('1@z')]);
  const dst = Buffer.alloc(input.length);
  const length = one.write(around, 3, 3 + input.length, dst, 0);
  const moved = Buffer.from(around);
  expect(one.write(moved, 3, 3 + input.length, moved, 1)).toBe(length);
  if (length === NULL_FIELD) return null;
  expect(length).toBe(input.length);
  expect(moved.subarray(1, 1 + length)).toEqual(dst);
  expect(moved.subarray(3 + input.length).toString()).toBe('1@z');
  const still = Buffer.from(around);
  one.write(still, 3, 3 + input.length, still, 3);
  expect(still.subarray(3, 3 + length)).toEqual(dst);
  return dst.toString();
}

/** Test numbers of the card schemes. */
const cards = [
  '4111111111111111',
  '4222222222222',
  '5555555555554444',
  '2223003122003222',
  '378282246310005',
  '30569309025904',
  '6011111111111117',
  '3530111333300000',
] as const;

const card = fc.constantFrom(...cards);

/** A number with single separators here and there. */
const spaced = fc
  .tuple(card, fc.array(fc.constantFrom('', '', ' ', '-'), { minLength: 19, maxLength: 19 }))
  .map(([number, separators]) =>
    Array.from(number, (digit, index) => (index === 0 ? digit : separators[index] + digit)).join(
      '',
    ),
  );

const prose = fc.string({ unit: fc.constantFrom(...'abc Z.,:;!?()žé日\n"\\'), maxLength: 60 });

describe('PaymentCard', () => {
  const cardMask = detector(['PaymentCard'], last4);

  test.each([
    ['4111111111111111', '************1111'],
    ['4111 1111 1111 1111', '**** **** **** 1111'],
    ['4111-1111-1111-1111', '****-****-****-1111'],
    ['card 4111111111111111.', 'card ************1111.'],
    ['x4111111111111111y', 'x************1111y'],
    ['12 4111 1111 1111 1111 99', '12 **** **** **** 1111 99'],
    ['4111111111111111 5555555555554444', '************1111 ************4444'],
    ['4111111111111112', '4111111111111112'],
    ['41111111111111111111111111', '41111111111111111111111111'],
    ['4111  1111  1111  1111', '4111  1111  1111  1111'],
    ['0000000000000000', '0000000000000000'],
    ['', ''],
  ])('%s', (value, expected) => {
    expect(apply(cardMask, value)).toBe(expected);
    expect(cardMask.lastHit).toBe(value !== expected);
  });

  test('at any offset, with any separators', () => {
    fc.assert(
      fc.property(prose, spaced, prose, (before, number, after) => {
        const masked = apply(cardMask, before + number + after)!;
        const digits = number.replace(/\D/g, '');
        expect(masked.replace(/[ -]/g, '')).not.toContain(digits);
        expect(masked.startsWith(before)).toBe(true);
        expect(masked.endsWith(after)).toBe(true);
        expect(masked.replace(/\D/g, '').slice(-4)).toBe(digits.slice(-4));
      }),
      { numRuns: 2000 },
    );
  });

  test('in a long value at each offset', () => {
    for (let offset = 0; offset < 64; offset += 1) {
      const value = `${'.'.repeat(offset)}4111111111111111${'.'.repeat(64 - offset)}`;
      expect(apply(cardMask, value)).not.toContain('411111');
    }
  });

  test('a wrong check digit, or an issuer that does not exist, is none', () => {
    fc.assert(
      fc.property(card, fc.integer({ min: 1, max: 9 }), (number, change) => {
        const wrong = number.slice(0, -1) + String((Number(number.at(-1)) + change) % 10);
        expect(apply(cardMask, wrong)).toBe(wrong);
      }),
    );
    expect(apply(cardMask, '9111111111111111')).toBe('9111111111111111');
  });

  test('a run of a hundred thousand digits costs no more than its length', () => {
    const groups = '12 '.repeat(40_000);
    expect(apply(cardMask, groups)).toBe(groups);
    const digits = '4'.repeat(100_000);
    expect(apply(cardMask, digits)).toBe(digits);
  });
});

describe('Email', () => {
  const emailMask = detector(['Email']);
  test.each([
    ['bob@example.com', '***************'],
    ['Write to bob.o+x@mail.example.co.uk.', `Write to ${'*'.repeat(26)}.`],
    ['<bob@example.com>', '<***************>'],
    ['{bob@example.com,ann@example.org}', '{***************,***************}'],
    ['jürgen@exämple.de', '*******************'],
    ['bob@example', 'bob@example'],
    ['bob@example.c', 'bob@example.c'],
    ['bob@example.com.a', '***************.a'],
    ['bob@1.2.3.44', 'bob@1.2.3.44'],
    ['@example.com', '@example.com'],
    ['a@@example.com', 'a@@example.com'],
    ['bob@.com', 'bob@.com'],
    ['bob@-', 'bob@-'],
    ['@', '@'],
  ])('%s', (value, expected) => {
    expect(apply(emailMask, value)).toBe(expected);
  });
  test('Partial keeps what makes it an address, and cuts no character', () => {
    const partial = detector(['Email'], { type: 'Partial', keepFirst: 1 });
    expect(apply(partial, 'bob@example.com')).toBe('b**@*******.***');
    expect(apply(partial, 'ürsel@example.com')).toBe('ü****@*******.***');
    expect(apply(partial, `${'日'.repeat(30)}@example.com`)).not.toContain('\ufffd');
  });
});

describe('IBAN', () => {
  const ibanMask = detector(['IBAN'], last4);
  test.each([
    ['DE89370400440532013000', '******************3000'],
    ['DE89 3704 0044 0532 0130 00', '**** **** **** **** **30 00'],
    ['gb82west12345698765432', '******************5432'],
    ['IBAN:GB82WEST12345698765432,', 'IBAN:******************5432,'],
    ['xNO9386011117947', 'x***********7947'],
    ['DE88370400440532013000', 'DE88370400440532013000'],
    ['DE8937040044053201300', 'DE8937040044053201300'],
    ['ZZ89370400440532013000', 'ZZ89370400440532013000'],
    ['DE89  370400440532013000', 'DE89  370400440532013000'],
    ['DE89', 'DE89'],
    ['12', '12'],
  ])('%s', (value, expected) => {
    expect(apply(ibanMask, value)).toBe(expected);
  });
  test('at any offset', () => {
    fc.assert(
      fc.property(prose, prose, (before, after) => {
        const masked = apply(ibanMask, `${before}DE89370400440532013000${after}`)!;
        expect(masked).not.toContain('DE8937040044053201');
      }),
    );
  });
});

describe('transforms of a hit', () => {
  test.each<[TransformSpec, RegExp]>([
    [redact, /^a \*{19} b$/],
    [{ type: 'Generalize', step: 10 }, /^a \*{19} b$/],
    [{ type: 'Partial', keepFirst: 6, keepLast: 4 }, /^a 4111 11\*\* \*\*\*\* 1111 b$/],
    [{ type: 'Partial', keepFirst: 12, keepLast: 4 }, /^a \*{4} \*{4} \*{4} \*{4} b$/],
    [{ type: 'Hash' }, /^a [0-9a-f]{19} b$/],
    [{ type: 'Pseudonym' }, /^a \d{4} \d{4} \d{4} \d{4} b$/],
    [{ type: 'Fixed', fixed: 'hid"den' }, /^a hid\*den\*{12} b$/],
  ])('%j', (transform, expected) => {
    const one = detector(['PaymentCard'], transform);
    const masked = apply(one, 'a 4111 1111 1111 1111 b');
    expect(masked).toMatch(expected);
    expect(apply(one, 'a 4111 1111 1111 1111 b')).toBe(masked);
  });
  test('Null makes the whole value NULL, on a hit only', () => {
    const one = detector(['PaymentCard'], { type: 'Null' });
    expect(apply(one, 'a 4111111111111111 b')).toBeNull();
    expect(apply(one, 'nothing')).toBe('nothing');
  });
  test('a keyed transform without a key is Redact', () => {
    const { masks } = compileMaskSet([
      mask('scan', { detectors: ['Email'], resources: ['**'], transform: { type: 'Hash' } }),
    ]);
    expect(apply(bindDetectors(masks, true, false), 'bob@example.com')).toBe('*'.repeat(15));
  });
  test('several rules: the strictest takes the hit, and its rule is told', () => {
    const { masks } = compileMaskSet([
      mask('b-partial', {
        detectors: ['PaymentCard', 'Email'],
        resources: ['**'],
        transform: last4,
      }),
      mask('a-redact', { detectors: ['PaymentCard'], resources: ['**'] }),
    ]);
    const both = bindDetectors(masks, true, false);
    expect(apply(both, '4111111111111111')).toBe('****************');
    expect(both.rule.object).toBe('a-redact');
    expect(apply(both, 'bob@example.com')).toBe('***@******e.com');
    expect(both.rule.object).toBe('b-partial');
  });
});

describe('JSON', () => {
  const all = ['PaymentCard', 'Email', 'IBAN'];
  test.each([
    ['{"card":4111111111111111}', '{"card":1000000000001111}'],
    ['[4111111111111111, 5555555555554444]', '[1000000000001111, 1000000000004444]'],
    ['4111111111111111', '1000000000001111'],
    ['"4111111111111111"', '"************1111"'],
    ['{"a":"x\\n4111111111111111"}', '{"a":"x\\n************1111"}'],
    ['{"a":"\\u00204111111111111111"}', '{"a":"\\u0020************1111"}'],
    ['{"a":"x\\nbob@example.com"}', '{"a":"x\\n***@******e.com"}'],
  ])('%s', (value, expected) => {
    expect(apply(detector(all, last4, true), value)).toBe(expected);
  });

  test('binary jsonb has its version before the text', () => {
    const value = Buffer.concat([Buffer.from([1]), Buffer.from('4111111111111111')]);
    expect(apply(detector(all, last4, true), value)).toBe('\u00011000000000001111');
  });

  test('in a text column stays JSON, and a plain number gets stars', () => {
    expect(apply(detector(all, last4), '{"card": 4111111111111111}')).toBe(
      '{"card": 1000000000001111}',
    );
    expect(apply(detector(all, last4), '4111111111111111')).toBe('************1111');
  });

  test('stays valid, whatever is in it, and shows no secret', () => {
    const secrets = ['4111111111111111', 'bob@example.com', 'DE89370400440532013000'];
    const leaf = fc.oneof(
      fc.constantFrom(...secrets, 4111111111111111, 5555555555554444, -4111111111111111),
      fc.tuple(prose, fc.constantFrom(...secrets), prose).map((parts) => parts.join('')),
      fc.double({ noNaN: true }),
      fc.string({ unit: 'grapheme', maxLength: 12 }),
      fc.constant(null),
    );
    const value = fc.letrec((tie) => ({
      node: fc.oneof(
        { depthSize: 'small' },
        leaf,
        fc.array(tie('node'), { maxLength: 4 }),
        fc.dictionary(fc.oneof(prose, fc.constantFrom(...secrets)), tie('node'), { maxKeys: 4 }),
      ),
    })).node;
    const transforms = fc.constantFrom<TransformSpec>(
      redact,
      last4,
      { type: 'Hash' },
      { type: 'Pseudonym' },
      { type: 'Fixed', fixed: 'a"b\\c{' },
    );
    fc.assert(
      fc.property(
        value,
        transforms,
        fc.constantFrom(undefined, 1),
        (content, transform, indent) => {
          const masked = apply(
            detector(all, transform, true),
            JSON.stringify(content, null, indent),
          )!;
          expect(() => JSON.parse(masked)).not.toThrow();
          for (const secret of secrets) expect(masked).not.toContain(secret);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

test('UTF-8 stays UTF-8, and what has no hit stays as it is', () => {
  const all = detector(['PaymentCard', 'Email', 'IBAN']);
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 80 }), prose, (value, more) => {
      const masked = apply(all, `${value}@exämple.com${more}`)!;
      expect(masked).not.toContain('\ufffd');
      const plain = value.replaceAll('@', '');
      if (!/\d/.test(plain)) expect(apply(all, plain)).toBe(plain);
    }),
  );
});
