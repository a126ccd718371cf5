/** A backend that is hostile or broken, in each phase of the login: a clean error, no hang, nothing given away. */
import { createHmac, pbkdf2Sync } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, TLSSocket } from 'node:tls';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { BackendError } from '@chaperone/sidecar/protocols/postgres/handshake/backend-error.ts';
import { forwardCancel } from '@chaperone/sidecar/protocols/postgres/handshake/cancel.ts';
import {
  type ConnectBackendOptions,
  connectBackend,
} from '@chaperone/sidecar/protocols/postgres/handshake/connect-backend.ts';
import * as server from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import { certificateAuthority } from '../support/certificates.ts';

const authority = certificateAuthority();
const leaf = authority.issue(['DNS:orders.test']);
const secureContext = createSecureContext({ cert: leaf.cert, key: leaf.key });
const tls = { mode: 'VerifyFull', ca: authority.ca.cert } as const;

const open = new Set<Socket | Server>();
afterEach(() => {
  for (const one of open) 'destroy' in one ? one.destroy() : one.close();
  open.clear();
});

/** What the server heard, over all its connections. */
interface Backend {
  readonly port: number;
  heard(): Buffer;
}

type Script = (socket: Socket, heard: Heard) => unknown;

/** Gathers what arrives, and waits for more. */
class Heard {
  readonly chunks: Buffer[] = [];
  readonly #socket: Socket;
  constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => this.chunks.push(chunk));
  }
  get all(): Buffer {
    return Buffer.concat(this.chunks);
  }
  /** Resolves with what arrives next. */
  async next(): Promise<Buffer> {
    const [chunk] = await once(this.#socket, 'data');
    return chunk as Buffer;
  }
}

async function backend(script: Script): Promise<Backend> {
  const heard: Heard[] = [];
  const listener = createServer((socket) => {
    open.add(socket);
    socket.on('error', () => {});
    const ear = new Heard(socket);
    heard.push(ear);
    Promise.resolve(script(socket, ear)).catch(() => socket.destroy());
  });
  open.add(listener);
  listener.listen(0, '127.0.0.1');
  await once(listener, 'listening');
  return {
    port: (listener.address() as { port: number }).port,
    heard: () => Buffer.concat(heard.map((one) => one.all)),
  };
}

const canary = 'CANARY-password';

function options(port: number, change: Partial<ConnectBackendOptions> = {}): ConnectBackendOptions {
  return {
    address: { host: 'orders.test', port },
    resolve: async () => ['127.0.0.1'],
    tls: { mode: 'Disable' },
    username: 'backend-user',
    password: canary,
    database: 'shop',
    parameters: [],
    clock: manualClock(),
    ...change,
  };
}

/** The error of a login at that backend; the password was not said in the clear. */
async function failure(
  at: Backend,
  change: Partial<ConnectBackendOptions> = {},
): Promise<BackendError> {
  const error: unknown = await connectBackend(options(at.port, change)).then(
    () => new Error('the login went through'),
    (reason: unknown) => reason,
  );
  if (!(error instanceof BackendError)) throw error;
  expect(at.heard().includes(canary)).toBe(false);
  expect(error.logDetail).not.toContain('CANARY');
  const told = error.report().toString('latin1');
  for (const secret of ['backend-user', 'orders.test', '127.0.0.1', 'CANARY']) {
    expect(told).not.toContain(secret);
  }
  return error;
}

/** Says these bytes as soon as the startup message is there. */
function saying(...messages: Buffer[]): Script {
  return async (socket, heard) => {
    await heard.next();
    socket.end(Buffer.concat(messages));
  };
}

const ok = server.authenticationOk();
const ready = server.readyForQuery(0x49);
const key = server.backendKeyData(1, Buffer.alloc(4));
const auth = (kind: number, data = Buffer.alloc(0)) => {
  const message = Buffer.alloc(9);
  message.write('R');
  message.writeInt32BE(8 + data.length, 1);
  message.writeInt32BE(kind, 5);
  return Buffer.concat([message, data]);
};
const raw = (type: string, length: number, body = Buffer.alloc(0)) => {
  const header = Buffer.alloc(5);
  header.write(type);
  header.writeInt32BE(length | 0, 1);
  return Buffer.concat([header, body]);
};
const text = (value: string) => Buffer.from(value, 'latin1');
const trusting = { allowTrust: true };

describe('before the password', () => {
  const cases: [string, Script, string][] = [
    ['closes at once', (socket) => socket.destroy(), 'CHP-5005'],
    ['closes after the startup message', saying(), 'CHP-5005'],
    ['says garbage', saying(text('\0\xff\x01garbage that goes on')), 'CHP-5001'],
    ['speaks HTTP', saying(text('HTTP/1.1 400 Bad Request\r\n\r\n')), 'CHP-5001'],
    ['length 0', saying(raw('R', 0)), 'CHP-5001'],
    ['length 3', saying(raw('R', 3)), 'CHP-5001'],
    ['length -1', saying(raw('R', -1)), 'CHP-5001'],
    ['length -2³¹', saying(raw('R', -0x8000_0000)), 'CHP-5001'],
    ['length 2³¹ - 1', saying(raw('R', 0x7fff_ffff)), 'CHP-5001'],
    ['length 65537', saying(raw('R', 65_537)), 'CHP-5001'],
    ['a request of no kind', saying(raw('R', 4)), 'CHP-5001'],
    ['KerberosV5', saying(auth(2)), 'CHP-5003'],
    ['crypt', saying(auth(4, Buffer.alloc(2))), 'CHP-5003'],
    ['SCM', saying(auth(6)), 'CHP-5003'],
    ['GSS', saying(auth(7)), 'CHP-5003'],
    ['GSS that goes on', saying(auth(8)), 'CHP-5003'],
    ['SSPI', saying(auth(9)), 'CHP-5003'],
    ['a kind of the future', saying(auth(99)), 'CHP-5003'],
    ['kind -1', saying(auth(-1)), 'CHP-5003'],
    ['SASL that has not begun', saying(auth(11, text('r=1'))), 'CHP-5001'],
    ['the end of a SASL that has not begun', saying(auth(12, text('v=1'))), 'CHP-5001'],
    ['the password in the clear', saying(auth(3)), 'CHP-5003'],
    ['md5 with three bytes of salt', saying(auth(5, Buffer.alloc(3))), 'CHP-5001'],
    ['md5 with five bytes of salt', saying(auth(5, Buffer.alloc(5))), 'CHP-5001'],
    ['SASL without mechanisms', saying(auth(10, Buffer.alloc(1))), 'CHP-5003'],
    ['SASL with unknown ones', saying(server.authenticationSasl(['PLAIN'])), 'CHP-5003'],
    [
      'SASL with binding alone',
      saying(server.authenticationSasl(['SCRAM-SHA-256-PLUS'])),
      'CHP-5003',
    ],
    ['SASL without end', saying(auth(10, text('SCRAM-SHA-256'))), 'CHP-5001'],
    ['nothing to prove', saying(ok, ready), 'CHP-2011'],
    ['AuthenticationOk with more', saying(auth(0, Buffer.alloc(1)), ready), 'CHP-5001'],
    ['ReadyForQuery at once', saying(ready), 'CHP-5001'],
    [
      'version 3.9 where 3.0 was asked for',
      saying(server.negotiateProtocolVersion(9, []), ok),
      'CHP-2011',
    ],
    [
      'negotiates twice',
      saying(server.negotiateProtocolVersion(0, []), server.negotiateProtocolVersion(0, [])),
      'CHP-5001',
    ],
    [
      'notices without end',
      saying(...Array(200).fill(server.noticeResponse(new Map()))),
      'CHP-5001',
    ],
    [
      'an error without SQLSTATE',
      saying(server.errorResponse(new Map([['M', canary]]))),
      'CHP-5005',
    ],
    ['an error without fields', saying(server.errorResponse(new Map())), 'CHP-5005'],
    ['an error without end', saying(raw('E', 8, text('Mxyz'))), 'CHP-5001'],
    ['an error in Latin-1', saying(raw('E', 10, text('M\xe9\xe8\xff\0\0'))), 'CHP-5005'],
    [
      'an error with a SQLSTATE that is none',
      saying(server.errorResponse(new Map([['C', canary]]))),
      'CHP-5005',
    ],
  ];
  test.each(cases)('%s', async (_, script, code) => {
    expect(await failure(await backend(script))).toMatchObject({ code });
  });

  test('the texts of a refusal go nowhere', async () => {
    const fields = new Map([...'SVMDHPpqWstcdnFLR'].map((code) => [code, `${canary} ${code}`]));
    for (const sqlstate of ['28P01', '3D000', '57P03', 'XX000', 'ZZZZZ']) {
      const refusing = await backend(saying(server.errorResponse(fields.set('C', sqlstate))));
      const error = await failure(refusing);
      expect(error.backendSqlstate).toBe(sqlstate);
      expect(`${error.message} ${error.hint} ${error.logDetail}`).not.toContain('CANARY');
    }
  });
});

describe('after the password', () => {
  const cases: [string, Buffer[], string][] = [
    ['closes', [], 'CHP-5005'],
    ['a second AuthenticationOk', [ok], 'CHP-5001'],
    ['asks for the password again', [auth(3)], 'CHP-5001'],
    ['rows', [server.dataRow([text('x')])], 'CHP-5001'],
    ['a result', [server.commandComplete('SELECT 1')], 'CHP-5001'],
    ['a notification', [server.notificationResponse(1, 'a', 'b')], 'CHP-5001'],
    ['COPY', [server.copyInResponse(0, [])], 'CHP-5001'],
    ['two keys', [key, key], 'CHP-5001'],
    ['a key of 3 bytes', [server.backendKeyData(1, Buffer.alloc(3))], 'CHP-5001'],
    ['a key of 257 bytes', [server.backendKeyData(1, Buffer.alloc(257))], 'CHP-5001'],
    ['in a transaction', [key, server.readyForQuery(0x54)], 'CHP-5001'],
    ['a status that is none', [key, server.readyForQuery(0x58)], 'CHP-5001'],
    ['a parameter without value', [raw('S', 6, text('a\0'))], 'CHP-5001'],
    ['an error', [server.errorResponse(new Map([['C', '53300']]))], 'CHP-5005'],
    ['a parameter beyond the cap', [server.parameterStatus('a', 'x'.repeat(70_000))], 'CHP-5001'],
    [
      'parameters without end',
      Array(50).fill(server.parameterStatus('a', 'x'.repeat(60_000))),
      'CHP-5001',
    ],
    [
      'notices without end',
      [Buffer.alloc(2_000_000, server.noticeResponse(new Map()))],
      'CHP-5001',
    ],
  ];
  test.each(cases)('%s', async (_, messages, code) => {
    const error = await failure(await backend(saying(ok, ...messages)), trusting);
    expect(error).toMatchObject({ code });
  });

  test('a newer version than was asked for', async () => {
    const at = await backend(saying(server.negotiateProtocolVersion(9, []), ok, key, ready));
    expect(await failure(at, trusting)).toMatchObject({ code: 'CHP-5001' });
  });

  const whole = Buffer.concat([
    server.negotiateProtocolVersion(0, []),
    ok,
    server.parameterStatus('server_version', '15.3'),
    server.noticeResponse(new Map([['M', 'collation']])),
    key,
    ready,
  ]);

  test('a login cut at every offset', async () => {
    for (let end = 0; end < whole.length; end += 1) {
      const at = await backend(saying(whole.subarray(0, end)));
      expect(await failure(at, trusting)).toMatchObject({ code: 'CHP-5005' });
    }
  });

  test('a login of single bytes, with more behind', async () => {
    const at = await backend(async (socket, heard) => {
      await heard.next();
      socket.setNoDelay();
      for (const byte of whole) {
        socket.write(Buffer.of(byte));
        await new Promise(setImmediate);
      }
      socket.write('behind');
    });
    const session = await connectBackend(options(at.port, trusting));
    expect(session.notices).toHaveLength(1);
    expect(session.serverVersion).toEqual({ text: '15.3', major: 15 });
    expect(session.socket.isPaused()).toBe(true);
    let behind = session.leftover.toString();
    session.socket.on('data', (chunk) => {
      behind += chunk;
    });
    session.socket.resume();
    while (behind !== 'behind') await once(session.socket, 'data');
    session.socket.destroy();
  });

  test('a version that is not wanted', async () => {
    const at = await backend(saying(whole));
    const refuse = () => {
      throw new RangeError('version');
    };
    const login = connectBackend(options(at.port, { ...trusting, checkVersion: refuse }));
    await expect(login).rejects.toThrow(RangeError);
  });
});

/** The server's side of SCRAM, with one thing wrong. */
function scram(
  password: string,
  change: (step: 'first' | 'final', message: string) => Buffer[],
): Script {
  return async (socket, heard) => {
    await heard.next();
    socket.write(server.authenticationSasl(['SCRAM-SHA-256']));
    const initial = (await heard.next()).toString('latin1');
    const clientFirst = initial.slice(initial.indexOf('n,,') + 3);
    const nonce = `${clientFirst.slice(clientFirst.indexOf('r=') + 2)}more`;
    const salt = Buffer.alloc(16, 3);
    const serverFirst = `r=${nonce},s=${salt.toString('base64')},i=4096`;
    socket.write(Buffer.concat(change('first', serverFirst)));
    const final = (await heard.next()).toString('latin1', 5);
    const signed = `${clientFirst},${serverFirst},${final.slice(0, final.indexOf(',p='))}`;
    const hmac = (hmacKey: Buffer, data: string) =>
      createHmac('sha256', hmacKey).update(data).digest();
    const salted = pbkdf2Sync(password, salt, 4096, 32, 'sha256');
    const signature = hmac(hmac(salted, 'Server Key'), signed).toString('base64');
    socket.write(Buffer.concat(change('final', `v=${signature}`)));
  };
}

describe('SCRAM', () => {
  const first = (message: string) => [server.authenticationSaslContinue(text(message))];
  const final = (message: string) => [
    server.authenticationSaslFinal(text(message)),
    ok,
    key,
    ready,
  ];
  const honest = (step: 'first' | 'final', message: string) =>
    step === 'first' ? first(message) : final(message);

  test('the fake server is a good one when it does nothing wrong', async () => {
    const at = await backend(scram(canary, honest));
    (await connectBackend(options(at.port))).socket.destroy();
  });

  type Change = Parameters<typeof scram>[1];
  const cases: [string, Change, string][] = [
    [
      'leaves out its own proof',
      (s, m) => (s === 'first' ? first(m) : [ok, key, ready]),
      'CHP-5001',
    ],
    ['leaves out its challenge', () => [ok, key, ready], 'CHP-5001'],
    [
      'goes back to the password in the clear',
      () => [server.authenticationCleartextPassword()],
      'CHP-5001',
    ],
    ['goes back to md5', () => [server.authenticationMD5Password(Buffer.alloc(4))], 'CHP-5001'],
    ['begins again', () => [server.authenticationSasl(['SCRAM-SHA-256'])], 'CHP-5001'],
    ['says the end first', (_, m) => [server.authenticationSaslFinal(text(m))], 'CHP-5001'],
    [
      'its end twice',
      (s, m) => (s === 'first' ? first(m) : [...final(m).slice(0, 1), ...final(m)]),
      'CHP-5001',
    ],
    [
      'asks again behind its end',
      (s, m) => (s === 'first' ? first(m) : [final(m)[0]!, auth(3)]),
      'CHP-5001',
    ],
    ['another nonce', () => first('r=x,s=AAAA,i=4096'), 'CHP-2011'],
    ['2³¹ - 1 iterations', (_, m) => first(m.replace('4096', '2147483647')), 'CHP-2011'],
    ['2³² + 4096 iterations', (_, m) => first(m.replace('4096', '4294971392')), 'CHP-2011'],
    ['-4096 iterations', (_, m) => first(m.replace('4096', '-4096')), 'CHP-2011'],
    ['one iteration', (_, m) => first(m.replace('4096', '1')), 'CHP-2011'],
    [
      'a challenge of 60 KiB',
      (_, m) => first(m.replace('s=', `s=${'A'.repeat(60_000)}`)),
      'CHP-2011',
    ],
    ['an empty challenge', () => first(''), 'CHP-2011'],
    [
      'an error at the end',
      (s, m) => (s === 'first' ? first(m) : final('e=other-error')),
      'CHP-2011',
    ],
    ['an ErrorResponse', () => [server.errorResponse(new Map([['C', '28P01']]))], 'CHP-2011'],
  ];
  test.each(cases)('%s', async (_, change, code) => {
    const at = await backend(scram(canary, change));
    expect(await failure(at)).toMatchObject({ code });
  });

  test('closes in the middle', async () => {
    const leaving = await backend(async (socket, heard) => {
      await heard.next();
      socket.write(server.authenticationSasl(['SCRAM-SHA-256']));
      await heard.next();
      socket.end();
    });
    expect(await failure(leaving)).toMatchObject({ code: 'CHP-5005' });
  });

  test('a server that does not know the password', async () => {
    const at = await backend(scram('another', honest));
    expect(await failure(at)).toMatchObject({
      code: 'CHP-2011',
      logDetail: expect.stringContaining('Signature'),
    });
  });
});

describe('TLS', () => {
  const answering =
    (...bytes: string[]): Script =>
    async (socket, heard) => {
      await heard.next();
      socket.write(text(bytes.join('')));
    };
  const cases: [string, Script, string][] = [
    ['N', answering('N'), 'CHP-2013'],
    ['an ErrorResponse', answering('E\0\0\0\x0bMtext\0\0'), 'CHP-5001'],
    ['something else', answering('X'), 'CHP-5001'],
    ['plaintext behind S', answering('S', 'R\0\0\0\x08\0\0\0\0'), 'CHP-5001'],
    ['a plain login behind S', answering('SS'), 'CHP-5001'],
    ['nothing, and closes', saying(), 'CHP-5004'],
  ];
  test.each(cases)('the answer to SSLRequest is %s', async (_, script, code) => {
    const at = await backend(script);
    expect(await failure(at, { tls })).toMatchObject({ code });
    expect(at.heard()).toHaveLength(8); // the SSLRequest and nothing else
  });

  test('garbage in place of the handshake', async () => {
    const at = await backend(async (socket, heard) => {
      await heard.next();
      socket.write('S');
      await heard.next();
      socket.end('this is no TLS record');
    });
    expect(await failure(at, { tls })).toMatchObject({ code: 'CHP-2013' });
  });

  test('a password in the clear is told under TLS', async () => {
    let told = '';
    const at = await backend(async (socket, heard) => {
      await heard.next();
      socket.removeAllListeners('data');
      socket.write('S');
      const secure = new TLSSocket(socket, { isServer: true, secureContext });
      secure.on('error', () => {});
      const within = new Heard(secure);
      await within.next();
      secure.write(server.authenticationCleartextPassword());
      told = (await within.next()).toString();
      secure.write(Buffer.concat([ok, key, ready]));
    });
    (await connectBackend(options(at.port, { tls }))).socket.destroy();
    expect(told).toContain(canary);
  });
});

describe('a backend that takes its time', () => {
  const silent: [string, Script, Partial<ConnectBackendOptions>][] = [
    ['silent', () => {}, {}],
    ['silent at SSLRequest', () => {}, { tls }],
    ['silent in the TLS handshake', async (socket) => socket.write('S'), { tls }],
    ['half a message', (socket) => socket.write(ok.subarray(0, 5)), {}],
    ['no end of the login', (socket) => socket.write(Buffer.concat([ok, key])), trusting],
    ['silent in SCRAM', (socket) => socket.write(server.authenticationSasl(['SCRAM-SHA-256'])), {}],
  ];
  async function outOfTime(clock: ManualClock, login: Promise<unknown>): Promise<unknown> {
    const outcome = login.catch((reason: unknown) => reason);
    let done = false;
    void outcome.then(() => {
      done = true;
    });
    // The clock moves only once the login has come as far as it gets.
    for (let turn = 0; turn < 50; turn += 1) await new Promise(setImmediate);
    expect(done).toBe(false);
    clock.advance(15_000);
    expect(clock.pendingTimers()).toBe(0);
    return outcome;
  }
  test.each(silent)('%s', async (_, script, change) => {
    const clock = manualClock();
    const at = await backend(script);
    const error = await outOfTime(clock, connectBackend(options(at.port, { ...change, clock })));
    expect(error).toMatchObject({ code: 'CHP-5008', sqlstate: '08006' });
  });

  test('a name that never resolves', async () => {
    const clock = manualClock();
    const resolve = (_: string, signal: AbortSignal) =>
      new Promise<string[]>((_resolve, reject) => {
        signal.addEventListener('abort', () => reject(new Error('cancelled')));
      });
    const error = await outOfTime(clock, connectBackend(options(1, { resolve, clock })));
    expect(error).toMatchObject({ code: 'CHP-5008' });
  });

  test('the session ends while it logs in', async () => {
    const stop = new AbortController();
    const at = await backend(() => stop.abort());
    expect(await failure(at, { signal: stop.signal })).toMatchObject({ code: 'CHP-5005' });
  });
});

describe('where the name leads', () => {
  test('nowhere, to nobody, or back to us', async () => {
    const at = await backend(() => {});
    const cases: [Partial<ConnectBackendOptions>, string][] = [
      [{ resolve: async () => [] }, 'no address'],
      [{ resolve: () => Promise.reject(new Error('ENOTFOUND')) }, 'not resolve'],
      [{ refuseLoopback: true }, 'back to this machine'],
      [{ refuseLoopback: true, resolve: async () => ['::ffff:127.0.0.1'] }, 'back to this machine'],
      [{ refuseLoopback: true, address: { host: '127.0.0.1', port: at.port } }, 'back to this'],
    ];
    for (const [change, why] of cases) {
      expect(await failure(at, change)).toMatchObject({
        code: 'CHP-5004',
        logDetail: expect.stringContaining(why),
      });
    }
    expect(at.heard()).toHaveLength(0);
  });

  test('to one address that answers among several', async () => {
    const at = await backend(saying(ok, ready));
    const resolve = async () => ['127.0.0.2', '127.0.0.1'];
    const session = await connectBackend(options(at.port, { ...trusting, resolve }));
    expect(session.remoteAddress).toBe('127.0.0.1');
    expect(session.cancelKey).toBeUndefined();
    session.socket.destroy();
  });
});

test('a cancel request to a backend that never closes ends with its deadline', async () => {
  const clock = manualClock();
  const asked = Promise.withResolvers<void>();
  const at = await backend((socket) => socket.once('data', () => asked.resolve()));
  const { address, resolve } = options(at.port);
  const cancel = forwardCancel(
    { pid: 1, secret: Buffer.alloc(4) },
    { address, tls: { mode: 'Disable' }, clock, ...(resolve && { resolve }) },
  ).catch((error: unknown) => error);
  await asked.promise;
  clock.advance(5_000);
  expect(await cancel).toMatchObject({ code: 'CHP-5008' });
});
