import { expect, test } from '@jest/globals';
import { isLoopback, resolveByDns } from './resolve-host.ts';

test.each([
  ['127.0.0.1', true],
  ['127.255.3.4', true],
  ['0.0.0.0', true],
  ['::1', true],
  ['::', true],
  ['::ffff:127.0.0.1', true],
  ['::ffff:7f00:1', true],
  ['0:0:0:0:0:0:0:1', true],
  ['10.0.0.1', false],
  ['128.0.0.1', false],
  ['::2', false],
  ['::ffff:10.0.0.1', false],
  ['localhost', false],
])('isLoopback(%s) is %s', (address, expected) => {
  expect(isLoopback(address)).toBe(expected);
});

test('localhost is not looked up', async () => {
  const signal = new AbortController().signal;
  expect(await resolveByDns('localhost', signal)).toEqual(['127.0.0.1', '::1']);
});
