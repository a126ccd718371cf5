/**
 * Hundreds of sessions of several identities at once: what one does, has set or cancels is its own. The
 * steps are drawn from a fixed seed, and every session takes one at the same time as all the others.
 */
import { once } from 'node:events';
import { connect } from 'node:net';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type pg from 'pg';
import { identity, masking, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';

const identities = ['red', 'green', 'blue', 'grey'];
const sessionCount = 200;
const rounds = 12;

let postgres: TestPostgres;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18, settings: { max_connections: '260' } });
  await postgres.query('CREATE DATABASE many');
  for (const name of identities) {
    await postgres.query(`CREATE TABLE of_${name} (id int, secret text)`, [], 'many');
    await postgres.query(`INSERT INTO of_${name} VALUES (1, 'secret-of-${name}')`, [], 'many');
  }
  chaperone = await TestChaperone.start({
    postgres,
    resources: [
      ...identities.map((name) => identity(name)),
      ...identities.map((name) =>
        policy(
          name,
          [
            {
              name: 'own',
              action: 'Allow',
              classes: ['Read'],
              resources: [`many.public.of_${name}`],
            },
            {
              name: 'work',
              action: 'Allow',
              classes: ['Read', 'Write', 'Schema'],
              resources: ['many.pg_temp*.**'],
            },
            {
              name: 'talk',
              action: 'Allow',
              classes: ['Session'],
              resources: ['many.of_session_*', 'many.advisory'],
            },
          ],
          { subjects: { identities: [{ name, namespace: 'payments' }] } },
        ),
      ),
      // Two of the four see their secret.
      ...['red', 'blue'].map((name) =>
        masking(name, {
          columns: [`many.public.of_${name}.secret`],
          transform: { type: 'Redact' },
        }),
      ),
    ],
  });
});

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

/** Numbers below `below`, the same on every run. */
function drawing(seed: number): (below: number) => number {
  let state = seed;
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * below);
  };
}

interface Session {
  readonly number: number;
  readonly identity: string;
  readonly client: pg.Client;
  /** What it has done, as it should find it again. */
  setting: string;
  sum: number;
  readonly heard: string[];
  readonly toHear: string[];
}

async function open(number: number): Promise<Session> {
  const name = identities[number % identities.length]!;
  const client = await chaperone.connect('many', name);
  const session: Session = {
    number,
    identity: name,
    client,
    setting: '',
    sum: 0,
    heard: [],
    toHear: [],
  };
  client.on('notification', ({ channel, payload }) => session.heard.push(`${channel} ${payload}`));
  await client.query('CREATE TEMP TABLE mine (n int)');
  await client.query(`PREPARE p AS SELECT ${number}::int AS number`);
  await client.query(`LISTEN of_session_${number}`);
  session.setting = `session ${number}`;
  await client.query(`SET application_name = '${session.setting}'`);
  return session;
}

/** Sends a cancel request with this key to the proxy; resolves when it is closed. */
async function cancel(processId: number, secret: number): Promise<void> {
  const key = Buffer.alloc(4);
  key.writeInt32BE(secret);
  const socket = connect({ host: chaperone.host, port: chaperone.port });
  socket.on('error', () => {});
  socket.end(write.cancelRequest(processId, key));
  socket.resume();
  await once(socket, 'close');
}

function keyOf(client: pg.Client): { processId: number; secret: number } {
  // biome-ignore lint/suspicious/noExplicitAny: pg's types do not tell of them
  const { processID, secretKey } = client as any;
  return { processId: processID, secret: secretKey };
}

const steps: readonly ((
  session: Session,
  draw: (below: number) => number,
  all: readonly Session[],
) => Promise<void>)[] = [
  async (session, draw) => {
    session.setting = `session ${session.number} ${draw(1000)}`;
    await session.client.query(`SET application_name = '${session.setting}'`);
  },
  async ({ client, setting }) => {
    const { rows } = await client.query('SHOW application_name');
    expect(rows).toEqual([{ application_name: setting }]);
  },
  async (session, draw) => {
    const n = draw(1000);
    await session.client.query('INSERT INTO mine VALUES ($1)', [n]);
    session.sum += n;
  },
  async (session, draw) => {
    const n = draw(1000);
    await session.client.query('BEGIN');
    await session.client.query('INSERT INTO mine VALUES ($1)', [n]);
    await expect(session.client.query('SELECT * FROM of_nobody')).rejects.toMatchObject({
      code: '42501',
    });
    await session.client.query('ROLLBACK');
  },
  async ({ client, sum }) => {
    const { rows } = await client.query('SELECT coalesce(sum(n), 0)::int AS sum FROM mine');
    expect(rows).toEqual([{ sum }]);
  },
  async ({ client, number }) => {
    expect((await client.query('EXECUTE p')).rows).toEqual([{ number }]);
  },
  async ({ client, number }) => {
    const query = { name: 'same name', text: `SELECT ${number}::int AS number` };
    expect((await client.query(query)).rows).toEqual([{ number }]);
  },
  async ({ client, identity: name }) => {
    const { rows } = await client.query(`SELECT secret FROM of_${name}`);
    const hidden = name === 'red' || name === 'blue';
    expect(rows[0].secret === `secret-of-${name}`).toBe(!hidden);
  },
  async ({ client, identity: name }, draw) => {
    const others = identities.filter((other) => other !== name);
    const question = `SELECT secret FROM of_${others[draw(others.length)]}`;
    await expect(client.query(question)).rejects.toMatchObject({ code: '42501' });
  },
  async ({ client, number }, draw, all) => {
    const to = all[draw(all.length)]!;
    const payload = `from ${number} ${draw(1_000_000)}`;
    to.toHear.push(`of_session_${to.number} ${payload}`);
    await client.query(`NOTIFY of_session_${to.number}, '${payload}'`);
  },
  async (_session, draw) => {
    // Keys that were never given out reach nobody.
    await cancel(draw(2 ** 31), draw(2 ** 31));
  },
];

test(`${sessionCount} sessions: settings, tables, names, channels and masks stay their own`, async () => {
  const draw = drawing(20);
  const all: Session[] = [];
  for (let at = 0; at < sessionCount; at += 50) {
    all.push(...(await Promise.all(Array.from({ length: 50 }, (_, n) => open(at + n)))));
  }
  expect(chaperone.standalone.gateway.sessions).toBe(sessionCount);
  for (let round = 0; round < rounds; round += 1) {
    const taken = all.map((session) => steps[draw(steps.length)]!(session, draw, all));
    await Promise.all(taken);
  }
  // A question and its answer behind every notification: then they have all come.
  await Promise.all(all.map(({ client }) => client.query('SELECT 1')));
  for (const { heard, toHear } of all) expect(heard.sort()).toEqual(toHear.sort());
  await Promise.all(all.map(({ client }) => client.end()));
});

describe('cancel requests', () => {
  test('of many sessions in the middle of a statement: each ends its own alone', async () => {
    const waiting = 'SELECT pg_advisory_lock_shared(5)';
    const draw = drawing(7);
    const clients = await Promise.all(
      Array.from({ length: 60 }, (_, n) => chaperone.connect('many', identities[n % 4])),
    );
    const keys = new Set(clients.map((client) => JSON.stringify(keyOf(client))));
    expect(keys.size).toBe(clients.length);
    await postgres.query('SELECT pg_advisory_lock(5)', [], 'many');
    const outcomes = clients.map((client) =>
      client.query(waiting).then(
        () => 'done',
        (error) => error.code,
      ),
    );
    for (;;) {
      const { rows } = await postgres.query(
        "SELECT count(*)::int AS n FROM pg_stat_activity WHERE query = $1 AND wait_event_type = 'Lock'",
        [waiting],
      );
      if (rows[0].n === clients.length) break;
    }
    const chosen = clients.map(() => draw(2) === 0);
    await Promise.all(
      clients.map((client, n) => {
        const { processId, secret } = keyOf(client);
        return chosen[n] ? cancel(processId, secret) : cancel(processId, secret ^ 1);
      }),
    );
    const cancelled = await Promise.all(outcomes.filter((_, n) => chosen[n]));
    expect(new Set(cancelled)).toEqual(new Set(['57014']));
    await postgres.query('SELECT pg_advisory_unlock(5)', [], 'many');
    const others = await Promise.all(outcomes.filter((_, n) => !chosen[n]));
    expect(new Set(others)).toEqual(new Set(['done']));
    // And nobody's next statement is hit by what came late.
    const next = await Promise.all(clients.map((client) => client.query('SELECT 1 AS one')));
    for (const { rows } of next) expect(rows).toEqual([{ one: 1 }]);
    await Promise.all(clients.map((client) => client.end()));
  });

  test('for a session that has ended reaches nobody', async () => {
    const gone = await chaperone.connect('many', 'red');
    const key = keyOf(gone);
    await gone.end();
    const client = await chaperone.connect('many', 'red');
    await postgres.query('SELECT pg_advisory_lock(6)', [], 'many');
    const waiting = 'SELECT pg_advisory_lock_shared(6)';
    const answer = client.query(waiting);
    await cancel(key.processId, key.secret);
    await postgres.query('SELECT pg_advisory_unlock(6)', [], 'many');
    expect((await answer).rowCount).toBe(1);
    await client.end();
  });
});
