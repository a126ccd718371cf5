import { createHmac } from 'node:crypto';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { KeyedDigest, keyedDigest } from './keyed.ts';

test('is HMAC-SHA-256 (RFC 2104) of kind, counter and value', () => {
  const bytes = (max: number) =>
    fc.uint8Array({ maxLength: max }).map((value) => Buffer.from(value));
  fc.assert(
    fc.property(bytes(100), fc.array(bytes(9000), { maxLength: 4 }), (key, values) => {
      const digest = new KeyedDigest(key);
      values.forEach((value, counter) => {
        const expected = createHmac('sha256', key)
          .update(`kind\n${counter}\n`)
          .update(value)
          .digest();
        expect(digest.of('kind', value, counter)).toEqual(expected);
      });
      const text = createHmac('sha256', key).update('k\n0\nžluť').digest();
      expect(digest.of('k', 'žluť')).toEqual(text);
    }),
  );
});

test('a key is needed, of 16 bytes at least', () => {
  expect(keyedDigest(undefined)).toBeUndefined();
  expect(keyedDigest(Buffer.alloc(15).toString('base64'))).toBeUndefined();
  expect(keyedDigest(Buffer.alloc(16).toString('base64'))).toBeDefined();
});
