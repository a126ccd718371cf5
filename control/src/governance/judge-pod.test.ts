import { describe, expect, test } from '@jest/globals';
import { snapshotOf, stored } from '../controllers/testing.ts';
import { governanceContext } from './context.ts';
import { judgePod } from './judge-pod.ts';
import { podView, type RawPod } from './pod-view.ts';

const image = 'registry.test/sidecar:2';
const snapshot = snapshotOf(
  stored('Namespace', 'pay', {}, { 'chaperone.dev/inject': 'enabled' }),
  stored(
    'Namespace',
    'strict',
    {},
    {
      'chaperone.dev/inject': 'enabled',
      'chaperone.dev/required': 'true',
    },
  ),
  stored('Namespace', 'plain'),
  stored('MachineIdentity', 'pay/report', { subjects: [{ serviceAccount: { name: 'report' } }] }),
  stored('Target', 'pay/orders', {
    host: 'orders-db.pay.svc.cluster.local',
    credentials: { secretRef: { name: 'orders-password' } },
  }),
  stored('Target', 'strict/own', { host: 'own.strict.svc' }),
  stored('Target', 'pay/shard', { host: 'shard-0.shards.pay.svc' }),
);
const services = [
  { name: 'orders-db', selector: { app: 'db' } },
  { name: 'shards', selector: { app: 'shard' } },
  { name: 'own', selector: { app: 'own' } },
  { name: 'web', selector: { app: 'web' } },
  { name: 'orders', selector: {} },
];

const findings = (pod: RawPod, namespace = 'pay', excluded = false): string[] =>
  judgePod(
    podView({ status: { phase: 'Running' }, ...pod, metadata: { namespace, ...pod.metadata } }),
    governanceContext(namespace, {
      snapshot,
      services,
      targets: new Set(['pay/orders', 'data/stock']),
      excluded,
      sidecarImage: image,
      clusterDomain: 'cluster.local',
    }),
  ).map(({ finding, reason }) => `${finding} ${reason}`);

type Spec = NonNullable<RawPod['spec']>;
const listen = (...targets: string[]): string =>
  JSON.stringify(targets.map((target) => ({ target, address: '127.0.0.2', port: 5432 })));
const sidecar = (text = listen('pay/orders', 'data/stock'), of = image) => ({
  name: 'chaperone-sidecar',
  image: of,
  env: [{ name: 'CHAPERONE_LISTEN', value: text }],
});
const lockdown = { name: 'chaperone-lockdown', image };
const governed = (
  spec: Spec = {},
  ...initContainers: NonNullable<Spec['initContainers']>
): RawPod => ({
  spec: {
    serviceAccountName: 'report',
    containers: [{ name: 'app' }],
    initContainers: [sidecar(), lockdown, ...initContainers],
    ...spec,
  },
});
const secret = { secret: { secretName: 'orders-password' } };

describe('judgePod', () => {
  test.each<[string, RawPod, string[]]>([
    ['a pod as new ones are', governed(), []],
    ['one without lockdown', governed({ initContainers: [sidecar()] }), ['OpenEgress NoLockdown']],
    [
      'one that asks for a lockdown it has not got',
      {
        ...governed({ initContainers: [sidecar()] }),
        metadata: { annotations: { 'chaperone.dev/egress': 'Lockdown' } },
      },
      ['OpenEgress MadeBeforeLockdown'],
    ],
    [
      'an older sidecar',
      governed({ initContainers: [sidecar(undefined, 'registry.test/sidecar:1'), lockdown] }),
      ['OldSidecar OldSidecar'],
    ],
    [
      'one from before a target',
      governed({ initContainers: [sidecar(listen('pay/orders')), lockdown] }),
      ['MissingTarget MadeBeforeTarget'],
    ],
    [
      'one whose targets cannot be read',
      governed({ initContainers: [sidecar('{'), lockdown] }),
      ['MissingTarget MadeBeforeTarget'],
    ],
    [
      'one with more targets than there are',
      governed({
        initContainers: [sidecar(listen('pay/orders', 'data/stock', 'data/gone')), lockdown],
      }),
      [],
    ],
    [
      'one under a ServiceAccount that nobody has',
      governed({ serviceAccountName: 'other' }),
      ['NoIdentity ServiceAccountUnknown'],
    ],
    [
      'one that shares processes',
      governed({ shareProcessNamespace: true }),
      ['SharedProcesses SharedProcessNamespace'],
    ],
    [
      "one that sees the node's processes",
      governed({ hostPID: true }),
      ['SharedProcesses SharedProcessNamespace'],
    ],
    ["one that shares its node's memory", governed({ hostIPC: true }), ['SharedProcesses HostIPC']],
    ['one on the host network', governed({ hostNetwork: true }), ['HostNetwork HostNetwork']],
    [
      'one that mounts a credential',
      governed({ volumes: [secret] }),
      ['CredentialAccess SecretMounted'],
    ],
    [
      'one that projects it',
      governed({
        volumes: [{ projected: { sources: [{ secret: { name: 'orders-password' } }] } }],
      }),
      ['CredentialAccess SecretMounted'],
    ],
    [
      'one with it in its environment',
      governed({
        containers: [
          {
            name: 'app',
            env: [{ name: 'P', valueFrom: { secretKeyRef: { name: 'orders-password' } } }],
          },
        ],
      }),
      ['CredentialAccess SecretInEnvironment'],
    ],
    [
      'one with all of it in an init container’s environment',
      governed({}, { name: 'init', envFrom: [{ secretRef: { name: 'orders-password' } }] }),
      ['CredentialAccess SecretInEnvironment'],
    ],
    [
      'one with it in an ephemeral container',
      governed({
        ephemeralContainers: [{ envFrom: [{ secretRef: { name: 'orders-password' } }] }],
      }),
      ['CredentialAccess SecretInEnvironment'],
    ],
    ['one with another Secret', governed({ volumes: [{ secret: { secretName: 'own' } }] }), []],
    ['one without sidecar', { spec: {} }, ['Ungoverned MadeBefore']],
    [
      'one without sidecar on the host network',
      { spec: { hostNetwork: true } },
      ['Ungoverned HostNetwork'],
    ],
    [
      'one without sidecar that shares processes',
      { spec: { shareProcessNamespace: true } },
      ['Ungoverned SharedProcessNamespace'],
    ],
    [
      "one without sidecar that shares its node's memory",
      { spec: { hostIPC: true } },
      ['Ungoverned HostIPC'],
    ],
    [
      'one that only calls itself governed',
      {
        metadata: { labels: { 'chaperone.dev/governed': 'true' } },
        spec: { containers: [sidecar()] },
      },
      ['Ungoverned MadeBefore'],
    ],
    ['one that opted out', { metadata: { labels: { 'chaperone.dev/inject': 'disabled' } } }, []],
    [
      'one that opted out and has a credential',
      { metadata: { labels: { 'chaperone.dev/inject': 'disabled' } }, spec: { volumes: [secret] } },
      ['CredentialAccess SecretMounted'],
    ],
    [
      'the database itself',
      { metadata: { labels: { app: 'db' } }, spec: { volumes: [secret] } },
      [],
    ],
    [
      'the database with the password of another',
      { metadata: { labels: { app: 'shard' } }, spec: { volumes: [secret] } },
      ['CredentialAccess SecretMounted'],
    ],
    [
      'a governed pod behind a target, which is not mapped into it',
      {
        ...governed({ initContainers: [sidecar(listen('data/stock')), lockdown] }),
        metadata: { labels: { app: 'db' } },
      },
      [],
    ],
    ['a shard of a headless Service', { metadata: { labels: { app: 'shard' } } }, []],
    [
      'one behind a Service of no target',
      { metadata: { labels: { app: 'web' } } },
      ['Ungoverned MadeBefore'],
    ],
    ['one that has ended', { spec: {}, status: { phase: 'Succeeded' } }, []],
    ['one that is ending', { metadata: { deletionTimestamp: '2026-01-01T00:00:00Z' } }, []],
    ['nothing at all', {}, ['Ungoverned MadeBefore']],
  ])('%s', (_, pod, expected) => expect(findings(pod)).toEqual(expected));

  test('who is to be governed', () => {
    const asked = (value: string): RawPod => ({
      metadata: { labels: { 'chaperone.dev/inject': value } },
    });
    expect(findings({}, 'plain')).toEqual([]);
    expect(findings(asked('enabled'), 'plain')).toEqual(['Ungoverned MadeBefore']);
    expect(findings(asked('disabled'), 'strict')).toEqual(['Ungoverned MadeBefore']);
    expect(findings({}, 'pay', true)).toEqual([]);
    const own = { metadata: { labels: { app: 'own' } } };
    expect(findings(own, 'strict')).toEqual(['Ungoverned MadeBefore']);
  });
});

test('little is kept of a pod', () => {
  const kept = podView({
    metadata: {
      name: 'p',
      namespace: 'n',
      annotations: { 'chaperone.dev/egress': 'Open', 'chaperone.dev/status': 'long', other: 'x' },
      ownerReferences: [
        { kind: 'Node', name: 'not the controller' },
        { apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u', controller: true },
      ],
    },
    spec: { containers: [{ name: 'app', env: [{ name: 'PASSWORD', value: 'in clear' }] }] },
  });
  expect(kept.metadata.annotations).toEqual({ 'chaperone.dev/egress': 'Open' });
  expect(kept.owner).toEqual({ apiVersion: 'apps/v1', kind: 'ReplicaSet', name: 'r', uid: 'u' });
  expect(JSON.stringify(kept)).not.toContain('in clear');
});
