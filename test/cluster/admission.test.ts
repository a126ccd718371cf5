/** Admission on a real API server: our webhook and the chart's policies, and what tenants try. */
import { execFile } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { webhookSchema } from '@chaperone/operator/config.ts';
import { sidecarUid } from '@chaperone/operator/injection/names.ts';
import type { CheckedPod, Container, Pod } from '@chaperone/operator/injection/pod.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { EventRecorder } from '@chaperone/operator/kubernetes/event-recorder.ts';
import type { CachePart } from '@chaperone/operator/runtime/lifecycle.ts';
import type { WebhookServer } from '@chaperone/operator/webhook/server.ts';
import { startWebhook } from '@chaperone/operator/webhook/start.ts';
import { loadConfig } from '@chaperone/runtime/config/load.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { certificateAuthority } from '../support/certificates.ts';
import { apiOf, applyCrds, createNamespace, surroundings } from '../support/kubernetes.ts';
import { helmBinary } from './build/binaries.ts';
import { waitFor } from './node/wait-for.ts';

const root = join(import.meta.dirname, '../..');
const golden = join(root, 'test/golden/injection');
const open = {
  'chaperone.dev/inject': 'enabled',
  'chaperone.dev/foreign-targets': 'accept',
};
const namespaces: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  data: {},
  plain: {},
  payments: open,
  required: { ...open, 'chaperone.dev/required': 'true' },
  restricted: { ...open, 'pod-security.kubernetes.io/enforce': 'restricted' },
  bounded: open,
  listing: open,
};

let server: TestApiServer;
let api: KubernetesApi;
let webhook: WebhookServer | undefined;
let directory: string;
const caches: CachePart[] = [];
const world = surroundings();
let events: EventRecorder;

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-admission-'));
  server = await startTestApiServer({ serviceAccounts: true });
  api = apiOf(server.kubeconfig);
  await applyCrds(api);
  for (const [name, labels] of Object.entries(namespaces)) await makeNamespace(name, labels);
  const authority = certificateAuthority('ecdsa-sha384');
  const { cert, key } = authority.issue(['IP:127.0.0.1']);
  writeFileSync(join(directory, 'tls.crt'), cert);
  writeFileSync(join(directory, 'tls.key'), key);
  events = new EventRecorder({ ...world, api, controller: 'chaperone.dev/webhook', instance: 't' });
  webhook = await startWebhook(webhookConfig(), {
    ...world,
    api,
    events,
    readiness: new Readiness(),
    addCache: (cache) => void caches.push(cache),
  });
  for (const cache of caches) await cache.start();
  await Promise.all(caches.map((cache) => cache.synced()));
  await kubectl(['apply', '-f', '-'], await chartObjects(webhook.port, authority.ca.cert));
  await kubectl(['apply', '-f', '-'], [target('orders-db', {}), target('ledger', { port: 443 })]);
  // What was just configured takes a moment to be in force.
  await waitFor(async () => {
    const { spec } = await created('payments', pod('probe'), '--dry-run=server');
    return spec.hostAliases?.length === 2;
  });
  await waitFor(async () => {
    const imitation = pod('probe', { initContainers: [container('chaperone-sidecar')] });
    return (await refusal('plain', imitation, '--dry-run=server')) !== '';
  });
}, 180_000);

afterAll(async () => {
  await events?.stop();
  await webhook?.close();
  await Promise.all(caches.map((cache) => cache.stop()));
  await api?.config.close();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** With the accounts that pods are to have. */
async function makeNamespace(
  name: string,
  labels: Readonly<Record<string, string>>,
): Promise<void> {
  await createNamespace(api, name, labels);
  const accounts = ['default', 'report'].map((account) => ({
    apiVersion: 'v1',
    kind: 'ServiceAccount',
    metadata: { namespace: name, name: account },
  }));
  await kubectl(['create', '-f', '-'], accounts);
}

function webhookConfig() {
  const { values } = loadConfig(webhookSchema, {
    args: [
      ...['--sidecar-image', 'registry.example/chaperone-sidecar:1'],
      ...['--lockdown-image', 'registry.example/chaperone-lockdown:1'],
      ...['--policy-api-url', 'https://chaperone-policy-api.chaperone-system.svc:443'],
      ...['--collector-url', 'https://chaperone-collector.chaperone-system.svc:443'],
      ...['--spool-size-limit', '0.5Gi', '--listen-port', '0', '--tls-directory', directory],
    ],
  });
  return values;
}

/** What the chart makes, with the webhook in this process in the place of its Service. */
async function chartObjects(port: number, ca: string): Promise<string> {
  const shown = ['webhook-configurations', 'admission-policies'].flatMap((name) => [
    ...['--show-only', `templates/${name}.yaml`],
  ]);
  const chart = join(root, 'charts/chaperone');
  const options = ['--namespace', 'chaperone-system', '--set', 'injection.execGroups={rescue}'];
  const { output } = await run(await helmBinary(), [
    ...['template', 'chaperone', chart],
    ...options,
    ...shown,
  ]);
  const objects = parseAllDocuments(output)
    .map((document) => document.toJS() as ChartObject | null)
    .filter((object) => object !== null);
  for (const { webhooks = [] } of objects) {
    for (const entry of webhooks) {
      const { path } = entry.clientConfig.service!;
      const url = `https://127.0.0.1:${port}${path}`;
      entry.clientConfig = { url, caBundle: Buffer.from(ca).toString('base64') };
    }
  }
  return objects.map((object) => stringify(object)).join('---\n');
}

interface ChartObject {
  readonly webhooks?: {
    clientConfig: { service?: { path: string }; url?: string; caBundle?: string };
  }[];
}

function run(
  program: string,
  args: readonly string[],
  input = '',
): Promise<{ readonly code: number; readonly output: string; readonly errors: string }> {
  return new Promise((resolve, reject) => {
    const child = execFile(program, [...args], { maxBuffer: 1 << 26 }, (error, output, errors) => {
      if (error === null) resolve({ code: 0, output, errors });
      else if (typeof error.code === 'number') resolve({ code: error.code, output, errors });
      else reject(error);
    });
    child.stdin?.on('error', () => {}); // it ended without reading all: its exit code tells
    child.stdin?.end(input);
  });
}

function attempt(args: readonly string[], input: string | readonly object[] = '') {
  const text = typeof input === 'string' ? input : input.map((one) => stringify(one)).join('---\n');
  return run('kubectl', ['--kubeconfig', server.kubeconfig, ...args], text);
}

async function kubectl(args: readonly string[], input: string | readonly object[] = '') {
  const { code, output, errors } = await attempt(args, input);
  if (code !== 0) throw new Error(`kubectl ${args.join(' ')}: ${errors}`);
  return output;
}

/** The pod as the API server has it then. */
async function created(
  namespace: string,
  object: object,
  ...options: readonly string[]
): Promise<CheckedPod> {
  const args = ['create', '-n', namespace, '-f', '-', '-o', 'json', ...options];
  return JSON.parse(await kubectl(args, [object])) as CheckedPod;
}

/** What is said of a pod that is refused; empty if it is admitted. */
async function refusal(
  namespace: string,
  object: object,
  ...options: readonly string[]
): Promise<string> {
  const args = ['create', '-n', namespace, '-f', '-', ...options];
  const { code, errors } = await attempt(args, [object]);
  return code === 0 ? '' : errors;
}

const container = (name: string, fields: object = {}): object => ({
  name,
  image: 'app:1',
  ...fields,
});

const pod = (name: string, spec: object = {}, metadata: object = {}): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, ...metadata },
  spec: { containers: [container('app')], ...spec },
});

const target = (name: string, spec: object): object => ({
  apiVersion: 'chaperone.dev/v1alpha1',
  kind: 'Target',
  metadata: { namespace: 'data', name },
  spec: {
    protocol: 'PostgreSQL',
    host: `${name}.data.svc.cluster.local`,
    credentials: { secretRef: { name } },
    allowedNamespaces: { from: 'All' },
    ...spec,
  },
});

const safe = { allowPrivilegeEscalation: false, capabilities: { drop: ['ALL'] } };
const restricted = {
  securityContext: {
    runAsNonRoot: true,
    runAsUser: 1000,
    seccompProfile: { type: 'RuntimeDefault' },
  },
  containers: [container('app', { securityContext: safe })],
};
const lockdown = { annotations: { 'chaperone.dev/egress': 'Lockdown' } };

const initNames = ({ spec }: CheckedPod): readonly string[] =>
  (spec.initContainers ?? []).map(({ name }) => name);

describe('injection', () => {
  test('under the restricted standard', async () => {
    const made = await created('restricted', pod('strict', restricted));
    expect(initNames(made)).toEqual(['chaperone-sidecar']);
    expect(made.spec.hostAliases).toHaveLength(2);
    expect(made.spec.securityContext?.sysctls).toEqual([
      { name: 'net.ipv4.ip_unprivileged_port_start', value: '0' },
    ]);
  });

  test('without a token of the API server for the sidecar, which every container is given', async () => {
    const { spec } = await created('payments', pod('tokens'));
    const mounts = ({ volumeMounts = [] }: Container) => volumeMounts.map(({ name }) => name);
    expect(mounts(spec.containers[0]!)).toEqual([expect.stringMatching(/^kube-api-access-/)]);
    expect(mounts(spec.initContainers![0]!)).toEqual([
      'chaperone-token',
      'chaperone-ca',
      'chaperone-spool',
    ]);
  });

  test('with a LimitRange that gives every container more', async () => {
    const limits = {
      apiVersion: 'v1',
      kind: 'LimitRange',
      metadata: { name: 'limits', namespace: 'bounded' },
      spec: {
        limits: [
          {
            type: 'Container',
            default: { cpu: '500m', memory: '512Mi' },
            defaultRequest: { cpu: '100m', memory: '64Mi' },
            max: { cpu: '1' },
          },
        ],
      },
    };
    await kubectl(['apply', '-f', '-'], [limits]);
    const made = await waitFor(() => created('bounded', pod('limited')));
    const [sidecar] = made.spec.initContainers!;
    expect(sidecar!.resources).toEqual({
      requests: { cpu: '10m', memory: '128Mi' },
      limits: { cpu: '500m', memory: '256Mi' },
    });
  });

  test('with resources in other words than the API server has for them', async () => {
    const annotations = {
      'chaperone.dev/resources': '{"requests":{"cpu":"0.25"},"limits":{"cpu":1,"memory":"0.5Gi"}}',
    };
    const made = await created('payments', pod('worded', {}, { annotations }));
    expect(made.spec.initContainers![0]!.resources).toEqual({
      requests: { cpu: '250m', memory: '512Mi' },
      limits: { cpu: '1', memory: '512Mi' },
    });
  });

  test('before the init containers, and after the lockdown', async () => {
    const spec = {
      ...restricted,
      initContainers: [container('migrate', { securityContext: safe })],
    };
    const made = await created('payments', pod('locked', spec, lockdown));
    expect(initNames(made)).toEqual(['chaperone-lockdown', 'chaperone-sidecar', 'migrate']);
    // NET_ADMIN is more than that namespace allows.
    expect(await refusal('restricted', pod('locked', spec, lockdown))).toContain('PodSecurity');
  });

  test('of a pod that asks for itself, and of none that nobody asks for', async () => {
    const labels = { 'chaperone.dev/inject': 'enabled' };
    const asking = await created('plain', pod('asking', {}, { labels }));
    expect(initNames(asking)).toEqual(['chaperone-sidecar']);
    expect(asking.spec.hostAliases).toBeUndefined(); // the namespace takes no foreign Targets
    expect(initNames(await created('plain', pod('silent')))).toEqual([]);
  });

  test('of a namespace that was labelled a moment ago', async () => {
    await makeNamespace('fresh', open);
    expect(initNames(await created('fresh', pod('first')))).toEqual(['chaperone-sidecar']);
  });

  test('told to the owner where there is none', async () => {
    const owner = {
      apiVersion: 'apps/v1',
      kind: 'ReplicaSet',
      name: 'report',
      uid: 'u',
      controller: true,
    };
    const skipped = pod('networked', { hostNetwork: true }, { ownerReferences: [owner] });
    await created('payments', skipped, '--dry-run=server');
    await events.flush();
    const told = async () => {
      await events.flush();
      const args = ['get', 'events.events.k8s.io', '-n', 'payments', '-o', 'json'];
      return (JSON.parse(await kubectl(args)) as { items: { reason: string; regarding: object }[] })
        .items;
    };
    expect(await told()).toEqual([]);
    await created('payments', skipped);
    expect(await told()).toEqual([
      expect.objectContaining({
        reason: 'HostNetwork',
        regarding: expect.objectContaining({ kind: 'ReplicaSet', name: 'report' }),
      }),
    ]);
  });

  test('counted once, and not for a dry run', async () => {
    const metric = world.registry.getSingleMetric('chaperone_injection_total')!;
    const total = async (): Promise<number> =>
      (await metric.get()).values.reduce((sum, { value }) => sum + value, 0);
    const before = await total();
    await created('payments', pod('counted'), '--dry-run=server');
    expect(await total()).toBe(before);
    await created('payments', pod('counted'));
    expect(await total()).toBe(before + 1);
    await created('payments', pod('skipped', { hostIPC: true }));
    expect(await total()).toBe(before + 2);
    await refusal('required', pod('refused', { hostIPC: true }));
    expect(await total()).toBe(before + 3);
  });

  test('with targets of those namespaces alone that its own lists', async () => {
    const mapped = async (): Promise<number> => {
      const { spec } = await created('listing', pod('listed'), '--dry-run=server');
      return spec.hostAliases?.length ?? 0;
    };
    const list = (namespaceNames: string) => {
      const annotation = `chaperone.dev/foreign-targets-from=${namespaceNames}`;
      return kubectl(['annotate', '--overwrite', 'namespace', 'listing', annotation]);
    };
    expect(await mapped()).toBe(2);
    await list('payments,*');
    await waitFor(async () => (await mapped()) === 0);
    await list('payments, data');
    await waitFor(async () => (await mapped()) === 2);
  });

  const cases = readdirSync(golden)
    .filter((file) => file.endsWith('.yaml'))
    .map((file) => file.slice(0, -'.yaml'.length));
  test.each(cases)('golden case %s: what is injected is admitted', async (name) => {
    const given = parse(readFileSync(join(golden, `${name}.yaml`), 'utf8')) as { pod: Pod };
    const result = JSON.parse(readFileSync(join(golden, `${name}.patch.json`), 'utf8')) as {
      outcome: string;
    };
    if (result.outcome !== 'Injected') return;
    // With the targets of this cluster.
    const { spec, metadata } = given.pod;
    const { namespace: _, ...meta } = metadata!;
    const object = pod('', spec, { ...meta, name: meta.name ?? 'golden' });
    expect(await refusal('payments', object, '--dry-run=server')).toBe('');
  });
});

describe('a tenant of a namespace that requires a sidecar', () => {
  const cases: readonly [string, object, RegExp][] = [
    ['uses the network of the node', pod('x', { hostNetwork: true }), /HostNetwork/],
    [
      'shares the process namespace',
      pod('x', { shareProcessNamespace: true }),
      /SharedProcessNamespace/,
    ],
    [
      'uses the process namespace of the node',
      pod('x', { hostPID: true }),
      /SharedProcessNamespace/,
    ],
    ['uses the shared memory of the node', pod('x', { hostIPC: true }), /HostIPC/],
    [
      'runs as the sidecar',
      pod('x', { containers: [container('app', { securityContext: { runAsUser: sidecarUid } })] }),
      /ReservedUser/,
    ],
    [
      'mounts the token',
      pod('x', {
        containers: [
          container('app', { volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }] }),
        ],
      }),
      /ReservedName/,
    ],
    [
      'projects a token of its own',
      pod('x', {
        volumes: [
          {
            name: 'mine',
            projected: {
              sources: [{ serviceAccountToken: { audience: 'chaperone.dev', path: 't' } }],
            },
          },
        ],
      }),
      /ReservedAudience/,
    ],
    [
      'leads around by hostAliases',
      pod('x', { hostAliases: [{ ip: '10.0.0.9', hostnames: ['orders-db.data.svc'] }] }),
      /HostAliasConflict/,
    ],
    [
      'misspells Lockdown',
      pod('x', {}, { annotations: { 'chaperone.dev/egress': 'LockDown' } }),
      /InvalidAnnotation/,
    ],
    [
      'is root under Lockdown',
      pod('x', { containers: [container('app', { securityContext: { runAsUser: 0 } })] }, lockdown),
      /UnsafeForLockdown/,
    ],
  ];
  test.each(cases)('%s: refused', async (_, object, reason) => {
    expect(await refusal('required', object)).toMatch(reason);
  });

  test('opts out by label: injected, and told that it has no effect', async () => {
    const labels = { 'chaperone.dev/inject': 'disabled' };
    const object = pod('opted-out', {}, { labels });
    const { output, errors } = await attempt(
      ['create', '-n', 'required', '-f', '-', '-o', 'json'],
      [object],
    );
    expect(initNames(JSON.parse(output) as CheckedPod)).toEqual(['chaperone-sidecar']);
    expect(errors).toMatch(/Warning: .*chaperone.dev\/inject: disabled has no effect/);
  });

  test('brings a sidecar and a status of its own: replaced', async () => {
    const spec = {
      initContainers: [
        container('chaperone-sidecar', { command: ['sh'], restartPolicy: 'Always' }),
      ],
    };
    const annotations = { 'chaperone.dev/status': '{}' };
    const { spec: made } = await created('required', pod('forged', spec, { annotations }));
    expect(made.initContainers).toHaveLength(1);
    expect(made.initContainers![0]).toMatchObject({
      image: 'registry.example/chaperone-sidecar:1',
    });
    expect(made.initContainers![0]!.command).toBeUndefined();
  });

  test('imitates injection elsewhere: refused', async () => {
    const imitation = pod('imitation', { initContainers: [container('chaperone-sidecar')] });
    expect(await refusal('plain', imitation)).toContain('ReservedName');
  });
});

describe('a pod that runs', () => {
  beforeAll(async () => {
    await created('payments', pod('running'));
    await created('payments', pod('running-locked', restricted, lockdown));
    await created('plain', pod('bystander'));
  });

  const patch = (name: string, change: object, ...options: readonly string[]) =>
    attempt(['patch', 'pod', name, '-p', JSON.stringify(change), ...options]);

  test.each([
    ['another image of the sidecar', 'chaperone-sidecar', /CHP-8001 Altered/],
    ['another image of the workload', 'app', /^$/],
  ])('%s', async (_, name, expected) => {
    const field = name === 'app' ? 'containers' : 'initContainers';
    const change = { spec: { [field]: [{ name, image: 'other:1' }] } };
    expect((await patch('running', change, '-n', 'payments')).errors).toMatch(expected);
  });

  test('keeps its label or loses it: what holds for it holds', async () => {
    const change = { metadata: { labels: { 'chaperone.dev/governed': null } } };
    expect((await patch('running', change, '-n', 'payments')).code).toBe(0);
    const added = { spec: { ephemeralContainers: [container('chaperone-x')] } };
    const args = ['--subresource=ephemeralcontainers', '-n', 'payments'];
    expect((await patch('running', added, ...args)).errors).toContain('ReservedName');
  });

  const ephemeral: readonly [string, string, object, RegExp][] = [
    ['of a reserved name', 'running', { name: 'chaperone-debug' }, /ReservedName/],
    [
      'that sees the processes of the sidecar',
      'running',
      { targetContainerName: 'chaperone-sidecar' },
      /ReservedName/,
    ],
    [
      'with the token',
      'running',
      { volumeMounts: [{ name: 'chaperone-token', mountPath: '/t' }] },
      /ReservedName/,
    ],
    [
      'with the uid of the sidecar',
      'running',
      { securityContext: { runAsUser: sidecarUid } },
      /ReservedUser/,
    ],
    [
      'with the gid of the sidecar',
      'running',
      { securityContext: { runAsGroup: sidecarUid } },
      /ReservedUser/,
    ],
    [
      'as root, locked down',
      'running-locked',
      { securityContext: { ...safe, runAsUser: 0 } },
      /UnsafeForLockdown/,
    ],
    ['with all capabilities, locked down', 'running-locked', {}, /UnsafeForLockdown/],
    ['that is harmless, locked down', 'running-locked', { securityContext: safe }, /^$/],
    ['that is harmless', 'running', {}, /^$/],
  ];
  test.each(ephemeral)('an ephemeral container %s', async (_, name, fields, expected) => {
    const added = { spec: { ephemeralContainers: [container('debug', fields)] } };
    const args = ['--subresource=ephemeralcontainers', '-n', 'payments', '--dry-run=server'];
    expect((await patch(name, added, ...args)).errors).toMatch(expected);
  });

  test('elsewhere is none of our business', async () => {
    const added = {
      spec: {
        ephemeralContainers: [container('debug', { securityContext: { runAsUser: sidecarUid } })],
      },
    };
    const args = ['--subresource=ephemeralcontainers', '-n', 'plain', '--dry-run=server'];
    expect((await patch('bystander', added, ...args)).errors).toBe('');
  });

  const into = (verb: readonly string[], name: string, ...options: readonly string[]) => {
    const command = verb[0] === 'exec' ? ['--', 'true'] : [];
    return attempt([...verb, '-n', 'payments', 'running', '-c', name, ...options, ...command]);
  };

  test.each(['exec', 'attach'])('nobody may %s into the sidecar', async (verb) => {
    expect((await into([verb], 'chaperone-sidecar')).errors).toContain('nobody looks into');
    // There is no node here; the policy lets it pass.
    expect((await into([verb], 'app')).errors).not.toContain('nobody looks into');
  });

  test('but for those that the administrator names', async () => {
    const as = ['--as=someone', '--as-group=system:masters', '--as-group=rescue'];
    expect((await into(['exec'], 'chaperone-sidecar', ...as)).errors).not.toContain('nobody looks');
  });
});

test('with the webhook gone, nothing is admitted where it is asked for, and all else is', async () => {
  await webhook?.close();
  webhook = undefined;
  expect(await refusal('payments', pod('late'))).toContain('failed calling webhook');
  expect(await refusal('plain', pod('late'))).toBe('');
});
