/** What Manager overrides of @dot-i/k8s-operator, on a real API server. */
import { join } from 'node:path';
import type { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import type { ManagerOptions } from '@chaperone/operator/runtime/manager.ts';
import type { ResourceEvent, ResourceMeta } from '@dot-i/k8s-operator';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { startTestApiServer, type TestApiServer } from '../support/api-server.ts';
import { apiOf, createNamespace, surroundings } from '../support/kubernetes.ts';
import { waitFor } from './node/wait-for.ts';

// The library requires client-node, which jest can give it only when that is loaded already.
await import('@kubernetes/client-node');
const { Manager } = await import('@chaperone/operator/runtime/manager.ts');

const { MachineIdentity, CustomResourceDefinition } = resourceTypes;

let server: TestApiServer;
let api: KubernetesApi;

beforeAll(async () => {
  server = await startTestApiServer();
  api = apiOf(server.kubeconfig);
  await createNamespace(api, 'payments');
}, 120_000);

afterAll(async () => {
  await api?.config.close();
  await server?.stop();
});

/** A program as the library has them: a subclass that watches in `init`. */
class Program extends Manager {
  readonly told: string[] = [];
  /** What handling an event does beyond being told. */
  handle: (event: ResourceEvent) => Promise<void> = async () => {};

  constructor(options: Partial<ManagerOptions> = {}) {
    super({ api, name: 'test', ...surroundings(), ...options });
  }

  protected override async init(): Promise<void> {
    await super.init();
    const crds = join(import.meta.dirname, '../../crds/machineidentities.yaml');
    const { group, plural } = await this.registerCustomResourceDefinition(crds);
    await waitFor(() => api.resourceType(group, 'v1alpha1', plural));
    await this.watchResource(group, 'v1alpha1', plural, async (event) => {
      await this.handle(event);
      this.told.push(`${event.type} ${event.meta.name}`);
    });
  }

  status = (meta: ResourceMeta, status: object) => this.setResourceStatus(meta, status);
  patchStatus = (meta: ResourceMeta, status: object) => this.patchResourceStatus(meta, status);
  finalizer = (event: ResourceEvent, action: () => Promise<void>) =>
    this.handleResourceFinalizer(event, 'example.com/test', action);
}

async function running(work: (program: Program) => Promise<void>): Promise<void> {
  const program = new Program();
  await program.start();
  try {
    await work(program);
  } finally {
    await program.stop();
  }
}

const identity = (name: string) => ({
  apiVersion: 'chaperone.dev/v1alpha1',
  kind: 'MachineIdentity',
  metadata: { namespace: 'payments', name },
  spec: { owner: { team: 'x' }, purpose: 'Test', subjects: [{ serviceAccount: { name } }] },
});

const read = (name: string) =>
  api.get<KubernetesObject & { status?: object; metadata: { finalizers?: string[] } }>(
    MachineIdentity,
    'payments',
    name,
  );

test('a definition is applied whole, and again without complaint', async () => {
  await running(async () => {});
  await running(async () => {});
  const crd = await api.get(CustomResourceDefinition, '', 'machineidentities.chaperone.dev');
  expect(JSON.stringify(crd)).toContain('"x-kubernetes-validations":[');
});

test('deletions between two watches are told, and a handler that throws is asked again', async () => {
  await running(async (program) => {
    let failures = 2;
    program.handle = async () => {
      if (failures-- > 0) throw new Error('not yet');
    };
    await api.create(MachineIdentity, identity('a'));
    await waitFor(() => program.told.length === 1);
    expect(failures).toBe(-1);
    await server.killApiServer();
    await server.startApiServer();
    await api.delete(MachineIdentity, 'payments', 'a');
    await waitFor(() => program.told.length === 2);
    expect(program.told).toEqual(['ADDED a', 'DELETED a']);
  });
});

test('a status is written, and what cannot be written is told', async () => {
  await running(async (program) => {
    let meta: ResourceMeta | undefined;
    program.handle = async (event) => {
      meta ??= event.meta;
    };
    await api.create(MachineIdentity, identity('b'));
    await waitFor(() => meta !== undefined);
    const next = await program.status(meta!, { activeSessions: 1 });
    expect((await read('b')).status).toEqual({ activeSessions: 1 });
    await expect(program.status(meta!, { activeSessions: 2 })).rejects.toMatchObject({
      isConflict: true,
    });
    await program.patchStatus(next!, { activeSessions: 3 });
    expect((await read('b')).status).toEqual({ activeSessions: 3 });
    await api.delete(MachineIdentity, 'payments', 'b');
    await expect(program.patchStatus(next!, { activeSessions: 4 })).rejects.toMatchObject({
      isNotFound: true,
    });
  });
});

test('a finalizer that cannot be written is not claimed to be', async () => {
  await running(async (program) => {
    let cleaned = 0;
    const outcomes: unknown[] = [];
    program.handle = async (event) => {
      const clean = async (): Promise<void> => void (cleaned += 1);
      outcomes.push(await program.finalizer(event, clean).catch((error: unknown) => error));
    };
    await api.create(MachineIdentity, identity('c'));
    await waitFor(async () => (await read('c')).metadata.finalizers?.length === 1);
    await api.delete(MachineIdentity, 'payments', 'c');
    await waitFor(async () => (await api.find(MachineIdentity, 'payments', 'c')) === undefined);
    expect(cleaned).toBe(1);
    const event = {
      type: 'ADDED',
      meta: { id: 'machineidentities.chaperone.dev/v1alpha1', namespace: 'payments', name: 'gone' },
      object: { metadata: { name: 'gone' } },
    } as unknown as ResourceEvent;
    await expect(program.finalizer(event, async () => {})).rejects.toMatchObject({
      isNotFound: true,
    });
  });
});

test('what leads waits for the lead, and the process is never ended', async () => {
  const log: string[] = [];
  const election = {
    namespace: 'payments',
    name: 'manager',
    onLost: (reason: string) => void log.push(`lost: ${reason}`),
  };
  const program = (identity: string): Program => {
    const result = new Program({ election: { ...election, identity } });
    result.addLeading({
      start: () => void log.push(`${identity} starts`),
      stop: () => void log.push(`${identity} stops`),
    });
    return result;
  };
  const a = program('a');
  const b = program('b');
  await a.start();
  await waitFor(() => log.length === 1);
  await b.start();
  expect([a.isLeader, b.isLeader]).toEqual([true, false]);
  await a.stop();
  await waitFor(() => log.length === 3);
  await b.stop();
  expect(log).toEqual(['a starts', 'a stops', 'b starts', 'b stops']);
});
