import { manualClock } from '@chaperone/runtime/clock.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { Registry } from 'prom-client';
import { kubernetesMetricsFor } from './metrics.ts';
import { WorkQueue } from './workqueue.ts';

function queueUnderTest() {
  const clock = manualClock();
  const registry = new Registry();
  const queue = new WorkQueue({ name: 'test', clock, metrics: kubernetesMetricsFor(registry) });
  return { clock, registry, queue };
}

describe('WorkQueue', () => {
  test('gives keys in order, each once however often it was added', async () => {
    const { queue } = queueUnderTest();
    for (const key of ['a', 'b', 'a', 'a']) queue.add(key);
    expect(queue.length).toBe(2);
    expect(await queue.take()).toBe('a');
    expect(await queue.take()).toBe('b');
    expect(queue.length).toBe(0);
  });

  test('whoever waits gets the next key', async () => {
    const { queue } = queueUnderTest();
    const first = queue.take();
    const second = queue.take();
    queue.add('a');
    queue.add('b');
    expect(await Promise.all([first, second])).toEqual(['a', 'b']);
  });

  test('a key that is added while it is worked on comes again afterwards, not before', async () => {
    const { queue } = queueUnderTest();
    queue.add('a');
    await queue.take();
    queue.add('a');
    queue.add('a');
    expect(queue.length).toBe(0);
    queue.done('a');
    expect(queue.length).toBe(1);
    expect(await queue.take()).toBe('a');
    queue.done('a');
    expect(queue.length).toBe(0);
    expect(() => queue.done('a')).toThrow('not being worked on');
  });

  test('addAfter waits, and of several waits the shortest counts', () => {
    const { clock, queue } = queueUnderTest();
    queue.addAfter('a', 1000);
    queue.addAfter('a', 500);
    queue.addAfter('a', 2000);
    clock.advance(499);
    expect(queue.length).toBe(0);
    clock.advance(1);
    expect(queue.length).toBe(1);
    expect(clock.pendingTimers()).toBe(0);
    queue.addAfter('b', 0);
    expect(queue.length).toBe(2);
  });

  test('failures wait from 5 ms doubling to 1000 s, until forgotten', async () => {
    const { clock, queue } = queueUnderTest();
    const waits: number[] = [];
    for (let round = 0; round < 20; round += 1) {
      queue.addRateLimited('a');
      let waitedMs = 0;
      while (queue.length === 0) {
        clock.advance(5);
        waitedMs += 5;
      }
      waits.push(waitedMs);
      queue.done((await queue.take())!);
    }
    expect(waits.slice(0, 5)).toEqual([5, 10, 20, 40, 80]);
    expect(waits.slice(-2)).toEqual([1_000_000, 1_000_000]);
    expect(queue.failures('a')).toBe(20);
    queue.forget('a');
    queue.addRateLimited('a');
    clock.advance(5);
    expect(queue.length).toBe(1);
  });

  test('shutting down lets what is due be worked on and drops what waits', async () => {
    const { clock, queue } = queueUnderTest();
    queue.add('a');
    queue.add('b');
    queue.addAfter('later', 10);
    await queue.take();
    queue.add('a'); // comes again
    let ended = false;
    const shutDown = queue.shutDown().then(() => {
      ended = true;
    });
    queue.add('c');
    queue.addAfter('d', 0);
    expect(clock.pendingTimers()).toBe(0);
    expect(await queue.take()).toBe('b');
    queue.done('b');
    const last = queue.take();
    queue.done('a');
    expect(await last).toBe('a');
    expect(ended).toBe(false);
    const none = queue.take();
    queue.done('a');
    await shutDown;
    expect(await none).toBeUndefined();
    expect(await queue.take()).toBeUndefined();
  });

  test('no key is ever worked on twice at once, and none is lost', async () => {
    const keys = ['a', 'b', 'c'];
    const step = fc.oneof(
      fc.record({ do: fc.constant('add' as const), key: fc.constantFrom(...keys) }),
      fc.record({ do: fc.constant('take' as const), key: fc.constant('') }),
      fc.record({ do: fc.constant('done' as const), key: fc.constantFrom(...keys) }),
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 60 }), async (steps) => {
        const { queue } = queueUnderTest();
        const working = new Set<string>();
        const owed = new Set<string>();
        for (const { do: what, key } of steps) {
          if (what === 'add') {
            queue.add(key);
            owed.add(key);
          } else if (what === 'take' && queue.length > 0) {
            const taken = (await queue.take())!;
            expect(working.has(taken)).toBe(false);
            working.add(taken);
            owed.delete(taken);
          } else if (what === 'done' && working.delete(key)) {
            queue.done(key);
          }
        }
        for (const key of working) queue.done(key);
        const rest: string[] = [];
        while (queue.length > 0) rest.push((await queue.take())!);
        expect(rest.sort()).toEqual([...owed].sort());
      }),
    );
  });

  test('metrics under the names that dashboards know', async () => {
    const { clock, registry, queue } = queueUnderTest();
    queue.add('a');
    queue.add('b');
    clock.advance(2000);
    await queue.take();
    clock.advance(3000);
    queue.addRateLimited('c');
    const labels = 'name="test",controller="test"';
    const text = await registry.metrics();
    for (const line of [
      `workqueue_depth{${labels}} 1`,
      `workqueue_adds_total{${labels}} 2`,
      `workqueue_retries_total{${labels}} 1`,
      `workqueue_queue_duration_seconds_sum{${labels}} 2`,
      `workqueue_unfinished_work_seconds{${labels}} 3`,
      `workqueue_longest_running_processor_seconds{${labels}} 3`,
    ]) {
      expect(text).toContain(`${line}\n`);
    }
    queue.done('a');
    expect(await registry.metrics()).toContain(
      `workqueue_work_duration_seconds_sum{${labels}} 3\n`,
    );
  });
});
