/** Logging in to real PostgreSQL servers: every password method, TLS that holds and TLS that must not. */

import { TLSSocket } from 'node:tls';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { BackendError } from '@chaperone/sidecar/protocols/postgres/handshake/backend-error.ts';
import { forwardCancel } from '@chaperone/sidecar/protocols/postgres/handshake/cancel.ts';
import {
  type BackendSession,
  type ConnectBackendOptions,
  connectBackend,
} from '@chaperone/sidecar/protocols/postgres/handshake/connect-backend.ts';
import { parseErrorFields } from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import { query } from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { certificateAuthority, type SignatureKind } from '../support/certificates.ts';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';

const clock = systemClock();
const authority = certificateAuthority();
const stranger = certificateAuthority();
const versions = await installedVersions();

/** Addresses of names that no DNS knows. */
const resolve = async () => ['127.0.0.1'];

function target(server: TestPostgres, host = 'orders.test'): ConnectBackendOptions {
  return {
    address: { host, port: server.port },
    resolve,
    tls: { mode: 'VerifyFull', ca: authority.ca.cert },
    username: server.superuser,
    password: server.password,
    database: 'postgres',
    parameters: [['application_name', 'handshake test']],
    clock,
  };
}

/** Runs a query to its ReadyForQuery and returns all that came. */
async function run(session: BackendSession, sql: string): Promise<Buffer> {
  const chunks: Buffer[] = [];
  const { socket } = session;
  return new Promise((resolve, reject) => {
    const onClose = () => reject(new Error('closed'));
    const onData = (chunk: Buffer) => {
      chunks.push(chunk);
      const all = Buffer.concat(chunks);
      if (all.length < 6 || all.toString('latin1', all.length - 6, all.length - 5) !== 'Z') return;
      socket.off('data', onData).off('close', onClose);
      resolve(all);
    };
    socket.on('data', onData).once('close', onClose);
    socket.resume();
    socket.write(query(sql));
  });
}

async function failure(options: ConnectBackendOptions): Promise<BackendError> {
  let session: BackendSession;
  try {
    session = await connectBackend(options);
  } catch (error) {
    if (!(error instanceof BackendError)) throw error;
    // What the caller is told names neither the backend's user nor its host nor the credential.
    const told = error.report().toString();
    for (const secret of [options.username, options.password, 'orders.test', '127.0.0.1']) {
      expect(told).not.toContain(secret);
    }
    expect(error.logDetail).not.toContain(options.password);
    return error;
  }
  session.socket.destroy();
  throw new Error('the login went through');
}

describe.each(versions)('PostgreSQL %i', (version) => {
  let server: TestPostgres;
  beforeAll(async () => {
    server = await startPostgres({ version, ssl: authority.issue(['DNS:orders.test']) });
  });
  afterAll(() => server?.stop());

  test('SCRAM with channel binding over verified TLS', async () => {
    const session = await connectBackend({ ...target(server), channelBinding: 'Require' });
    expect(session.socket).toBeInstanceOf(TLSSocket);
    expect(session.serverVersion.major).toBe(version);
    expect(session.parameterStatus.get('application_name')).toBe('handshake test');
    expect(session.cancelKey?.secret).toHaveLength(4);
    expect(session.leftover).toHaveLength(0);
    expect((await run(session, 'select 41 + 1')).toString('latin1')).toContain('42');
    session.socket.destroy();
  });

  test('SCRAM without TLS, over TCP and over the UNIX socket', async () => {
    const options = target(server);
    const plain = await connectBackend({ ...options, tls: { mode: 'Disable' } });
    expect(plain.socket).not.toBeInstanceOf(TLSSocket);
    plain.socket.destroy();
    const socketPath = `${server.socketDirectory}/.s.PGSQL.${server.port}`;
    const local = await connectBackend({ ...options, address: { socketPath } });
    expect(local.remoteAddress).toBeUndefined();
    local.socket.destroy();
  });

  test('in a pod a UNIX socket would lead into the sidecar: it is refused', async () => {
    const socketPath = `${server.socketDirectory}/.s.PGSQL.${server.port}`;
    const options = { ...target(server), address: { socketPath }, refuseLoopback: true };
    expect(await failure(options)).toMatchObject({
      code: 'CHP-5004',
      logDetail: expect.stringContaining('leads to this machine'),
    });
  });

  test('protocol 3.2 is asked for, and what the server makes of it', async () => {
    const session = await connectBackend({ ...target(server), protocolMinor: 2 });
    expect(session.cancelKey?.secret).toHaveLength(version >= 18 ? 32 : 4);
    session.socket.destroy();
  });

  test.each([
    ['another password', { password: 'wrong' }, 'CHP-2011', '08006', '28P01'],
    ['an unknown user', { username: 'nobody-here' }, 'CHP-2011', '08006', '28P01'],
    ['an unknown database', { database: 'nowhere' }, 'CHP-5005', '3D000', '3D000'],
    ['an unknown setting', { parameters: [['no_such', '1']] }, 'CHP-5005', '42704', '42704'],
    ['a wrong setting', { parameters: [['work_mem', 'x']] }, 'CHP-5005', '22023', '22023'],
  ] as const)('%s', async (_, change, code, sqlstate, backendSqlstate) => {
    const error = await failure({ ...target(server), ...change });
    expect(error).toMatchObject({ code, sqlstate, backendSqlstate });
  });

  test.each([
    ['another host', { address: { host: 'other.test', port: 0 } }],
    ['another CA', { tls: { mode: 'VerifyFull', ca: stranger.ca.cert } }],
    ['another CA, VerifyCA', { tls: { mode: 'VerifyCA', ca: stranger.ca.cert } }],
    ['the CAs of the machine', { tls: { mode: 'VerifyFull' } }],
    ['the address for the name', { address: { host: '127.0.0.1', port: 0 } }],
  ] as const)('a certificate that does not hold: %s', async (_, change) => {
    const options = { ...target(server), ...change };
    const address = { ...options.address, port: server.port };
    expect(await failure({ ...options, address })).toMatchObject({ code: 'CHP-2013' });
  });

  test('VerifyCA takes another name, and servername stands in for the host', async () => {
    for (const tls of [
      { mode: 'VerifyCA', ca: authority.ca.cert },
      { mode: 'VerifyFull', ca: authority.ca.cert, servername: 'orders.test' },
    ] as const) {
      const session = await connectBackend({ ...target(server, 'other.test'), tls });
      session.socket.destroy();
    }
  });

  test('a cancel request reaches its session and no other', async () => {
    const [one, other] = [
      await connectBackend({ ...target(server), protocolMinor: 2 }),
      await connectBackend({ ...target(server), protocolMinor: 2 }),
    ];
    const sleeping = [one, other].map((session) => run(session, 'select pg_sleep(600)'));
    let cancelled = false;
    const both = () =>
      server.query(
        "select 1 from pg_stat_activity where query ~ '^select pg_sleep' and state = 'active'",
      );
    void sleeping[0]!.then(() => {
      cancelled = true;
    });
    while ((await both()).rowCount !== 2);
    const { address, tls } = target(server);
    const wrong = { pid: one.cancelKey!.pid, secret: other.cancelKey!.secret };
    await forwardCancel(wrong, { address, tls, resolve, clock });
    expect(cancelled).toBe(false);
    await forwardCancel(one.cancelKey!, { address, tls, resolve, clock });
    const answer = await sleeping[0]!;
    const end = 1 + answer.readInt32BE(answer.indexOf('E') + 1) + answer.indexOf('E');
    const fields = parseErrorFields(answer, answer.indexOf('E') + 5, end);
    expect(fields.get('C')).toBe('57014');
    expect((await both()).rowCount).toBe(1);
    one.socket.destroy();
    other.socket.destroy();
    await expect(sleeping[1]).rejects.toThrow('closed');
  });

  test('passwords that SASLprep changes, and ones that it prohibits', async () => {
    const passwords = [
      'I\u00adX',
      '\u00aa\u2168 u\u0308',
      'a\u00a0\u3000b\u200bc',
      '\u0627\u0031\u0628',
      '\u00aa\u2028',
      '\u00aa\u{1f600}\u2168',
      '\u0627\u00aa',
      '\u0007tab\t',
      'é'.normalize('NFD'),
    ];
    for (const [index, password] of passwords.entries()) {
      const username = `prepared_${index}`;
      await server.query(`create role ${username} login password '${password}'`);
      const session = await connectBackend({ ...target(server), username, password });
      session.socket.destroy();
    }
  });

  test('iteration counts: few only where nobody listens in', async () => {
    if (version < 16) return; // scram_iterations came with 16
    const login = { username: 'few_iterations', password: 'few-and-weak' };
    await server.query(
      `set scram_iterations = 1;
       create role ${login.username} login password '${login.password}';
       reset scram_iterations`,
    );
    const options = { ...target(server), ...login };
    (await connectBackend(options)).socket.destroy();
    const error = await failure({ ...options, tls: { mode: 'Disable' } });
    expect(error).toMatchObject({ code: 'CHP-2011', logDetail: expect.stringContaining('Iter') });
  });
});

describe('md5 and trust', () => {
  test('md5 logs in, without channel binding only', async () => {
    const server = await startPostgres({ auth: 'md5' });
    try {
      const options = { ...target(server), tls: { mode: 'Disable' } } as const;
      (await connectBackend(options)).socket.destroy();
      expect(await failure({ ...options, password: 'wrong' })).toMatchObject({ code: 'CHP-2011' });
      expect(await failure({ ...options, channelBinding: 'Require' })).toMatchObject({
        code: 'CHP-5003',
      });
      expect(await failure({ ...target(server) })).toMatchObject({ code: 'CHP-2013' }); // offers no TLS
    } finally {
      await server.stop();
    }
  });

  test('trust is believed only when told to', async () => {
    const server = await startPostgres({ auth: 'trust' });
    try {
      const options = { ...target(server), tls: { mode: 'Disable' } } as const;
      expect(await failure(options)).toMatchObject({ code: 'CHP-2011' });
      (await connectBackend({ ...options, allowTrust: true })).socket.destroy();
    } finally {
      await server.stop();
    }
  });
});

describe('channel binding under other signatures', () => {
  const kinds: SignatureKind[] = ['rsa-sha512', 'rsa-pss-sha384', 'ecdsa-sha384'];
  test.each(kinds)('%s', async (kind) => {
    const other = certificateAuthority(kind);
    const server = await startPostgres({ ssl: other.issue(['DNS:orders.test']) });
    try {
      const tls = { mode: 'VerifyFull', ca: other.ca.cert } as const;
      const session = await connectBackend({ ...target(server), tls, channelBinding: 'Require' });
      session.socket.destroy();
    } finally {
      await server.stop();
    }
  });
});
