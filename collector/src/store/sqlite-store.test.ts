import { hash } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from '@jest/globals';
import { parseBatch } from '../ingest/batch.ts';
import { defaultIngestLimits } from '../ingest/limits.ts';
import { bodies, ndjson, shipped, uuid } from '../testing/events.ts';
import { storeContract } from './contract.ts';
import { schemaSteps } from './schema.ts';
import { SqliteStore } from './sqlite-store.ts';

const directory = mkdtempSync(join(tmpdir(), 'chaperone-store-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const newPath = () => join(directory, `${++files}.db`);

describe('the contract', () => storeContract(async () => new SqliteStore(':memory:')));

const session = uuid(1);
function batch(seq: number, statement: string) {
  const event = shipped(session, seq, bodies.decided(), { statement });
  const events = parseBatch(ndjson([event]), session, defaultIngestLimits);
  return { source: 'one', session, receivedMs: 1000, events };
}

test('what was acknowledged is there when the file is opened again', async () => {
  const path = newPath();
  const first = new SqliteStore(path);
  await first.append(batch(1, 'select 1'));
  await first.close();
  const second = new SqliteStore(path);
  expect(await second.append(batch(2, 'select 2'))).toMatchObject({ acknowledged: 2, stored: 1 });
  await second.close();
});

describe('on disk before it is acknowledged', () => {
  type Flush = (error: Error | null) => void;
  /** A store whose flushes end when the test says so, and what each append came to. */
  function controlled() {
    const flushes: Flush[] = [];
    const store = new SqliteStore(newPath(), { datasync: (_fd, done) => void flushes.push(done) });
    const outcomes: Record<number, string> = {};
    const append = (seq: number) =>
      store.append(batch(seq, 'select 1')).then(
        ({ acknowledged }) => void (outcomes[seq] = `acknowledged ${acknowledged}`),
        (error: Error) => void (outcomes[seq] = error.message),
      );
    return { store, flushes, outcomes, append };
  }
  /** Lets a commit and what follows it run. */
  const turn = () => new Promise((resolve) => setImmediate(() => setImmediate(resolve)));

  test('an append waits for a flush that began after its commit, and shares it', async () => {
    const { store, flushes, outcomes, append } = controlled();
    void append(1);
    await turn();
    expect([flushes.length, outcomes]).toEqual([1, {}]);
    void append(2);
    await turn();
    void append(3);
    await turn();
    expect(flushes).toHaveLength(1);
    flushes[0]!(null);
    await turn();
    expect([flushes.length, outcomes]).toEqual([2, { 1: 'acknowledged 1' }]);
    flushes[1]!(null);
    await turn();
    expect(outcomes).toMatchObject({ 2: 'acknowledged 2', 3: 'acknowledged 3' });
    void append(1); // a duplicate, too: the first one may not be on disk yet
    await turn();
    expect(flushes).toHaveLength(3);
    flushes[2]!(null);
    await store.close();
  });

  test('after a flush failed nothing is acknowledged any more', async () => {
    const { store, flushes, outcomes, append } = controlled();
    void append(1);
    await turn();
    void append(2);
    await turn();
    flushes[0]!(new Error('EIO'));
    await turn();
    await append(3);
    expect(outcomes).toEqual({ 1: 'EIO', 2: 'EIO', 3: 'EIO' });
    expect(flushes).toHaveLength(1);
    expect(await store.writable()).toBe(false);
    await store.close();
  });
});

test('a purged statement is nowhere in the files any more', async () => {
  const path = newPath();
  const store = new SqliteStore(path);
  for (let seq = 1; seq <= 50; seq += 1) {
    await store.append(batch(seq, `select xyzzyplugh${seq % 2} from t${seq}`));
  }
  const bytes = () =>
    Buffer.concat(
      readdirSync(directory)
        .filter((name) => join(directory, name).startsWith(path))
        .map((name) => readFileSync(join(directory, name))),
    );
  expect(bytes().includes('xyzzyplugh')).toBe(true);
  await store.purge('Statements', 5000);
  expect(bytes().includes('xyzzyplugh')).toBe(false);
  await store.close();
});

test('a full disk: nothing is acknowledged, and it goes on when there is room', async () => {
  const path = newPath();
  const store = new SqliteStore(path, { maxPages: 80 });
  const big = (seq: number) => batch(seq, `select '${'x'.repeat(100_000)}'`);
  let stored = 0;
  let failure: unknown;
  for (let seq = 1; failure === undefined; seq += 1) {
    try {
      await store.append(big(seq));
      stored = seq;
    } catch (error) {
      failure = error;
    }
  }
  expect(failure).toMatchObject({ code: 'ERR_SQLITE_ERROR' });
  expect(stored).toBeGreaterThan(0);
  await store.close();
  const roomy = new SqliteStore(path);
  expect(await roomy.append(big(stored + 1))).toMatchObject({ acknowledged: stored + 1 });
  await roomy.close();
});

test('a batch that fails half-way leaves nothing, and one beside it is kept', async () => {
  const store = new SqliteStore(':memory:');
  const { events } = batch(1, 'select 1');
  const broken = { ...events[0]!, seq: 2, facts: { ...events[0]!.facts, timeUs: Number.NaN } };
  const [failed, kept] = await Promise.allSettled([
    store.append({ ...batch(1, ''), events: [...events, broken] }),
    store.append({ ...batch(1, ''), session: uuid(2), events }),
  ]);
  expect([failed.status, kept.status]).toEqual(['rejected', 'fulfilled']);
  const page = { order: 'oldest', limit: 10, maxBytes: 1000 } as const;
  const found = await store.events({}, { payloads: true }, page);
  expect(found.items.map(({ session: of, seq }) => [of, seq])).toEqual([[uuid(2), 1]]);
  expect(await store.session(session, { payloads: true })).toBeUndefined();
  await store.close();
});

test('a database of a newer version is not touched', () => {
  const path = newPath();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  expect(() => new SqliteStore(path)).toThrow(/version 99/);
});

describe('a record of an earlier version', () => {
  test('its schema is as it was: what made a version never changes', () => {
    expect(schemaSteps.map((step) => hash('sha256', step, 'hex').slice(0, 16))).toEqual([
      'd34844d01a53097d',
      '21c985ae30ae1ce5',
    ]);
  });

  test('is brought up to date, once, and keeps what it held', async () => {
    const path = newPath();
    const old = new DatabaseSync(path);
    old.exec(`${schemaSteps[0]} PRAGMA user_version = 1`);
    const event = shipped(session, 1, bodies.decided(), { statement: 'select xyzzy' });
    const [{ salt }] = event.parts as [(typeof event.parts)[number]];
    const { parts } = JSON.parse(event.line) as { parts: { statement: string } };
    old
      .prepare('INSERT INTO sessions (id, source, contiguous, highest) VALUES (?, ?, 1, 1)')
      .run(session, 'one');
    old
      .prepare(
        "INSERT INTO events (session, seq, time_us, received_ms, type, statement_digest, line) VALUES (?, 1, 1, 1000, 'OperationDecided', ?, ?)",
      )
      .run(session, parts.statement, event.line);
    old
      .prepare(
        'INSERT INTO part_statement (session, seq, digest, salt, content, received_ms) VALUES (?, 1, ?, ?, ?, 1000)',
      )
      .run(session, parts.statement, Buffer.from(salt, 'base64'), 'select xyzzy');
    old.close();
    for (const seq of [2, 3]) {
      const store = new SqliteStore(path);
      const completed = shipped(session, seq, bodies.completed(1), { result: 'cm93cw==' });
      const events = parseBatch(ndjson([completed]), session, defaultIngestLimits);
      const appended = await store.append({ source: 'one', session, receivedMs: 1000, events });
      expect(appended).toMatchObject({ acknowledged: seq, stored: 1 });
      const page = { order: 'oldest', limit: 10, maxBytes: 1 << 20 } as const;
      const { items } = await store.events({ session }, { payloads: true }, page);
      expect(items.slice(0, 2).map((item) => item.parts)).toMatchObject([
        { statement: { state: 'Kept', content: 'select xyzzy' } },
        { result: { state: 'Apart' } },
      ]);
      expect(items[0]?.line).toBe(event.line);
      expect(await store.result(session, 1, { payloads: true })).toBeUndefined();
      expect(await store.result(session, seq, { payloads: true })).toMatchObject({ state: 'Kept' });
      await store.close();
    }
  });
});
