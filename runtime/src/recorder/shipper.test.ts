import { expect, test } from '@jest/globals';
import { manualClock } from '../clock.ts';
import { Shipper } from './shipper.ts';
import type { SpoolBatch, SpoolReader } from './spool-reader.ts';
import { batchOf, someSession } from './testing.ts';

const notices = '019a0000-0000-7000-8000-000000000002';

/** A shipper of one batch, whose receiver answers with `answers` in turn. */
function shipping(seqs: readonly number[], answers: readonly number[]) {
  const calls: [session: string, seqs: number[]][] = [];
  const done: number[] = [];
  const failures: string[] = [];
  let next = 0;
  const batch: SpoolBatch = { events: [batchOf(someSession, seqs)], end: 100 };
  const shipper = new Shipper({
    reader: { read: async () => batch } as unknown as SpoolReader,
    written: () => 100,
    transport: {
      async ship(events) {
        const name = events.session === notices ? 'notice' : 's';
        calls.push([name, events.lines().map((line) => JSON.parse(line).seq)]);
        return name === 'notice' ? 1 : answers[next++]!;
      },
      async putRecording() {},
      async putSnapshot() {},
    },
    clock: manualClock(),
    random: () => 0,
    onAcknowledged: (position) => done.push(position),
    onRefused() {},
    gapNotice: () => batchOf(notices, [1]),
    onUnreadable() {},
    onShipped() {},
    onFailure: (cause) => failures.push((cause as Error).message),
  });
  return { shipper, calls, done, failures };
}

async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

test('what a receiver took only in part is sent on from there', async () => {
  const { shipper, calls, done } = shipping([1, 2, 3], [2, 3]);
  await until(() => done.length > 0);
  await shipper.close(0);
  expect(calls).toEqual([
    ['s', [1, 2, 3]],
    ['s', [3]],
  ]);
});

test('a gap is announced once, and a receiver that does not go past it is asked again later', async () => {
  const { shipper, calls, done, failures } = shipping([5, 6], [2, 2, 2, 2, 2]);
  await until(() => failures.length > 0);
  await shipper.close(0);
  expect(calls).toEqual([
    ['s', [5, 6]],
    ['notice', [1]],
    ['s', [5, 6]],
  ]);
  expect(failures).toEqual([
    `the collector acknowledged 2 of session ${someSession}, and not 5, which it was sent`,
  ]);
  expect(done).toEqual([]);
});

test.each([Number.NaN, 4])('an acknowledgement of %d frees nothing', async (answer) => {
  const { shipper, done, failures } = shipping([5, 6], [answer]);
  await until(() => failures.length > 0);
  await shipper.close(0);
  expect(done).toEqual([]);
});
