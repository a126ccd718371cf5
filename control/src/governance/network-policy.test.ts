import { describe, expect, test } from '@jest/globals';
import { type ClosedTarget, targetPolicies } from './network-policy.ts';

const ordersDb: ClosedTarget = {
  addresses: ['10.96.0.7', '10.244.0.9', 'fd00::7'],
  ports: [],
  pods: { namespace: 'data', labels: { app: 'orders-db' } },
};

test('everything but the targets, for pods that are not governed', () => {
  expect(targetPolicies('payments', [ordersDb])).toEqual([
    {
      podSelector: {
        matchExpressions: [{ key: 'chaperone.dev/governed', operator: 'NotIn', values: ['true'] }],
      },
      policyTypes: ['Egress'],
      egress: [
        {
          to: [
            { ipBlock: { cidr: '0.0.0.0/0', except: ['10.244.0.9/32', '10.96.0.7/32'] } },
            { ipBlock: { cidr: '::/0', except: ['fd00::7/128'] } },
          ],
        },
        {
          to: [
            {
              namespaceSelector: {
                matchExpressions: [
                  { key: 'kubernetes.io/metadata.name', operator: 'NotIn', values: ['data'] },
                ],
              },
            },
            {
              namespaceSelector: {
                matchExpressions: [
                  { key: 'kubernetes.io/metadata.name', operator: 'In', values: ['data'] },
                ],
              },
              podSelector: {
                matchExpressions: [{ key: 'app', operator: 'NotIn', values: ['orders-db'] }],
              },
            },
          ],
        },
      ],
    },
  ]);
});

test('no targets, no policy', () => {
  expect(targetPolicies('payments', [])).toEqual([]);
});

test('a host outside the cluster closes its addresses and no pods', () => {
  const [policy] = targetPolicies('payments', [{ addresses: ['192.0.2.1'], ports: [] }]);
  expect(policy?.egress).toEqual([
    {
      to: [
        { ipBlock: { cidr: '0.0.0.0/0', except: ['192.0.2.1/32'] } },
        { ipBlock: { cidr: '::/0' } },
      ],
    },
    { to: [{ namespaceSelector: { matchExpressions: [] } }] },
  ]);
});

describe('ports that are closed at every address', () => {
  const others = [
    { protocol: 'UDP', port: 1, endPort: 65535 },
    { protocol: 'SCTP', port: 1, endPort: 65535 },
  ];
  test.each([
    [
      [5432],
      [
        { protocol: 'TCP', port: 1, endPort: 5431 },
        { protocol: 'TCP', port: 5433, endPort: 65535 },
      ],
    ],
    [
      [5434, 5432, 5433, 5432],
      [
        { protocol: 'TCP', port: 1, endPort: 5431 },
        { protocol: 'TCP', port: 5435, endPort: 65535 },
      ],
    ],
    [
      [2, 4, 65535],
      [
        { protocol: 'TCP', port: 1 },
        { protocol: 'TCP', port: 3 },
        { protocol: 'TCP', port: 5, endPort: 65534 },
      ],
    ],
    [[1], [{ protocol: 'TCP', port: 2, endPort: 65535 }]],
  ])('%j', (ports, expected) => {
    const [policy] = targetPolicies('payments', [{ ...ordersDb, ports }]);
    for (const rule of policy?.egress ?? []) expect(rule.ports).toEqual([...expected, ...others]);
  });
});

/** Whether the pod's labels meet one of the lists. */
function met(
  lists: readonly (readonly { key: string; values: readonly string[] }[])[],
  labels: Record<string, string>,
): boolean {
  return lists.some((list) => list.every(({ key, values }) => !values.includes(labels[key] ?? '')));
}

test("the targets' own pods are left as they are, whatever labels pick them", () => {
  const targets: ClosedTarget[] = [
    { ...ordersDb, pods: { namespace: 'data', labels: { app: 'db', shard: 'a' } } },
    { ...ordersDb, pods: { namespace: 'data', labels: { app: 'cache' } } },
  ];
  const lists = targetPolicies('data', targets).map(({ podSelector }) =>
    podSelector.matchExpressions.slice(1),
  );
  expect(lists).toHaveLength(2);
  expect(met(lists, { app: 'db', shard: 'a' })).toBe(false);
  expect(met(lists, { app: 'cache', shard: 'b' })).toBe(false);
  expect(met(lists, { app: 'db', shard: 'b' })).toBe(true);
  expect(met(lists, { app: 'web' })).toBe(true);
  expect(met(lists, {})).toBe(true);
});

test('the number of policies is bounded', () => {
  const labels = { a: '1', b: '2', c: '3' };
  const targets = [0, 1, 2].map(
    (at): ClosedTarget => ({
      ...ordersDb,
      pods: { namespace: 'data', labels: { ...labels, d: String(at) } },
    }),
  );
  expect(targetPolicies('data', targets)).toHaveLength(1);
});
