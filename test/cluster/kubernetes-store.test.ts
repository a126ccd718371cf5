/** KubernetesStore on a real API server. */
import { storeContract } from '@chaperone/control/store/contract.ts';
import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { KubernetesStore } from '@chaperone/operator/kubernetes/kubernetes-store.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { afterAll, beforeAll } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace, surroundings } from '../support/kubernetes.ts';

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
    for (const { metadata } of (await api.list(type)).items) {
      await api.delete(type, metadata.namespace ?? '', metadata.name);
    }
  }
}

storeContract('KubernetesStore', async () => {
  const store = new KubernetesStore({
    api,
    kinds,
    targetNamespaces: ['data'],
    fieldManager: 'chaperone-test',
    ...surroundings(),
  });
  store.start();
  return {
    store,
    async close() {
      await store.stop();
      await removeAll();
    },
  };
});
