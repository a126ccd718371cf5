/** Taking clients in: real sockets, hostile and ordinary ones, and two real drivers. */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectTcp, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { connect as connectTls, createSecureContext, TLSSocket } from 'node:tls';
import { promisify } from 'node:util';
import { manualClock, systemClock } from '@chaperone/runtime/clock.ts';
import {
  type Accepted,
  type AcceptedSession,
  type AcceptOptions,
  acceptClient,
} from '@chaperone/sidecar/protocols/postgres/handshake/accept.ts';
import {
  askForTicket,
  type PresentedTicket,
  refuseTicket,
  sendSessionReady,
} from '@chaperone/sidecar/protocols/postgres/handshake/authenticate-client.ts';
import type { ServerTls } from '@chaperone/sidecar/protocols/postgres/handshake/server-tls.ts';
import {
  parseErrorFields,
  parseNegotiateProtocolVersion,
} from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import * as client from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { Startup } from '@chaperone/sidecar/protocols/postgres/messages/types.ts';
import { afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import postgres from 'postgres';
import { certificateAuthority } from '../support/certificates.ts';
import { pythonWithPsycopg } from '../support/python.ts';

const authority = certificateAuthority();
const leaf = authority.issue(['DNS:localhost', 'IP:127.0.0.1']);
const context = createSecureContext({ cert: leaf.cert, key: leaf.key });
const tls: ServerTls = { secureContext: () => context };
const ca = authority.ca.cert;
const clock = systemClock();

const open = new Set<{ destroy(): void } | Server>();
afterEach(() => {
  for (const one of open) 'destroy' in one ? one.destroy() : one.close();
  open.clear();
});

/** A listener whose every connection goes through `take`; resolves with its port. */
async function listen(take: (socket: Socket) => void): Promise<number> {
  const server = createServer((socket) => {
    open.add(socket);
    take(socket);
  });
  open.add(server);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as { port: number }).port;
}

/** One connection: the client's end, and what `acceptClient` makes of the other. */
async function meet(options: Partial<AcceptOptions> = {}) {
  let accepted: (value: Promise<Accepted>) => void = () => {};
  const result = new Promise<Accepted>((resolve) => {
    accepted = resolve;
  });
  const port = await listen((socket) => accepted(acceptClient(socket, { clock, ...options })));
  const socket = connectTcp(port, '127.0.0.1');
  open.add(socket);
  socket.on('error', () => {});
  await once(socket, 'connect');
  return { socket, result, received: collect(socket) };
}

/** Resolves when the socket is closed, by an error or without. */
async function closed(socket: Socket): Promise<void> {
  if (!socket.closed) await new Promise<void>((resolve) => socket.once('close', () => resolve()));
}

/** Gathers what arrives. */
function collect(socket: Socket) {
  const chunks: Buffer[] = [];
  socket.on('data', (chunk: Buffer) => chunks.push(chunk));
  const all = () => Buffer.concat(chunks);
  return {
    all,
    async atLeast(bytes: number): Promise<Buffer> {
      while (all().length < bytes) await once(socket, 'data');
      return all();
    },
    async toEnd(): Promise<Buffer> {
      await closed(socket);
      return all();
    },
  };
}

function fieldsOf(message: Buffer) {
  expect(message.toString('latin1', 0, 1)).toBe('E');
  return Object.fromEntries(parseErrorFields(message, 5, message.readInt32BE(1) + 1));
}

function untyped(length: number, code: number): Buffer {
  const message = Buffer.alloc(8);
  message.writeInt32BE(length | 0, 0);
  message.writeInt32BE(code, 4);
  return message;
}

const sslRequest = client.sslRequest();
const gssRequest = untyped(8, Startup.GSSENCRequest);
const startup = client.startupMessage(0, [
  ['user', 'nightly'],
  ['database', 'shop'],
  ['application_name', 'psql'],
  ['options', '-c work_mem=1MB'],
]);

async function session(result: Promise<Accepted>): Promise<AcceptedSession> {
  const accepted = await result;
  if (accepted.kind !== 'session') throw new Error(`${accepted.kind}: ${JSON.stringify(accepted)}`);
  return accepted;
}

describe('what a client may say', () => {
  const asked = {
    minor: 0,
    user: 'nightly',
    database: 'shop',
    parameters: new Map([
      ['application_name', 'psql'],
      ['options', '-c work_mem=1MB'],
    ]),
    declinedOptions: [],
  };

  test.each([
    ['startup', [startup], ''],
    ['SSL, N, startup', [sslRequest, startup], 'N'],
    ['GSS, N, startup', [gssRequest, startup], 'N'],
    ['SSL, N, GSS, N, startup', [sslRequest, gssRequest, startup], 'NN'],
    ['GSS, N, SSL, N, startup', [gssRequest, sslRequest, startup], 'NN'],
  ])('%s, a byte at a time', async (_, messages, answers) => {
    const { socket, result, received } = await meet();
    socket.setNoDelay();
    let answered = 0;
    for (const message of messages) {
      for (const byte of message) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      if (message !== startup) await received.atLeast((answered += 1));
    }
    const accepted = await session(result);
    expect(accepted.startup).toEqual(asked);
    expect(accepted.tls).toBeUndefined();
    expect(received.all().toString()).toBe(answers);
  });

  test('what comes behind the startup message is handed over, and nothing is read on', async () => {
    const { socket, result } = await meet();
    socket.write(Buffer.concat([startup, Buffer.from('behind')]));
    const accepted = await session(result);
    expect(accepted.leftover.toString()).toBe('behind');
    expect(accepted.socket.isPaused()).toBe(true);
    for (const event of ['data', 'readable', 'end', 'close']) {
      // Node's own server listens to `end`.
      expect(accepted.socket.listenerCount(event)).toBe(event === 'end' ? 1 : 0);
    }
    socket.write('later');
    await new Promise(setImmediate);
    const later = once(accepted.socket, 'data');
    accepted.socket.resume();
    expect(String((await later)[0])).toBe('later');
  });

  test.each([0, 1, 2])('version 3.%i is spoken', async (minor) => {
    const { socket, result, received } = await meet();
    socket.end(client.startupMessage(minor, [['user', 'u']]));
    expect((await session(result)).startup).toMatchObject({ minor, user: 'u', database: 'u' });
    expect(received.all()).toHaveLength(0);
  });

  test.each([
    [3, [], []],
    [9999, [], []],
    [0, ['_pq_.a', '_pq_.b'], ['_pq_.a', '_pq_.b']],
  ] as const)('version 3.%i with options %j is negotiated', async (minor, asks, declined) => {
    const { socket, result, received } = await meet();
    const options = asks.map((name): [string, string] => [name, 'on']);
    socket.write(client.startupMessage(minor, [['user', 'u'], ...options]));
    const accepted = await session(result);
    expect(accepted.startup).toMatchObject({
      minor: Math.min(minor, 2),
      declinedOptions: declined,
    });
    expect(accepted.startup.parameters.size).toBe(0);
    const answer = await received.atLeast(13);
    expect(answer.toString('latin1', 0, 1)).toBe('v');
    expect(parseNegotiateProtocolVersion(answer, 5, answer.length)).toEqual({
      minor: 2,
      unsupportedOptions: declined,
    });
  });

  test('a cancel request, also where TLS is required', async () => {
    const { socket, result } = await meet({ requireTls: true });
    socket.write(client.cancelRequest(77, Buffer.alloc(32, 9)));
    const accepted = await result;
    expect(accepted).toMatchObject({
      kind: 'cancel',
      key: { pid: 77, secret: Buffer.alloc(32, 9) },
    });
  });

  test('over a UNIX socket', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'chaperone-accept-'));
    try {
      let accepted: Promise<Accepted> | undefined;
      const server = createServer((socket) => {
        open.add(socket);
        accepted = acceptClient(socket, { clock });
      }).listen(join(directory, '.s.PGSQL.5432'));
      open.add(server);
      await once(server, 'listening');
      const socket = connectTcp(join(directory, '.s.PGSQL.5432'));
      open.add(socket);
      socket.write(startup);
      await once(server, 'connection');
      expect((await session(accepted!)).startup).toEqual(asked);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});

describe('TLS', () => {
  test('by SSLRequest, with and without ALPN', async () => {
    for (const ALPNProtocols of [undefined, ['postgresql']]) {
      const { socket, result, received } = await meet({ tls, requireTls: true });
      socket.write(sslRequest);
      expect((await received.atLeast(1)).toString()).toBe('S');
      socket.removeAllListeners('data');
      const secure = connectTls({
        socket,
        ca,
        servername: 'localhost',
        ...(ALPNProtocols && { ALPNProtocols }),
      });
      open.add(secure);
      secure.write(Buffer.concat([startup, Buffer.from('behind')]));
      const accepted = await session(result);
      expect(accepted.socket).toBeInstanceOf(TLSSocket);
      expect(accepted.tls).toMatchObject({ version: 'TLSv1.3', cipher: /^TLS_/ });
      expect(accepted.leftover.toString()).toBe('behind');
      secure.write('later');
      const later = once(accepted.socket, 'data');
      accepted.socket.resume();
      expect(String((await later)[0])).toBe('later');
    }
  });

  test('at once, with ALPN', async () => {
    const { socket, result } = await meet({ tls });
    socket.removeAllListeners('data');
    const secure = connectTls({
      socket,
      ca,
      servername: 'localhost',
      ALPNProtocols: ['postgresql'],
    });
    open.add(secure);
    secure.write(startup);
    expect((await session(result)).socket).toBeInstanceOf(TLSSocket);
  });

  test.each([undefined, ['http/1.1']])('at once, with ALPN %j: refused', async (ALPNProtocols) => {
    const { socket, result } = await meet({ tls });
    socket.removeAllListeners('data');
    const secure = connectTls({
      socket,
      ca,
      servername: 'localhost',
      ...(ALPNProtocols && { ALPNProtocols }),
    });
    open.add(secure);
    secure.on('error', () => {});
    secure.write(startup);
    expect(await result).toMatchObject({ kind: 'closed' });
    await closed(secure);
  });

  test('at once, where none is served: a violation', async () => {
    const { socket, result, received } = await meet();
    socket.write(Buffer.from('160301', 'hex'));
    expect(await result).toMatchObject({ kind: 'closed', reason: 'ProtocolViolation' });
    expect(fieldsOf(await received.toEnd())).toMatchObject({ S: 'FATAL', C: '08P01' });
  });

  test.each([sslRequest, gssRequest])('no second encryption within (%#)', async (request) => {
    const { socket, result, received } = await meet({ tls });
    socket.write(sslRequest);
    await received.atLeast(1);
    socket.removeAllListeners('data');
    const secure = connectTls({ socket, ca, servername: 'localhost' });
    open.add(secure);
    const within = collect(secure);
    secure.write(request);
    expect(await result).toMatchObject({ kind: 'closed', reason: 'ProtocolViolation' });
    expect(fieldsOf(await within.toEnd())).toMatchObject({ C: '08P01' });
  });

  test('a client that goes on in the clear', async () => {
    const { socket, result, received } = await meet({ tls });
    socket.write(sslRequest);
    await received.atLeast(1);
    socket.write(startup);
    expect(await result).toMatchObject({ kind: 'closed', reason: 'Closed' });
    await received.toEnd();
  });

  test('required: a plain session is refused and told so', async () => {
    const { socket, result, received } = await meet({ tls, requireTls: true });
    socket.write(startup);
    expect(await result).toMatchObject({ kind: 'closed', reason: 'Refused' });
    expect(fieldsOf(await received.toEnd())).toMatchObject({ S: 'FATAL', C: '28000' });
  });
});

describe('what a client may not say', () => {
  const text = (value: string) => Buffer.from(value, 'latin1');
  test.each([
    ['bytes behind SSLRequest', Buffer.concat([sslRequest, startup]), 'BytesBeforeTls'],
    ['one byte behind SSLRequest', Buffer.concat([sslRequest, text('x')]), 'BytesBeforeTls'],
    ['bytes behind GSSENCRequest', Buffer.concat([gssRequest, startup]), 'BytesBeforeTls'],
    [
      'a long SSLRequest',
      Buffer.concat([untyped(9, Startup.SSLRequest), text('x')]),
      'TrailingBytes',
    ],
    ['length -1', untyped(-1, Startup.Protocol30), 'InvalidLength'],
    ['length 0', untyped(0, Startup.Protocol30), 'InvalidLength'],
    ['length 4', untyped(4, Startup.Protocol30), 'InvalidLength'],
    ['length 7', untyped(7, Startup.Protocol30), 'InvalidLength'],
    ['length 8', untyped(8, Startup.Protocol30), 'Unterminated'],
    ['length 10005', untyped(10_005, Startup.Protocol30), 'TooLarge'],
    ['length 2³¹ - 1', untyped(0x7fff_ffff, Startup.Protocol30), 'TooLarge'],
    ['length -2³¹', untyped(-0x8000_0000, Startup.Protocol30), 'InvalidLength'],
    ['HTTP', text('GET / HTTP/1.1\r\n\r\n'), 'TooLarge'],
    [
      'no zero byte',
      Buffer.concat([untyped(12, Startup.Protocol30), text('user')]),
      'Unterminated',
    ],
    [
      'bytes behind the parameters',
      Buffer.concat([untyped(12, Startup.Protocol30), text('\0\0\0\0')]),
      'TrailingBytes',
    ],
    [
      'a name that is not UTF-8',
      Buffer.concat([untyped(17, Startup.Protocol30), text('user\0\xff\xfe\0\0')]),
      'InvalidUtf8',
    ],
    ['a cancel key of 3 bytes', client.cancelRequest(1, Buffer.alloc(3)), 'InvalidLength'],
  ])('%s', async (_, bytes, code) => {
    for (const options of [{}, { tls }]) {
      const { socket, result, received } = await meet(options);
      socket.write(bytes);
      expect(await result).toMatchObject({ reason: 'ProtocolViolation', violation: { code } });
      const answer = await received.toEnd();
      expect(fieldsOf(answer)).toMatchObject({ S: 'FATAL', C: '08P01' });
    }
  });

  test.each([
    ['SSL, N, SSL', [sslRequest, sslRequest]],
    ['GSS, N, GSS', [gssRequest, gssRequest]],
    ['SSL, N, GSS, N, SSL', [sslRequest, gssRequest, sslRequest]],
    ['GSS, N, SSL, N, GSS', [gssRequest, sslRequest, gssRequest]],
  ])('a loop: %s', async (_, requests) => {
    const { socket, result, received } = await meet();
    for (const [index, request] of requests.entries()) {
      socket.write(request);
      await received.atLeast(index + 1);
    }
    expect(await result).toMatchObject({ violation: { code: 'UnexpectedMessage' } });
    const answer = await received.toEnd();
    expect(fieldsOf(answer.subarray(requests.length - 1))).toMatchObject({ C: '08P01' });
  });

  test.each([
    [0x0002_0000, '2.0'],
    [0x0004_0000, '4.0'],
  ])('major version of %i', async (version, name) => {
    const { socket, result, received } = await meet();
    socket.write(Buffer.concat([untyped(9, version), Buffer.of(0)]));
    expect(await result).toMatchObject({ kind: 'closed', reason: 'Refused' });
    const fields = fieldsOf(await received.toEnd());
    expect(fields).toMatchObject({ S: 'FATAL', C: '0A000', M: expect.stringContaining(name) });
  });

  test('no user', async () => {
    const { socket, result, received } = await meet();
    socket.write(client.startupMessage(0, [['database', 'shop']]));
    expect(await result).toMatchObject({ reason: 'Refused' });
    expect(fieldsOf(await received.toEnd())).toMatchObject({ C: '28000' });
  });

  test('a client that leaves after any byte', async () => {
    for (let end = 0; end < startup.length; end += 1) {
      const { socket, result, received } = await meet();
      socket.end(startup.subarray(0, end));
      expect(await result).toEqual({ kind: 'closed', reason: 'Closed' });
      expect(await received.toEnd()).toHaveLength(0);
    }
  });
});

describe('a client that takes its time', () => {
  const phases: [string, Partial<AcceptOptions>, (socket: Socket) => void, number][] = [
    ['silent', {}, () => {}, 0],
    ['in the length', {}, (socket) => socket.write(startup.subarray(0, 3)), 0],
    ['in the parameters', {}, (socket) => socket.write(startup.subarray(0, 20)), 0],
    ['behind N', {}, (socket) => socket.write(sslRequest), 1],
    ['in the TLS handshake', { tls }, (socket) => socket.write(sslRequest), 1],
    ['in direct TLS', { tls }, (socket) => socket.write(Buffer.of(0x16, 3, 1)), 0],
  ];
  test.each(phases)('%s', async (_, options, speak, answers) => {
    const manual = manualClock();
    const { socket, result, received } = await meet({
      ...options,
      clock: manual,
      timeoutMs: 15_000,
    });
    speak(socket);
    await received.atLeast(answers);
    await new Promise(setImmediate);
    manual.advance(14_999);
    expect(socket.readyState).toBe('open');
    manual.advance(1);
    expect(await result).toEqual({ kind: 'closed', reason: 'Timeout' });
    await received.toEnd();
    expect(manual.pendingTimers()).toBe(0);
  });

  test('aborted by us', async () => {
    const stop = new AbortController();
    const { result, received } = await meet({ signal: stop.signal });
    stop.abort();
    expect(await result).toEqual({ kind: 'closed', reason: 'Aborted' });
    await received.toEnd();
  });
});

describe('the ticket', () => {
  async function asked(manual = manualClock()) {
    const { socket, result, received } = await meet();
    socket.write(startup);
    const accepted = await session(result);
    const answer = askForTicket(accepted.socket, accepted.leftover, { clock: manual });
    expect((await received.atLeast(9)).toString('hex')).toBe('520000000800000003');
    return { socket, answer, received, accepted, manual };
  }

  test('is read, whole or byte by byte, with what comes behind', async () => {
    const { socket, answer } = await asked();
    socket.setNoDelay();
    for (const byte of client.passwordMessage('tïcket')) {
      socket.write(Buffer.of(byte));
      await new Promise(setImmediate);
    }
    expect(await answer).toMatchObject({ kind: 'ticket', secret: 'tïcket' });
    const again = await asked();
    again.socket.write(Buffer.concat([client.passwordMessage('t'), client.query('select 1')]));
    const ticket = (await again.answer) as PresentedTicket;
    expect(ticket.leftover.equals(client.query('select 1'))).toBe(true);
  });

  test.each([
    ['10.0.0.1', false],
    ['::ffff:10.0.0.1', false],
    ['2001:db8::127', false],
    ['127.0.0.9', true],
    ['::ffff:127.0.0.1', true],
    ['::1', true],
  ])('is asked for in the clear by %s: %s', async (address, allowed) => {
    const { socket, result, received } = await meet();
    socket.write(startup);
    const accepted = await session(result);
    Object.defineProperty(accepted.socket, 'remoteAddress', { value: address });
    const answer = askForTicket(accepted.socket, accepted.leftover, { clock });
    const asked = (await received.atLeast(9)).toString('latin1', 0, 1);
    expect(asked).toBe(allowed ? 'R' : 'E');
    if (allowed) socket.destroy();
    expect(await answer).toMatchObject({ reason: allowed ? 'Closed' : 'Refused' });
    if (!allowed) expect(fieldsOf(await received.toEnd())).toMatchObject({ C: '28000' });
  });

  const password = client.passwordMessage('secret');
  const lie = (length: number) => {
    const message = Buffer.from(password);
    message.writeInt32BE(length | 0, 1);
    return message;
  };
  test.each([
    ['a Query instead', client.query('select 1'), 'UnexpectedMessage'],
    ['length 3', lie(3), 'InvalidLength'],
    ['length -1', lie(-1), 'InvalidLength'],
    ['length 65537', lie(65_537), 'TooLarge'],
    ['length 2³¹ - 1', lie(0x7fff_ffff), 'TooLarge'],
    ['one byte less', lie(password.length - 2), 'Unterminated'],
    ['no zero byte', Buffer.concat([lie(password.length - 2)]), 'Unterminated'],
    ['two strings', Buffer.from('700000000861006200', 'hex'), 'TrailingBytes'],
  ])('%s: a violation', async (_, message, code) => {
    const { socket, answer, received } = await asked();
    socket.write(message);
    expect(await answer).toMatchObject({ reason: 'ProtocolViolation', violation: { code } });
    expect(fieldsOf((await received.toEnd()).subarray(9))).toMatchObject({ C: '08P01' });
  });

  test('cut at every offset', async () => {
    for (let end = 0; end < password.length; end += 1) {
      const { socket, answer } = await asked();
      socket.end(password.subarray(0, end));
      expect(await answer).toEqual({ kind: 'closed', reason: 'Closed' });
    }
  });

  test('a client that never answers', async () => {
    const { socket, answer, received, manual } = await asked();
    socket.write(password.subarray(0, 6));
    await new Promise(setImmediate);
    manual.advance(15_000);
    expect(await answer).toEqual({ kind: 'closed', reason: 'Timeout' });
    await received.toEnd();
    expect(manual.pendingTimers()).toBe(0);
  });

  test('a wrong one is refused with 28P01, and a client that does not close is closed', async () => {
    const { socket, answer, accepted, received, manual } = await asked();
    socket.write(password);
    await answer;
    refuseTicket(accepted.socket, manual, { message: 'no', hint: 'chaperone ticket create' });
    const fields = fieldsOf((await received.atLeast(20)).subarray(9));
    expect(fields).toMatchObject({ S: 'FATAL', C: '28P01', H: 'chaperone ticket create' });
    await received.toEnd();
    await closed(accepted.socket);
    expect(manual.pendingTimers()).toBe(0);
  });
});

describe('real drivers', () => {
  let python: string | undefined;
  beforeAll(async () => {
    python = await pythonWithPsycopg();
  }, 120_000);

  /** A server that takes every login and then closes on whatever comes. */
  async function serve(): Promise<{ port: number; seen: AcceptedSession[]; secrets: string[] }> {
    const seen: AcceptedSession[] = [];
    const secrets: string[] = [];
    const port = await listen(async (socket) => {
      const accepted = await acceptClient(socket, { clock, tls });
      if (accepted.kind !== 'session') return;
      const ticket = await askForTicket(accepted.socket, accepted.leftover, { clock });
      if (ticket.kind !== 'ticket') return;
      seen.push(accepted);
      secrets.push(ticket.secret);
      sendSessionReady(accepted.socket, {
        parameterStatus: [
          ['server_version', '18.0'],
          ['client_encoding', 'UTF8'],
        ],
        key: { pid: 5, secret: Buffer.alloc(4, 1) },
      });
      accepted.socket.once('data', () => accepted.socket.end());
      accepted.socket.resume();
    });
    return { port, seen, secrets };
  }

  test.each([false, true])('pg, TLS %s', async (secure) => {
    const { port, seen, secrets } = await serve();
    const driver = new pg.Client({
      host: 'localhost',
      port,
      user: 'nightly',
      password: 'ticket',
      database: 'shop',
      ssl: secure && { ca },
    });
    driver.on('error', () => {});
    await driver.connect();
    expect(secrets).toEqual(['ticket']);
    expect(seen[0]?.startup).toMatchObject({ user: 'nightly', database: 'shop' });
    expect(seen[0]?.tls !== undefined).toBe(secure);
    await driver.end();
  });

  test('postgres, TLS', async () => {
    const { port, secrets } = await serve();
    const sql = postgres({
      host: 'localhost',
      port,
      user: 'nightly',
      password: 'ticket',
      database: 'shop',
      ssl: { ca },
      fetch_types: false,
      max: 1,
    });
    await expect(sql`select 1`).rejects.toThrow(/CLOSED|closed/i);
    expect(secrets[0]).toBe('ticket');
    await sql.end({ timeout: 0 });
  });

  test.each([
    ['plain', 'sslmode=disable', { tls: false, minor: 0 }],
    ['GSS first, then TLS', 'sslmode=prefer gssencmode=prefer', { tls: true, minor: 0 }],
    ['SSLRequest, verified', 'sslmode=verify-full sslrootcert=CA', { tls: true, minor: 0 }],
    [
      'direct TLS',
      'sslmode=verify-full sslrootcert=CA sslnegotiation=direct',
      { tls: true, minor: 0 },
    ],
    ['protocol 3.2', 'sslmode=require max_protocol_version=latest', { tls: true, minor: 2 }],
  ])('libpq by psycopg: %s', async (_, parameters, expected) => {
    if (python === undefined) return; // no Python on this machine
    const directory = mkdtempSync(join(tmpdir(), 'chaperone-libpq-'));
    try {
      writeFileSync(join(directory, 'ca.crt'), ca);
      const { port, seen, secrets } = await serve();
      const dsn = `host=localhost port=${port} user=nightly password=ticket dbname=shop ${parameters}`;
      const script = 'import sys, psycopg; psycopg.connect(sys.argv[1]).close(); print("done")';
      const { stdout } = await promisify(execFile)(python, [
        '-c',
        script,
        dsn.replace('CA', join(directory, 'ca.crt')),
      ]);
      expect(stdout.trim()).toBe('done');
      expect(secrets).toEqual(['ticket']);
      expect(seen.map((one) => [one.tls !== undefined, one.startup.minor])).toEqual([
        [expected.tls, expected.minor],
      ]);
    } finally {
      rmSync(directory, { recursive: true, force: true });
    }
  });
});
