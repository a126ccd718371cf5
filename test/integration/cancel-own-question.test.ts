/** A cancel request that comes while a question of the proxy's own runs on the session's connection. */
import { once } from 'node:events';
import { connect } from 'node:net';
import { systemClock, type Timer } from '@chaperone/runtime/clock.ts';
import { maxQuestionMs } from '@chaperone/sidecar/protocols/postgres/backend/resolution.ts';
import { cancelRequest } from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

const endless = 'SELECT count(*) FROM generate_series(1, 10000000000)';

let postgres: TestPostgres;
let chaperone: TestChaperone;
let client: pg.Client;
let locker: pg.Client;
let made = 0;

/** What is to happen when the time of a question of the proxy's own is over. */
const overdue = new Set<() => void>();

/** The system's clock, but that it does so when the test does. */
const system = systemClock();
const clock = {
  ...system,
  setTimer(ms: number, callback: () => void): Timer {
    if (ms !== maxQuestionMs) return system.setTimer(ms, callback);
    overdue.add(callback);
    return { cancel: () => void overdue.delete(callback) };
  },
};

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await loadShop(postgres, { orders: 200 });
  await postgres.query('CREATE VIEW paid AS SELECT id FROM orders', [], 'shop');
  chaperone = await TestChaperone.start({
    postgres,
    clock,
    target: { catalogCheck: 'Statement' },
    resources: [
      policy('p', [
        { name: 'read', action: 'Allow', classes: ['Read'], resources: ['shop.public.**'] },
      ]),
    ],
  });
});
afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});
beforeEach(async () => {
  client = await chaperone.connect('shop');
  await client.query('SELECT 1');
  locker = new pg.Client(postgres.url('shop'));
  await locker.connect();
  // The proxy asks for the catalog before each statement, and waits for this one of it.
  await locker.query('BEGIN; LOCK TABLE pg_catalog.pg_event_trigger');
});
afterEach(async () => {
  await client.end();
  await locker.end();
});

/** Resolves with the process id of the backend that waits for the lock. */
async function waiting(): Promise<number> {
  for (;;) {
    const { rows } = await postgres.query(
      "SELECT pid FROM pg_locks WHERE relation = 'pg_event_trigger'::regclass AND NOT granted",
      [],
      'shop',
    );
    if (rows.length > 0) return rows[0].pid;
  }
}

/** Resolves once a statement has waited for a lock ten times as long as `timeoutMs`, or `ended` has. */
async function waitedPast(timeoutMs: number, ended: Promise<unknown>): Promise<void> {
  let over = false;
  const end = (): void => {
    over = true;
  };
  ended.then(end, end);
  while (!over) {
    const { rows } = await postgres.query(
      `SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'
         AND clock_timestamp() - query_start > make_interval(secs => $1)`,
      [(timeoutMs * 10) / 1000],
      'shop',
    );
    if (rows.length > 0) return;
  }
}

/** Resolves once the statement runs. */
async function running(sql: string): Promise<void> {
  for (;;) {
    const { rows } = await postgres.query(
      "SELECT FROM pg_stat_activity WHERE state = 'active' AND query = $1",
      [sql],
      'shop',
    );
    if (rows.length > 0) return;
  }
}

async function cancel(): Promise<void> {
  const { processID: pid, secretKey } = client as unknown as Record<string, number>;
  const secret = Buffer.alloc(4);
  secret.writeInt32BE(secretKey!);
  const socket = connect(chaperone.port, chaperone.host);
  socket.end(cancelRequest(pid!, secret));
  await once(socket.resume(), 'close');
}

test('it is for the statement that waits, and reaches that', async () => {
  const outcome = client.query(endless).then(
    () => 'done',
    ({ code }) => code,
  );
  await waiting();
  await cancel();
  await locker.query('COMMIT');
  expect(await outcome).toBe('57014');
  expect((await client.query('SELECT 1 AS one')).rows).toEqual([{ one: 1 }]);
});

test('one that comes late and hits the question ends nothing', async () => {
  const outcome = client.query('SELECT 1 AS one');
  const pid = await waiting();
  await postgres.query('SELECT pg_cancel_backend($1)', [pid]);
  // It is asked again, and waits again.
  await waiting();
  await locker.query('COMMIT');
  expect((await outcome).rows).toEqual([{ one: 1 }]);
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
});

describe.each([
  ['parsing waits', 'LOCK TABLE pg_catalog.pg_event_trigger'],
  // The definition of the view over it is asked for.
  ['carrying it out waits', 'LOCK TABLE orders'],
])('a question of which %s', (_, lock) => {
  /** Makes the catalog another, so that it is read again, and locks. */
  async function changeAndLock(): Promise<void> {
    await locker.query('ROLLBACK');
    await locker.query(`CREATE TABLE made_${(made += 1)} ()`);
    await locker.query(`BEGIN; ${lock}`);
  }

  test.each(['statement_timeout', 'lock_timeout'])(
    "the client's %s is for its own statements",
    async (setting) => {
      await locker.query('ROLLBACK');
      await client.query(`SET ${setting} = '20ms'`);
      await changeAndLock();
      const outcome = client.query(`SELECT current_setting('${setting}') AS setting`);
      await waitedPast(20, outcome);
      await locker.query('COMMIT');
      expect((await outcome).rows).toEqual([{ setting: '20ms' }]);
    },
  );

  test('it is given up after a time, and nothing of it goes on waiting', async () => {
    await changeAndLock();
    client.on('error', () => {});
    const outcome = client.query('SELECT 1').catch((error: Error) => error.message);
    await waitedPast(1, outcome);
    // Others in the program may take as long; ours began last.
    [...overdue].at(-1)!();
    expect(await outcome).toMatch('CHP-3013');
    for (;;) {
      const { rows } = await postgres.query(
        "SELECT FROM pg_stat_activity WHERE wait_event_type = 'Lock'",
        [],
        'shop',
      );
      if (rows.length === 0) break;
    }
    await locker.query('COMMIT');
  });
});

test('what ends the session while a question runs is told', async () => {
  client.on('error', () => {});
  const outcome = client.query('SELECT 1').catch((error: Error) => error.message);
  const pid = await waiting();
  await postgres.query('SELECT pg_terminate_backend($1)', [pid]);
  expect(await outcome).toMatch('terminating connection due to administrator command');
});

test('many at once end what they are for, and none of them a question of the proxy', async () => {
  await locker.query('ROLLBACK');
  const outcome = client.query(endless).then(
    () => 'done',
    ({ code }) => code,
  );
  await running(endless);
  const cancels = Array.from({ length: 40 }, cancel);
  expect(await outcome).toBe('57014');
  // One that comes late may be for this one, as with PostgreSQL itself.
  const next = client.query('SELECT 1 AS one').then(
    ({ rows }) => rows,
    ({ code }) => code,
  );
  expect([[{ one: 1 }], '57014']).toContainEqual(await next);
  await Promise.all(cancels);
  expect((await client.query('SELECT 2 AS two')).rows).toEqual([{ two: 2 }]);
});
