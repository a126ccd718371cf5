import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import manifest from '../../package.json' with { type: 'json' };
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { copyQuickstart } from '../support/quickstart.ts';
import { loadShop, type Shop } from '../support/shop.ts';
import { StandaloneProcess } from '../support/standalone-process.ts';

const root = resolve(import.meta.dirname, '../..');

let postgres: TestPostgres;
let shop: Shop;
/** Away from the work tree: a bundle that needs node_modules fails here. */
let work: string;
let program: string;

beforeAll(async () => {
  work = mkdtempSync(join(tmpdir(), 'chaperone-build-'));
  const out = join(work, 'dist');
  execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--out', out], { stdio: 'pipe' });
  program = join(out, 'chaperone.mjs');
  postgres = await startPostgres({ version: 18 });
  shop = await loadShop(postgres, { orders: 200 });
});

afterAll(async () => {
  await postgres?.stop();
  rmSync(work, { recursive: true, force: true });
});

function chaperone(...args: string[]): string {
  return execFileSync(process.execPath, [program, ...args], { cwd: work, encoding: 'utf8' });
}

test('the bundle says its version, and nothing is missing from its help', () => {
  expect(chaperone('--version').trim()).toBe(manifest.version);
  for (const command of ['standalone', 'ticket', 'policy', 'sessions', 'events', 'replay']) {
    expect(chaperone('--help')).toContain(command);
    expect(chaperone(command, '--help')).toContain(`chaperone ${command}`);
  }
});

test('the bundle governs a database, and its commands read the record', async () => {
  const directory = join(work, 'resources');
  mkdirSync(directory);
  copyQuickstart(directory, postgres, shop);
  const ports = ['--listen-port', '0', '--ops-port', '0', '--collector-port', '0'];
  const standalone = StandaloneProcess.spawn(program, [directory, ...ports]);
  try {
    await standalone.running();
    const { url } = JSON.parse(
      chaperone(
        ...['ticket', 'create', 'nightly-report', '--target', 'orders-db'],
        ...['--database', shop.database, '--directory', directory, '--output', 'json'],
      ),
    ) as { url: string };
    const client = new pg.Client({ connectionString: url });
    await client.connect();
    const { rows } = await client.query('SELECT id, ssn FROM customers WHERE id = 1');
    expect(rows).toEqual([{ id: 1, ssn: expect.stringMatching(/^\*{7}\d{4}$/) }]);
    await expect(client.query('DELETE FROM orders')).rejects.toMatchObject({ code: '42501' });
    await client.end();
    expect(chaperone('sessions', '--directory', directory)).toContain('payments/nightly-report');
    expect(await standalone.end('SIGTERM')).toBe(0);
  } finally {
    await standalone.end('SIGKILL');
  }
});

test('the licences of what is bundled are beside it', () => {
  const text = readFileSync(join(work, 'dist/THIRD-PARTY-LICENSES.txt'), 'utf8');
  for (const name of ['libpg-query', 'fastify', 'pino', 'prom-client']) {
    expect(text).toMatch(new RegExp(`^${name} \\d`, 'm'));
  }
});
