import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, describe, expect, test } from '@jest/globals';
import { checkEvent } from '../ingest/batch.ts';
import { defaultIngestLimits } from '../ingest/limits.ts';
import { bodies, shipped, uuid } from '../testing/events.ts';
import { storeContract } from './contract.ts';
import { SqliteStore } from './sqlite-store.ts';

const directory = mkdtempSync(join(tmpdir(), 'chaperone-store-'));
afterAll(() => rmSync(directory, { recursive: true }));

let files = 0;
const newPath = () => join(directory, `${++files}.db`);

describe('the contract', () => storeContract(async () => new SqliteStore(':memory:')));

const session = uuid(1);
function batch(seq: number, statement: string) {
  const event = shipped(session, seq, bodies.decided(), { statement });
  const events = [checkEvent(event, session, defaultIngestLimits, 0)];
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

test('commits reach the disk: write-ahead log, synchronous FULL', async () => {
  const path = newPath();
  const store = new SqliteStore(path);
  const other = new DatabaseSync(path);
  expect(other.prepare('PRAGMA journal_mode').get()).toMatchObject({ journal_mode: 'wal' });
  other.close();
  await store.close();
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

test('a database of a newer version is not touched', () => {
  const path = newPath();
  const database = new DatabaseSync(path);
  database.exec('PRAGMA user_version = 99');
  database.close();
  expect(() => new SqliteStore(path)).toThrow(/version 99/);
});
