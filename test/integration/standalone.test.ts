import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import { locateRecord, RecordClient } from '@chaperone/cli/record-client.ts';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import pg from 'pg';
import { certificateAuthority } from '../support/certificates.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { copyQuickstart } from '../support/quickstart.ts';
import { loadShop, type Shop } from '../support/shop.ts';
import { StandaloneProcess } from '../support/standalone-process.ts';

const program = resolve(import.meta.dirname, '../../cli/src/main.ts');
const anyPorts = ['--listen-port', '0', '--ops-port', '0', '--collector-port', '0'];

let postgres: TestPostgres;
let shop: Shop;
let directory: string;
const started: StandaloneProcess[] = [];

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  shop = await loadShop(postgres, { orders: 200 });
}, 60_000);

afterAll(() => postgres?.stop());

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-standalone-'));
  copyQuickstart(directory, postgres, shop);
});

afterEach(async () => {
  await Promise.all(started.splice(0).map((standalone) => standalone.end('SIGKILL')));
  rmSync(directory, { recursive: true, force: true });
});

function spawn(...args: string[]): StandaloneProcess {
  const standalone = StandaloneProcess.spawn(program, [directory, ...args]);
  started.push(standalone);
  return standalone;
}

async function connection(): Promise<pg.ClientConfig> {
  let text = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const options = { directory, target: 'orders-db', ttl: 60_000, database: shop.database };
  await createTicket('nightly-report', { ...options, output: 'json' }, output);
  const { host, port, user, password, database } = JSON.parse(text);
  return { host, port, user, password, database };
}

async function connect(config: pg.ClientConfig = {}): Promise<pg.Client> {
  const client = new pg.Client({ ...(await connection()), ...config });
  client.on('error', () => {});
  await client.connect();
  return client;
}

/** Resolves when the database runs a statement like this one of the gateway's. */
async function statementRuns(pattern: string): Promise<void> {
  const text = `SELECT 1 FROM pg_stat_activity
    WHERE usename = 'shop_app' AND state = 'active' AND query LIKE $1`;
  while ((await postgres.query(text, [pattern])).rowCount === 0);
}

test.each(['SIGTERM', 'SIGINT'] as const)(
  'governs until %s, and loses nothing of the record',
  async (signal) => {
    const standalone = spawn(...anyPorts);
    await standalone.running();
    expect(standalone.out).toMatch(/data\/orders-db +127\.0\.0\.1:\d+\n/);
    expect(standalone.out).toContain('chaperone ticket create');
    const client = await connect();
    await expect(client.query('SELECT count(*)::int AS n FROM orders')).resolves.toMatchObject({
      rows: [{ n: 200 }],
    });
    await expect(client.query('DELETE FROM orders')).rejects.toMatchObject({ code: '42501' });

    const cut = expect(
      client.query('SELECT count(*) FROM orders a, orders b, orders c, orders d'),
    ).rejects.toMatchObject({ code: '57P01' });
    await statementRuns('%orders d');
    expect(await standalone.end(signal)).toBe(0);
    await cut;

    const again = spawn(...anyPorts);
    await again.running();
    const record = new RecordClient(locateRecord({ directory }));
    const sessions = [];
    for await (const session of record.sessions({ identity: 'nightly-report' }, 10)) {
      sessions.push(session);
    }
    record.close();
    expect(sessions).toMatchObject([{ closed: { reason: 'Shutdown', refused: 1 } }]);
    expect(sessions[0]!.acknowledged).toBe(sessions[0]!.closed!.lastSeq);
    expect(`${standalone.err}${again.err}`).not.toContain('CHP-6');
  },
);

test('serves TLS by files, takes up a renewed certificate, and refuses who comes without', async () => {
  const authority = certificateAuthority();
  const write = (): string => {
    const { cert, key } = authority.issue(['IP:127.0.0.1']);
    writeFileSync(join(directory, 'tls.crt'), cert);
    writeFileSync(join(directory, 'tls.key'), key, { mode: 0o600 });
    return cert;
  };
  const shown = async (): Promise<string> => {
    const client = await connect({ ssl: { ca: authority.ca.cert } });
    // biome-ignore lint/suspicious/noExplicitAny: pg's types do not tell of the stream
    const { raw } = (client as any).connection.stream.getPeerCertificate();
    await client.end();
    return raw.toString('base64');
  };
  const base64 = (pem: string): string => pem.replace(/-----.*-----|\s/g, '');
  const first = write();
  const files = ['--tls-cert-file', 'tls.crt', '--tls-key-file', 'tls.key'].map((word) =>
    word.startsWith('--') ? word : join(directory, word),
  );
  const standalone = spawn(...anyPorts, ...files, '--require-tls');
  await standalone.running();
  expect(await shown()).toBe(base64(first));
  await expect(connect()).rejects.toThrow(/CHP-5007/);
  const second = write();
  expect(await shown()).toBe(base64(second));
  // A half-written renewal: the certificate before stays in force.
  writeFileSync(join(directory, 'tls.key'), 'not a key');
  expect(await shown()).toBe(base64(second));
  expect(standalone.err).toContain('the certificate before is kept');
});

test('an address that another program holds is an error that says which', async () => {
  const other = createServer();
  await new Promise<void>((listening) => other.listen(0, '127.0.0.1', listening));
  const { port } = other.address() as AddressInfo;
  try {
    for (const flag of ['--listen-port', '--ops-port', '--collector-port']) {
      const at = anyPorts.indexOf(flag) + 1;
      const standalone = spawn(...anyPorts.with(at, String(port)));
      expect(await standalone.end()).toBe(1);
      expect(standalone.err).toContain('CHP-1020');
      expect(standalone.err).toContain(String(port));
    }
  } finally {
    other.close();
  }
});

test('one directory is run by one program', async () => {
  const standalone = spawn(...anyPorts);
  await standalone.running();
  const second = spawn(...anyPorts);
  expect(await second.end()).toBe(1);
  expect(second.err).toContain(`CHP-4005: chaperone standalone runs over ${directory} already`);
  const client = await connect();
  await client.end();
});

test('resources that never were valid are an error with file, line, object and field', async () => {
  const path = join(directory, 'policies.yaml');
  writeFileSync(path, readFileSync(path, 'utf8').replace('action: Allow', 'action: Alow'));
  const standalone = spawn(...anyPorts);
  expect(await standalone.end()).toBe(1);
  expect(standalone.err).toMatch(/CHP-1010.*policies\.yaml:\d+: .*data\/reporting.*action/);
});

test('a reference that does not resolve is logged once, and keeps nothing from starting', async () => {
  const path = join(directory, 'policies.yaml');
  const text = readFileSync(path, 'utf8');
  writeFileSync(path, text.replace('- name: support-tool', '- name: support-tools'));
  const standalone = spawn(...anyPorts);
  await standalone.running();
  await standalone.end('SIGTERM');
  const lines = standalone.err.split('\n').filter((line) => line.includes('CHP-1011'));
  expect(lines).toEqual([
    expect.stringMatching(/MachineIdentity payments\/support-tools does not exist/),
  ]);
});

test('a directory that is not there is an error, and is not made', async () => {
  const missing = join(directory, 'missing');
  const standalone = StandaloneProcess.spawn(program, [missing]);
  expect(await standalone.end()).toBe(1);
  expect(standalone.err).toContain('CHP-1004');
});
