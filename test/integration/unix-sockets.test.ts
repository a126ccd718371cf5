/** UNIX sockets towards callers and towards the server: who may connect, what is left behind, cancel requests. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { connect, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { listen } from '@chaperone/sidecar/listener.ts';
import { connectBackend } from '@chaperone/sidecar/protocols/postgres/handshake/connect-backend.ts';
import { cancelRequest } from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { targetSocketPath } from '@chaperone/sidecar/unix-socket.ts';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';
import { StandaloneProcess } from '../support/standalone-process.ts';

const run = promisify(execFile);
const psql = '/usr/bin/psql';
const target = 'data/orders-db';

let directory: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chp-'));
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

describe('a listener on a socket', () => {
  const path = (): string => targetSocketPath(directory, target);
  const modeOf = (of: string): string => (statSync(of).mode & 0o7777).toString(8);
  const nobody = (): never => {
    throw new Error('nobody was to connect');
  };

  test.each([
    ['Owner', '700', '600'],
    ['Group', '750', '660'],
    ['Everyone', '755', '666'],
  ] as const)('%s: modes of directory and socket, and nothing is left', async (access, of, its) => {
    const listener = await listen({ socketPath: path(), access }, nobody);
    expect(modeOf(join(directory, 'data.orders-db'))).toBe(of);
    expect(modeOf(path())).toBe(its);
    await listener.close();
    expect(existsSync(join(directory, 'data.orders-db'))).toBe(false);
    expect(existsSync(directory)).toBe(true);
  });

  test('the group is that of the directory above', async () => {
    if (process.geteuid?.() !== 0) return; // only root may give a group that it is not in
    const { chownSync } = await import('node:fs');
    chownSync(directory, 0, 12_345);
    const listener = await listen({ socketPath: path(), access: 'Group' }, nobody);
    expect(statSync(path()).gid).toBe(12_345);
    expect(statSync(join(directory, 'data.orders-db')).gid).toBe(12_345);
    await listener.close();
  });

  test('a socket that a killed program left is replaced', async () => {
    mkdirSync(join(directory, 'data.orders-db'));
    const script = `require('node:net').createServer().listen(${JSON.stringify(path())}, () => process.kill(process.pid, 'SIGKILL'))`;
    await run(process.execPath, ['-e', script]).catch(() => {});
    expect(existsSync(path())).toBe(true);
    const listener = await listen({ socketPath: path(), access: 'Owner' }, (socket) =>
      socket.resume().end('ours'),
    );
    const socket = connect({ path: path() });
    const [chunk] = await socket.setEncoding('utf8').toArray();
    expect(chunk).toBe('ours');
    await listener.close();
  });

  test('one that somebody listens on is left alone', async () => {
    const first = await listen({ socketPath: path(), access: 'Owner' }, (socket) =>
      socket.destroy(),
    );
    await expect(listen({ socketPath: path(), access: 'Owner' }, nobody)).rejects.toThrow(
      'another program listens',
    );
    expect(existsSync(path())).toBe(true);
    await first.close();
  });

  test('a file that is no socket is not removed', async () => {
    mkdirSync(join(directory, 'data.orders-db'));
    writeFileSync(path(), 'a letter');
    for (const access of ['Owner', undefined] as const) {
      const address = { socketPath: path(), ...(access && { access }) };
      await expect(listen(address, nobody)).rejects.toThrow('is no socket');
    }
    expect(existsSync(path())).toBe(true);
  });

  test('a directory that others may write to is refused, unless it is sticky', async () => {
    chmodSync(directory, 0o777);
    await expect(listen({ socketPath: path(), access: 'Owner' }, nobody)).rejects.toThrow(
      'may be written to by others',
    );
    chmodSync(directory, 0o1777);
    await (await listen({ socketPath: path(), access: 'Owner' }, nobody)).close();
  });

  test('a link in the place of the directory is refused', async () => {
    const elsewhere = mkdtempSync(join(tmpdir(), 'chp-'));
    symlinkSync(elsewhere, join(directory, 'data.orders-db'));
    await expect(listen({ socketPath: path(), access: 'Owner' }, nobody)).rejects.toThrow(
      'not a directory of this user',
    );
    rmSync(elsewhere, { recursive: true });
  });

  test('a path that the kernel would cut is refused', async () => {
    const socketPath = targetSocketPath(join(directory, 'x'.repeat(80)), target);
    await expect(listen({ socketPath, access: 'Owner' }, nobody)).rejects.toThrow('107 bytes');
  });
});

describe('with PostgreSQL behind a socket', () => {
  let postgres: TestPostgres;
  let sockets: string;
  let chaperone: TestChaperone;
  beforeAll(async () => {
    postgres = await startPostgres({ version: 18 });
    await loadShop(postgres, { orders: 200 });
    sockets = mkdtempSync(join(tmpdir(), 'chp-'));
    chaperone = await TestChaperone.start({
      postgres,
      socketDirectory: sockets,
      target: { host: postgres.socketDirectory },
      resources: [
        policy('p', [
          { name: 'read', action: 'Allow', classes: ['Read'], resources: ['shop.public.*'] },
        ]),
        masking('email', {
          columns: ['shop.public.customers.email'],
          transform: { type: 'Partial', keepFirst: 2 },
        }),
      ],
    });
  });
  afterAll(async () => {
    await chaperone?.stop();
    await postgres?.stop();
    if (sockets !== undefined) rmSync(sockets, { recursive: true, force: true });
  });

  /** As the server sees it: no address stands for a UNIX socket. */
  const overSocket = async (query: string): Promise<boolean> => {
    const { rowCount } = await postgres.query(
      'SELECT 1 FROM pg_stat_activity WHERE client_addr IS NULL AND query LIKE $1 AND pid <> pg_backend_pid()',
      [`${query}%`],
    );
    return rowCount !== 0; // parallel workers have rows of their own
  };

  test('statements are decided, masked and refused, and the server sees no address', async () => {
    const client = await chaperone.connect('shop');
    const { rows } = await client.query('SELECT email FROM customers WHERE id = 1');
    expect(rows[0].email).toMatch(/^..\*+$/);
    await expect(client.query('DELETE FROM orders')).rejects.toMatchObject({ code: '42501' });
    const last = 'SELECT id FROM orders WHERE id = 3';
    await client.query(last);
    expect(await overSocket(last)).toBe(true);
    await client.end();
  });

  test('a cancel request goes through both', async () => {
    const client = await chaperone.connect('shop');
    const slow = client.query('SELECT count(*) FROM orders a, orders b, orders c, orders d');
    slow.catch(() => {});
    while (!(await overSocket('SELECT count(*)')));
    const { processID, secretKey } = client as unknown as {
      processID: number;
      secretKey: number;
    };
    const secret = Buffer.alloc(4);
    secret.writeInt32BE(secretKey);
    const socket = connect({ path: join(chaperone.host, '.s.PGSQL.5432') });
    socket.write(cancelRequest(processID, secret));
    await expect(slow).rejects.toMatchObject({ code: '57014' });
    // Its end comes once the server was told.
    await socket.toArray();
    expect((await client.query('SELECT id FROM orders WHERE id = 1')).rowCount).toBe(1);
    await client.end();
  });

  test('a target that goes takes its socket with it, and has it again when it is back', async () => {
    const path = targetSocketPath(sockets, 'data/second');
    const second = {
      apiVersion: 'chaperone.dev/v1alpha1',
      kind: 'Target',
      metadata: { name: 'second', namespace: 'data' },
      spec: {
        protocol: 'PostgreSQL',
        host: postgres.socketDirectory,
        port: postgres.port,
        tls: { mode: 'Disable' },
        credentials: { secretRef: { name: 'orders-db' } },
      },
    };
    for (let round = 0; round < 2; round += 1) {
      chaperone.write([second], 'second.yaml');
      while (!existsSync(path)) await new Promise(setImmediate);
      chaperone.write([], 'second.yaml');
      while (existsSync(path)) await new Promise(setImmediate);
    }
  });

  const withPsql = existsSync(psql) ? test : test.skip;
  withPsql('psql -h DIRECTORY, Ctrl-C included', async () => {
    const words = ['-X', '-At', '-h', chaperone.host, '-U', 'nightly-report', '-d', 'shop'];
    const env = { PATH: process.env.PATH, PGPASSWORD: await chaperone.ticket() };
    const { stdout } = await run(psql, [...words, '-c', 'SELECT id FROM orders WHERE id = 1'], {
      env,
    });
    expect(stdout).toBe('1\n');
    const slow = 'SELECT count(*) FROM orders a, orders b, orders c, orders d';
    const running = run(psql, [...words, '-c', slow], { env });
    while (!(await overSocket('SELECT count(*)')));
    running.child.kill('SIGINT');
    await expect(running).rejects.toMatchObject({
      stderr: expect.stringContaining('canceling statement due to user request'),
    });
  });
});

test('a server behind a socket that asks for the password itself does not get it', async () => {
  const socketPath = join(directory, '.s.PGSQL.5432');
  let received = '';
  const server = createServer((socket) => {
    socket.on('data', (chunk) => {
      received += chunk.toString('latin1');
      socket.write(Buffer.from([0x52, 0, 0, 0, 8, 0, 0, 0, 3])); // AuthenticationCleartextPassword
    });
  }).listen(socketPath);
  await once(server, 'listening');
  const login = connectBackend({
    address: { socketPath },
    tls: { mode: 'Disable' },
    username: 'app',
    password: 'the-credential',
    database: 'shop',
    parameters: [],
    clock: systemClock(),
  });
  await expect(login).rejects.toMatchObject({ code: 'CHP-5003' });
  server.close();
  await once(server, 'close');
  expect(received).toContain('shop');
  expect(received).not.toContain('the-credential');
});

test('the gateway program listens on sockets when told so', async () => {
  const postgres = await startReachablePostgres();
  let lab: SidecarLab | undefined;
  try {
    await loadShop(postgres, { orders: 200 });
    const rule = { name: 'r', action: 'Allow', classes: ['Read'], resources: ['shop.public.*'] };
    lab = await SidecarLab.start({
      postgres,
      resources: [policy('p', [rule])],
      mode: 'Gateway',
      environment: { CHAPERONE_SOCKET_DIRECTORY: directory },
    });
    const client = new pg.Client({
      host: join(directory, 'data.orders-db'),
      user: 'payments/nightly-report',
      password: 'sa.payments.nightly-report',
      database: 'shop',
    });
    await client.connect();
    expect((await client.query('SELECT id FROM orders WHERE id = 1')).rowCount).toBe(1);
    await client.end();
    expect(await lab.sidecar.end('SIGTERM')).toBe(0);
    expect(existsSync(join(directory, 'data.orders-db'))).toBe(false);
  } finally {
    await lab?.stop();
    await postgres.stop();
  }
});

test('chaperone standalone: two cannot have one socket, and the second says why', async () => {
  const program = resolve(import.meta.dirname, '../../cli/src/main.ts');
  const resources = `apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders-db, namespace: data }
spec:
  protocol: PostgreSQL
  host: /run/postgresql
  tls: { mode: Disable }
  credentials: { secretRef: { name: none } }
`;
  const started = ['a', 'b'].map((name) => {
    mkdirSync(join(directory, name));
    writeFileSync(join(directory, name, 'target.yaml'), resources);
    return () =>
      StandaloneProcess.spawn(program, [
        ...[join(directory, name), '--ops-port', '0', '--collector-port', '0'],
        ...['--socket-directory', join(directory, 'run'), '--socket-access', 'Everyone'],
      ]);
  });
  const first = started[0]!();
  const path = targetSocketPath(join(directory, 'run'), target);
  try {
    await first.running();
    expect(first.out).toContain(path);
    const second = started[1]!();
    expect(await second.end()).toBe(1);
    expect(second.err).toContain('another program listens on');
    expect(second.err).toContain('--socket-directory');
    expect(existsSync(path)).toBe(true);
  } finally {
    await first.end('SIGTERM');
  }
  expect(existsSync(path)).toBe(false);
});
