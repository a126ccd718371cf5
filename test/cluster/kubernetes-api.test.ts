/** Caches, election, Events and applying on a real API server, which is closed on, killed, restarted and compacted. */
import { Applier } from '@chaperone/operator/kubernetes/apply.ts';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { Contact } from '@chaperone/operator/kubernetes/contact.ts';
import { EventRecorder } from '@chaperone/operator/kubernetes/event-recorder.ts';
import { LeaderElection } from '@chaperone/operator/kubernetes/leader-election.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { Reflector, slim } from '@chaperone/operator/kubernetes/reflector.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, applyCrds, createNamespace, surroundings } from '../support/kubernetes.ts';
import { waitFor } from './node/wait-for.ts';

const { ConfigMap, Event, Lease, MachineIdentity, Namespace } = resourceTypes;

let server: TestApiServer;
let api: KubernetesApi;

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await applyCrds(api);
  await createNamespace(api, 'payments');
}, 120_000);

afterAll(async () => {
  await api?.config.close();
  await server?.stop();
});

const configMap = (name: string, data: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'ConfigMap',
  metadata: { namespace: 'payments', name, labels: { of: 'test' } },
  data,
});

const identity = (name: string) => ({
  apiVersion: 'chaperone.dev/v1alpha1',
  kind: 'MachineIdentity',
  metadata: { namespace: 'payments', name },
  spec: {
    owner: { team: 'payments' },
    purpose: 'Test',
    subjects: [{ serviceAccount: { name } }],
  },
});

describe('a Reflector', () => {
  /** Follows the ConfigMaps of these tests; `names` as they are known now, `told` as it came. */
  async function following(work: (cache: Following) => Promise<void>): Promise<void> {
    const reflector = new Reflector({
      api,
      type: ConfigMap,
      selection: { namespace: 'payments', labelSelector: 'of=test' },
      transform: slim,
      ...surroundings(),
    });
    const told: string[] = [];
    reflector.subscribe(({ changes }) => {
      for (const { type, object } of changes) told.push(`${type} ${object.metadata.name}`);
    });
    const contact = new Contact(api, Namespace, systemClock());
    contact.follow(reflector);
    reflector.start();
    contact.start();
    try {
      await reflector.synced();
      await work({ reflector, told });
    } finally {
      await Promise.all([reflector.stop(), contact.stop()]);
      for (const { metadata } of (await api.list(ConfigMap, { labelSelector: 'of=test' })).items) {
        await api.delete(ConfigMap, 'payments', metadata.name);
      }
    }
  }

  interface Following {
    readonly reflector: Reflector;
    readonly told: readonly string[];
  }

  test('sees what is made, changed and deleted, with the version of the deletion', async () => {
    await following(async ({ reflector, told }) => {
      let deletedAt = '';
      reflector.subscribe(({ changes }) => {
        for (const { type, object } of changes) {
          if (type === 'Deleted') deletedAt = object.metadata.resourceVersion;
        }
      });
      const created = await api.create<KubernetesObject>(ConfigMap, configMap('a'));
      await api.apply(ConfigMap, configMap('a', { x: '1' }), { fieldManager: 'test' });
      await api.delete(ConfigMap, 'payments', 'a');
      await waitFor(() => told.length === 3);
      expect(told).toEqual(['Added a', 'Modified a', 'Deleted a']);
      expect(Number(deletedAt)).toBeGreaterThan(Number(created.metadata.resourceVersion) + 1);
    });
  });

  test('resumes a watch that was closed, and learns what was deleted meanwhile', async () => {
    await following(async ({ reflector, told }) => {
      await api.create(ConfigMap, configMap('a'));
      await api.create(ConfigMap, configMap('b'));
      await waitFor(() => told.length === 2);
      reflector.reconnect();
      await api.delete(ConfigMap, 'payments', 'a');
      await api.create(ConfigMap, configMap('c'));
      await waitFor(() => told.length === 4);
      expect(told.slice(2)).toEqual(['Deleted a', 'Added c']);
    });
  });

  test.each(['SIGKILL', 'SIGTERM'] as const)('survives a %s of the API server', async (signal) => {
    await following(async ({ reflector, told }) => {
      await api.create(ConfigMap, configMap('a'));
      await waitFor(() => told.length === 1);
      await server.killApiServer(signal);
      await server.startApiServer();
      await api.delete(ConfigMap, 'payments', 'a');
      await api.create(ConfigMap, configMap('b'));
      await waitFor(() => told.length === 3);
      expect(told).toEqual(['Added a', 'Deleted a', 'Added b']);
      await waitFor(() => reflector.health().ageMs! < 5000);
      expect(reflector.health().problem).toBeUndefined();
    });
  });

  test('does not call itself up to date while the API server is away', async () => {
    await following(async ({ reflector }) => {
      await server.killApiServer();
      await waitFor(() => reflector.health().ageMs! > 5000);
      await server.startApiServer();
      await waitFor(() => reflector.health().ageMs! < 5000);
    });
  });

  test('survives an etcd that is away', async () => {
    await following(async ({ told }) => {
      await api.create(ConfigMap, configMap('a'));
      await waitFor(() => told.length === 1);
      await server.killEtcd();
      await expect(api.create(ConfigMap, configMap('b'), { timeoutMs: 1000 })).rejects.toThrow();
      await server.startEtcd();
      await waitFor(() => api.apply(ConfigMap, configMap('c'), { fieldManager: 'test' }));
      await waitFor(() => told.includes('Added c'));
    });
  });

  test('lists anew when its version is compacted away, and learns the deletions', async () => {
    await following(async ({ reflector, told }) => {
      for (const name of ['a', 'b']) await api.create(ConfigMap, configMap(name));
      await waitFor(() => told.length === 2);
      await server.killApiServer();
      await server.startApiServer();
      const seen = reflector.resourceVersion!;
      await api.delete(ConfigMap, 'payments', 'a');
      await api.create(ConfigMap, configMap('c'));
      for (let round = 0; round < 5; round += 1) {
        await api.apply(ConfigMap, configMap('b', { round: `${round}` }), { fieldManager: 'test' });
      }
      await server.killApiServer();
      await server.compact();
      await server.startApiServer();
      // From before: too old, and told so.
      const error = await api
        .watch(
          ConfigMap,
          { resourceVersion: seen, timeoutSeconds: 10 },
          () => {},
          new AbortController().signal,
        )
        .catch((failure: unknown) => failure);
      expect(error).toMatchObject({ code: 410, reason: 'Expired' });
      // A reflector in that place: told by a list that begins from nothing but what it had.
      await waitFor(() => told.includes('Added c'));
      await waitFor(() => told.includes('Deleted a'));
      expect(reflector.list().map(({ metadata }) => metadata.name)).toEqual(['b', 'c']);
    });
  });

  test('a hundred and thirty watches leave room for calls', async () => {
    const stop = new AbortController();
    let open = 0;
    const watches = Array.from({ length: 130 }, () =>
      api
        .watch(
          ConfigMap,
          { resourceVersion: '0', timeoutSeconds: 300, onOpen: () => (open += 1) },
          () => {},
          stop.signal,
        )
        .catch(() => {}),
    );
    await waitFor(() => open === 130);
    await api.listPage(Namespace);
    stop.abort();
    await Promise.all(watches);
  });
});

test('calls given up at once leave nothing behind that a broken connection turns into a crash', async () => {
  await api.listPage(Namespace);
  for (let turns = 0; turns < 40; turns += 1) {
    const stop = new AbortController();
    const call = api.listPage(Namespace, {}, { signal: stop.signal });
    for (let turn = 0; turn < turns; turn += 1) await Promise.resolve();
    stop.abort();
    await expect(call).rejects.toMatchObject({ isNetwork: true });
  }
  // An error that nobody listens for fails this file.
  await server.killApiServer();
  await server.startApiServer();
  await waitFor(() => api.listPage(Namespace));
});

describe('applying', () => {
  const conditions = [
    {
      type: 'Ready',
      status: 'True',
      reason: 'Accepted',
      message: 'ok',
      lastTransitionTime: '2026-01-01T00:00:00Z',
    },
  ];

  test('a status is written once, as one manager, and not again', async () => {
    const applier = new Applier(api, 'chaperone-test');
    const created = await api.create<KubernetesObject>(MachineIdentity, identity('status'));
    const first = await applier.applyStatus<KubernetesObject & { status?: object }>(
      MachineIdentity,
      created,
      { conditions, activeSessions: 3 },
    );
    expect(first.status).toEqual({ conditions, activeSessions: 3 });
    expect(first.metadata.generation).toBe(1);
    expect(
      await applier.applyStatus(MachineIdentity, first, { conditions, activeSessions: 3 }),
    ).toBe(first);
    // Sent all the same, it changes nothing.
    const stale = await applier.applyStatus(MachineIdentity, created, {
      conditions,
      activeSessions: 3,
    });
    expect(stale.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    // What is left out goes.
    const second = await applier.applyStatus(MachineIdentity, first, { conditions });
    expect(second.status).toEqual({ conditions });
  });

  test('a status makes no object, and none for another of the same name', async () => {
    const applier = new Applier(api, 'chaperone-test');
    const gone = await api.create<KubernetesObject>(MachineIdentity, identity('gone'));
    await api.delete(MachineIdentity, 'payments', 'gone');
    await expect(applier.applyStatus(MachineIdentity, gone, { conditions })).rejects.toMatchObject({
      isNotFound: true,
    });
    await api.create(MachineIdentity, identity('gone'));
    await expect(applier.applyStatus(MachineIdentity, gone, { conditions })).rejects.toMatchObject({
      isConflict: true,
    });
  });

  test('an unknown field is an error', async () => {
    const applier = new Applier(api, 'chaperone-test');
    const created = await api.create<KubernetesObject>(MachineIdentity, identity('strict'));
    await expect(applier.applyStatus(MachineIdentity, created, { nonsense: 1 })).rejects.toThrow(
      /nonsense/,
    );
    await expect(
      api.create(MachineIdentity, { ...identity('x'), nonsense: 1 } as never),
    ).rejects.toThrow(/nonsense/);
  });

  test('a CustomResourceDefinition keeps its x-kubernetes keys', async () => {
    const crd = await api.get(
      resourceTypes.CustomResourceDefinition,
      '',
      'machineidentities.chaperone.dev',
    );
    expect(JSON.stringify(crd)).toContain('"x-kubernetes-validations":[');
    expect(JSON.stringify(crd)).toContain('"x-kubernetes-list-type":"map"');
  });

  test('an object is made, left alone where nothing changes, and shared with others', async () => {
    const applier = new Applier(api, 'chaperone-test');
    const object = configMap('applied', { ours: '1' });
    const first = await applier.apply<KubernetesObject>(ConfigMap, object);
    const again = await applier.apply<KubernetesObject>(ConfigMap, object);
    expect(again.metadata.resourceVersion).toBe(first.metadata.resourceVersion);
    await api.mergePatch(
      ConfigMap,
      { namespace: 'payments', name: 'applied' },
      { data: { theirs: '2' } },
      { fieldManager: 'somebody' },
    );
    const third = await applier.apply<KubernetesObject>(
      ConfigMap,
      configMap('applied', { ours: '3' }),
    );
    expect(third).toMatchObject({ data: { ours: '3', theirs: '2' } });
    await api.delete(ConfigMap, 'payments', 'applied');
  });
});

test('one of two replicas leads, and the other follows when it stops', async () => {
  const log: string[] = [];
  const replica = (name: string): LeaderElection =>
    new LeaderElection({
      api,
      namespace: 'payments',
      name: 'test-lease',
      identity: name,
      onStarted: () => log.push(`${name} leads`),
      onLost: (reason) => log.push(`${name} lost: ${reason}`),
      ...surroundings(),
    });
  const a = replica('a');
  const b = replica('b');
  a.start();
  await waitFor(() => a.isLeader);
  b.start();
  await a.stop();
  await waitFor(() => b.isLeader);
  expect(log).toEqual(['a leads', 'b leads']);
  const lease = await api.get<KubernetesObject & { spec: object }>(Lease, 'payments', 'test-lease');
  expect(lease.spec).toMatchObject({ holderIdentity: 'b', leaseTransitions: 1 });
  await b.stop();
});

test('Events are taken by the API server, and counted on', async () => {
  const recorder = new EventRecorder({
    api,
    controller: 'chaperone.dev/test',
    instance: 'test-0',
    ...surroundings(),
  });
  const subject = { apiVersion: 'apps/v1', kind: 'Deployment', namespace: 'payments', name: 'web' };
  const details = {
    type: 'Warning',
    reason: 'HostNetwork',
    action: 'Inject',
    note: 'left out',
  } as const;
  recorder.record(subject, details);
  await recorder.flush();
  recorder.record(subject, details);
  recorder.record(subject, details);
  recorder.record({ apiVersion: 'v1', kind: 'Namespace', name: 'payments' }, details);
  await recorder.stop();
  const { items } = await api.list<KubernetesObject>(Event, { namespace: 'payments' });
  expect(items).toHaveLength(1);
  expect(items[0]).toMatchObject({
    ...details,
    regarding: subject,
    series: { count: 3 },
    reportingController: 'chaperone.dev/test',
  });
  // The API server tells of its own Services there, too.
  const cluster = await api.list<KubernetesObject & Partial<typeof details>>(Event, {
    namespace: 'default',
  });
  expect(cluster.items.filter(({ reason }) => reason === details.reason)).toHaveLength(1);
});
