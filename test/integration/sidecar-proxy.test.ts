/** The proxy before a control plane that falls silent, and its end while statements run. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { Gateway } from '@chaperone/sidecar/gateway.ts';
import { ProxyMetrics } from '@chaperone/sidecar/metrics.ts';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;
let sockets: string;
let gateway: Gateway;
let isStale = false;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await loadShop(postgres, { orders: 200 });
  const rule = {
    name: 'all',
    action: 'Allow',
    classes: ['Read'],
    resources: ['shop.public.*'],
  };
  chaperone = await TestChaperone.start({ postgres, resources: [policy('p', [rule])] });
  sockets = mkdtempSync(join(tmpdir(), 'chaperone-proxy-'));
});
afterAll(async () => {
  await gateway?.close();
  await chaperone?.stop();
  await postgres?.stop();
  rmSync(sockets, { recursive: true, force: true });
});

beforeEach(async () => {
  await gateway?.close();
  isStale = false;
  const { control, recorder } = chaperone.standalone;
  const clock = systemClock();
  gateway = new Gateway({
    control: { ...control, isStale: () => isStale },
    recorder,
    metrics: new ProxyMetrics(createRegistry('test', 'test')),
    clock,
    logger: createLogger({ program: 'test', level: 'silent', clock }),
    // Of those who have proven who they are there may be more.
    maxUnfinishedLogins: 1,
  });
  const [target] = control.targets();
  await gateway.setTargets([
    {
      uid: target!.metadata.uid,
      name: 'data/orders-db',
      listen: { socketPath: join(sockets, '.s.PGSQL.5432') },
    },
  ]);
});

async function connect(): Promise<pg.Client> {
  const client = new pg.Client({
    host: sockets,
    user: 'nightly-report',
    password: await chaperone.ticket(),
    database: 'shop',
  });
  client.on('error', () => {});
  await client.connect();
  return client;
}

const ended = (client: pg.Client): Promise<{ code?: string }> =>
  new Promise((resolve) => client.once('error', resolve));

test('a policy that is too old lets no statement and no session through, until it is fresh again', async () => {
  const client = await connect();
  await client.query('SELECT 1 FROM orders LIMIT 1');
  isStale = true;
  const tooOld = { message: expect.stringContaining('CHP-3010') };
  // The same text was decided before: what is cached must not help.
  await expect(client.query('SELECT 1 FROM orders LIMIT 1')).rejects.toMatchObject({
    ...tooOld,
    code: '53000',
  });
  await expect(
    client.query({ name: 'named', text: 'SELECT 2 FROM orders LIMIT 1' }),
  ).rejects.toMatchObject(tooOld);
  await expect(connect()).rejects.toMatchObject({ ...tooOld, code: '57P03' });
  isStale = false;
  expect((await client.query('SELECT 1 AS one FROM orders LIMIT 1')).rows).toEqual([{ one: 1 }]);
  await client.end();
});

test('a statement that was prepared while the policy was fresh is refused when it is not', async () => {
  const client = await connect();
  const statement = { name: 'prepared', text: 'SELECT id FROM orders WHERE id = $1', values: [1] };
  expect((await client.query(statement)).rows).toHaveLength(1);
  isStale = true;
  await expect(client.query(statement)).rejects.toMatchObject({
    message: expect.stringContaining('CHP-3010'),
  });
  await client.end();
});

test('draining ends idle sessions at once, and others when what they do has ended', async () => {
  const idle = await connect();
  const busy = await connect();
  const open = await connect();
  await open.query('BEGIN');
  await open.query('SELECT 1 FROM orders LIMIT 1');
  const ends = [ended(idle), ended(busy), ended(open)] as const;
  const running = busy.query('SELECT count(*)::int AS n FROM orders a, orders b, customers c');
  await postgres.query('SELECT 1');
  const drained = gateway.drain();
  expect(await ends[0]).toMatchObject({ code: '57P01' });
  expect((await running).rows).toEqual([{ n: 200 * 200 * 20 }]);
  expect(await ends[1]).toMatchObject({ code: '57P01' });
  expect(gateway.sessions).toBe(1);
  expect((await open.query('SELECT 3 AS three FROM orders LIMIT 1')).rows).toEqual([{ three: 3 }]);
  await open.query('ROLLBACK');
  expect(await ends[2]).toMatchObject({ code: '57P01' });
  await drained;
  expect(gateway.sessions).toBe(0);
  await expect(connect()).rejects.toMatchObject({
    code: expect.stringMatching(/ENOENT|ECONNREFUSED/),
  });
});

test('what does not end by itself is ended by closing', async () => {
  const open = await connect();
  await open.query('BEGIN');
  const end = ended(open);
  const drained = gateway.drain();
  await gateway.close();
  expect(await end).toMatchObject({ code: '57P01' });
  await drained;
});
