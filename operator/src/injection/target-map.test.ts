import { describe, expect, test } from '@jest/globals';
import { allocateAddress, isAllocatable } from './loopback-addresses.ts';
import type { HostAlias } from './pod.ts';
import { mapTargets, type TargetMapInput } from './target-map.ts';
import { target } from './testing.ts';

const map = (input: Partial<TargetMapInput>) =>
  mapTargets({
    namespace: 'payments',
    targets: [target('data/orders-db')],
    hostAliases: [],
    ownNameServers: false,
    clusterDomain: 'cluster.local',
    hasService: () => false,
    ...input,
  });

const [orders] = map({}).targets;

describe('addresses', () => {
  test('are the same for a name everywhere, and different for different names', () => {
    expect(map({}).targets[0]!.address).toBe(orders!.address);
    const both = map({ targets: [target('data/orders-db'), target('data/ledger')] }).targets;
    expect(both.find(({ name }) => name === 'orders-db')!.address).toBe(orders!.address);
    expect(new Set(both.map(({ address }) => address)).size).toBe(2);
  });

  test('go round those that are taken, to the last', () => {
    const all = [...Array(254).keys()].flatMap((x) =>
      [...Array(254).keys()].map((y) => `127.0.${x + 1}.${y + 1}`),
    );
    expect(all.every(isAllocatable)).toBe(true);
    for (const free of [all[0]!, all[30_000]!, all.at(-1)!]) {
      const taken = new Set(all.filter((address) => address !== free));
      expect(allocateAddress('a', taken)).toBe(free);
      expect(() => allocateAddress('b', taken)).toThrow(RangeError);
    }
  });

  test.each(['127.0.0.1', '127.0.0.53', '127.0.0.54', '127.0.1.0', '127.0.1.255', '10.0.1.1'])(
    '%s is never given',
    (address) => expect(isAllocatable(address)).toBe(false),
  );

  test('that a pod uses itself are left to it', () => {
    const own = { ip: orders!.address, hostnames: ['app.local'] };
    const mapped = map({ hostAliases: [own] });
    expect(mapped.hostAliases).toContainEqual(own);
    expect(mapped.targets[0]!.address).not.toBe(orders!.address);
  });
});

describe('aliases of the pod', () => {
  const stale: HostAlias = { ip: '127.0.9.9', hostnames: ['orders-db.data.svc'] };

  test('of an earlier rendering are made anew', () => {
    expect(map({ hostAliases: [stale] })).toEqual(map({}));
  });

  test.each<[string, HostAlias]>([
    ['another address', { ...stale, ip: '10.0.0.9' }],
    ['the loopback that everyone has', { ...stale, ip: '127.0.0.1' }],
    ['a name beside', { ...stale, hostnames: ['orders-db.data.svc', 'app.local'] }],
  ])('with %s are its own: that name stays with it', (_, alias) => {
    const mapped = map({ hostAliases: [alias] });
    expect(mapped.hostAliases).toContainEqual(alias);
    expect(mapped.targets[0]!.hostNames).not.toContain('orders-db.data.svc');
    expect(mapped.warnings).toEqual([expect.objectContaining({ reason: 'HostAliasConflict' })]);
  });
});

describe('names', () => {
  test.each([
    ['orders', 'payments', 'orders'],
    ['orders.payments', 'payments', 'orders'],
    ['orders.payments.svc', 'payments', 'orders'],
    ['orders.payments.svc.cluster.local', 'payments', 'orders'],
    ['replica-0.orders.payments.svc', 'payments', 'orders'],
    ['kubernetes.default.svc', 'default', 'kubernetes'],
    ['chaperone-policy-api.chaperone-system', 'chaperone-system', 'chaperone-policy-api'],
  ])('an alias %s does not hide Service %s/%s', (alias, space, service) => {
    const mapped = map({
      targets: [target('data/orders-db', { aliases: [alias] })],
      hasService: (namespace, name) => namespace === space && name === service,
    });
    expect(mapped.targets[0]!.hostNames).not.toContain(alias);
    expect(mapped.warnings.map(({ reason }) => reason)).toContain('ShadowsService');
  });

  test("a Service of the Target's own namespace is its to name", () => {
    const mapped = map({
      targets: [target('data/orders-db', { aliases: ['other.data.svc'] })],
      hasService: (namespace) => namespace === 'data',
    });
    expect(mapped.targets[0]!.hostNames).toEqual(expect.arrayContaining(['other.data.svc']));
    expect(mapped.warnings).toEqual([]);
  });

  test('no more targets than a pod can be given, the oldest of them', () => {
    const targets = Array.from({ length: 600 }, (_, i) => {
      const created = new Date(Date.UTC(2026, 0, 1) + (600 - i) * 1000).toISOString();
      return target(`data/db-${String(i).padStart(3, '0')}`, {}, created);
    });
    const mapped = map({ targets });
    expect(mapped.targets).toHaveLength(500);
    expect(mapped.targets[0]!.name).toBe('db-100');
    expect(mapped.warnings).toHaveLength(100);
    const listen = JSON.stringify(
      mapped.targets.map(({ address, port }) => ({ target: 'n'.repeat(127), address, port })),
    );
    expect(listen.length).toBeLessThan(128 * 1024);
  });

  const many = (namespace: string, count: number, year: number) =>
    Array.from({ length: count }, (_, at) =>
      target(`${namespace}/db-${at}`, {}, new Date(Date.UTC(year, 0, 1) + at * 1000).toISOString()),
    );
  const mappedBy = (targets: readonly ReturnType<typeof target>[]): Record<string, string[]> => {
    const byNamespace: Record<string, string[]> = {};
    for (const { namespace, name } of map({ targets }).targets) {
      byNamespace[namespace] = [...(byNamespace[namespace] ?? []), name];
    }
    return byNamespace;
  };

  test('who makes thousands takes no room from others', () => {
    const mapped = mappedBy([
      ...many('greedy', 2000, 2020),
      ...many('payments', 20, 2026),
      ...many('data', 30, 2025),
      ...many('ledger', 1, 2026),
    ]);
    expect(mapped.payments).toHaveLength(20);
    expect(mapped.data).toHaveLength(30);
    expect(mapped.ledger).toHaveLength(1);
    expect(mapped.greedy).toHaveLength(449);
    expect(new Set(mapped.greedy)).toEqual(
      new Set(many('greedy', 449, 2020).map(({ metadata }) => metadata.name)),
    );
  });

  test('who cannot be mapped takes no room at all', () => {
    const addresses = many('data', 600, 2020).map((one) => ({
      ...one,
      spec: { ...one.spec, host: '10.0.0.1' },
    }));
    expect(mappedBy([...addresses, ...many('ledger', 400, 2026)]).ledger).toHaveLength(400);
  });

  test("of two with one alias the pod's own namespace's has it, else the older", () => {
    const aliases = ['db'];
    const older = target('data/a', { aliases }, '2020-01-01T00:00:00Z');
    const younger = target('ledger/b', { aliases, port: 5433 });
    const own = target('payments/c', { aliases, port: 5434 });
    const holder = (...targets: Parameters<typeof mappedBy>[0]) =>
      map({ targets }).targets.find(({ hostNames }) => hostNames.includes('db'))?.namespace;
    expect(holder(older, younger)).toBe('data');
    expect(holder(older, younger, own)).toBe('payments');
  });
});
