import { execFile, spawn } from 'node:child_process';
import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { pythonWithPsycopg } from '../support/python.ts';
import { loadShop, type Shop } from '../support/shop.ts';

const versions = await installedVersions();
const startTimeoutMs = 60_000;

test('PostgreSQL 18 is installed with the packages', () => {
  expect(versions).toContain(18);
});

describe.each(versions)('PostgreSQL %i', (version) => {
  let postgres: TestPostgres;
  let shop: Shop;
  beforeAll(async () => {
    postgres = await startPostgres({ version, settings: { work_mem: '5MB' } });
    shop = await loadShop(postgres, { orders: 200 });
  }, startTimeoutMs);
  afterAll(() => postgres.stop());

  test('listens on loopback and on its socket, with its settings', async () => {
    expect((await postgres.query('SHOW work_mem')).rows).toEqual([{ work_mem: '5MB' }]);
    const client = new pg.Client(postgres.url());
    await client.connect();
    const { rows } = await client.query(
      "SELECT current_setting('server_version_num')::int AS number",
    );
    await client.end();
    expect(Math.floor(rows[0].number / 10_000)).toBe(version);
  });

  test('a wrong password is refused', async () => {
    const url = new URL(postgres.url());
    url.password = 'wrong';
    await expect(new pg.Client(url.href).connect()).rejects.toMatchObject({ code: '28P01' });
  });

  test('the shop has its rows, and shop_app may use but not own them', async () => {
    const counts = await postgres.query(
      `SELECT (SELECT count(*)::int FROM orders) AS orders, (SELECT count(*)::int FROM customers) AS customers,
              (SELECT count(*)::int FROM vip) AS vip, (SELECT count(*)::int FROM events) AS events,
              (SELECT count(*)::int FROM people) AS people`,
      [],
      shop.database,
    );
    expect(counts.rows[0]).toEqual({ orders: 200, customers: 20, vip: 2, events: 120, people: 20 });
    const client = new pg.Client({
      host: postgres.host,
      port: postgres.port,
      user: shop.user,
      password: shop.password,
      database: shop.database,
    });
    await client.connect();
    await client.query("UPDATE orders SET status = 'paid' WHERE id = 1");
    expect((await client.query('SELECT * FROM order_audit')).rows).toMatchObject([
      { order_id: '1', action: 'UPDATE', new_status: 'paid' },
    ]);
    await expect(client.query('DROP TABLE orders')).rejects.toMatchObject({ code: '42501' });
    await client.end();
  });

  test('stop removes the directory and frees the port', async () => {
    const other = await startPostgres({ version, auth: 'trust' });
    await other.query('SELECT 1');
    expect(existsSync(other.directory)).toBe(true);
    await other.stop();
    expect(existsSync(other.directory)).toBe(false);
    await expect(new pg.Client(other.url()).connect()).rejects.toMatchObject({
      code: 'ECONNREFUSED',
    });
  });

  test('md5 passwords', async () => {
    const other = await startPostgres({ version, auth: 'md5' });
    const { rows } = await other.query('SELECT rolpassword FROM pg_authid WHERE rolname = $1', [
      other.superuser,
    ]);
    await other.stop();
    expect(rows[0].rolpassword).toMatch(/^md5/);
  });
});

test('a server that cannot start says why', async () => {
  await expect(startPostgres({ settings: { work_mem: 'plenty' } })).rejects.toThrow(/work_mem/);
});

test(
  'the server and its directory go when the process that started it is killed',
  async () => {
    const module = join(import.meta.dirname, '../support/postgres.ts');
    const program = `
    const { startPostgres } = await import(${JSON.stringify(module)});
    const postgres = await startPostgres();
    console.log(JSON.stringify({ url: postgres.url(), directory: postgres.directory }));
    setInterval(() => {}, 1 << 30);
  `;
    const owner = spawn(process.execPath, ['--input-type=module', '-e', program], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const line = await new Promise<string>((resolve) => owner.stdout.once('data', resolve));
    const { url, directory } = JSON.parse(String(line)) as { url: string; directory: string };
    const client = new pg.Client(url);
    client.on('error', () => {});
    await client.connect();
    const closed = new Promise((resolve) => client.once('end', resolve));
    owner.kill('SIGKILL');
    await closed;
    // The directory goes after the postmaster, whose end nobody but its supervisor can wait for.
    while (existsSync(directory)) await new Promise((resolve) => setImmediate(resolve));
  },
  startTimeoutMs,
);

test('psycopg, where this machine has Python', async () => {
  const python = await pythonWithPsycopg();
  if (python === undefined) return;
  expect(statSync(python).isFile()).toBe(true);
  const { stdout } = await promisify(execFile)(python, [
    '-c',
    'import psycopg; print(psycopg.__version__)',
  ]);
  expect(stdout.trim()).toBe('3.3.9');
}, 300_000);
