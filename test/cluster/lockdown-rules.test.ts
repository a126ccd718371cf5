/** The lockdown's rules against real sockets of different users. Needs root and iptables (nft). */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Caller,
  database,
  databaseName,
  databasePort,
  elsewhere,
  type Networks,
  openNetworks,
  otherPort,
} from './lockdown/networks.ts';
import { waitFor } from './node/wait-for.ts';

const app: Caller = { uid: 1000 };
const root: Caller = { uid: 0 };
const sidecar: Caller = { uid: 64821 };
const target = { host: databaseName, port: databasePort, anyAddress: false };
const anywhere = { ...target, anyAddress: true };

let networks: Networks;

beforeAll(async () => {
  networks = await openNetworks();
});
afterAll(() => networks?.close());

const rulesOf = (program: 'iptables' | 'ip6tables'): string =>
  networks
    .within('pod', `${program}-nft-save`, '-t', 'filter')
    .split('\n')
    .filter((line) => /^[-:]/.test(line))
    .map((line) => line.replace(/\[.*\]/, ''))
    .join('\n');

function flush(): void {
  for (const program of ['iptables-nft', 'ip6tables-nft']) {
    networks.within('pod', program, '-F');
    networks.within('pod', program, '-X');
  }
}

const answered = (address: string): string => `answered by ${address}`;
/** `[by whom, protocol, host, port, outcome]`. */
type Case = readonly [Caller, 'tcp' | 'udp', string, number, string];
const tcp = 'tcp';
const udp = 'udp';

const label = ({ uid, userNamespace, capabilities, becomes }: Caller): string =>
  [
    uid,
    ...(userNamespace ? ['root of a user namespace'] : []),
    ...(capabilities ? [`with ${capabilities}`] : []),
    ...(becomes === undefined ? [] : [`becoming ${becomes}`]),
  ].join(' ');
const named = (cases: readonly Case[]) =>
  cases.map((one) => [`${label(one[0])}: ${one[1]} ${one[2]} ${one[3]}`, ...one] as const);

describe('before', () => {
  const open: readonly Case[] = [database.v4, database.v6, elsewhere.v4, elsewhere.v6].flatMap(
    (address): Case[] => [
      [app, tcp, address, databasePort, answered(address)],
      [app, tcp, address, otherPort, answered(address)],
      [app, udp, address, databasePort, answered(address)],
    ],
  );
  test.each(named(open))('%s is open', async (_name, by, protocol, host, port, outcome) => {
    expect(await networks.call(by, protocol, host, port)).toBe(outcome);
  });
});

describe('closed by address', () => {
  beforeAll(async () => {
    flush();
    expect(await networks.lockDown([target])).toMatchObject({ code: 0 });
  });

  const cases: readonly Case[] = [
    ...[app, root, { ...app, userNamespace: true }].flatMap((by): Case[] => [
      [by, tcp, database.v4, databasePort, 'ECONNREFUSED'],
      [by, tcp, database.v6, databasePort, 'ECONNREFUSED'],
    ]),
    [app, tcp, `::ffff:${database.v4}`, databasePort, 'ECONNREFUSED'],
    [app, tcp, database.v4, otherPort, 'ECONNREFUSED'],
    [app, tcp, database.v6, otherPort, 'ECONNREFUSED'],
    [app, udp, database.v4, databasePort, 'EPERM'],
    [app, udp, database.v6, databasePort, 'EPERM'],
    // What is not a target stays open, on the target's port too.
    [app, tcp, elsewhere.v4, databasePort, answered(elsewhere.v4)],
    [app, tcp, elsewhere.v6, databasePort, answered(elsewhere.v6)],
    // Within the pod, where the sidecar listens.
    [app, tcp, '127.0.1.1', databasePort, answered('127.0.1.1')],
    [app, tcp, '::1', databasePort, answered('::1')],
    [sidecar, tcp, database.v4, databasePort, answered(database.v4)],
    [sidecar, tcp, database.v6, databasePort, answered(database.v6)],
    [sidecar, udp, database.v4, databasePort, answered(database.v4)],
  ];
  test.each(named(cases))('%s', async (_name, by, protocol, host, port, outcome) => {
    expect(await networks.call(by, protocol, host, port)).toBe(outcome);
  });

  test('who may change his user passes: such containers must not be in the pod', async () => {
    const becomes = sidecar.uid;
    const call = (by: Caller) => networks.call(by, 'tcp', database.v4, databasePort);
    expect(await call({ uid: 0, capabilities: ['setuid'], becomes })).toBe(answered(database.v4));
    expect(await call({ uid: 0, becomes })).toBe('EPERM');
    expect(await call({ uid: 1000, capabilities: ['setuid'], becomes })).toBe('EPERM');
    expect(await call({ uid: 1000, userNamespace: true, becomes })).toBe('EINVAL');
  });

  test.each([database.v4, database.v6])(
    'a server at %s that has to find the pod again finds it',
    async (address) => {
      const held = await networks.hold(sidecar, address, databasePort);
      networks.within('outside', 'ip', 'neigh', 'flush', 'all');
      expect(await held.ask()).toBe('ping');
      await held.end();
    },
  );

  test.each([database.v4, database.v6])(
    'the end of a connection to %s arrives',
    async (address) => {
      const closed = await networks.hold(sidecar, address, databasePort);
      expect(await closed.ask()).toBe('ping');
      await closed.end();
      const killed = await networks.hold(sidecar, address, databasePort);
      expect(await killed.ask()).toBe('ping');
      await killed.kill();
      // Nothing is left at the server that waits for an answer of ours.
      await waitFor(() => connectionsAt(address).length === 0, {
        what: 'the server to see both ends',
      });
    },
  );
});

describe('closed at any address', () => {
  beforeAll(async () => {
    flush();
    expect(await networks.lockDown([anywhere])).toMatchObject({ code: 0 });
  });

  const cases: readonly Case[] = [
    ...[database.v4, database.v6, elsewhere.v4, elsewhere.v6].flatMap((address): Case[] => [
      [app, tcp, address, databasePort, 'ECONNREFUSED'],
      [sidecar, tcp, address, databasePort, answered(address)],
    ]),
    [app, tcp, database.v4, otherPort, 'ECONNREFUSED'],
    // TCP alone is closed by port.
    [app, udp, elsewhere.v4, databasePort, answered(elsewhere.v4)],
    [app, tcp, elsewhere.v6, otherPort, answered(elsewhere.v6)],
    [app, tcp, '127.0.1.1', databasePort, answered('127.0.1.1')],
    [app, tcp, '::1', databasePort, answered('::1')],
  ];
  test.each(named(cases))('%s', async (_name, by, protocol, host, port, outcome) => {
    expect(await networks.call(by, protocol, host, port)).toBe(outcome);
  });
});

describe('installing', () => {
  test('a second run leaves the same rules, and rules of others stay behind ours', async () => {
    flush();
    networks.within('pod', 'iptables-nft', '-A', 'OUTPUT', '-d', '192.0.2.1', '-j', 'DROP');
    await networks.lockDown([target]);
    const once = [rulesOf('iptables'), rulesOf('ip6tables')];
    expect(once[0]).toContain('-A OUTPUT -j CHAPERONE_EGRESS\n-A OUTPUT -d 192.0.2.1/32 -j DROP');
    await networks.lockDown([target]);
    expect([rulesOf('iptables'), rulesOf('ip6tables')]).toEqual(once);
    // What is asked for now counts, not what was asked for before.
    await networks.lockDown([{ host: elsewhere.v4, port: databasePort, anyAddress: false }]);
    expect(rulesOf('iptables')).not.toContain(database.v4);
    expect(rulesOf('ip6tables')).not.toContain(database.v6);
    expect(await networks.call(app, 'tcp', elsewhere.v4, databasePort)).toBe('ECONNREFUSED');
    expect(await networks.call(app, 'tcp', database.v4, databasePort)).toBe(answered(database.v4));
  });

  test('a connection that is open is cut', async () => {
    flush();
    const held = await networks.hold(app, database.v4, databasePort);
    expect(await held.ask()).toBe('ping');
    await networks.lockDown([target]);
    expect(await held.ask()).toBe('ECONNRESET');
    await held.kill();
  });

  const unresolvable = { host: 'gone.data.svc.cluster.local', port: 5432, anyAddress: false };
  test.each([
    ['a host does not resolve', [target, unresolvable], {}, /gone.* has no address in DNS/],
    ['a host is this pod', [{ ...target, host: '127.0.1.1' }], {}, /the pod itself/],
    ['it lacks NET_ADMIN', [target], { capabilities: ['net_raw'] }, /CHP-1021.*failed/],
    ['there is no iptables', [target], { path: '/nonexistent' }, /CHP-1021.*cannot be run/],
  ])('fails and changes nothing when %s', async (_case, targets, options, message) => {
    flush();
    expect(await networks.lockDown(targets, options)).toEqual({
      code: 1,
      stderr: expect.stringMatching(message),
    });
    expect(rulesOf('iptables') + rulesOf('ip6tables')).not.toContain('CHAPERONE');
  });

  test('a host that does not resolve is no hindrance where its port is closed anyway', async () => {
    flush();
    const { code, stderr } = await networks.lockDown([{ ...unresolvable, anyAddress: true }]);
    expect({ code, stderr }).toEqual({
      code: 0,
      stderr: expect.stringContaining('The host does not resolve'),
    });
    expect(await networks.call(app, 'tcp', database.v6, databasePort)).toBe('ECONNREFUSED');
  });
});

/** Connections at the server that are not over. */
function connectionsAt(address: string): string[] {
  return networks
    .within('outside', 'ss', '-Htn', 'state', 'connected', 'src', `[${address}]`)
    .split('\n')
    .filter((line) => line !== '');
}
