import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { KubernetesApi } from '../kubernetes/client.ts';
import { SharedKubeConfig } from '../kubernetes/config.ts';
import { kubernetesMetricsFor } from '../kubernetes/metrics.ts';
import type { CachePart, Part } from './lifecycle.ts';
import type { Manager as ManagerClass } from './manager.ts';

// The library requires client-node, which jest can give it only when that is loaded already.
await import('@kubernetes/client-node');
const { Manager } = await import('./manager.ts');

function managerUnderTest(): { manager: ManagerClass; log: string[]; logged: string[] } {
  const clock = systemClock();
  const logged: string[] = [];
  const config = new SharedKubeConfig();
  config.loadFromClusterAndUser({ name: 'c', server: 'https://127.0.0.1:1' } as never, {
    name: 'u',
  });
  const manager = new Manager({
    api: new KubernetesApi(config, clock),
    name: 'test',
    clock,
    random: Math.random,
    logger: createLogger({
      program: 'test',
      level: 'debug',
      clock,
      destination: { write: (line) => void logged.push(line) },
    }),
    metrics: kubernetesMetricsFor(new Registry()),
  });
  return { manager, log: [], logged };
}

const part = (log: string[], name: string): Part => ({
  start: () => void log.push(`${name} starts`),
  stop: () => void log.push(`${name} stops`),
});

function cache(log: string[], name: string): CachePart & { sync(): void } {
  const { promise, resolve } = Promise.withResolvers<void>();
  const result = {
    ...part(log, name),
    hasSynced: false,
    synced: () => promise,
    sync() {
      result.hasSynced = true;
      resolve();
    },
  };
  return result;
}

describe('Manager', () => {
  test('servers and caches start at once, what leads once the caches know everything', async () => {
    const { manager, log } = managerUnderTest();
    const objects = cache(log, 'cache');
    manager.add(part(log, 'server'));
    manager.addCache(objects);
    manager.addLeading(part(log, 'controller'));
    const started = manager.start();
    await new Promise((resolve) => setImmediate(resolve));
    expect(log).toEqual(['server starts', 'cache starts']);
    expect(manager.hasSynced).toBe(false);
    objects.sync();
    await started;
    expect(log.at(-1)).toBe('controller starts');
    expect([manager.hasSynced, manager.isLeader]).toEqual([true, true]);
    await Promise.all([manager.stop(), manager.stop()]);
    expect(log.slice(3)).toEqual(['controller stops', 'cache stops', 'server stops']);
  });

  test('stopping before the caches know anything', async () => {
    const { manager, log } = managerUnderTest();
    manager.addCache(cache(log, 'cache'));
    manager.addLeading(part(log, 'controller'));
    const started = manager.start();
    await new Promise((resolve) => setImmediate(resolve));
    await manager.stop();
    await started;
    expect(log).toEqual(['cache starts', 'cache stops']);
  });

  test('a part that does not start is told, and those before it can be stopped', async () => {
    const { manager, log } = managerUnderTest();
    manager.add(part(log, 'first'));
    manager.add({ ...part(log, 'second'), start: () => Promise.reject(new Error('port taken')) });
    manager.add(part(log, 'third'));
    await expect(manager.start()).rejects.toThrow('port taken');
    await manager.stop();
    expect(log).toEqual(['first starts', 'second stops', 'first stops']);
    expect(() => manager.add(part(log, 'late'))).toThrow('before the start');
  });

  test('a part that cannot be stopped keeps no other from it', async () => {
    const { manager, log, logged } = managerUnderTest();
    manager.add(part(log, 'first'));
    manager.add({ ...part(log, 'second'), stop: () => Promise.reject(new Error('stuck')) });
    await manager.start();
    await manager.stop();
    expect(log.at(-1)).toBe('first stops');
    expect(logged.join()).toContain('stuck');
  });
});

test('the library is installed on our client-node, without `request`', () => {
  const lock = JSON.parse(
    readFileSync(join(import.meta.dirname, '../../../package-lock.json'), 'utf8'),
  ) as { readonly packages: Readonly<Record<string, { readonly version?: string }>> };
  const named = (name: string): string[] =>
    Object.keys(lock.packages).filter((path) => path.endsWith(`node_modules/${name}`));
  expect(named('@dot-i/k8s-operator')).toHaveLength(1);
  expect(named('@kubernetes/client-node')).toEqual(['node_modules/@kubernetes/client-node']);
  expect(lock.packages['node_modules/@kubernetes/client-node']?.version).toMatch(/^2\./);
  expect(named('request')).toEqual([]);
});
