import { Writable } from 'node:stream';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { describe, expect, test } from '@jest/globals';
import type { Lookup } from './addresses.ts';
import { parseLockedTargets } from './config.ts';
import type { Rules } from './install.ts';
import { lockDown } from './lockdown.ts';

const zone: Record<string, readonly string[]> = {
  'db.data.svc.cluster.local': ['10.96.0.9', '10.96.0.7'],
  'dual.data.svc.cluster.local': ['10.96.0.8', 'fd00::8'],
  'mapped.example.com': ['::ffff:10.9.8.7', '2001:DB8:0::1'],
  'self.example.com': ['127.0.0.1'],
};
const lookup: Lookup = async (host, family) => {
  if (host === 'half.example.com' && family === 6) throw new Error('queryAaaa ETIMEOUT');
  if (host === 'half.example.com') return ['10.0.0.1'];
  return (zone[host] ?? []).filter((address) => address.includes(':') === (family === 6));
};

async function families(list: readonly object[], hasIpv6 = true): Promise<readonly Rules[]> {
  let installed: readonly Rules[] = [];
  const destination = new Writable({ write: (_chunk, _encoding, done) => done() });
  await lockDown(parseLockedTargets(JSON.stringify(list)), 64821, {
    lookup,
    hasIpv6,
    install: async (rules) => {
      installed = rules;
    },
    logger: createLogger({ program: 'test', level: 'silent', clock: systemClock(), destination }),
  });
  return installed;
}

const target = (host: string, anyAddress = false, port = 5432) => ({ host, port, anyAddress });

describe('what is closed', () => {
  test('every address of every host, each once; ports only where they are listed', async () => {
    const list = [
      target('db.data.svc.cluster.local'),
      target('dual.data.svc.cluster.local', true, 6432),
      target('db.data.svc.cluster.local', true, 5433),
      target('10.96.0.7', true, 6432),
    ];
    expect(await families(list)).toEqual([
      {
        family: 4,
        uid: 64821,
        addresses: ['10.96.0.7', '10.96.0.8', '10.96.0.9'],
        ports: [5433, 6432],
      },
      { family: 6, uid: 64821, addresses: ['fd00::8'], ports: [5433, 6432] },
    ]);
  });

  test('IPv4 within IPv6 is closed as IPv4; addresses are compared in one form', async () => {
    const [v4, v6] = await families([target('mapped.example.com'), target('2001:db8::1')]);
    expect(v4?.addresses).toEqual(['10.9.8.7']);
    expect(v6?.addresses).toEqual(['2001:db8::1']);
  });

  test('a kernel without IPv6 has nothing to close there', async () => {
    const found = await families([target('dual.data.svc.cluster.local')], false);
    expect(found.map(({ family }) => family)).toEqual([4]);
  });

  test('a host that does not resolve may be left out where its port is closed anyway', async () => {
    const [v4] = await families([target('gone.example.com', true)]);
    expect(v4).toMatchObject({ addresses: [], ports: [5432] });
  });
});

describe('what cannot be closed ends in a failure', () => {
  test.each([
    ['a name without addresses', 'gone.example.com', /has no address in DNS/],
    ['a name of which one family does not answer', 'half.example.com', /cannot be told.*ETIMEOUT/],
    ['a name of the pod itself', 'self.example.com', /an address of the pod itself/],
    ['an address of the pod itself', '::ffff:127.0.0.1', /an address of the pod itself/],
  ])('%s', async (_case, host, message) => {
    await expect(families([target(host)])).rejects.toMatchObject({
      code: 'CHP-1021',
      message: expect.stringMatching(message),
    });
  });
});

describe('a list that is not understood is refused', () => {
  test.each([
    ['no JSON', '{', /no JSON/],
    ['no list', '{}', /list/],
    ['an empty list', '[]', /at least one/],
    ['no object', '[null]', /needs a host/],
    ['no host', '[{"port":5432,"anyAddress":true}]', /entry 0 needs a host/],
    ['a host that is an option', '[{"host":"-j","port":1,"anyAddress":true}]', /needs a host/],
    ['a line break', '[{"host":"a\\nb","port":1,"anyAddress":true}]', /needs a host/],
    ['a port as text', '[{"host":"a","port":"1","anyAddress":true}]', /port from 1/],
    ['port 0', '[{"host":"a","port":0,"anyAddress":true}]', /port from 1/],
    ['no anyAddress', '[{"host":"a","port":1}]', /anyAddress/],
    [
      'a key that is not known',
      '[{"host":"a","port":1,"anyAddress":true,"udp":1}]',
      /unknown key udp/,
    ],
  ])('%s', (_case, text, message) => {
    expect(() => parseLockedTargets(text)).toThrow(
      expect.objectContaining({ code: 'CHP-1002', message: expect.stringMatching(message) }),
    );
  });
});
