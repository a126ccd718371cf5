/** What ends a session by time, under a clock that runs and can be put forward. */
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type pg from 'pg';
import { identity, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const minuteMs = 60_000;
const tickMs = 20;

let postgres: TestPostgres;
let clock: ManualClock;
let ticking: NodeJS.Timeout;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
});
afterAll(() => postgres?.stop());

beforeEach(async () => {
  clock = manualClock(Date.now());
  // Files settle and events are shipped by the same clock.
  ticking = setInterval(() => clock.advance(tickMs), tickMs);
  const read = { name: 'read', action: 'Allow', classes: ['Read', 'Session'], resources: ['**'] };
  chaperone = await TestChaperone.start({
    postgres,
    clock,
    resources: [
      policy('p', [read], { session: { idleTimeout: '10m', maxDuration: '1h' } }),
      identity('passing', { expiresAt: new Date(clock.nowMs() + 30 * minuteMs).toISOString() }),
    ],
  });
});
afterEach(async () => {
  await chaperone?.stop();
  clearInterval(ticking);
});

/** With a ticket that outlasts every other bound. */
async function connect(name = 'nightly-report'): Promise<pg.Client> {
  const password = await chaperone.ticket(name, 24 * 60 * minuteMs);
  return chaperone.connect('postgres', name, { password });
}

function theEnd(of: pg.Client): Promise<unknown> {
  return new Promise((resolve) => of.once('error', resolve));
}

const fatal = (message: RegExp) => ({
  severity: 'FATAL',
  code: '57P01',
  message: expect.stringMatching(message),
});

test('idleness', async () => {
  const client = await connect();
  for (let spent = 0; spent < 3; spent += 1) {
    clock.advance(9 * minuteMs);
    await client.query('SELECT 1');
  }
  const end = theEnd(client);
  clock.advance(10 * minuteMs);
  expect(await end).toMatchObject(fatal(/was idle/));
});

test('a statement that takes longer than that is not idleness', async () => {
  const client = await connect();
  const text = "SELECT pg_advisory_xact_lock(1), 'slow' AS answer";
  await postgres.query('SELECT pg_advisory_lock(1)');
  const answer = client.query(text);
  for (;;) {
    const waiting = "SELECT 1 FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query = $1";
    if ((await postgres.query(waiting, [text])).rows.length > 0) break;
  }
  clock.advance(30 * minuteMs);
  await postgres.query('SELECT pg_advisory_unlock(1)');
  expect((await answer).rows).toMatchObject([{ answer: 'slow' }]);
  await client.end();
});

test('the longest that a session may last, however busy', async () => {
  const client = await connect();
  const end = theEnd(client);
  for (let spent = 0; spent < 7; spent += 1) {
    await client.query('SELECT 1');
    clock.advance(8 * minuteMs);
  }
  await client.query('SELECT 1');
  clock.advance(4 * minuteMs);
  expect(await end).toMatchObject(fatal(/as long as its policy allows/));
});

test('the identity’s expiry', async () => {
  const client = await connect('passing');
  const end = theEnd(client);
  for (let spent = 0; spent < 3; spent += 1) {
    await client.query('SELECT 1');
    clock.advance(9 * minuteMs);
  }
  await client.query('SELECT 1');
  clock.advance(3 * minuteMs);
  expect(await end).toMatchObject(fatal(/expired/));
  await expect(connect('passing')).rejects.toMatchObject({ code: '28000' });
});

test('the ticket’s: its session ends with it, and none begins', async () => {
  const connection = await chaperone.connection('postgres');
  const password = await chaperone.ticket('nightly-report', 5 * minuteMs);
  const client = await chaperone.connect('postgres', 'nightly-report', { password });
  const end = theEnd(client);
  clock.advance(5 * minuteMs);
  expect(await end).toMatchObject(fatal(/ticket/));
  await expect(
    chaperone.connect('postgres', 'nightly-report', { ...connection, password }),
  ).rejects.toMatchObject({ code: '28P01' });
});
