/** What becomes of events when the program has to end: collector, relay, or a gap that is announced. */
import { hash, randomFillSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { type ManualClock, manualClock } from '../clock.ts';
import type { EventBatch } from './event-batch.ts';
import { MemoryReceiver } from './memory-receiver.ts';
import type { RecorderOptions, SpoolRecorder } from './options.ts';
import { createRecorder } from './recorder.ts';
import type { RelayTransport } from './transport.ts';

let directory: string;
let clock: ManualClock;
let collector: MemoryReceiver;
let relay: TestRelay;
let logged: Record<string, unknown>[];

/** What it took; `refuses` is asked before. */
class TestRelay implements RelayTransport {
  readonly taken = new MemoryReceiver();
  refuses: (what: 'Events' | 'Gap') => boolean = () => false;

  async handOver(events: EventBatch): Promise<void> {
    if (this.refuses('Events')) throw new Error('full');
    await this.taken.ship(events);
  }

  async announce(events: EventBatch): Promise<void> {
    if (this.refuses('Gap')) throw new Error('full');
    await this.taken.ship(events);
  }

  async handOverSnapshot(digest: string, content: Uint8Array): Promise<void> {
    await this.taken.putSnapshot(digest, content);
  }
}

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'ending-'));
  clock = manualClock();
  collector = new MemoryReceiver();
  relay = new TestRelay();
  logged = [];
});
afterEach(() => rmSync(directory, { recursive: true }));

function start(options: Partial<RecorderOptions> = {}): SpoolRecorder {
  const log = (fields: object, message: string) => void logged.push({ ...fields, message });
  return createRecorder({
    directory,
    transport: collector,
    relay,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'sidecar', version: '0.1.0' },
    clock,
    random: randomFillSync,
    logger: { info: log, warn: log, error: log },
    lingerMs: 0,
    ...options,
  });
}

const away = (): never => {
  throw new Error('away');
};

/** A session of `count` events, in the spool when this resolves. */
async function record(recorder: SpoolRecorder, count: number): Promise<string> {
  const session = recorder.openSession();
  for (let n = 1; n <= count; n += 1) {
    const credential = { name: `${n}`, version: '1' };
    session.append({ type: 'CredentialLeased', credential }, { statement: `select ${n}` });
  }
  session.close();
  await new Promise<void>((resolve) => recorder.whenDurable('Process', () => resolve()));
  return session.id;
}

/** Waits, turn by turn, for what real files and promises do; no time passes on the recorder's clock. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise(setImmediate);
}

/** Closes it; the time that it has passes meanwhile, and no more. */
async function end(recorder: SpoolRecorder, graceMs = 8000): Promise<void> {
  let ended = false;
  const closing = recorder.close(graceMs).then(() => {
    ended = true;
  });
  for (let passedMs = 0; !ended; passedMs += 20) {
    for (let turns = 0; turns < 200; turns += 1) await new Promise(setImmediate);
    if (passedMs < graceMs) clock.advance(20);
  }
  await closing;
}

const seqsOf = (receiver: MemoryReceiver, session: string): unknown[] =>
  receiver.lines(session).map(({ seq }) => seq);

test('a collector that answers gets all of it, and the relay nothing', async () => {
  const recorder = start();
  const session = await record(recorder, 100);
  await end(recorder);
  expect(seqsOf(collector, session)).toHaveLength(100);
  expect(relay.taken.calls).toBe(0);
});

test('a collector that is away: the relay gets what it lacks, at once, and it stays in the spool', async () => {
  collector.before = away;
  const recorder = start();
  const session = await record(recorder, 1000);
  const text = '{"a":1}';
  recorder.recordSnapshot(hash('sha256', text, 'hex'), text);
  const closing = recorder.close(8000);
  await until(() => seqsOf(relay.taken, session).length === 1000);
  await closing;
  expect([...relay.taken.snapshots.values()]).toEqual([text]);
  expect(relay.taken.gaps.size).toBe(0);
  // It is for the collector alone to say that it is stored.
  collector.before = () => {};
  await end(start());
  expect(seqsOf(collector, session)).toHaveLength(1000);
});

test('a collector that does not answer is given up after a second', async () => {
  let asked = 0;
  collector.ship = (_events, signal?: AbortSignal) => {
    asked += 1;
    return new Promise((_resolve, reject) => {
      signal?.addEventListener('abort', () => reject(signal.reason as Error));
    });
  };
  const recorder = start();
  const session = await record(recorder, 10);
  await until(() => asked > 0);
  const closing = recorder.close(8000);
  await new Promise(setImmediate);
  clock.advance(999);
  for (let turns = 0; turns < 100; turns += 1) await new Promise(setImmediate);
  expect(relay.taken.calls).toBe(0);
  clock.advance(1);
  await until(() => seqsOf(relay.taken, session).length === 10);
  await closing;
});

test('a relay that has begun gets the rest, though the collector is back', async () => {
  collector.before = away;
  const recorder = start();
  const session = await record(recorder, 5000);
  relay.taken.after = () => {
    collector.before = () => {};
  };
  let calls = 0;
  relay.refuses = () => ++calls === 4; // and fails once
  await end(recorder);
  expect(calls).toBeGreaterThan(4);
  expect(seqsOf(relay.taken, session)).toHaveLength(5000);
  expect(seqsOf(collector, session)).toEqual([]);
});

test('without a relay that answers, the collector is tried again until the end', async () => {
  collector.before = away;
  relay.refuses = () => {
    collector.before = () => {};
    return true;
  };
  const recorder = start();
  const session = await record(recorder, 10);
  await end(recorder);
  expect(seqsOf(collector, session)).toHaveLength(10);
  expect(logged).not.toContainEqual(expect.objectContaining({ code: 'CHP-4010' }));
});

test('what nobody has room for is announced as a gap', async () => {
  collector.before = away;
  const recorder = start();
  const session = await record(recorder, 5000);
  let batches = 0;
  relay.refuses = (what) => what === 'Events' && ++batches > 2;
  await end(recorder);
  const taken = seqsOf(relay.taken, session).length;
  expect(taken).toBeGreaterThan(0);
  expect(relay.taken.gaps.get(session)).toEqual([[taken + 1, 5000]]);
  expect(logged).toContainEqual(expect.objectContaining({ code: 'CHP-4010', isAnnounced: true }));
});

test('what nobody takes is said in the log, in time', async () => {
  collector.before = away;
  relay.refuses = () => true;
  const recorder = start();
  await record(recorder, 10);
  await end(recorder, 4000);
  expect(logged).toContainEqual(
    // And two of the program itself: that it started, and that it stopped.
    expect.objectContaining({ code: 'CHP-4010', events: 12, sessions: 2, isAnnounced: false }),
  );
});
