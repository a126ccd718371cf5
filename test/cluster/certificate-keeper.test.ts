/** What keeps certificates and keys, on a real API server. */
import { CertificateKeeper } from '@chaperone/operator/certificates/keeper.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { governanceMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { certificateAuthority } from '../support/certificates.ts';
import { apiOf, createNamespace, surroundings } from '../support/kubernetes.ts';
import { waitFor } from './node/wait-for.ts';

type Secret = KubernetesObject & { readonly data?: Readonly<Record<string, string>> };

const dayMs = 24 * 60 * 60 * 1000;
let server: TestApiServer;
let api: KubernetesApi;
let namespace: string;
let count = 0;
const keepers: CertificateKeeper[] = [];

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
}, 120_000);

afterAll(async () => {
  for (const keeper of keepers) await keeper.stop();
  await api?.config.close();
  await server?.stop();
});

beforeEach(async () => {
  count += 1;
  namespace = `keeper-${count}`;
  await createNamespace(api, namespace);
});

/** A keeper whose time stands still, and the roots that it told. */
function keeper(certificates: 'Internal' | 'External', nowMs = Date.now()) {
  const clock = manualClock(nowMs);
  const around = surroundings(clock);
  const roots: string[] = [];
  const made = new CertificateKeeper({
    api,
    namespace,
    certificates,
    leaves: new Map([['chaperone-webhook-tls', ['chaperone-webhook.test.svc']]]),
    excluded: ['chaperone-webhook.test.svc'],
    webhookConfiguration: 'none',
    owner: async () => {
      const found = await api.get<KubernetesObject>(resourceTypes.Namespace, '', namespace);
      return { apiVersion: 'v1', kind: 'Namespace', name: namespace, uid: found.metadata.uid };
    },
    fieldManager: 'test',
    onRoots: (bundle) => void roots.push(bundle),
    isPublished: () => true,
    onAction: () => {},
    gauges: registerMetrics(around.registry, governanceMetrics),
    clock,
    logger: around.logger,
  });
  keepers.push(made);
  /** Lets it work once. */
  const run = async (): Promise<void> => {
    const before = roots.length;
    if (before === 0) made.start();
    else clock.advance(30_000);
    await waitFor(() => roots.length > before);
  };
  return {
    run,
    roots,
    clock,
    logged: around.logged,
    stop: () => made.stop(),
    start: () => made.start(),
  };
}

const secret = (name: string) => api.find<Secret>(resourceTypes.Secret, namespace, name);
const version = async (name: string) => (await secret(name))?.metadata.resourceVersion;

async function createSecret(name: string, texts: Readonly<Record<string, string>>): Promise<void> {
  const data = Object.entries(texts).map(([key, text]) => [
    key,
    Buffer.from(text).toString('base64'),
  ]);
  await api.create(resourceTypes.Secret, {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name },
    data: Object.fromEntries(data),
  } as never);
}

test('what is in order is not written again; what is deleted comes back; time renews', async () => {
  const one = keeper('Internal');
  await one.run();
  const names = [
    'root-ca',
    'webhook-tls',
    'workload-issuer',
    'signing-keys',
    'installation-key',
  ].map((name) => `chaperone-${name}`);
  const versions = await Promise.all(names.map(version));
  expect(versions).not.toContain(undefined);
  await one.run();
  expect(await Promise.all(names.map(version))).toEqual(versions);
  await api.delete(resourceTypes.Secret, namespace, 'chaperone-webhook-tls');
  await one.run();
  expect(await version('chaperone-webhook-tls')).toBeDefined();
  expect(await version('chaperone-root-ca')).toBe(versions[0]);
  const before = await version('chaperone-webhook-tls');
  one.clock.setWallMs(one.clock.nowMs() + 6 * dayMs);
  await one.run();
  expect(await version('chaperone-webhook-tls')).not.toBe(before);
  expect(new Set(one.roots).size).toBe(1);
});

test('the installation’s key is made once, and never touched whatever it is', async () => {
  await createSecret('chaperone-installation-key', { key: 'too short, and yet somebody’s' });
  const before = await version('chaperone-installation-key');
  const one = keeper('Internal');
  await one.run();
  expect(await version('chaperone-installation-key')).toBe(before);
  await api.delete(resourceTypes.Secret, namespace, 'chaperone-installation-key');
  await one.run();
  const { data } = (await secret('chaperone-installation-key'))!;
  expect(Buffer.from(data!.key!, 'base64')).toHaveLength(32);
});

test('certificates that somebody else keeps are left alone, and their roots are everybody’s', async () => {
  const [ours, theirs] = [certificateAuthority(), certificateAuthority()];
  const given: Record<string, typeof ours> = {
    'chaperone-webhook-tls': ours,
    'chaperone-policy-api-tls': ours,
    'chaperone-collector-tls': theirs,
  };
  for (const [name, authority] of Object.entries(given)) {
    const { cert, key } = authority.issue(['DNS:any.test']);
    await createSecret(name, { 'tls.crt': cert, 'tls.key': key, 'ca.crt': authority.ca.cert });
  }
  const before = await Promise.all(Object.keys(given).map(version));
  const one = keeper('External');
  await one.run();
  expect(await Promise.all(Object.keys(given).map(version))).toEqual(before);
  expect(await secret('chaperone-root-ca')).toBeUndefined();
  expect(await secret('chaperone-workload-issuer')).toBeUndefined();
  expect(await secret('chaperone-signing-keys')).toBeDefined();
  expect(one.roots[0]!.match(/BEGIN CERTIFICATE/g)).toHaveLength(2);
  expect(one.roots[0]).toContain(ours.ca.cert.trim());
  expect(one.roots[0]).toContain(theirs.ca.cert.trim());
});

test('two that work at once end with one authority', async () => {
  const [one, two] = [keeper('Internal'), keeper('Internal')];
  one.start();
  two.start();
  await waitFor(() => {
    // Whoever was late finds what the other made at its next attempt.
    for (const { clock } of [one, two]) clock.advance(30_000);
    return one.roots.at(-1) !== undefined && one.roots.at(-1) === two.roots.at(-1);
  });
  const root = (await secret('chaperone-root-ca'))!;
  const bundle = Buffer.from(root.data!['tls.crt']!, 'base64').toString();
  expect(one.roots.at(-1)).toBe(bundle);
});
