/** What every ResourceStore must do; each implementation's tests run it. */
import { describe, expect, test } from '@jest/globals';
import type { NewObject, ResourceStore, Stored, WatchBatch } from './resource-store.ts';

export interface StoreUnderTest {
  readonly store: ResourceStore;
  close(): Promise<void>;
}

const identity = (name: string, extra: Record<string, unknown> = {}): NewObject =>
  ({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'MachineIdentity',
    metadata: { name, namespace: 'payments' },
    spec: {
      owner: { team: 'payments' },
      purpose: 'Test',
      subjects: [{ serviceAccount: { name } }],
      ...extra,
    },
  }) as NewObject;

/** Collects what a watch says and lets a test wait for something in it. */
function collect(store: ResourceStore): {
  readonly batches: WatchBatch[];
  until(found: (batches: readonly WatchBatch[]) => boolean): Promise<void>;
  stop(): void;
} {
  const batches: WatchBatch[] = [];
  let wake = (): void => {};
  const stop = store.watch(['MachineIdentity', 'Secret'], (batch) => {
    batches.push(batch);
    wake();
  });
  return {
    batches,
    stop,
    async until(found) {
      while (!found(batches)) {
        await new Promise<void>((resolve) => {
          wake = resolve;
        });
      }
    },
  };
}

const summary = (batches: readonly WatchBatch[]): string[] =>
  batches.flatMap(({ events }) =>
    events.map(({ type, object }) => `${type} ${object.kind} ${object.metadata.name}`),
  );

export function storeContract(name: string, open: () => Promise<StoreUnderTest>): void {
  /** Runs with a store of its own. */
  const withStore = (work: (store: ResourceStore) => Promise<void>) => async (): Promise<void> => {
    const { store, close } = await open();
    try {
      await work(store);
    } finally {
      await close();
    }
  };

  describe(`${name} keeps the contract of ResourceStore`, () => {
    test(
      'create gives uid, versions and defaults, and get finds it',
      withStore(async (store) => {
        const created = await store.create(identity('a'));
        expect(created.metadata.uid).toMatch(/^[0-9a-f-]{36}$/);
        expect(created.metadata.generation).toBe(1);
        expect(created).toMatchObject({ spec: { suspended: false } });
        expect(await store.get('MachineIdentity', 'payments', 'a')).toEqual(created);
        expect(await store.get('MachineIdentity', 'payments', 'b')).toBeUndefined();
        expect(await store.get('MachineIdentity', 'other', 'a')).toBeUndefined();
      }),
    );

    test(
      'create refuses what exists and what does not validate',
      withStore(async (store) => {
        await store.create(identity('a'));
        await expect(store.create(identity('a'))).rejects.toMatchObject({ code: 'CHP-1012' });
        await expect(store.create(identity('b', { subjects: [] }))).rejects.toMatchObject({
          code: 'CHP-1010',
          message: expect.stringContaining('MachineIdentity payments/b: spec.subjects'),
        });
        expect((await store.list('MachineIdentity')).items).toHaveLength(1);
      }),
    );

    test(
      'list is sorted and can be limited to a namespace',
      withStore(async (store) => {
        await store.create(identity('b'));
        await store.create(identity('a'));
        const { items, resourceVersion } = await store.list('MachineIdentity', 'payments');
        expect(items.map(({ metadata }) => metadata.name)).toEqual(['a', 'b']);
        expect(Number(resourceVersion)).toBeGreaterThan(0);
        expect((await store.list('MachineIdentity', 'other')).items).toEqual([]);
        expect((await store.list('Target')).items).toEqual([]);
      }),
    );

    test(
      'patch of the spec raises generation and resourceVersion and keeps uid',
      withStore(async (store) => {
        const before = await store.create(identity('a', { groups: ['x'] }));
        const after = await store.patch('MachineIdentity', 'payments', 'a', {
          spec: { suspended: true, groups: null },
        });
        expect(after.spec.suspended).toBe(true);
        expect(after.spec.groups).toBeUndefined();
        expect(after.metadata.uid).toBe(before.metadata.uid);
        expect(after.metadata.generation).toBe(2);
        expect(Number(after.metadata.resourceVersion)).toBeGreaterThan(
          Number(before.metadata.resourceVersion),
        );
      }),
    );

    test(
      'patch of labels leaves the generation, and patch never touches status',
      withStore(async (store) => {
        await store.create(identity('a'));
        const after = await store.patch('MachineIdentity', 'payments', 'a', {
          metadata: { labels: { tier: 'one' } },
          status: { activeSessions: 7 },
        });
        expect(after.metadata.labels).toEqual({ tier: 'one' });
        expect(after.metadata.generation).toBe(1);
        expect(after.status).toBeUndefined();
      }),
    );

    test(
      'an invalid patch changes nothing',
      withStore(async (store) => {
        const before = await store.create(identity('a'));
        await expect(
          store.patch('MachineIdentity', 'payments', 'a', { spec: { purpose: '' } }),
        ).rejects.toMatchObject({ code: 'CHP-1010' });
        expect(await store.get('MachineIdentity', 'payments', 'a')).toEqual(before);
      }),
    );

    test(
      'patchStatus changes status alone, and nothing when nothing changes',
      withStore(async (store) => {
        const before = await store.create(identity('a'));
        const after = await store.patchStatus('MachineIdentity', 'payments', 'a', {
          activeSessions: 3,
        });
        expect(after.status).toEqual({ activeSessions: 3 });
        expect(after.spec).toEqual((before as Stored<'MachineIdentity'>).spec);
        expect(after.metadata.generation).toBe(1);
        expect(after.metadata.resourceVersion).not.toBe(before.metadata.resourceVersion);
        const again = await store.patchStatus('MachineIdentity', 'payments', 'a', {
          activeSessions: 3,
        });
        expect(again.metadata.resourceVersion).toBe(after.metadata.resourceVersion);
        await expect(
          store.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions: 'many' }),
        ).rejects.toMatchObject({ code: 'CHP-1010' });
      }),
    );

    test(
      'preconditions hold for every write',
      withStore(async (store) => {
        const { metadata } = await store.create(identity('a'));
        const stale = { resourceVersion: '0' };
        const foreign = { uid: '00000000-0000-0000-0000-000000000000' };
        for (const wrong of [stale, foreign]) {
          const conflict = { code: 'CHP-1013' };
          const patch = { spec: { suspended: true } };
          await expect(
            store.patch('MachineIdentity', 'payments', 'a', patch, wrong),
          ).rejects.toMatchObject(conflict);
          await expect(
            store.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions: 1 }, wrong),
          ).rejects.toMatchObject(conflict);
          await expect(
            store.delete('MachineIdentity', 'payments', 'a', wrong),
          ).rejects.toMatchObject(conflict);
        }
        const { uid, resourceVersion } = metadata;
        await store.delete('MachineIdentity', 'payments', 'a', { uid, resourceVersion });
        expect(await store.get('MachineIdentity', 'payments', 'a')).toBeUndefined();
      }),
    );

    test(
      'writes on what does not exist say so',
      withStore(async (store) => {
        const missing = { code: 'CHP-1014' };
        await expect(store.patch('MachineIdentity', 'payments', 'a', {})).rejects.toMatchObject(
          missing,
        );
        await expect(
          store.patchStatus('MachineIdentity', 'payments', 'a', {}),
        ).rejects.toMatchObject(missing);
        await expect(store.delete('MachineIdentity', 'payments', 'a')).rejects.toMatchObject(
          missing,
        );
      }),
    );

    test(
      'what is deleted and made again has another uid',
      withStore(async (store) => {
        const first = await store.create(identity('a'));
        await store.delete('MachineIdentity', 'payments', 'a');
        const second = await store.create(identity('a'));
        expect(second.metadata.uid).not.toBe(first.metadata.uid);
        expect(second.metadata.generation).toBe(1);
      }),
    );

    test(
      'watch gives what exists, then each change once and in order',
      withStore(async (store) => {
        await store.create(identity('a'));
        const watch = collect(store);
        await watch.until((batches) => batches.length > 0);
        await store.create(identity('b'));
        await store.patch('MachineIdentity', 'payments', 'b', { spec: { suspended: true } });
        await store.patchStatus('MachineIdentity', 'payments', 'a', { activeSessions: 1 });
        await store.delete('MachineIdentity', 'payments', 'b');
        await watch.until((batches) => summary(batches).includes('Deleted MachineIdentity b'));
        expect(summary(watch.batches)).toEqual([
          'Added MachineIdentity a',
          'Added MachineIdentity b',
          'Modified MachineIdentity b',
          'Modified MachineIdentity a',
          'Deleted MachineIdentity b',
        ]);
        const versions = watch.batches.map(({ resourceVersion }) => Number(resourceVersion));
        expect([...versions].sort((a, b) => a - b)).toEqual(versions);
        watch.stop();
        await store.create(identity('c'));
        expect(summary(watch.batches)).not.toContain('Added MachineIdentity c');
      }),
    );

    test(
      'Secrets are stored with base64 data, and stringData becomes data',
      withStore(async (store) => {
        await store.create({
          apiVersion: 'v1',
          kind: 'Secret',
          metadata: { name: 's', namespace: 'data' },
          stringData: { username: 'app' },
        } as NewObject);
        const secret = await store.get('Secret', 'data', 's');
        expect(secret?.data).toEqual({ username: Buffer.from('app').toString('base64') });
        expect(secret).not.toHaveProperty('stringData');
      }),
    );
  });
}
