import { expect, test } from '@jest/globals';
import { hasOwnNameServers } from './name-servers.ts';
import { podOf } from './testing.ts';

test.each<[object, boolean]>([
  [{}, false],
  [{ dnsPolicy: 'ClusterFirst' }, false],
  [{ dnsPolicy: 'Default', dnsConfig: { options: [{ name: 'ndots', value: '1' }] } }, false],
  [{ dnsConfig: { nameservers: [] } }, false],
  [{ dnsConfig: { nameservers: ['10.9.8.7'] } }, true],
  [{ dnsPolicy: 'None', dnsConfig: { searches: ['example.com'] } }, true],
])('%j has name servers of its own: %s', (spec, expected) => {
  expect(hasOwnNameServers(podOf({ ...spec }).spec)).toBe(expected);
});
