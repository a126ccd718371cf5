import { expect, test } from '@jest/globals';
import type { SecretTexts } from './secrets.ts';
import { rotateSigningKeys, signingKeyPeriodMs, signingKeyPublishMs } from './signing-keys.ts';

const startMs = Date.UTC(2026, 0, 1);
const kidOf = (text: string | undefined): string | undefined =>
  text === undefined ? undefined : (JSON.parse(text) as { kid: string }).kid;
const keysOf = (texts: SecretTexts): (string | undefined)[] =>
  ['previous.json', 'current.json', 'next.json'].map((file) => kidOf(texts[file]));

test('one key, then its successor beside it, then that one with the key before it', async () => {
  const first = (await rotateSigningKeys(undefined, startMs))!;
  const [, one] = keysOf(first);
  expect(keysOf(first)).toEqual([undefined, one, undefined]);
  const announceMs = startMs + signingKeyPeriodMs - signingKeyPublishMs;
  expect(await rotateSigningKeys(first, announceMs - 1)).toBeUndefined();

  const second = (await rotateSigningKeys(first, announceMs))!;
  const [, , two] = keysOf(second);
  expect(keysOf(second)).toEqual([undefined, one, two]);
  expect(two).not.toBe(one);
  expect(await rotateSigningKeys(second, startMs + signingKeyPeriodMs - 1)).toBeUndefined();

  const third = (await rotateSigningKeys(second, startMs + signingKeyPeriodMs))!;
  expect(keysOf(third)).toEqual([one, two, undefined]);

  const fourth = (await rotateSigningKeys(third, announceMs + signingKeyPeriodMs))!;
  const [gone, current, three] = keysOf(fourth);
  expect([gone, current]).toEqual([undefined, two]);
  expect(three).toBeDefined();
});

test('a key that was announced late signs as much later', async () => {
  const first = (await rotateSigningKeys(undefined, startMs))!;
  const lateMs = startMs + 2 * signingKeyPeriodMs;
  const second = (await rotateSigningKeys(first, lateMs))!;
  expect(await rotateSigningKeys(second, lateMs + signingKeyPublishMs - 1)).toBeUndefined();
  expect(await rotateSigningKeys(second, lateMs + signingKeyPublishMs)).toBeDefined();
});

test.each<[string, (texts: SecretTexts) => SecretTexts]>([
  ['no key', ({ 'current-since': since }) => ({ 'current-since': since! })],
  ['no date', ({ 'current.json': key }) => ({ 'current.json': key! })],
  ['a broken key', (texts) => ({ ...texts, 'current.json': '{}' })],
])('a Secret with %s begins anew', async (_, damage) => {
  const first = (await rotateSigningKeys(undefined, startMs))!;
  const again = (await rotateSigningKeys(damage(first), startMs))!;
  expect(kidOf(again['current.json'])).toMatch(/.+/);
  expect(kidOf(again['current.json'])).not.toBe(kidOf(first['current.json']));
});
