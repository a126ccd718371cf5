/** NetworkPolicies on request, on a real API server. No CNI of ours enforces them: what is tested is what is asked of one. */
import type { GovernanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { networkPolicies } from '@chaperone/operator/controllers/network-policies/network-policies.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { EventRecorder } from '@chaperone/operator/kubernetes/event-recorder.ts';
import { KubernetesStore } from '@chaperone/operator/kubernetes/kubernetes-store.ts';
import type { KubernetesObject, WrittenObject } from '@chaperone/operator/kubernetes/object.ts';
import { type ResourceType, resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import type { Part } from '@chaperone/operator/runtime/lifecycle.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace, surroundings } from '../support/kubernetes.ts';
import { waitFor } from './node/wait-for.ts';

interface Policy extends KubernetesObject {
  // biome-ignore lint/suspicious/noExplicitAny: the test reads any field
  readonly spec: any;
}

const rules: GovernanceRules = {
  clusterDomain: 'cluster.local',
  allowedHosts: new Map([['data', ['db.example.com']]]),
  oidcIssuers: new Map(),
  foreignTargets: 'Accepted',
};
let server: TestApiServer;
let api: KubernetesApi;
let part: Part;
let store: KubernetesStore;
let events: EventRecorder;

const create = (type: ResourceType, object: object) => api.create(type, object as WrittenObject);
const annotate = (namespace: string, value: string | null) =>
  api.mergePatch(
    resourceTypes.Namespace,
    { name: namespace },
    { metadata: { annotations: { 'chaperone.dev/network-policy': value } } },
  );
const policiesIn = async (namespace: string): Promise<readonly Policy[]> =>
  (await api.list<Policy>(resourceTypes.NetworkPolicy, { namespace })).items;
const policy = (namespace: string, name = 'chaperone-targets') =>
  api.find<Policy>(resourceTypes.NetworkPolicy, namespace, name);

const target = (name: string, host: string, lockdownPorts?: readonly number[]) => ({
  apiVersion: 'chaperone.dev/v1alpha1',
  kind: 'Target',
  metadata: { name, namespace: 'data' },
  spec: {
    protocol: 'PostgreSQL',
    host,
    credentials: { secretRef: { name: 's' } },
    allowedNamespaces: { from: 'All' },
    ...(lockdownPorts && { lockdownPorts }),
  },
});

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await applyCrds(api);
  for (const name of ['payments', 'busy', 'quiet', 'data']) await createNamespace(api, name);
  await create(resourceTypes.Service, {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'orders-db', namespace: 'data' },
    spec: { selector: { app: 'orders-db' }, ports: [{ port: 5432 }] },
  });
  await create(resourceTypes.EndpointSlice, {
    apiVersion: 'discovery.k8s.io/v1',
    kind: 'EndpointSlice',
    metadata: {
      name: 'orders-db-1',
      namespace: 'data',
      labels: { 'kubernetes.io/service-name': 'orders-db' },
    },
    addressType: 'IPv4',
    endpoints: [{ addresses: ['10.244.0.9'] }],
    ports: [{ port: 5432 }],
  });
  await create(resourceTypes.Target, target('orders', 'orders-db.data.svc.cluster.local', [5432]));
  const common = surroundings();
  store = new KubernetesStore({
    api,
    kinds: ['Target', 'Namespace'],
    targetNamespaces: [],
    fieldManager: 'test',
    ...common,
  });
  events = new EventRecorder({
    api,
    controller: 'chaperone.dev/test',
    instance: 'test',
    ...common,
  });
  part = networkPolicies({
    api,
    store,
    rules,
    owner: async () => undefined,
    events,
    resolve: async () => ['192.0.2.7', '2001:db8::7'],
    ...common,
  });
  store.start();
  await part.start();
}, 120_000);

afterAll(async () => {
  await part?.stop();
  await store?.stop();
  await events?.stop();
  await api?.config.close();
  await server?.stop();
});

test('a namespace that asks for it gets one, which goes when it asks no more', async () => {
  await annotate('payments', 'Generate');
  const made = await waitFor(() => policy('payments'));
  expect(made.spec.policyTypes).toEqual(['Egress']);
  expect(made.spec.podSelector.matchExpressions).toEqual([
    { key: 'chaperone.dev/governed', operator: 'NotIn', values: ['true'] },
  ]);
  const [service] = (await api.list<Policy>(resourceTypes.Service, { namespace: 'data' })).items;
  const closed = [`${service?.spec.clusterIP}/32`, '10.244.0.9/32'].sort();
  expect(made.spec.egress[0].to[0].ipBlock.except).toEqual(closed);
  expect(made.spec.egress[0].ports).toContainEqual({ protocol: 'TCP', port: 1, endPort: 5431 });
  expect(await policiesIn('quiet')).toEqual([]);

  await annotate('payments', null);
  await waitFor(async () => (await policy('payments')) === undefined);
});

test('one that was edited or deleted is mended', async () => {
  await annotate('payments', 'Generate');
  const made = await waitFor(() => policy('payments'));
  const path = { namespace: 'payments', name: made.metadata.name };
  await api.mergePatch(resourceTypes.NetworkPolicy, path, { spec: { egress: [{}] } });
  await waitFor(async () => (await policy('payments'))?.spec.egress.length === 2);
  await api.delete(resourceTypes.NetworkPolicy, 'payments', made.metadata.name);
  await waitFor(async () => (await policy('payments')) !== undefined);
});

test('a further target closes its addresses too', async () => {
  await create(resourceTypes.Target, target('reports', 'db.example.com'));
  const blocks = await waitFor(async () => {
    const to = (await policy('payments'))?.spec.egress[0].to;
    return to?.[1].ipBlock.except && to;
  });
  expect(blocks[0].ipBlock.except).toContain('192.0.2.7/32');
  expect(blocks[1].ipBlock.except).toEqual(['2001:db8::7/128']);
});

test('beside an egress policy of others none is made, and it is told', async () => {
  const own = {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'default-deny', namespace: 'payments' },
    spec: { podSelector: {}, policyTypes: ['Egress'] },
  };
  await create(resourceTypes.NetworkPolicy, own);
  await waitFor(async () => (await policy('payments')) === undefined);
  await events.flush();
  const told = await waitFor(async () => {
    const { items } = await api.list<KubernetesObject & { reason: string; note: string }>(
      resourceTypes.Event,
    );
    return items.find(({ reason }) => reason === 'NetworkPolicyNotGenerated');
  });
  expect(told.note).toContain('default-deny');
  await api.delete(resourceTypes.NetworkPolicy, 'payments', 'default-deny');
  await waitFor(async () => (await policy('payments')) !== undefined);
});

test('what has our name and is not ours is left alone', async () => {
  await create(resourceTypes.NetworkPolicy, {
    apiVersion: 'networking.k8s.io/v1',
    kind: 'NetworkPolicy',
    metadata: { name: 'chaperone-targets', namespace: 'busy' },
    spec: { podSelector: {}, policyTypes: ['Ingress'] },
  });
  await annotate('busy', 'Generate');
  await annotate('quiet', 'Generate');
  await waitFor(() => policy('quiet'));
  expect((await policy('busy'))?.spec).toEqual({ podSelector: {}, policyTypes: ['Ingress'] });
});
