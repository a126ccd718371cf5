import { manualClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { describe, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { Controller, type ControllerOptions, TerminalError } from './controller.ts';
import { kubernetesMetricsFor } from './metrics.ts';

function controllerUnderTest(
  reconcile: ControllerOptions['reconcile'],
  options: { readonly workers?: number } = {},
) {
  const clock = manualClock();
  const registry = new Registry();
  const logged: string[] = [];
  const logger = createLogger({
    program: 'test',
    level: 'debug',
    clock,
    destination: { write: (line) => void logged.push(line) },
  });
  const metrics = kubernetesMetricsFor(registry);
  const controller = new Controller({
    name: 'test',
    reconcile,
    clock,
    logger,
    metrics,
    ...options,
  });
  return { clock, registry, logged, controller };
}

/** Lets everything happen that waits for nothing. */
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('Controller', () => {
  test('reconciles what was added before and after it starts', async () => {
    const seen: string[] = [];
    const { controller } = controllerUnderTest(async (key) => void seen.push(key));
    controller.add('a');
    await settle();
    expect(seen).toEqual([]);
    controller.start();
    controller.start();
    controller.add('b');
    await settle();
    expect(seen).toEqual(['a', 'b']);
    await controller.stop();
    controller.add('c');
    await settle();
    expect(seen).toEqual(['a', 'b']);
  });

  test('works on as many keys at once as it has workers, and never on one twice', async () => {
    const running: string[] = [];
    let most = 0;
    const gates: (() => void)[] = [];
    const { controller } = controllerUnderTest(
      async (key) => {
        expect(running).not.toContain(key);
        running.push(key);
        most = Math.max(most, running.length);
        await new Promise<void>((resolve) => gates.push(resolve));
        running.splice(running.indexOf(key), 1);
        return undefined;
      },
      { workers: 2 },
    );
    controller.start();
    for (const key of ['a', 'b', 'c']) controller.add(key);
    await settle();
    controller.add('a');
    while (gates.length > 0) {
      gates.shift()!();
      await settle();
    }
    expect(most).toBe(2);
    await controller.stop();
  });

  test('a failure is tried again after 5 ms, then 10 ms, and forgotten on success', async () => {
    let failures = 2;
    let runs = 0;
    const { clock, controller, logged } = controllerUnderTest(async () => {
      runs += 1;
      if (failures-- > 0) throw new Error('not yet');
      return undefined;
    });
    controller.start();
    controller.add('a');
    await settle();
    for (const [ms, expected] of [
      [4, 1],
      [1, 2],
      [9, 2],
      [1, 3],
      [1_000_000, 3],
    ] as const) {
      clock.advance(ms);
      await settle();
      expect(runs).toBe(expected);
    }
    expect(logged.filter((line) => line.includes('not yet'))).toHaveLength(2);
    failures = 1;
    controller.add('a');
    await settle();
    clock.advance(5);
    await settle();
    expect(runs).toBe(5);
    await controller.stop();
  });

  test('a terminal error is not tried again', async () => {
    let runs = 0;
    const { clock, controller, registry } = controllerUnderTest(async () => {
      runs += 1;
      throw new TerminalError('never');
    });
    controller.start();
    controller.add('a');
    await settle();
    clock.advance(10_000_000);
    await settle();
    expect(runs).toBe(1);
    controller.add('a');
    await settle();
    expect(runs).toBe(2);
    const text = await registry.metrics();
    expect(text).toContain(
      'controller_runtime_terminal_reconcile_errors_total{controller="test"} 2',
    );
    await controller.stop();
  });

  test('requeueAfterMs asks for another look', async () => {
    let runs = 0;
    const { clock, controller, registry } = controllerUnderTest(async () => {
      runs += 1;
      return { requeueAfterMs: 60_000 };
    });
    controller.start();
    controller.add('a');
    await settle();
    clock.advance(60_000);
    await settle();
    expect(runs).toBe(2);
    expect(await registry.metrics()).toContain(
      'controller_runtime_reconcile_total{controller="test",result="requeue_after"} 2',
    );
    await controller.stop();
  });

  test('stopping waits for what is under way, tells it, and leaves the rest', async () => {
    const seen: string[] = [];
    let finish = (): void => {};
    let told = false;
    const { controller } = controllerUnderTest(async (key, signal) => {
      seen.push(key);
      signal.addEventListener('abort', () => {
        told = true;
      });
      await new Promise<void>((resolve) => {
        finish = resolve;
      });
      return undefined;
    });
    controller.start();
    controller.add('a');
    controller.add('b');
    await settle();
    let stopped = false;
    const stop = controller.stop().then(() => {
      stopped = true;
    });
    await settle();
    expect([stopped, told]).toEqual([false, true]);
    finish();
    await stop;
    expect(seen).toEqual(['a']);
  });

  test('stopping one that never started', async () => {
    const { controller } = controllerUnderTest(async () => undefined);
    controller.add('a');
    await controller.stop();
  });
});
