/** KubernetesStore on a real API server. */
import { storeContract } from '@chaperone/control/store/contract.ts';
import type { NewObject, StoredKind, WatchBatch } from '@chaperone/control/store/resource-store.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import {
  KubernetesStore,
  type KubernetesStoreOptions,
} from '@chaperone/operator/kubernetes/kubernetes-store.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import type { InvalidObject } from '@chaperone/operator/kubernetes/stored-object.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace, surroundings } from '../support/kubernetes.ts';
import { waitFor } from './node/wait-for.ts';

const kinds: readonly StoredKind[] = [
  'MachineIdentity',
  'Target',
  'AccessPolicy',
  'MaskingRule',
  'Secret',
  'ConfigMap',
  'Namespace',
];

let server: TestApiServer;
let api: KubernetesApi;

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await applyCrds(api);
  await createNamespace(api, 'payments');
  await createNamespace(api, 'data');
}, 120_000);

afterAll(async () => {
  await api?.config.close();
  await server?.stop();
});

async function removeAll(): Promise<void> {
  for (const kind of kinds) {
    if (kind === 'Namespace' || kind === 'ConfigMap') continue;
    const type = resourceTypes[kind];
    for (const { metadata } of (await api.list<KubernetesObject>(type)).items) {
      await api.delete(type, metadata.namespace ?? '', metadata.name);
    }
  }
}

function startStore(options: Partial<KubernetesStoreOptions> = {}): KubernetesStore {
  const store = new KubernetesStore({
    api,
    kinds,
    targetNamespaces: ['data'],
    fieldManager: 'chaperone-test',
    ...surroundings(),
    ...options,
  });
  store.start();
  return store;
}

storeContract('KubernetesStore', async () => {
  const store = startStore();
  return {
    store,
    async close() {
      await store.stop();
      await removeAll();
    },
  };
});

describe('KubernetesStore', () => {
  /** With a store that has synced; `told` are the events of a watch on everything, as text. */
  async function watching(
    options: Partial<KubernetesStoreOptions>,
    work: (store: KubernetesStore, told: string[], batches: WatchBatch[]) => Promise<void>,
  ): Promise<void> {
    const store = startStore(options);
    const told: string[] = [];
    const batches: WatchBatch[] = [];
    try {
      await store.synced();
      store.watch(kinds, (batch) => {
        batches.push(batch);
        for (const { type, object } of batch.events) {
          if (object.kind !== 'Namespace' && !object.metadata.name.startsWith('kube-')) {
            told.push(
              `${type} ${object.kind} ${object.metadata.namespace}/${object.metadata.name}`,
            );
          }
        }
      });
      await work(store, told, batches);
    } finally {
      await store.stop();
      await removeAll();
    }
  }

  const identity = (subjects: readonly object[]) => ({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'MachineIdentity',
    metadata: { namespace: 'payments', name: 'a' },
    spec: { owner: { team: 'payments' }, purpose: 'Test', subjects },
  });
  const once = [{ serviceAccount: { name: 'a' } }];
  const twice = [...once, ...once];

  const secret = (namespace: string, name: string, labels: Record<string, string>) => ({
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { namespace, name, labels },
    stringData: { password: 'x' },
  });

  test('an object that is not valid counts as absent, and is told to whoever asks', async () => {
    const told: string[] = [];
    const onInvalid = ({ object, problems }: InvalidObject): void => {
      told.push(`${object.metadata.name}: ${problems.map(({ path }) => path).join()}`);
    };
    await watching({ onInvalid }, async (store, events) => {
      const { MachineIdentity } = resourceTypes;
      const fieldManager = 'author';
      // No webhook here says no: as if it had been stored before the rule existed.
      await api.apply(MachineIdentity, identity(twice), { fieldManager });
      await waitFor(() => told.length === 1);
      expect(told).toEqual(['a: spec.subjects[1]']);
      expect(events).toEqual([]);
      expect(await store.get('MachineIdentity', 'payments', 'a')).toBeUndefined();
      expect((await store.list('MachineIdentity')).items).toEqual([]);
      expect(store.invalid().map(({ object }) => object.metadata.name)).toEqual(['a']);
      await expect(
        store.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions: 1 }),
      ).rejects.toMatchObject({ code: 'CHP-1010' });

      await api.apply(MachineIdentity, identity(once), { fieldManager });
      await waitFor(() => events.length === 1);
      expect(store.invalid()).toEqual([]);
      await api.apply(MachineIdentity, identity(twice), { fieldManager });
      await waitFor(() => events.length === 2);
      await api.delete(MachineIdentity, 'payments', 'a');
      await waitFor(() => store.invalid().length === 0);
      expect(events).toEqual([
        'Added MachineIdentity payments/a',
        'Deleted MachineIdentity payments/a',
      ]);
    });
  });

  test('Secrets are seen in the namespaces given and with a label of ours, each once', async () => {
    await watching({ targetNamespaces: ['data', 'payments'] }, async (store, told) => {
      const { Secret } = resourceTypes;
      const target = { 'chaperone.dev/target': 'shop' };
      const both = { ...target, 'chaperone.dev/use': 'MaskingKey' };
      await api.create(Secret, secret('default', 'elsewhere', both));
      await api.create(Secret, secret('data', 'unlabelled', {}));
      await api.create(Secret, secret('data', 'both', both));
      await api.create(Secret, secret('payments', 'one', target));
      await waitFor(() => told.length === 2);
      expect([...told].sort()).toEqual(['Added Secret data/both', 'Added Secret payments/one']);
      // One label less: it is still there.
      const path = { namespace: 'data', name: 'both' };
      const less = { metadata: { labels: { 'chaperone.dev/use': null } } };
      await api.mergePatch(Secret, path, less);
      await waitFor(() => told.length === 3);
      const none = { metadata: { labels: { 'chaperone.dev/target': null } } };
      await api.mergePatch(Secret, path, none);
      await waitFor(() => told.length === 4);
      expect(told.slice(2)).toEqual(['Modified Secret data/both', 'Deleted Secret data/both']);
      expect((await store.list('Secret')).items.map(({ metadata }) => metadata.name)).toEqual([
        'one',
      ]);
    });
  });

  test('of kinds that the program does not watch nothing is read, and nothing shown', async () => {
    const { Secret } = resourceTypes;
    await api.create(Secret, secret('data', 's', { 'chaperone.dev/target': 'shop' }));
    await watching({ kinds: ['MachineIdentity', 'Namespace'] }, async (store, told, batches) => {
      expect(store.reflectors.map(({ name }) => name)).toEqual(['machineidentities', 'namespaces']);
      expect(told).toEqual([]);
      expect(Object.keys(batches[0]!.versions!)).toEqual(['MachineIdentity', 'Namespace']);
      expect(batches[0]!.events.map(({ object }) => object.metadata.name)).toContain('payments');
    });
  });

  test('a watch begun once everything is known has its first batch at once', async () => {
    await watching({}, async (store, _, batches) => {
      expect(batches).toHaveLength(1);
      expect(store.ageMs()).toBeGreaterThanOrEqual(0);
      const { versions, resourceVersion } = batches[0]!;
      expect(Object.keys(versions!).sort()).toEqual([...kinds].sort());
      for (const version of Object.values(versions!)) {
        expect(version).toBeGreaterThan(0);
        expect(version).toBeLessThanOrEqual(Number(resourceVersion));
      }
    });
  });

  test('a change of a Secret or of the labels of a namespace is no change of status alone', async () => {
    await watching({}, async (_, __, batches) => {
      const last = () => batches.flatMap(({ events }) => events).at(-1)!.object;
      await api.create(
        resourceTypes.Secret,
        secret('data', 's', { 'chaperone.dev/target': 'shop' }),
      );
      await waitFor(() => last().kind === 'Secret');
      const before = last().metadata.generation;
      const path = { namespace: 'data', name: 's' };
      await api.mergePatch(resourceTypes.Secret, path, { data: { password: 'eQ==' } });
      await waitFor(() => (last().metadata.generation ?? 0) > before);
      const labels = { team: 'x' };
      await api.mergePatch(resourceTypes.Namespace, { name: 'data' }, { metadata: { labels } });
      await waitFor(() => last().kind === 'Namespace');
      expect(last()).toMatchObject({ metadata: { name: 'data', namespace: '', labels } });
    });
  });

  test('writes that meet are all done: five at once on one status', async () => {
    await watching({}, async (store) => {
      await store.create(identity(once) as NewObject);
      const patches = [1, 2, 3, 4, 5].map((activeSessions) =>
        store.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions }),
      );
      await Promise.all(patches);
      const { status } = (await store.get('MachineIdentity', 'payments', 'a'))!;
      expect([1, 2, 3, 4, 5]).toContain(status?.activeSessions);
    });
  });
});
