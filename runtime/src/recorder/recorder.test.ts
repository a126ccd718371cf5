import { createHmac, randomFillSync } from 'node:crypto';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { type ManualClock, manualClock } from '../clock.ts';
import { MemoryReceiver } from './memory-receiver.ts';
import type { RecorderOptions, SpoolRecorder } from './options.ts';
import { createRecorder } from './recorder.ts';
import type { SpoolFiles } from './spool-files.ts';
import { nodeSpoolFiles } from './spool-files.ts';
import { ShipRefused } from './transport.ts';
import type { RecorderFailure } from './types.ts';

type Level = Parameters<SpoolRecorder['whenDurable']>[0];

let directory: string;
let clock: ManualClock;
let logged: { level: string; message: string }[];
const open = new Set<SpoolRecorder>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'recorder-'));
  clock = manualClock();
  logged = [];
});

afterEach(async () => {
  const recorders = [...open];
  open.clear();
  for (const recorder of recorders) await recorder.close();
  rmSync(directory, { recursive: true });
});

function start(options: Partial<RecorderOptions> = {}): SpoolRecorder {
  const log = (level: string) => (_fields: object, message: string) => {
    logged.push({ level, message });
  };
  const recorder = createRecorder({
    directory,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'sidecar', version: '0.1.0' },
    clock,
    random: randomFillSync,
    logger: { info: log('info'), warn: log('warn'), error: log('error') },
    lingerMs: 0,
    closeGraceMs: 1000,
    ...options,
  });
  open.add(recorder);
  return recorder;
}

function durable(recorder: SpoolRecorder, level: Level = 'Process'): Promise<string> {
  return new Promise((resolve) => {
    recorder.whenDurable(level, (failure?: RecorderFailure) => resolve(failure?.code ?? 'durable'));
  });
}

const leased = (name: string) =>
  ({ type: 'CredentialLeased', credential: { name, version: '1' } }) as const;

/** Waits, turn by turn, for what real files and promises do; no time passes on the recorder's clock. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setImmediate(resolve));
}

describe('a session', () => {
  test('numbers its events and ships exact lines with their parts', async () => {
    const receiver = new MemoryReceiver();
    const recorder = start({ transport: receiver });
    const session = recorder.openSession();
    const statement = `select '\u{1F600}', "naïve" -- \n\u001b[31m`;
    expect(session.append(leased('a'), { statement, parameters: ['1', null] })).toBe(1);
    expect(session.append(leased('b'))).toBe(2);
    expect(await durable(recorder, 'Collector')).toBe('durable');

    const event = receiver.sessions.get(session.id)!.get(1)!;
    const line = JSON.parse(event.line);
    expect(line).toMatchObject({ eventVersion: 1, session: session.id, seq: 1, ...leased('a') });
    expect(line.id).toMatch(
      /^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
    );
    expect(line.time).toBe('2026-01-01T00:00:00.000000Z');
    expect(event.parts.map(({ name, content }) => [name, content])).toEqual([
      ['statement', statement],
      ['parameters', '["1",null]'],
    ]);
    for (const { name, salt, content } of event.parts) {
      const key = Buffer.from(salt, 'base64');
      expect(key).toHaveLength(16);
      expect(line.parts[name]).toBe(createHmac('sha256', key).update(content).digest('hex'));
    }
    expect(event.parts[0]!.salt).not.toBe(event.parts[1]!.salt);
    expect(receiver.lines(session.id).map(({ seq }) => seq)).toEqual([1, 2]);
  });

  test('appends nothing once it is closed', () => {
    const session = start().openSession();
    session.close();
    expect(() => session.append(leased('late'))).toThrow(
      expect.objectContaining({ code: 'CHP-4006' }),
    );
  });
});

describe('whenDurable', () => {
  test('writes once for all sessions of a turn and calls back in order, never at once', async () => {
    const writes: number[] = [];
    const files: SpoolFiles = {
      ...nodeSpoolFiles,
      write(...call) {
        writes.push(call[3]);
        return nodeSpoolFiles.write(...call);
      },
    };
    const recorder = start({ files });
    await durable(recorder);
    writes.length = 0;
    const order: number[] = [];
    for (let i = 0; i < 50; i += 1) {
      recorder.openSession().append(leased('x'));
      recorder.whenDurable('Process', () => order.push(i));
    }
    expect(order).toEqual([]);
    await durable(recorder);
    expect(order).toEqual(Array.from({ length: 50 }, (_, i) => i));
    expect(writes).toHaveLength(1);
  });

  test('Disk waits for a sync that began after the write, and shares it', async () => {
    const syncs: ((error: Error | null) => void)[] = [];
    let held = true;
    const files: SpoolFiles = {
      ...nodeSpoolFiles,
      datasync: (_fd, done) => void (held ? syncs.push(done) : setImmediate(done, null)),
    };
    const recorder = start({ files });
    await durable(recorder);
    const outcomes: string[] = [];
    const ask = (name: string) =>
      recorder.whenDurable('Disk', (failure) => outcomes.push(failure?.code ?? name));
    ask('first');
    await durable(recorder);
    ask('second');
    ask('third');
    await durable(recorder);
    expect([syncs.length, outcomes]).toEqual([1, []]);
    syncs.shift()!(null);
    await until(() => outcomes.length > 0 && syncs.length > 0);
    expect([syncs.length, outcomes]).toEqual([1, ['first']]);
    syncs.shift()!(new Error('EIO'));
    await until(() => outcomes.length > 1);
    expect(outcomes).toEqual(['first', 'CHP-4003', 'CHP-4003']);
    held = false;
    for (const done of syncs) done(null);
  });

  test('Collector fails after its time, and without a collector at once', async () => {
    const receiver = new MemoryReceiver();
    receiver.before = () => Promise.reject(new Error('down'));
    const recorder = start({ transport: receiver, collectorTimeoutMs: 4000, closeGraceMs: 0 });
    recorder.openSession().append(leased('x'));
    const outcome = durable(recorder, 'Collector');
    await durable(recorder);
    clock.advance(4000);
    expect(await outcome).toBe('CHP-4004');
    await recorder.close();
    open.clear();
    expect(await durable(start(), 'Collector')).toBe('CHP-4004');
  });

  test('a throwing callback keeps nobody else from being called', async () => {
    const recorder = start();
    recorder.whenDurable('Process', () => {
      throw new Error('a fault of the session');
    });
    expect(await durable(recorder)).toBe('durable');
    expect(logged).toContainEqual({ level: 'error', message: 'a callback of whenDurable threw' });
  });
});

test('what the collector did not take is shipped by the next process, once', async () => {
  const first = start();
  const session = first.openSession();
  for (let i = 0; i < 100; i += 1) session.append(leased(`${i}`), { statement: `select ${i}` });
  await durable(first);
  await first.close();
  open.delete(first);
  const receiver = new MemoryReceiver();
  const second = start({ transport: receiver });
  expect(await durable(second, 'Collector')).toBe('durable');
  expect(receiver.lines(session.id)).toHaveLength(100);
  expect(receiver.sessions.get(session.id)!.get(42)!.parts[0]!.content).toBe('select 41');
  await second.close();
  open.delete(second);
  expect(readdirSync(directory).filter((name) => name.endsWith('.seg'))).toEqual([]);
  expect([receiver.duplicates, receiver.contradictions]).toEqual([0, []]);
});

test('two programs cannot record into one directory', () => {
  start();
  expect(() => start()).toThrow(expect.objectContaining({ code: 'CHP-4005' }));
});

test('a refused session is put aside and does not hold up the others', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const [bad, good] = [recorder.openSession(), recorder.openSession()];
  const ship = receiver.ship.bind(receiver);
  receiver.ship = (events) =>
    events.session === bad.id ? Promise.reject(new ShipRefused('unknown version')) : ship(events);
  bad.append(leased('x'));
  good.append(leased('y'));
  expect(await durable(recorder, 'Collector')).toBe('durable');
  expect(receiver.lines(good.id)).toHaveLength(1);
  expect(readdirSync(join(directory, 'rejected'))).toEqual([`${bad.id}.ndjson`]);
  expect(logged).toContainEqual({ level: 'error', message: 'the collector refused events' });
});

test('a heartbeat names every open session and its last event', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver, heartbeatMs: 30_000 });
  const sessions = Array.from({ length: 501 }, () => recorder.openSession());
  sessions[0]!.append(leased('x'));
  const closed = recorder.openSession();
  closed.close();
  clock.advance(30_000);
  expect(await durable(recorder, 'Collector')).toBe('durable');
  const beats = [...receiver.sessions.keys()]
    .flatMap((id) => receiver.lines(id))
    .filter(({ type }) => type === 'Heartbeat');
  expect(beats.map(({ program }) => program)).toEqual(['sidecar', 'sidecar']);
  const named = Object.assign({}, ...beats.map((beat) => beat.sessions));
  expect(named).toEqual(Object.fromEntries(sessions.map(({ id }, at) => [id, at === 0 ? 1 : 0])));
});

test('an event that cannot be encoded leaves neither a gap nor half a frame', async () => {
  const receiver = new MemoryReceiver();
  const recorder = start({ transport: receiver });
  const session = recorder.openSession();
  session.append(leased('a'));
  const cyclic: Record<string, unknown> = { type: 'CredentialLeased' };
  cyclic.credential = cyclic;
  expect(() => session.append(cyclic as never, { statement: 'x' })).toThrow(TypeError);
  expect(session.append(leased('b'))).toBe(2);
  expect(await durable(recorder, 'Collector')).toBe('durable');
  expect(receiver.lines(session.id).map(({ seq }) => seq)).toEqual([1, 2]);
});

test('fingerprints are keyed, stable and of the same form', async () => {
  const first = start();
  const digest = first.fingerprint('select $1');
  expect(digest).toBe(
    createHmac('sha256', Buffer.alloc(32, 7)).update('select $1').digest('hex').slice(0, 32),
  );
  expect(first.fingerprint('select $1')).toBe(digest);
  await first.close();
  open.delete(first);
  expect(start({ installationKey: Buffer.alloc(32, 8) }).fingerprint('select $1')).not.toBe(digest);
});
