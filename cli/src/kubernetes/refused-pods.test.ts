import { describe, expect, test } from '@jest/globals';
import type { RawObject } from './kubectl.ts';
import { type RefusalSources, refusedPods } from './refused-pods.ts';
import { statusReport } from './status-report.ts';
import { cluster, nowMs, raw } from './testing.ts';

const denied =
  'admission webhook "namespace.inject.chaperone.dev" denied the request: CHP-8001 HostNetwork: the pod uses the node\'s network. Remove hostNetwork.';
const away =
  'Internal error occurred: failed calling webhook "namespace.inject.chaperone.dev": connection refused';
const ruled =
  'pods "x" is forbidden: ValidatingAdmissionPolicy \'chaperone-reserved-names\' denied request: CHP-8001 ReservedName: Choose another.';
const quota = 'pods "x" is forbidden: exceeded quota: pods=1';

const minutesAgo = (minutes: number): string => new Date(nowMs - minutes * 60_000).toISOString();

const ofDeployment = {
  ownerReferences: [{ kind: 'Deployment', name: 'orders', controller: true }],
};

const replicaSet = (message: string, status = 'True', ownerReferences: object = ofDeployment) =>
  raw(
    'ReplicaSet',
    'payments/orders-7c9d',
    { status: { conditions: [{ type: 'ReplicaFailure', status, message }] } },
    ownerReferences,
  );

const event = (message: string, minutes: number, kind = 'StatefulSet', fields: object = {}) =>
  raw('Event', `payments/e-${minutes}-${kind}`, {
    involvedObject: { kind, namespace: 'payments', name: 'ledger', uid: 'u' },
    message,
    lastTimestamp: minutesAgo(minutes),
    ...fields,
  });

const pod = (minutes: number, uid = 'u') =>
  raw(
    'Pod',
    'payments/ledger-0',
    {},
    {
      creationTimestamp: minutesAgo(minutes),
      ownerReferences: [{ kind: 'StatefulSet', name: 'ledger', uid, controller: true }],
    },
  );

const ledger = raw('StatefulSet', 'payments/ledger', {}, { uid: 'u' });
const nothing = { replicaSets: [], events: [], owners: [ledger], pods: [] };
const told = (sources: Partial<RefusalSources>): string[] =>
  refusedPods({ ...nothing, ...sources }, nowMs).map(({ kind, name }) => `${kind}/${name}`);

describe('a ReplicaSet', () => {
  test.each<[string, RawObject, string[]]>([
    ['whose pods we refuse', replicaSet(denied), ['Deployment/orders']],
    ['whose pods a rule of ours refuses', replicaSet(ruled), ['Deployment/orders']],
    ['whose pods cannot be shown to us', replicaSet(away), ['Deployment/orders']],
    ['of nobody', replicaSet(denied, 'True', {}), ['ReplicaSet/orders-7c9d']],
    ['whose pods others refuse', replicaSet(quota), []],
    ['that has got over it', replicaSet(denied, 'False'), []],
    ['without a status', raw('ReplicaSet', 'payments/new'), []],
  ])('%s', (_, one, expected) => expect(told({ replicaSets: [one] })).toEqual(expected));
});

describe('what an Event alone tells of', () => {
  test.each<[string, RawObject[], RawObject[], string[]]>([
    ['a StatefulSet', [event(denied, 3)], [], ['StatefulSet/ledger']],
    ['a Job', [event(denied, 3, 'Job')], [], ['Job/ledger']],
    [
      'once, however often it failed',
      [event(denied, 3), event(denied, 1)],
      [],
      ['StatefulSet/ledger'],
    ],
    ['others refuse', [event(quota, 3)], [], []],
    ['it is long ago', [event(denied, 21)], [], []],
    [
      'it began long ago, and goes on',
      [event(denied, 50, 'StatefulSet', { series: { lastObservedTime: minutesAgo(2) } })],
      [],
      ['StatefulSet/ledger'],
    ],
    ['a pod came since', [event(denied, 3)], [pod(2)], []],
    ['its pods are older', [event(denied, 3)], [pod(4)], ['StatefulSet/ledger']],
    ["another one's pod came since", [event(denied, 3)], [pod(2, 'other')], ['StatefulSet/ledger']],
  ])('%s', (_, events, pods, expected) => expect(told({ events, pods })).toEqual(expected));
});

test('an Event outlives what it is about', () => {
  expect(told({ events: [event(denied, 3)], owners: [] })).toEqual([]);
});

test.each<[string, string, string]>([
  [
    denied,
    "its pods are not admitted: CHP-8001 HostNetwork: the pod uses the node's network. Remove hostNetwork.",
    'kubectl -n payments edit deployment orders',
  ],
  [
    away,
    `its pods are not admitted: ${away}`,
    'kubectl -n chaperone-system get pods   # docs/runbooks/webhook-down.md',
  ],
])('status tells it with what to do: %s', (message, expected, mend) => {
  const refused = refusedPods({ ...nothing, replicaSets: [replicaSet(message)] }, nowMs);
  expect(statusReport(cluster([], undefined, { refused }), nowMs).broken).toContainEqual({
    what: 'Deployment payments/orders',
    reason: 'NotAdmitted',
    message: expected,
    mend,
  });
});
