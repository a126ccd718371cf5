import { expect, test } from '@jest/globals';
import { parseListenEntries } from './listen-entries.ts';

const entry = { target: 'data/orders-db', address: '127.0.1.1', port: 5432 };

test('takes targets at loopback addresses', () => {
  const others = [
    { target: 'data/other', address: '127.0.1.2', port: 5432 },
    { target: 'data/third', address: '::1', port: 5432 },
  ];
  expect(parseListenEntries(JSON.stringify([entry, ...others]))).toEqual([entry, ...others]);
  expect(parseListenEntries('[]')).toEqual([]);
});

test.each<[string, unknown]>([
  ['no list', {}],
  ['an entry that is no object', [null]],
  ['a name without a namespace', [{ ...entry, target: 'orders-db' }]],
  ['every address', [{ ...entry, address: '0.0.0.0' }]],
  ['every address in IPv6', [{ ...entry, address: '::' }]],
  ["the pod's address", [{ ...entry, address: '10.0.0.7' }]],
  ['a name for an address', [{ ...entry, address: 'localhost' }]],
  ['no port', [{ target: entry.target, address: entry.address }]],
  ['a port that is none', [{ ...entry, port: 65_536 }]],
  ['one place twice', [entry, { ...entry, target: 'data/other' }]],
  ['a key that is not known', [{ ...entry, tls: true }]],
])('refuses %s', (_name, value) => {
  expect(() => parseListenEntries(JSON.stringify(value))).toThrow(
    expect.objectContaining({ code: 'CHP-1002' }),
  );
});

test('refuses what is no JSON', () => {
  expect(() => parseListenEntries('[')).toThrow(/not JSON/);
});
