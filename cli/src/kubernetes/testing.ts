/** For tests: a small cluster as kubectl shows it. */
import type { RawPod } from '@chaperone/control/governance/pod-view.ts';
import { type ClusterView, type ServiceView, toSnapshot } from './cluster-view.ts';
import type { Components } from './components.ts';
import { readInstallation } from './installation.ts';
import type { RawObject } from './kubectl.ts';

export const nowMs = Date.parse('2026-11-22T09:00:00Z');
export const sidecarImage = 'registry.example.com/chaperone/sidecar:1.0.0';

/** `namespace/name`; Namespaces: `name`. */
export function raw(kind: string, path: string, fields: object = {}, meta: object = {}): RawObject {
  const [namespace, name] = path.includes('/') ? path.split('/') : [undefined, path];
  return {
    apiVersion: kind === 'Namespace' ? 'v1' : 'chaperone.dev/v1alpha1',
    kind,
    metadata: {
      name: name!,
      ...(namespace !== undefined && { namespace }),
      uid: `uid-${path}`,
      resourceVersion: '7',
      generation: 1,
      creationTimestamp: '2026-01-01T00:00:00Z',
      ...meta,
    },
    ...fields,
  };
}

export const ready = (message: string, status = 'True', reason = 'Ready') => ({
  observedGeneration: 1,
  conditions: [
    {
      type: 'Ready',
      status,
      reason,
      message,
      observedGeneration: 1,
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ],
});

export const deployment = raw('Deployment', 'chaperone-system/chaperone-controllers', {
  spec: {
    template: {
      spec: {
        containers: [
          {
            env: [
              { name: 'CHAPERONE_NAMESPACE', valueFrom: {} },
              { name: 'CHAPERONE_CLUSTER_DOMAIN', value: 'cluster.local' },
              { name: 'CHAPERONE_FOREIGN_TARGETS', value: 'ByLabel' },
              { name: 'CHAPERONE_ALLOWED_HOSTS', value: 'data=*.example.com' },
              { name: 'CHAPERONE_SIDECAR_IMAGE', value: sidecarImage },
              { name: 'CHAPERONE_EXCLUDED_NAMESPACES', value: 'kube-system' },
            ],
          },
        ],
      },
    },
  },
});

const component = (name: string) => ({ namespace: 'chaperone-system', name, readyReplicas: 1 });

export const components: Components = {
  Deployment: ['controllers', 'policy-api', 'webhook'].map((name) =>
    component(`chaperone-${name}`),
  ),
  StatefulSet: [component('chaperone-collector')],
};

export const namespaces = [
  raw(
    'Namespace',
    'payments',
    {},
    {
      labels: {
        'chaperone.dev/inject': 'enabled',
        'chaperone.dev/foreign-targets': 'accept',
      },
    },
  ),
  raw('Namespace', 'data'),
];

export const identity = raw('MachineIdentity', 'payments/orders-api', {
  spec: {
    owner: { team: 'payments', contact: '#payments' },
    purpose: 'Serves the orders page',
    subjects: [{ serviceAccount: { name: 'orders-api' } }],
    groups: ['online'],
    suspended: false,
  },
  status: ready('it can be used'),
});

export const target = raw('Target', 'data/orders-db', {
  spec: {
    protocol: 'PostgreSQL',
    host: 'orders-db.data.svc.cluster.local',
    port: 5432,
    credentials: { secretRef: { name: 'orders-db-login' } },
    allowedNamespaces: { from: 'All' },
  },
  status: ready('sessions can be opened'),
});

export const policy = raw('AccessPolicy', 'data/orders', {
  spec: {
    subjects: { namespaces: ['payments'] },
    targetRefs: [{ name: 'orders-db' }],
    rules: [
      {
        name: 'read',
        action: 'Allow',
        classes: ['Read'],
        resources: ['shop.public.orders', 'shop.public.order_*'],
        columns: { except: ['customer_note'] },
        limits: { rowsPerStatement: 10_000, onExceed: 'Deny' },
      },
      {
        name: 'no-drop',
        action: 'Deny',
        verbs: ['Drop', 'Truncate'],
        resources: ['shop.**'],
        when: 'request.time.getHours("UTC") < 6',
      },
    ],
    session: { maxDuration: '8h', idleTimeout: '10m' },
  },
  status: ready('it is in force'),
});

export const mask = raw('MaskingRule', 'data/personal', {
  spec: {
    targetRefs: [{ name: 'orders-db' }],
    columns: ['shop.public.customers.ssn', 'shop.public.*.email'],
    detectors: ['PaymentCard'],
    resources: ['shop.public.**'],
    transform: { type: 'Hash' },
    keyRef: { name: 'mask-key', key: 'key' },
    exemptions: [
      {
        identities: [{ name: 'orders-api', namespace: 'payments' }],
        reason: 'Refunds need the number',
        ticket: 'SEC-112',
        expiresAt: '2027-01-31T00:00:00Z',
      },
    ],
  },
  status: ready('it is in force'),
});

interface PodOptions {
  readonly owner?: readonly [kind: string, name: string];
  readonly account?: string;
  readonly governed?: boolean;
  readonly lockdown?: boolean;
  readonly image?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly spec?: object;
  readonly status?: object;
}

export function pod(path: string, options: PodOptions = {}): RawPod {
  const [namespace = '', name = ''] = path.split('/');
  const { owner, account = 'orders-api', governed = true, lockdown = false } = options;
  const listen = [{ target: 'data/orders-db', address: '127.0.12.7', port: 5432 }];
  const sidecar = {
    name: 'chaperone-sidecar',
    image: options.image ?? sidecarImage,
    env: [{ name: 'CHAPERONE_LISTEN', value: JSON.stringify(listen) }],
  };
  return {
    metadata: {
      name,
      namespace,
      uid: `uid-${path}`,
      resourceVersion: '9',
      creationTimestamp: '2026-01-01T00:00:00Z',
      labels: options.labels ?? {},
      ...(owner !== undefined && {
        ownerReferences: [
          { apiVersion: 'apps/v1', kind: owner[0], name: owner[1], uid: 'u', controller: true },
        ],
      }),
    },
    spec: {
      serviceAccountName: account,
      containers: [{ name: 'app', image: 'app:1' }],
      ...(governed && {
        initContainers: [
          ...(lockdown ? [{ name: 'chaperone-lockdown', image: 'lockdown' }] : []),
          sidecar,
        ],
        hostAliases: [
          { ip: '127.0.12.7', hostnames: ['orders-db.data.svc.cluster.local', 'orders-db.data'] },
        ],
      }),
      ...options.spec,
    },
    status: { phase: 'Running', ...options.status },
  } as RawPod;
}

export function cluster(
  pods: readonly RawPod[],
  objects: readonly RawObject[] = [...namespaces, identity, target, policy, mask],
  more: Partial<ClusterView> = {},
): ClusterView {
  const { snapshot, invalid } = toSnapshot(objects, nowMs);
  const services: readonly ServiceView[] = [
    { namespace: 'data', name: 'orders-db', selector: { app: 'orders-db' } },
  ];
  return {
    namespace: 'payments',
    snapshot,
    invalid,
    pods,
    refused: [],
    services,
    installation: readInstallation(deployment),
    components,
    seesAllTargets: true,
    unseen: [],
    ...more,
  };
}
