/**
 * Before the login (§3): what is said in the clear around a request for encryption never counts, on either side,
 * whatever the order; checked by what the server saw and holds.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import { createSecureContext, connect as secureConnect } from 'node:tls';
import * as server from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AttackLab } from '../support/attack-lab.ts';
import { certificateAuthority } from '../support/certificates.ts';

const authority = certificateAuthority();
const leaf = authority.issue(['DNS:localhost']);
const secureContext = createSecureContext({ cert: leaf.cert, key: leaf.key });

const untyped = (code: number): Buffer => {
  const message = Buffer.alloc(8);
  message.writeInt32BE(8, 0);
  message.writeInt32BE(code, 4);
  return message;
};
const ssl = write.sslRequest();
const gss = untyped(80877104);
const insert = write.query('INSERT INTO plain VALUES (77, $$in the clear$$)');

/** All that comes until the connection ends, after these writes, each once the one before was answered. */
async function said(port: number, writes: readonly Buffer[]): Promise<Buffer> {
  const socket = connect({ host: '127.0.0.1', port, noDelay: true });
  const chunks: Buffer[] = [];
  let more = (): void => {};
  socket.on('data', (chunk: Buffer) => {
    chunks.push(chunk);
    more();
  });
  socket.on('error', () => {});
  const closed = new Promise<void>((resolve) => socket.once('close', () => resolve()));
  for (const [index, bytes] of writes.entries()) {
    if (index === writes.length - 1) {
      socket.end(bytes);
      break;
    }
    socket.write(bytes);
    const answered = new Promise<void>((resolve) => {
      more = resolve;
    });
    await Promise.race([answered, closed]);
  }
  await closed;
  return Buffer.concat(chunks);
}

describe.each([
  ['served', true],
  ['not served', false],
])('a client, TLS %s', (_, served) => {
  let lab: AttackLab;
  let before: unknown;
  let login: Buffer;
  beforeAll(async () => {
    lab = await AttackLab.start(served ? { tls: { secureContext: () => secureContext } } : {});
    before = await lab.state();
    const { user, database, password } = await lab.chaperone.connection('shop');
    login = Buffer.concat([
      write.startupMessage(0, [
        ['user', user],
        ['database', database],
      ]),
      write.passwordMessage(password),
      insert,
    ]);
  }, 60_000);
  afterAll(() => lab?.stop());

  /** Nobody logged in to the server, and nothing changed in it. */
  async function untouched(): Promise<void> {
    const [count] = await lab.behind(
      "SELECT count(*)::int FROM pg_stat_activity WHERE datname = 'shop' AND pid <> pg_backend_pid()",
    );
    expect(count).toEqual([0]);
    expect(await lab.state()).toEqual(before);
  }

  test.each<[string, () => Buffer[]]>([
    ['behind SSLRequest', () => [Buffer.concat([ssl, login])]],
    ['a byte behind SSLRequest', () => [Buffer.concat([ssl, Buffer.from('p')])]],
    ['behind GSSENCRequest', () => [Buffer.concat([gss, login])]],
    ['SSLRequest behind GSSENCRequest', () => [Buffer.concat([gss, ssl, login])]],
    ['GSSENCRequest behind SSLRequest', () => [Buffer.concat([ssl, gss, login])]],
    ['behind the second request', () => [gss, Buffer.concat([ssl, login])]],
    ['loop of SSL', () => [ssl, ssl, login]],
    ['loop of GSS', () => [gss, gss, login]],
    ['loop of both', () => [gss, ssl, gss, ssl, login]],
    ['a record of TLS, then a login', () => [Buffer.concat([Buffer.from([0x16]), login])]],
    ['a hundred requests at once', () => [Buffer.concat(Array(100).fill(ssl))]],
    ['direct TLS, cut', () => [Buffer.concat([Buffer.from('160301ffff', 'hex'), login])]],
  ])('%s', async (_, writes) => {
    const answer = await said(lab.chaperone.port, writes());
    const text = answer.toString('latin1');
    expect(text.replace(/^[NS]*/, '')).not.toMatch(/^R|INSERT 0/);
    await untouched();
  });

  test(
    served
      ? 'GSS is answered N, and TLS follows'
      : 'both are answered N, and a login in the clear follows',
    async () => {
      const socket = connect({ host: '127.0.0.1', port: lab.chaperone.port });
      socket.write(gss);
      expect(String((await once(socket, 'data'))[0])).toBe('N');
      socket.write(ssl);
      expect(String((await once(socket, 'data'))[0])).toBe(served ? 'S' : 'N');
      const through = served
        ? secureConnect({ socket, ca: authority.ca.cert, servername: 'localhost' })
        : socket;
      if (served) await once(through, 'secureConnect');
      through.write(login.subarray(0, login.readInt32BE(0)));
      expect(String((await once(through, 'data'))[0])).toMatch(/^R/);
      through.destroy();
    },
  );
});

/** Answers a backend's first message by these bytes, and keeps what it heard. */
class OpeningStage {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  heard: Buffer = Buffer.alloc(0);
  answer: Buffer = Buffer.alloc(0);

  constructor() {
    this.#server = createServer((socket) => {
      this.#sockets.add(socket);
      socket.on('error', () => {});
      socket.on('data', (chunk) => {
        this.heard = Buffer.concat([this.heard, chunk]);
        if (this.heard.length <= 8) socket.end(this.answer);
      });
    });
  }

  async listen(): Promise<number> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return (this.#server.address() as { port: number }).port;
  }

  close(): void {
    for (const socket of this.#sockets) socket.destroy();
    this.#server.close();
  }
}

describe('a backend', () => {
  let lab: AttackLab;
  const stage = new OpeningStage();
  beforeAll(async () => {
    lab = await AttackLab.start({
      target: { tls: { mode: 'VerifyFull' } },
      through: () => stage.listen(),
    });
  }, 60_000);
  afterAll(async () => {
    await lab?.stop();
    stage.close();
  });

  const garbage = 'GARBAGE-THAT-NOBODY-ASKED-FOR';
  const login = Buffer.concat([
    server.authenticationOk(),
    server.backendKeyData(1, Buffer.alloc(4)),
    server.parameterStatus('server_version', '18.0'),
    server.readyForQuery(0x49),
  ]);
  const error = server.errorResponse(
    new Map([
      ['S', 'FATAL'],
      ['C', '28000'],
      ['M', garbage],
    ]),
  );
  test.each<[string, Buffer]>([
    ['no TLS', Buffer.from('N')],
    ['no TLS, and a login', Buffer.concat([Buffer.from('N'), login])],
    ['TLS, and a login in the clear', Buffer.concat([Buffer.from('S'), login])],
    ['TLS, and an error in the clear', Buffer.concat([Buffer.from('S'), error])],
    ['TLS twice', Buffer.from('SS')],
    ['TLS, and no TLS', Buffer.from('SN')],
    ['an error in the clear', error],
    ['GSS', Buffer.from('G')],
    ['its own request', ssl],
    ['a record of TLS at once', Buffer.from('16030100', 'hex')],
    ['a login at once', login],
    ['words', Buffer.from(garbage)],
    ['nothing', Buffer.alloc(0)],
  ])('answers a request for TLS by %s', async (_, answer) => {
    stage.answer = answer;
    stage.heard = Buffer.alloc(0);
    const failure = await lab.attacker().then(
      () => new Error('logged in'),
      (reason: Error) => reason,
    );
    expect(failure.message).toMatch(/CHP-\d{4}/);
    expect(failure.message).not.toContain('GARB');
    // Nothing but the request, and perhaps the beginning of TLS: no name, no password, no startup message.
    expect(stage.heard.subarray(0, 8).equals(ssl)).toBe(true);
    expect(stage.heard.length === 8 || stage.heard[8] === 0x16).toBe(true);
    for (const secret of [lab.postgres.superuser, 'shop', lab.postgres.password]) {
      expect(stage.heard.includes(`${secret}\0`)).toBe(false);
    }
  });
});
