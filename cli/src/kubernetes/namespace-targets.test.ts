import { describe, expect, test } from '@jest/globals';
import { renderStatus } from './render-status.ts';
import { statusReport } from './status-report.ts';
import { cluster, identity, nowMs, pod, policy, raw, target } from './testing.ts';
import { whyReport } from './why-report.ts';

const injected = { labels: { 'chaperone.dev/inject': 'enabled' } };
const closed = raw('Namespace', 'payments', {}, injected);
const data = raw('Namespace', 'data');
const own = {
  ...target,
  metadata: { ...target.metadata, namespace: 'payments', name: 'own-db' },
  spec: { ...(target as typeof target & { spec: object }).spec, host: 'own-db.payments.svc' },
};
const bare = pod('payments/a', { spec: { hostAliases: [] } });

const namespaceProblems = (...given: Parameters<typeof cluster>) =>
  statusReport(cluster(...given), nowMs).broken.filter(({ what }) => what.startsWith('Namespace'));

describe('targets of other namespaces that are not accepted', () => {
  test('are told of with the label that accepts them', () => {
    const lines = renderStatus(
      statusReport(cluster([bare], [closed, data, identity, target]), nowMs),
    ).join('\n');
    expect(lines).toContain(`Namespace payments: ForeignTargetsNotAccepted
   Target data/orders-db is open to it, but the namespace does not accept targets of other
   namespaces
   > kubectl label namespace payments chaperone.dev/foreign-targets=accept`);
    const why = whyReport(cluster([bare], [closed, data, identity, target]), 'a', nowMs);
    expect(why?.broken).toMatchObject([
      expect.objectContaining({ reason: 'ForeignTargetsNotAccepted' }),
    ]);
  });

  test('beside targets of its own: only those on which a policy means an identity of it', () => {
    const without = [closed, data, identity, own, target];
    expect(namespaceProblems([bare], without)).toEqual([]);
    expect(namespaceProblems([bare], [...without, policy])).toMatchObject([
      { reason: 'ForeignTargetsNotAccepted' },
    ]);
  });

  test('are told of with the list to put them on, where the namespace lists whom it accepts', () => {
    const listing = raw(
      'Namespace',
      'payments',
      {},
      {
        labels: { ...injected.labels, 'chaperone.dev/foreign-targets': 'accept' },
        annotations: { 'chaperone.dev/foreign-targets-from': 'ledger' },
      },
    );
    const mend = (list: string) =>
      `kubectl annotate --overwrite namespace payments chaperone.dev/foreign-targets-from=${list}`;
    const offered = [listing, data, identity, target];
    expect(namespaceProblems([bare], [...offered, policy])).toMatchObject([
      { reason: 'ForeignTargetsNotAccepted', mend: mend('data,ledger') },
    ]);
    // Whoever offers a Target to everybody is not put on the list by a command that is copied.
    expect(namespaceProblems([bare], offered)).toMatchObject([
      { reason: 'ForeignTargetsNotAccepted', mend: mend('ledger,NAMESPACE') },
    ]);
  });

  test('no more than five are named', () => {
    const many = Array.from({ length: 7 }, (_, at) => ({
      ...target,
      metadata: { ...target.metadata, name: `db-${at}` },
      spec: {
        ...(target as typeof target & { spec: object }).spec,
        host: `db-${at}.data.svc.cluster.local`,
      },
    }));
    const [broken] = namespaceProblems([bare], [closed, data, ...many]);
    expect(broken?.message).toMatch(/^Targets data\/db-0, .*data\/db-4 and 2 more are open to it/);
  });

  test.each([
    ['the namespace is not seen', [data, target], {}],
    ['the rules are not known', [closed, data, target], { installation: undefined }],
  ])('nothing is said where %s', (_, objects, more) => {
    expect(namespaceProblems([bare], objects, more)).toEqual([]);
  });

  test('nothing is said where no pod is governed', () => {
    const plain = pod('payments/a', { governed: false });
    expect(namespaceProblems([plain], [closed, data, target])).toEqual([]);
  });
});

describe('governed without a target', () => {
  const mine = {
    ...target,
    spec: {
      ...(target as typeof target & { spec: object }).spec,
      allowedNamespaces: { from: 'Same' },
    },
  };

  test('is told of', () => {
    expect(namespaceProblems([bare], [closed, data, mine])).toMatchObject([
      { what: 'Namespace payments', reason: 'NoTargets' },
    ]);
  });

  test('is not where some targets cannot be seen', () => {
    expect(namespaceProblems([bare], [closed, data, mine], { seesAllTargets: false })).toEqual([]);
  });
});
