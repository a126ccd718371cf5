import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, expect, test } from '@jest/globals';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { LivePods, podLife } from './live-pods.ts';

const pod = { namespace: 'payments', name: 'report-1', uid: 'u1' };
const startMs = Date.parse('2026-01-01T00:00:00Z');
let clock: ManualClock;
let cache: KubernetesObject | undefined;
let server: KubernetesObject | undefined | Error;
let asked: number;
let pods: LivePods;

function object(metadata: object = {}, phase = 'Running'): KubernetesObject {
  const own = { ...pod, resourceVersion: '1', ...metadata };
  return { apiVersion: 'v1', kind: 'Pod', metadata: own, status: { phase } } as never;
}

beforeEach(() => {
  clock = manualClock(startMs);
  cache = undefined;
  server = undefined;
  asked = 0;
  pods = new LivePods({
    cached: (namespace, name) =>
      cache?.metadata.namespace === namespace && cache.metadata.name === name
        ? podLife(cache)
        : undefined,
    find: async () => {
      asked += 1;
      if (server instanceof Error) throw server;
      return server;
    },
    clock,
  });
});

const deletedMs = (ms: number) => ({ deletionTimestamp: new Date(startMs + ms).toISOString() });

test.each<[string, KubernetesObject, boolean]>([
  ['runs', object(), true],
  ['waits for its containers', object({}, 'Pending'), true],
  ['is in its grace period', object(deletedMs(1)), true],
  ['is beyond its grace period', object(deletedMs(0)), false],
  ['has succeeded', object({}, 'Succeeded'), false],
  ['has failed', object({}, 'Failed'), false],
])('a pod that %s', async (_, what, there) => {
  cache = what;
  expect(await pods.stillThere(pod)).toBe(there);
  expect(pods.isGone(pod)).toBe(!there);
  expect(asked).toBe(0);
  cache = undefined;
  server = what;
  expect(await pods.stillThere({ ...pod })).toBe(there);
});

test('one that the cache does not have yet is asked for, once in a while', async () => {
  server = object();
  expect(await Promise.all([pods.stillThere(pod), pods.stillThere(pod)])).toEqual([true, true]);
  expect(await pods.stillThere(pod)).toBe(true);
  expect(pods.isGone(pod)).toBe(false);
  expect(asked).toBe(1);
  clock.advance(10_000);
  expect(pods.isGone(pod)).toBe(true);
  server = undefined;
  expect(await pods.stillThere(pod)).toBe(false);
});

test('one that is gone is gone for good, and not asked for again', async () => {
  for (const there of [undefined, object({ uid: 'u2' })]) {
    server = there;
    const gone = { ...pod, uid: `u0-${asked}` };
    expect(await pods.stillThere(gone)).toBe(false);
    const before = asked;
    expect(await pods.stillThere(gone)).toBe(false);
    expect(asked).toBe(before);
  }
});

test('one of its name that the cache has is not it', async () => {
  cache = object({ uid: 'u2' });
  expect(await pods.stillThere(pod)).toBe(false);
  expect(await pods.stillThere({ ...pod, uid: 'u2' })).toBe(true);
});

test('ends with its deletion from the cache', async () => {
  cache = object();
  expect(await pods.stillThere(pod)).toBe(true);
  cache = undefined;
  expect(pods.isGone(pod)).toBe(true);
});

test('that cannot be told is no answer', async () => {
  server = new Error('away');
  await expect(pods.stillThere(pod)).rejects.toThrow('away');
  server = object();
  expect(await pods.stillThere(pod)).toBe(true);
});
