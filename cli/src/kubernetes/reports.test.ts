import { describe, expect, test } from '@jest/globals';
import { renderStatus } from './render-status.ts';
import { renderWhy } from './render-why.ts';
import { statusReport } from './status-report.ts';
import {
  cluster,
  identity,
  mask,
  namespaces,
  nowMs,
  pod,
  policy,
  raw,
  ready,
  sidecarImage,
  target,
} from './testing.ts';
import { table, width, wrap } from './text.ts';
import { whyReport } from './why-report.ts';

const labels = { 'pod-template-hash': '7c9d' };
const owner = ['ReplicaSet', 'orders-api-7c9d'] as const;
const pods = [
  pod('payments/orders-api-7c9d-a', { owner, labels, lockdown: true }),
  pod('payments/orders-api-7c9d-b', {
    owner,
    labels,
    image: 'registry.example.com/chaperone/sidecar:0.9.0',
  }),
  pod('payments/nightly-x', {
    owner: ['Job', 'nightly'],
    account: 'nightly',
    governed: false,
    spec: { hostNetwork: true },
  }),
  pod('payments/report-0', {
    owner: ['StatefulSet', 'report'],
    account: 'report',
    lockdown: true,
    status: {
      phase: 'Pending',
      initContainerStatuses: [
        { name: 'chaperone-lockdown', state: { waiting: { reason: 'CrashLoopBackOff' } } },
      ],
    },
  }),
];
const lost = {
  ...target,
  status: ready('Secret orders-db-login does not exist', 'False', 'SecretNotFound'),
};

/** The target, of which that is said by who connected. */
function reported(value: string, reason: string) {
  const status = ready('sessions can be opened');
  const backend = {
    ...status.conditions[0],
    ...{ type: 'BackendReachable', status: value, reason, message: 'as it is told' },
  };
  return { ...target, status: { ...status, conditions: [...status.conditions, backend] } };
}

const status = (...given: Parameters<typeof cluster>): string =>
  renderStatus(statusReport(cluster(...given), nowMs)).join('\n');
const why = (name: string, ...given: Parameters<typeof cluster>): string =>
  renderWhy(whyReport(cluster(...given), name, nowMs)!).join('\n');

describe('status', () => {
  test('what is governed, and what is broken with what mends it', () => {
    expect(status(pods, [...namespaces, identity, lost, policy, mask])).toBe(`\
Namespace payments alone was looked at; -A looks at all namespaces

WORKLOAD               PODS  GOVERNED  OUTDATED  IDENTITY    EGRESS    STATE
Deployment/orders-api  2     2         1         orders-api  Mixed     OldSidecar
Job/nightly            1     0         0         -           -         HostNetwork
StatefulSet/report     1     1         0         -           Lockdown  ContainerFails, NoIdentity

IDENTITY             READY  TEAM      PODS  EXPIRES
payments/orders-api  True   payments  2     -

TARGET          READY  ENFORCEMENT  WHERE                                  POLICIES  MASKS
data/orders-db  False  Enforce      orders-db.data.svc.cluster.local:5432  1         1

POLICY       READY  MODE     RULES  TARGETS  IDENTITIES
data/orders  True   Enforce  2      1        1

MASK           READY  TRANSFORM  TARGETS  EXEMPT
data/personal  True   Hash       1        payments/orders-api

Broken: 5
1. Target data/orders-db: SecretNotFound
   Secret orders-db-login does not exist
   > kubectl -n data create secret generic orders-db-login --from-literal=username=… --from-file=password=…
   > kubectl -n data label secret orders-db-login chaperone.dev/target=orders-db
2. Deployment payments/orders-api (1 pod): OldSidecar
   its sidecar is registry.example.com/chaperone/sidecar:0.9.0, and new pods get
   registry.example.com/chaperone/sidecar:1.0.0: restart it
   > kubectl -n payments rollout restart deployment orders-api
3. Job payments/nightly (1 pod): HostNetwork
   it has no sidecar, as it uses the network of its node: remove hostNetwork
   > create Job nightly of namespace payments anew, changed so
4. StatefulSet payments/report (1 pod): ContainerFails
   chaperone-lockdown does not start: CrashLoopBackOff
   > kubectl -n payments logs report-0 -c chaperone-lockdown
5. StatefulSet payments/report (1 pod): NoIdentity
   no MachineIdentity of namespace payments has ServiceAccount report: every statement is refused
   > create a MachineIdentity in namespace payments with subjects: [{serviceAccount: {name: report}}]`);
  });

  test('nothing to tell', () => {
    expect(status([], namespaces)).toBe(`\
Namespace payments alone was looked at; -A looks at all namespaces

No pod of namespace payments is governed or asked to be.

Nothing is broken in namespace payments.`);
    const everywhere = cluster([], namespaces, { namespace: undefined });
    expect(renderStatus(statusReport(everywhere, nowMs)).join('\n')).toBe(`\
All namespaces

No pod is governed or asked to be.

Nothing is broken.`);
  });

  test("all namespaces: a target's own pods and others that nobody asked for are no breakage", () => {
    const all = [
      pod('payments/orders-api-7c9d-a', { owner, labels }),
      pod('data/orders-db-0', { governed: false, labels: { app: 'orders-db' } }),
      pod('data/shell', { governed: false }),
      pod('payments/done', { governed: false, status: { phase: 'Succeeded' } }),
    ];
    const given = [...namespaces, identity, target];
    const report = statusReport(cluster(all, given, { namespace: undefined }), nowMs);
    expect(report.broken).toEqual([]);
    expect(report.notOptedIn).toBe(1);
    expect(report.workloads.map(({ namespace, workload }) => [namespace, workload])).toEqual([
      ['payments', 'Deployment/orders-api'],
    ]);
    expect(renderStatus(report).slice(0, 4)).toEqual([
      'All namespaces',
      '',
      'WORKLOAD                        PODS  GOVERNED  OUTDATED  IDENTITY             EGRESS  STATE',
      'payments/Deployment/orders-api  1     1         0         payments/orders-api  Open    Governed',
    ]);
  });

  test("a pod that can read a target's Secret", () => {
    const thief = pod('data/thief', {
      governed: false,
      spec: { volumes: [{ secret: { secretName: 'orders-db-login' } }] },
    });
    const given = [...namespaces, target];
    const { broken } = statusReport(cluster([thief], given, { namespace: 'data' }), nowMs);
    expect(broken).toMatchObject([{ what: 'Pod data/thief', reason: 'SecretMounted' }]);
  });

  test('what is not valid, not looked at, or not ours to see is said', () => {
    const odd = raw('Target', 'payments/odd', { spec: { protocol: 'Gopher' } });
    const fresh = { ...target, metadata: { ...target.metadata, generation: 2 } };
    const { broken, unseen, targets } = statusReport(
      cluster([], [...namespaces, odd, fresh], { unseen: ['pods: you may not list them'] }),
      nowMs,
    );
    expect(broken).toEqual([
      expect.objectContaining({ what: 'Target payments/odd', reason: 'Invalid' }),
      expect.objectContaining({ what: 'Target data/orders-db', reason: 'NotObserved' }),
    ]);
    expect(targets).toMatchObject([{ ready: 'Unknown' }]);
    expect(unseen).toEqual(['pods: you may not list them']);
  });

  test.each([
    ['False', 'CertificateNotTrusted', 'edit target orders-db   # spec.tls.caRef'],
    ['False', 'CredentialsRejected', 'kubectl -n data edit secret orders-db-login'],
    ['False', 'Unreachable', 'spec.host, spec.port'],
    ['False', 'SessionsRefused', 'the log of the server'],
    ['False', 'ServerNotSupported', 'spec.untestedVersions'],
    ['True', 'PartlyReachable', '-c chaperone-sidecar'],
  ])('a target that is not reached: %s %s', (value, reason, mend) => {
    const report = statusReport(cluster([], [...namespaces, reported(value, reason)]), nowMs);
    expect(report.targets).toMatchObject([{ ready: 'True', reachable: value }]);
    expect(report.broken).toEqual([
      {
        what: 'Target data/orders-db',
        reason,
        message: 'as it is told',
        mend: expect.stringContaining(mend),
      },
    ]);
  });

  test.each([
    ['True', 'Reachable'],
    ['Unknown', 'NotTried'],
    ['Unknown', 'NotTriedLately'],
  ])('a target of which no trouble is known: %s %s', (value, reason) => {
    const report = statusReport(cluster([], [...namespaces, reported(value, reason)]), nowMs);
    expect(report.broken).toEqual([]);
  });

  test("without the administrator's settings, statuses tell which targets are open", () => {
    const refused = { ...target, status: ready('…', 'False', 'HostNotAllowed') };
    const open = (given: typeof target) =>
      statusReport(cluster([], [...namespaces, given], { installation: undefined }), nowMs).targets;
    expect(open(target)).toHaveLength(1);
    expect(open(refused)).toEqual([]);
  });
});

describe('why', () => {
  test('a governed pod', () => {
    expect(why('orders-api-7c9d-a', pods)).toBe(`\
Pod payments/orders-api-7c9d-a (Deployment/orders-api)
  governed     yes, by registry.example.com/chaperone/sidecar:1.0.0
  egress       Lockdown: targets are reached through the sidecar alone
  account      ServiceAccount orders-api
  identity     payments/orders-api; groups online
  owner        payments, #payments
  purpose      Serves the orders page
  state        Ready: it can be used

Target data/orders-db (Enforce)
  state        Ready: sessions can be opened
  reached at   127.0.12.7:5432 as orders-db.data.svc.cluster.local, orders-db.data
  sessions     recording Statements, durability Process, at most 8h, idle at most 10m
  rules        what no rule allows is refused
    Deny            data/orders/no-drop
                    Drop, Truncate on shop.**
                    when request.time.getHours("UTC") < 6
    Allow           data/orders/read
                    Read on shop.public.orders, shop.public.order_*
                    columns but customer_note
                    at most rowsPerStatement 10000 for each Pod, else Deny
  masks
    Hash            data/personal
                    shop.public.customers.ssn, shop.public.*.email
                    PaymentCard found in shop.public.**
                    usage Lookup, Strict
                    not for this identity until 2027-01-31T00:00:00Z: Refunds need the number
                      (SEC-112)

Nothing is broken.`);
  });

  test('a pod that does not start, of nobody', () => {
    expect(why('report-0', pods)).toBe(`\
Pod payments/report-0 (StatefulSet/report)
  governed     yes, by registry.example.com/chaperone/sidecar:1.0.0
  egress       Lockdown: targets are reached through the sidecar alone
  account      ServiceAccount report
  identity     none: no MachineIdentity has ServiceAccount report

Target data/orders-db (Enforce)
  state        Ready: sessions can be opened
  reached at   127.0.12.7:5432 as orders-db.data.svc.cluster.local, orders-db.data
  rules        none: without an identity every statement is refused

Broken: 2
1. StatefulSet payments/report (1 pod): ContainerFails
   chaperone-lockdown does not start: CrashLoopBackOff
   > kubectl -n payments logs report-0 -c chaperone-lockdown
2. StatefulSet payments/report (1 pod): NoIdentity
   no MachineIdentity of namespace payments has ServiceAccount report: every statement is refused
   > create a MachineIdentity in namespace payments with subjects: [{serviceAccount: {name: report}}]`);
  });

  test('a pod without a sidecar', () => {
    expect(why('nightly-x', pods)).toBe(`\
Pod payments/nightly-x (Job/nightly)
  governed     no, though it is opted in
  account      ServiceAccount nightly
  identity     none: no MachineIdentity has ServiceAccount nightly

Target data/orders-db (Enforce)
  state        Ready: sessions can be opened
  rules        none: without an identity every statement is refused

Broken: 1
1. Job payments/nightly (1 pod): HostNetwork
   it has no sidecar, as it uses the network of its node: remove hostNetwork
   > create Job nightly of namespace payments anew, changed so`);
  });

  test('a pod whose target is not reached', () => {
    const objects = [...namespaces, identity, reported('False', 'Unreachable')];
    const text = why('orders-api-7c9d-a', pods, objects);
    expect(text).toContain(
      '  state        Ready: sessions can be opened\n  backend      Unreachable: as it is told\n',
    );
    expect(text).toContain(
      '1. Target data/orders-db: Unreachable\n   as it is told\n   > kubectl -n data edit target',
    );
  });

  test('a pod that is not there', () => {
    expect(whyReport(cluster(pods), 'gone', nowMs)).toBeUndefined();
  });

  test('as JSON: the rules in the order in which they decide, and no key of a mask', () => {
    const report = whyReport(cluster(pods), 'orders-api-7c9d-a', nowMs);
    expect(report?.sidecarImage).toBe(sidecarImage);
    expect(report?.targets[0]?.rules.map(({ action }) => action)).toEqual(['Deny', 'Allow']);
    expect(JSON.stringify(report)).not.toMatch(/"key"/);
  });

  test('of two identities with one ServiceAccount the older has it', () => {
    const younger = {
      ...identity,
      metadata: {
        ...identity.metadata,
        name: 'a-younger',
        creationTimestamp: '2026-02-01T00:00:00Z',
      },
    };
    const report = whyReport(
      cluster(pods, [...namespaces, younger, identity]),
      'orders-api-7c9d-a',
      nowMs,
    );
    expect(report?.identity?.name).toBe('payments/orders-api');
  });
});

describe('text', () => {
  test('no line of a table is wider than the terminal, and nothing acts on it', () => {
    const lines = table(
      ['A', 'B'],
      [
        ['x'.repeat(90), 'y'.repeat(60)],
        ['\u001b[31m', '2'],
      ],
    );
    expect(Math.max(...lines.map((line) => line.length))).toBe(width);
    expect(lines[2]).toContain('\\x1b[31m');
  });

  test('words are wrapped and never parted', () => {
    expect(wrap(`one ${'x'.repeat(120)} two`, '  ')).toEqual([
      '  one',
      `  ${'x'.repeat(120)}`,
      '  two',
    ]);
  });
});

test('a Deny from elsewhere is shown with the identities of its own namespace alone, for which it counts', () => {
  const own = {
    ...identity,
    metadata: { ...identity.metadata, namespace: 'elsewhere', name: 'own' },
  };
  const foreign = raw('AccessPolicy', 'elsewhere/block', {
    spec: {
      subjects: { namespaces: ['payments', 'elsewhere'] },
      targetRefs: [{ name: 'orders-db', namespace: 'data' }],
      rules: [{ name: 'no', action: 'Deny', classes: ['Read'], resources: ['**'] }],
    },
  });
  const objects = [...namespaces, identity, own, target, foreign];
  const everywhere = statusReport(cluster([], objects, { namespace: undefined }), nowMs);
  expect(everywhere.policies).toMatchObject([
    { policy: 'elsewhere/block', targets: ['data/orders-db'], identities: ['elsewhere/own'] },
  ]);
  expect(statusReport(cluster([], objects), nowMs).policies).toEqual([]);
});
