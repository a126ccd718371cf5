/**
 * The three roles of the operator as processes, on a real API server, each with the rights that the chart
 * gives it and no others.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect } from 'node:tls';
import { ApiError } from '@chaperone/operator/kubernetes/api-error.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { type ResourceType, resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { parse, parseAllDocuments } from 'yaml';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace } from '../support/kubernetes.ts';
import { OperatorProcess } from '../support/operator-process.ts';
import { helmBinary } from './build/binaries.ts';
import { waitFor } from './node/wait-for.ts';

// biome-ignore lint/suspicious/noExplicitAny: tests read any field of any kind
type Any = KubernetesObject & Record<string, any>;

const own = 'chaperone-system';
const chart = join(import.meta.dirname, '../../charts/chaperone');
const installation = {
  sidecarImage: 'registry.test/chaperone-sidecar:1',
  policyApiUrl: `https://chaperone-policy-api.${own}.svc.cluster.local:443`,
  collectorUrl: `https://chaperone-collector.${own}.svc.cluster.local:443`,
};

let server: TestApiServer;
let api: KubernetesApi;
let directory: string;
const processes: OperatorProcess[] = [];

/** A kubeconfig by which the role has the rights of its own ServiceAccount. */
function kubeconfigOf(role: string): string {
  const config = JSON.parse(readFileSync(server.kubeconfig, 'utf8'));
  config.users[0].user.as = `system:serviceaccount:${own}:chaperone-${role}`;
  const path = join(directory, `kubeconfig-${role}`);
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
  return path;
}

function start(role: string, options: Readonly<Record<string, string>> = {}): OperatorProcess {
  const started = new OperatorProcess(role, { kubeconfig: kubeconfigOf(role), ...options });
  processes.push(started);
  return started;
}

const startControllers = (instance: string): OperatorProcess =>
  start('controllers', { ...installation, instance });

/** What the chart makes, but for what has to be called or run. */
async function applyChart(): Promise<void> {
  const args = ['template', 'chaperone', chart, '--namespace', own, '--no-hooks'];
  const text = execFileSync(await helmBinary(), [...args, '--set', 'targetNamespaces={data}'], {
    encoding: 'utf8',
    maxBuffer: 64 << 20,
  });
  const kinds: Record<string, ResourceType> = {
    ClusterRole: rbac('ClusterRole', 'clusterroles', false),
    ClusterRoleBinding: rbac('ClusterRoleBinding', 'clusterrolebindings', false),
    Role: rbac('Role', 'roles', true),
    RoleBinding: rbac('RoleBinding', 'rolebindings', true),
    Deployment: resourceTypes.Deployment,
    MutatingWebhookConfiguration: resourceTypes.MutatingWebhookConfiguration,
    ValidatingWebhookConfiguration: resourceTypes.ValidatingWebhookConfiguration,
  };
  for (const document of parseAllDocuments(text)) {
    const object = document.toJS() as Any | null;
    const type = object === null ? undefined : kinds[object.kind];
    if (object === null || type === undefined) continue;
    // Nobody here leads the API server to the webhooks' Services.
    for (const webhook of object.webhooks ?? []) webhook.rules[0].resources = ['nothing'];
    await api.apply(type, object, { fieldManager: 'helm' });
  }
}

const rbac = (kind: string, plural: string, namespaced: boolean): ResourceType => ({
  group: 'rbac.authorization.k8s.io',
  version: 'v1',
  kind,
  plural,
  namespaced,
});

const find = (type: ResourceType, namespace: string, name: string) =>
  api.find<Any>(type, namespace, name);
const roots = async (namespace: string): Promise<string | undefined> =>
  (await find(resourceTypes.ConfigMap, namespace, 'chaperone-ca'))?.data?.['ca.crt'];

/** Puts Secrets into files, as the kubelet does. */
async function mount(secret: string): Promise<string> {
  const path = join(directory, secret);
  const found = await waitFor(() => find(resourceTypes.Secret, own, secret), { what: secret });
  mkdirSync(path, { recursive: true });
  for (const [key, value] of Object.entries((found as Any).data as Record<string, string>)) {
    writeFileSync(join(path, key), Buffer.from(value, 'base64'));
  }
  return path;
}

async function condition(
  kind: 'Target' | 'MachineIdentity' | 'AccessPolicy' | 'MaskingRule',
  path: string,
) {
  const [namespace, name] = path.split('/') as [string, string];
  const found = await find(resourceTypes[kind], namespace, name);
  const ready = found?.status?.conditions?.find(({ type }: { type: string }) => type === 'Ready');
  return ready === undefined ? undefined : `${ready.status} ${ready.reason}`;
}

const events = async (name: string): Promise<string[]> =>
  (await api.list<Any>(resourceTypes.Event)).items
    .filter(({ regarding }) => regarding.name === name)
    .map(({ reason }) => reason as string);

const create = (yaml: string): Promise<unknown> => {
  const object = parse(yaml) as Any;
  const type = resourceTypes[object.kind as keyof typeof resourceTypes];
  return api.create(type, object);
};

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-operator-'));
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await applyCrds(api);
  for (const name of [own, 'data', 'plain']) await createNamespace(api, name);
  await createNamespace(api, 'pay', { 'chaperone.dev/inject': 'enabled' });
  await applyChart();
}, 120_000);

afterAll(async () => {
  for (const process of processes) await process.end('SIGKILL');
  await api?.config.close();
  await server?.stop();
  rmSync(directory, { recursive: true, force: true });
});

test('the rights are those of the chart, not an administrator’s', async () => {
  const limited = apiOf(kubeconfigOf('webhook'));
  const reading = limited.list(resourceTypes.Secret, { namespace: own });
  await expect(reading).rejects.toMatchObject({ reason: 'Forbidden' });
  await limited.config.close();
});

describe('controllers', () => {
  test('make certificates, keys and roots, and nothing where nobody needs them', async () => {
    const first = startControllers('one');
    await first.ready();
    await waitFor(async () => (await roots('pay')) !== undefined, { what: 'the roots' });
    const ca = await roots('pay');
    expect(await roots(own)).toBe(ca);
    expect(await roots('plain')).toBeUndefined();
    expect(first.logged.filter(({ level }) => level === 'error')).toEqual([]);

    const deployment = await find(resourceTypes.Deployment, own, 'chaperone-controllers');
    for (const name of [
      'root-ca',
      'webhook-tls',
      'policy-api-tls',
      'collector-tls',
      'workload-issuer',
      'signing-keys',
      'installation-key',
    ]) {
      const secret = await find(resourceTypes.Secret, own, `chaperone-${name}`);
      expect(secret?.metadata.ownerReferences?.[0]?.uid).toBe(deployment!.metadata.uid);
    }
    const configuration = await find(resourceTypes.MutatingWebhookConfiguration, '', 'chaperone');
    const owner = (await find(resourceTypes.ConfigMap, 'pay', 'chaperone-ca'))!.metadata
      .ownerReferences;
    expect(owner?.[0]?.uid).toBe(configuration!.metadata.uid);
    await waitFor(async () => {
      for (const type of [
        resourceTypes.MutatingWebhookConfiguration,
        resourceTypes.ValidatingWebhookConfiguration,
      ]) {
        const found = await find(type, '', 'chaperone');
        for (const { clientConfig } of found!.webhooks) {
          if (Buffer.from(clientConfig.caBundle ?? '', 'base64').toString() !== ca) return false;
        }
      }
      return true;
    });
  });

  test('mend the roots where they are edited, deleted, or come to be needed', async () => {
    const ca = await roots('pay');
    await api.delete(resourceTypes.ConfigMap, 'pay', 'chaperone-ca');
    await waitFor(async () => (await roots('pay')) === ca, { what: 'the roots to be back' });
    const path = { namespace: 'pay', name: 'chaperone-ca' };
    await api.mergePatch(resourceTypes.ConfigMap, path, { data: { 'ca.crt': 'forged' } });
    await waitFor(async () => (await roots('pay')) === ca, { what: 'the roots to be mended' });
    await create(`
apiVersion: v1
kind: Pod
metadata: { name: asks, namespace: plain, labels: { chaperone.dev/inject: enabled } }
spec: { containers: [ { name: app, image: none } ] }
`);
    await waitFor(async () => (await roots('plain')) === ca, { what: 'the roots for a pod' });
    await api.delete(resourceTypes.Pod, 'plain', 'asks');
    await waitFor(async () => (await roots('plain')) === undefined, { what: 'the roots to go' });
  });

  test('leave a namespace that is being deleted alone', async () => {
    await createNamespace(api, 'going', { 'chaperone.dev/inject': 'enabled' });
    await waitFor(async () => (await roots('going')) !== undefined);
    // Nobody here finishes a deletion: the namespace stays, terminating.
    await api.delete(resourceTypes.Namespace, '', 'going');
    await api.delete(resourceTypes.ConfigMap, 'going', 'chaperone-ca');
    const path = { namespace: 'pay', name: 'chaperone-ca' };
    await api.mergePatch(resourceTypes.ConfigMap, path, { data: { 'ca.crt': 'forged' } });
    await waitFor(async () => (await roots('pay')) !== 'forged');
    expect(await roots('going')).toBeUndefined();
    expect(processes[0]!.logged.filter(({ level }) => level === 'error')).toEqual([]);
  });
});

describe('webhook and policy API', () => {
  test('serve with the certificates made for them', async () => {
    const webhook = start('webhook', {
      ...installation,
      listenPort: '0',
      tlsDirectory: await mount('chaperone-webhook-tls'),
    });
    const policyApi = start('policy-api', {
      sidecarImage: installation.sidecarImage,
      targetNamespaces: 'data',
      listenPort: '0',
      tlsDirectory: await mount('chaperone-policy-api-tls'),
      issuerDirectory: await mount('chaperone-workload-issuer'),
      signingKeysDirectory: await mount('chaperone-signing-keys'),
      installationKeyFile: join(await mount('chaperone-installation-key'), 'key'),
      instance: 'one',
    });
    await Promise.all([webhook.ready(), policyApi.ready()]);
    const ca = (await roots(own))!;
    const verified = async (port: unknown, servername: string): Promise<boolean> => {
      const socket = connect({ host: '127.0.0.1', port: port as number, ca, servername });
      return new Promise((resolve, reject) => {
        socket.once('secureConnect', () => resolve(socket.authorized)).once('error', reject);
      }).finally(() => socket.destroy()) as Promise<boolean>;
    };
    const webhookPort = webhook.field('admission webhooks listen', 'port');
    expect(await verified(webhookPort, `chaperone-webhook.${own}.svc`)).toBe(true);
    const policyApiPort = policyApi.field('the policy API listens', 'port');
    expect(await verified(policyApiPort, `chaperone-policy-api.${own}.svc.cluster.local`)).toBe(
      true,
    );
    expect(
      webhook.logged.concat(policyApi.logged).filter(({ level }) => level === 'error'),
    ).toEqual([]);
  });
});

describe('statuses', () => {
  test('say of each resource whether it can be used, and are not written again', async () => {
    await create(`
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: pay }
spec:
  owner: { team: payments }
  purpose: Nightly report
  subjects: [ { serviceAccount: { name: report } } ]
`);
    await create(`
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders, namespace: data }
spec:
  protocol: PostgreSQL
  host: orders.data.svc.cluster.local
  credentials: { secretRef: { name: orders } }
  allowedNamespaces: { from: All }
`);
    await create(`
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: liar, namespace: data }
spec:
  protocol: PostgreSQL
  host: kubernetes.default.svc
  credentials: { secretRef: { name: orders } }
`);
    await create(`
apiVersion: chaperone.dev/v1alpha1
kind: AccessPolicy
metadata: { name: read, namespace: data }
spec:
  targetRefs: [ { name: orders } ]
  subjects: { namespaces: [pay] }
  rules: [ { name: r, action: Allow, classes: [Read], resources: ["**"] } ]
`);
    await create(`
apiVersion: chaperone.dev/v1alpha1
kind: MaskingRule
metadata: { name: names, namespace: data }
spec: { targetRefs: [ { name: orders } ], columns: [a.b.c.d], transform: { type: Redact } }
`);
    await waitFor(
      async () => (await condition('Target', 'data/orders')) === 'False SecretNotFound',
    );
    expect(await condition('Target', 'data/liar')).toBe('False HostNotAllowed');
    // Told of when it lasts: what is applied with the Target may only not have arrived.
    await waitFor(async () => (await events('orders')).includes('SecretNotFound'));
    await create(`
apiVersion: v1
kind: Secret
metadata: { name: orders, namespace: data, labels: { chaperone.dev/target: orders } }
stringData: { username: u, password: p }
`);
    await waitFor(async () => (await condition('Target', 'data/orders')) === 'True Ready');
    await waitFor(async () => (await condition('MachineIdentity', 'pay/report')) === 'True Ready');
    await waitFor(async () => (await condition('AccessPolicy', 'data/read')) === 'True Ready');
    await waitFor(async () => (await condition('MaskingRule', 'data/names')) === 'True Ready');
    const identity = await find(resourceTypes.MachineIdentity, 'pay', 'report');
    expect(identity?.status.boundPods).toBe(0);
    await waitFor(async () => (await events('orders')).includes('Ready'));
    expect(await events('liar')).toContain('HostNotAllowed');

    // Something else changes: whoever has nothing new to say does not write.
    const before = await find(resourceTypes.AccessPolicy, 'data', 'read');
    const path = { namespace: 'pay', name: 'report' };
    await api.mergePatch(resourceTypes.MachineIdentity, path, { spec: { suspended: true } });
    await waitFor(
      async () => (await condition('MachineIdentity', 'pay/report')) === 'False Suspended',
    );
    const after = await find(resourceTypes.AccessPolicy, 'data', 'read');
    expect(after!.metadata.resourceVersion).toBe(before!.metadata.resourceVersion);
  });

  /** Makes `yaml` as if it had been stored before the schema had what `relax` takes out. */
  async function storeBefore(
    plural: string,
    relax: (spec: Any) => void,
    yaml: string,
  ): Promise<void> {
    const type = resourceTypes.CustomResourceDefinition;
    const crdName = `${plural}.chaperone.dev`;
    const crd = (await find(type, '', crdName))!;
    const replace = async (schema: Any): Promise<void> => {
      const { metadata } = (await find(type, '', crdName))!;
      const { resourceVersion, uid } = metadata;
      const own = { name: crdName, resourceVersion, uid };
      await api.replace(type, { ...schema, metadata: own } as unknown as Any);
    };
    const lax = structuredClone(crd);
    relax(lax.spec.versions[0].schema.openAPIV3Schema.properties.spec);
    await replace(lax);
    await waitFor(async () => {
      try {
        await create(yaml);
        return true;
      } catch (error) {
        if (error instanceof ApiError && error.isInvalid) return false;
        throw error;
      }
    });
    await replace(crd);
  }

  test('of an object from before a rule of its schema say what to correct, and leave the others alone', async () => {
    await storeBefore(
      'machineidentities',
      (spec) => {
        delete spec.properties.purpose.minLength;
        delete spec.properties.purpose.pattern;
      },
      `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: old, namespace: pay }
spec: { owner: { team: t }, purpose: "", subjects: [ { serviceAccount: { name: old } } ] }
`,
    );
    await waitFor(
      async () => (await condition('MachineIdentity', 'pay/old')) === 'False InvalidSpec',
    );
    const found = await find(resourceTypes.MachineIdentity, 'pay', 'old');
    expect(found?.status.conditions[0].message).toMatch(/purpose/);
    await waitFor(async () => (await events('old')).includes('InvalidSpec'));
    expect(await condition('AccessPolicy', 'data/read')).toBe('True Ready');
    expect(await condition('Target', 'data/orders')).toBe('True Ready');
  });

  test('a mask that is not valid any more closes its target until it is mended', async () => {
    await storeBefore(
      'maskingrules',
      (spec) => {
        delete spec.properties.columns.items.pattern;
      },
      `
apiVersion: chaperone.dev/v1alpha1
kind: MaskingRule
metadata: { name: old, namespace: data }
spec: { targetRefs: [ { name: orders } ], columns: ["no column"], transform: { type: Redact } }
`,
    );
    await waitFor(async () => (await condition('MaskingRule', 'data/old')) === 'False InvalidSpec');
    await waitFor(async () => (await condition('Target', 'data/orders')) === 'False InvalidPolicy');
    await api.delete(resourceTypes.MaskingRule, 'data', 'old');
    await waitFor(async () => (await condition('Target', 'data/orders')) === 'True Ready');
  });
});

describe('governance', () => {
  const metric = async (series: string): Promise<number | undefined> => {
    const port = processes[0]!.field('starting', 'opsPort');
    const body = await (await fetch(`http://127.0.0.1:${port}/metrics`)).text();
    const line = body.split('\n').find((text) => text.startsWith(`${series} `));
    return line === undefined ? undefined : Number(line.split(' ')[1]);
  };

  test('tells of pods on the workload that people know, and counts them', async () => {
    const pod = (name: string): string => `
apiVersion: v1
kind: Pod
metadata:
  name: ${name}
  namespace: data
  labels: { chaperone.dev/inject: enabled }
  ownerReferences:
  - { apiVersion: apps/v1, kind: ReplicaSet, name: shop-1, uid: UID, controller: true }
spec:
  containers: [ { name: app, image: none } ]
  volumes: [ { name: v, secret: { secretName: orders } } ]
`;
    const template = `
  selector: { matchLabels: { app: shop } }
  template:
    metadata: { labels: { app: shop } }
    spec: { containers: [ { name: app, image: none } ] }
`;
    const deployment = (await create(`
apiVersion: apps/v1
kind: Deployment
metadata: { name: shop, namespace: data }
spec:${template}`)) as Any;
    const replicaSet = (await create(`
apiVersion: apps/v1
kind: ReplicaSet
metadata:
  name: shop-1
  namespace: data
  ownerReferences:
  - { apiVersion: apps/v1, kind: Deployment, name: shop, uid: ${deployment.metadata.uid}, controller: true }
spec:${template}`)) as Any;
    for (const name of ['shop-1-a', 'shop-1-b']) {
      await create(pod(name).replace('UID', replicaSet.metadata.uid));
    }
    // Each finding is told by an Event of its own.
    await waitFor(async () => new Set(await events('shop')).size >= 2);
    expect((await events('shop')).sort()).toEqual(['CredentialAccess', 'Ungoverned']);
    const all = (await api.list<Any>(resourceTypes.Event)).items;
    const told = all.find(({ reason }) => reason === 'CredentialAccess');
    expect(told?.regarding).toMatchObject({ kind: 'Deployment', uid: deployment.metadata.uid });
    expect(told?.note).toMatch(
      /^2 pods of it: it can read Secret orders, the credential of Target orders/,
    );
    await waitFor(
      async () => (await metric('chaperone_governance_pods{finding="CredentialAccess"}')) === 2,
    );
    expect(await metric('chaperone_governance_identities{finding="NotReady"}')).toBe(1);
    expect(
      await metric('chaperone_certificate_expiry_timestamp_seconds{certificate="root"}'),
    ).toBeGreaterThan(Date.now() / 1000 + 360 * 24 * 3600);
    for (const name of ['shop-1-a', 'shop-1-b']) await api.delete(resourceTypes.Pod, 'data', name);
    await waitFor(
      async () => (await metric('chaperone_governance_pods{finding="Ungoverned"}')) === 0,
    );
  });
});

describe('the lead', () => {
  test('passes on at once when the leader is told to end, and a leader that lost it ends', async () => {
    const second = startControllers('two');
    await second.ready();
    const [first] = processes;
    expect(await first!.end('SIGTERM')).toBe(0);
    await waitFor(() => second.logged.some(({ msg }) => msg === 'leading'), { timeoutMs: 10_000 });
    const path = { namespace: own, name: 'chaperone-controllers' };
    const spec = { holderIdentity: 'somebody-else', renewTime: '2099-01-01T00:00:00.000000Z' };
    await api.mergePatch(resourceTypes.Lease, path, { spec });
    expect(await second.end()).toBe(2);
    expect(second.logged.at(-1)?.msg).toBe('stopped');
  });

  test('without the API server a policy API is not ready within seconds, and alive; with it, ready again', async () => {
    const policyApi = processes.find(({ role }) => role === 'policy-api')!;
    const port = policyApi.field('starting', 'opsPort');
    const ask = async (path: string): Promise<number> =>
      (await fetch(`http://127.0.0.1:${port}/${path}`)).status;
    expect(await ask('readyz')).toBe(200);
    await server.killApiServer();
    await waitFor(async () => (await ask('readyz')) === 503, { timeoutMs: 15_000 });
    // The lead is lost with it, and the program goes on all the same.
    await waitFor(() => policyApi.logged.some(({ msg }) => msg === 'the lead is lost'));
    expect(await ask('healthz')).toBe(200);
    await server.startApiServer();
    await waitFor(async () => (await ask('readyz')) === 200);
    await waitFor(() => policyApi.logged.filter(({ msg }) => msg === 'leading').length === 2);
    await api.delete(resourceTypes.Secret, 'data', 'orders');
    await waitFor(
      async () => (await condition('Target', 'data/orders')) === 'False SecretNotFound',
    );
  });

  test('an operator that never reaches the API server still ends when told to', async () => {
    const config = JSON.parse(readFileSync(server.kubeconfig, 'utf8'));
    config.clusters[0].cluster.server = 'https://127.0.0.1:1';
    const kubeconfig = join(directory, 'nowhere');
    writeFileSync(kubeconfig, JSON.stringify(config), { mode: 0o600 });
    const lost = start('controllers', { ...installation, kubeconfig });
    const port = await waitFor(() => lost.field('starting', 'opsPort'));
    expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200);
    expect((await fetch(`http://127.0.0.1:${port}/readyz`)).status).toBe(503);
    expect(await lost.end('SIGTERM')).toBe(0);
  });
});
