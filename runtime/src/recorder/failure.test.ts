import { randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ManualClock, manualClock } from '../clock.ts';
import { MemoryReceiver } from './memory-receiver.ts';
import type { RecorderOptions, SpoolRecorder } from './options.ts';
import { createRecorder } from './recorder.ts';
import { nodeSpoolFiles, type SpoolFiles } from './spool-files.ts';
import type { SessionRecorder } from './types.ts';

const mebibyte = 1024 * 1024;
let directory: string;
let clock: ManualClock;
let recorders: SpoolRecorder[];

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'recorder-'));
  clock = manualClock();
  recorders = [];
});

afterEach(async () => {
  for (const recorder of recorders) await recorder.close();
  rmSync(directory, { recursive: true });
});

function start(options: Partial<RecorderOptions> = {}): SpoolRecorder {
  const log = () => {};
  const recorder = createRecorder({
    directory,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'sidecar', version: '0.1.0' },
    clock,
    random: randomFillSync,
    logger: { info: log, warn: log, error: log },
    lingerMs: 0,
    closeGraceMs: 0,
    heartbeatMs: 1e12,
    ...options,
  });
  recorders.push(recorder);
  return recorder;
}

const durable = (recorder: SpoolRecorder, level: 'Process' | 'Collector' = 'Process') =>
  new Promise<string>((resolve) => {
    recorder.whenDurable(level, (failure) => resolve(failure?.code ?? 'durable'));
  });

const record = (session: SessionRecorder, statement = 'select 1') =>
  session.append(
    { type: 'CredentialLeased', credential: { name: 'c', version: '1' } },
    { statement },
  );

const turn = () => new Promise((resolve) => setImmediate(resolve));

function bytesIn(path: string): number {
  return readdirSync(path, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name !== 'lock')
    .reduce((sum, entry) => sum + statSync(join(entry.parentPath, entry.name)).size, 0);
}

/** A disk that takes `room` bytes and then fails, in the middle of a write where it must. */
function disk(room = Number.POSITIVE_INFINITY): SpoolFiles & { room: number } {
  return {
    room,
    datasync: nodeSpoolFiles.datasync,
    write(fd, bytes, offset, length, position) {
      const count = Math.min(length, this.room);
      if (count === 0) throw Object.assign(new Error('ENOSPC: no space left'), { code: 'ENOSPC' });
      this.room -= count;
      return nodeSpoolFiles.write(fd, bytes, offset, count, position);
    },
  };
}

/** Everything a later process would ship. */
async function shippedAfterwards(recorder: SpoolRecorder): Promise<MemoryReceiver> {
  await recorder.close();
  const receiver = new MemoryReceiver();
  expect(await durable(start({ transport: receiver }), 'Collector')).toBe('durable');
  return receiver;
}

describe('a full disk', () => {
  test('fails the waiting, keeps what was appended, and recovers by itself without a gap', async () => {
    const files = disk();
    const recorder = start({ files });
    const session = recorder.openSession();
    record(session);
    expect(await durable(recorder)).toBe('durable');
    files.room = 70; // less than a frame
    record(session);
    expect(await durable(recorder)).toBe('CHP-4001');
    expect(recorder.state().failure?.code).toBe('CHP-4001');
    record(session);
    expect(await durable(recorder)).toBe('CHP-4001');
    files.room = Number.POSITIVE_INFINITY;
    clock.advance(1000);
    expect(recorder.state().failure).toBeUndefined();
    record(session);
    expect(await durable(recorder)).toBe('durable');
    const receiver = await shippedAfterwards(recorder);
    expect(receiver.lines(session.id).map(({ seq }) => seq)).toEqual([1, 2, 3, 4]);
  });

  test('beyond what memory holds, events are lost, and each lost range is in the record', async () => {
    const files = disk(0);
    const lost: number[] = [];
    const metrics = {
      recorded() {},
      shipped() {},
      lost: (n: number) => lost.push(n),
      shipFailed() {},
    };
    const recorder = start({ files, metrics });
    const session = recorder.openSession();
    const large = 'x'.repeat(mebibyte);
    for (let i = 0; i < 6; i += 1) {
      record(session, large);
      expect(await durable(recorder)).toBe('CHP-4001');
    }
    expect(lost.length).toBeGreaterThan(0);
    files.room = Number.POSITIVE_INFINITY;
    expect(await durable(recorder)).toBe('durable');
    record(session);
    const receiver = await shippedAfterwards(recorder);
    const lines = receiver.lines(session.id);
    const kept = 6 - lost.length;
    expect(lines.map(({ seq, type }) => [seq, type])).toEqual([
      ...Array.from({ length: kept }, (_, at) => [at + 1, 'CredentialLeased']),
      [7, 'RecordGap'],
      [8, 'CredentialLeased'],
    ]);
    expect(lines[kept]).toMatchObject({ from: kept + 1, to: 6 });
    expect(receiver.acknowledged(session.id)).toBe(8);
  });
});

describe('the bound', () => {
  test('refuses statements short of it, never passes it, and opens again once the collector took some', async () => {
    const receiver = new MemoryReceiver();
    let down = true;
    receiver.before = () => {
      if (down) throw new Error('down');
    };
    const maxBytes = 16 * mebibyte;
    const recorder = start({ transport: receiver, maxBytes, closeGraceMs: 1000 });
    const session = recorder.openSession();
    const outcomes: string[] = [];
    for (let i = 0; i < 40; i += 1) {
      record(session, 'x'.repeat(500_000));
      outcomes.push(await durable(recorder));
      expect(bytesIn(directory)).toBeLessThanOrEqual(maxBytes);
    }
    const firstRefused = outcomes.indexOf('CHP-4002');
    expect(firstRefused).toBeGreaterThan(20);
    // Short of the bound, there is room for the ends of what runs: 2 MiB of it.
    expect(firstRefused * 500_000).toBeLessThan(maxBytes - mebibyte);
    expect(new Set(outcomes.slice(firstRefused))).toEqual(new Set(['CHP-4002']));
    down = false;
    clock.advance(60_000);
    while (recorder.state().failure !== undefined) await turn();
    expect(recorder.state().spoolBytes).toBeLessThan(maxBytes);
    record(session);
    expect(await durable(recorder, 'Collector')).toBe('durable');
    expect(receiver.acknowledged(session.id)).toBe(41);
    expect(receiver.contradictions).toEqual([]);
  });
});

describe('a collector that fails', () => {
  test('refusing, losing answers and coming back: nothing is lost, nothing contradicts', async () => {
    const receiver = new MemoryReceiver();
    let call = 0;
    receiver.before = () => {
      if ((call += 1) % 3 === 0) throw new Error('down');
    };
    receiver.after = () => {
      if (call % 4 === 0) throw new Error('the answer is lost');
    };
    const recorder = start({ transport: receiver, segmentBytes: 4096, collectorTimeoutMs: 1e15 });
    const sessions = Array.from({ length: 7 }, () => recorder.openSession());
    const outcome: Promise<string>[] = [];
    for (let i = 0; i < 300; i += 1) {
      record(sessions[i % 7]!, `select ${i}`);
      if (i % 10 === 0) outcome.push(durable(recorder, 'Collector'));
      if (i % 5 === 0) await turn();
    }
    let outcomes: string[] | undefined;
    void Promise.all([...outcome, durable(recorder, 'Collector')]).then((all) => (outcomes = all));
    while (outcomes === undefined) {
      await turn();
      clock.advance(30_000);
    }
    expect(new Set(outcomes)).toEqual(new Set(['durable']));
    for (const [at, session] of sessions.entries()) {
      const statements = [...receiver.sessions.get(session.id)!.values()].map(
        ({ parts }) => parts[0]!.content,
      );
      const expected = Array.from({ length: 300 }, (_, i) => i).filter((i) => i % 7 === at);
      expect(statements).toEqual(expected.map((i) => `select ${i}`));
    }
    expect(receiver.duplicates).toBeGreaterThan(0);
    expect(receiver.contradictions).toEqual([]);
    expect(readdirSync(directory).filter((name) => name.endsWith('.seg')).length).toBeLessThan(3);
    expect(recorder.state().spoolAgeMs).toBe(0);
  });

  test('the age of the spool is that of the oldest event it waits with', async () => {
    const recorder = start();
    record(recorder.openSession());
    await durable(recorder);
    clock.advance(5000);
    record(recorder.openSession());
    await durable(recorder);
    expect(recorder.state().spoolAgeMs).toBe(5000);
  });
});

test('bytes that went bad after they were written are a reported gap, and the rest is shipped', async () => {
  const first = start({ segmentBytes: 2000 });
  const session = first.openSession();
  for (let i = 0; i < 30; i += 1) {
    record(session, `select ${i}`);
    await durable(first);
  }
  await first.close();
  const names = readdirSync(directory)
    .filter((name) => name.endsWith('.seg'))
    .sort();
  expect(names.length).toBeGreaterThan(3);
  const path = join(directory, names[1]!);
  const bytes = readFileSync(path);
  bytes[bytes.length >> 1]! ^= 1;
  writeFileSync(path, bytes);

  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  expect(await durable(second, 'Collector')).toBe('durable');
  const seqs = new Set(receiver.lines(session.id).map(({ seq }) => seq));
  const [gap] = receiver.gaps.get(session.id)!;
  for (let seq = 1; seq <= 30; seq += 1) {
    expect([seq, seqs.has(seq)]).toEqual([seq, seq < gap![0] || seq > gap![1]]);
  }
  expect(gap![1]).toBeGreaterThanOrEqual(gap![0]);
  expect(receiver.acknowledged(session.id)).toBe(30);
  const details = [...receiver.sessions.keys()].flatMap((id) =>
    receiver.lines(id).flatMap((line) => (line.type === 'SpoolState' ? [String(line.detail)] : [])),
  );
  expect(details.some((detail) => detail.startsWith('damaged bytes were cut out'))).toBe(true);
});
