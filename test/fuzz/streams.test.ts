/**
 * The whole proxy between a client and a server whose bytes are changed on the way: it goes on or ends the
 * connection, what is denied does not happen, and what is masked does not come through.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';
import {
  bindComplete,
  noData,
  parseComplete,
  rowDescription,
} from '@chaperone/sidecar/protocols/postgres/messages/backend-writer.ts';
import { HEADER_BYTES } from '@chaperone/sidecar/protocols/postgres/messages/frame.ts';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { Frontend as Message } from '@chaperone/sidecar/protocols/postgres/messages/types.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { extended } from '../support/attack-lab.ts';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { createOrigin } from '../support/conversations.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';
import { corpus } from './support/corpus.ts';
import { fuzz } from './support/fuzz.ts';
import { mutate, mutations, pieces, split } from './support/mutations.ts';

const canary = 'QZJXVKWBHGPFYWQJXBKZFVHP';
/** Its parts, as they would show where some of it was changed, too. */
const parts = Array.from({ length: canary.length - 5 }, (_, at) => canary.slice(at, at + 6));

/** What a client may send once it is logged in; what of it a proxy need not hold as a whole. */
const known: ReadonlySet<number> = new Set(
  Object.values(Message).filter((type) => type !== Message.Password),
);
const streamed: ReadonlySet<number> = new Set([Message.Bind, Message.CopyData]);

/** What is wrong with bytes that a server got after a login, as messages; undefined where nothing is. */
function malformed(bytes: Buffer): string | undefined {
  for (let at = 0; at < bytes.length; ) {
    const type = bytes[at]!;
    const letter = JSON.stringify(String.fromCharCode(type));
    if (!known.has(type)) return `a message of type ${letter}, which no client sends`;
    if (bytes.length - at < HEADER_BYTES) return `a part of the head of ${letter}`;
    const size = bytes.readInt32BE(at + 1);
    if (size < 4) return `a message of type ${letter} with the length ${size}`;
    at += 1 + size;
    if (at > bytes.length && !streamed.has(type)) return `a part of a message of type ${letter}`;
  }
  return undefined;
}

/** Changes what the server says once the client has asked for the canary, and keeps what it is sent. */
class Changer {
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  /** The latest connection: what the server got of it after the login. */
  latest: { readonly got: Buffer[]; readonly ended: Promise<void> } | undefined;
  change: (bytes: Buffer) => readonly Buffer[] = (bytes) => [bytes];

  constructor(serverPort: number) {
    this.#server = createServer((proxy) => {
      const server = connect({ host: '127.0.0.1', port: serverPort, noDelay: true });
      proxy.setNoDelay();
      let asked = false;
      let gathered = Buffer.alloc(0);
      let loggedIn = false;
      const got: Buffer[] = [];
      const ended = Promise.withResolvers<void>();
      proxy.on('close', ended.resolve);
      this.latest = { got, ended: ended.promise };
      for (const socket of [proxy, server]) {
        this.#sockets.add(socket);
        socket.on('error', () => {});
        socket.on('close', () => {
          this.#sockets.delete(socket);
          proxy.destroy();
          server.destroy();
        });
      }
      proxy.on('data', (chunk: Buffer) => {
        asked ||= chunk.includes('MARKER');
        if (loggedIn) got.push(chunk);
        server.write(chunk);
      });
      server.on('data', (chunk: Buffer) => {
        // ReadyForQuery, which a login ends with.
        loggedIn ||= chunk.at(-6) === 0x5a;
        if (!asked) return void proxy.write(chunk);
        gathered = Buffer.concat([gathered, chunk]);
        if (gathered.at(-6) !== 0x5a) return;
        for (const piece of this.change(gathered)) if (piece.length > 0) proxy.write(piece);
        gathered = Buffer.alloc(0);
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

let postgres: TestPostgres;
let changer: Changer;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await createOrigin(postgres);
  const masked = `CREATE TABLE masked (word text);
    INSERT INTO masked SELECT '${canary}' FROM generate_series(1, 6)`;
  await postgres.query(masked, undefined, 'origin');
  changer = new Changer(postgres.port);
  const port = await changer.listen();
  const classes = ['Read', 'Write', 'Schema', 'Session', 'Export', 'Admin'];
  chaperone = await TestChaperone.start({
    postgres: { ...postgres, port } as TestPostgres,
    resources: [
      policy('all-but-secret', [
        { name: 'all', action: 'Allow', classes, resources: ['**'] },
        { name: 'secret', action: 'Deny', classes, resources: ['*.public.secret'] },
        {
          name: 'keep',
          action: 'Deny',
          classes: ['Write', 'Schema'],
          resources: ['*.public.masked'],
        },
      ]),
      masking('word', { columns: ['*.public.masked.word'], transform: { type: 'Redact' } }),
    ],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  changer?.close();
  await postgres?.stop();
});

const login = async (): Promise<RawClient> => RawClient.login(await chaperone.connection('origin'));

/** What is said until both connections have ended. */
interface Said {
  /** To the client. */
  readonly heard: Buffer;
  /** To the server, after the login. */
  readonly got: Buffer;
}

/** Sends in these pieces, and ends the sending side. */
async function saidOf(chunks: readonly Buffer[]): Promise<Said> {
  const client = await login();
  const { got, ended } = changer.latest!;
  for (const chunk of chunks) if (chunk.length > 0) client.socket.write(chunk);
  client.socket.end();
  const answers = await client.until(() => false);
  await ended;
  return { heard: Buffer.concat(answers.map(({ body }) => body)), got: Buffer.concat(got) };
}

let other: RawClient | undefined;
let served = 0;

/** Another session goes on; a new one in its place now and then. */
async function serves(): Promise<void> {
  if (served % 20 === 0) {
    other?.end();
    other = await login();
  }
  served += 1;
  const answers = await other!.exchange(write.query('SELECT 7'));
  expect(answers.map(({ type }) => type).join('')).toBe('TDCZ');
}

const cuts = fc.array(fc.nat(0xffff), { maxLength: 4 });

fuzz(
  'streams: a client whose bytes are changed does nothing that is denied, and holds up nobody',
  fc.asyncProperty(
    fc.nat(corpus.conversations.length - 1),
    mutations,
    cuts,
    async (index, changes, at) => {
      changer.change = (bytes) => [bytes];
      const { client } = corpus.conversations[index]!;
      const { heard, got } = await saidOf(
        pieces(Buffer.concat(mutate(split(client), changes)), at),
      );
      expect(malformed(got)).toBeUndefined();
      for (const word of ['alpha', 'beta']) expect(heard.includes(word)).toBe(false);
      const { rows } = await postgres.query('SELECT * FROM secret ORDER BY id', [], 'origin');
      expect(rows).toEqual([
        { id: 1, word: 'alpha' },
        { id: 2, word: 'beta' },
      ]);
      await serves();
    },
  ),
  { briefly: 2 },
);

const asking: readonly Buffer[] = [
  write.query("SELECT word FROM masked WHERE 'MARKER' <> ''"),
  Buffer.concat([
    ...extended("SELECT word FROM masked WHERE 'MARKER' <> ''", { describe: true }),
    write.sync,
  ]),
  Buffer.concat([
    ...extended("SELECT word FROM masked WHERE 'MARKER' <> ''", { resultFormats: [1] }),
    write.sync,
  ]),
  write.query("COPY (SELECT word FROM masked WHERE 'MARKER' <> '') TO STDOUT"),
];

fuzz(
  'streams: a server whose bytes are changed gets nothing through that is masked, and holds up nobody',
  fc.asyncProperty(fc.constantFrom(...asking), mutations, cuts, async (ask, changes, at) => {
    const delivered = Promise.withResolvers<void>();
    changer.change = (bytes) => {
      setImmediate(delivered.resolve);
      changer.change = (others) => [others];
      return pieces(Buffer.concat(mutate(split(bytes), changes)), at);
    };
    const client = await login();
    let seen = '';
    client.socket.on('data', (chunk: Buffer) => {
      seen += chunk.toString('latin1');
    });
    client.socket.write(ask);
    await delivered.promise;
    // By the time that another is served, the proxy has made of it what it makes of it.
    await serves();
    client.socket.end();
    await client.until(() => false);
    expect(parts.filter((part) => seen.includes(part))).toEqual([]);
  }),
  {
    briefly: 2,
    past: [
      {
        values: [asking[1]!, [{ kind: 'length', message: 0, to: 264 }], []],
        was: 'a ParseComplete that was as long as the whole answer reached the client as it was',
      },
    ],
  },
);

test('a server that goes on wrongly behind what ended the session ends nothing else', async () => {
  const { rows } = await postgres.query<{ oid: number }>(
    "SELECT 'masked'::regclass::oid::int AS oid",
    [],
    'origin',
  );
  const protectedColumn = rowDescription([
    {
      name: 'word',
      tableOid: rows[0]!.oid,
      attribute: 1,
      typeOid: 25,
      typeLength: -1,
      typeModifier: -1,
      format: 0,
    },
  ]);
  changer.change = () => [Buffer.concat([parseComplete, bindComplete, protectedColumn, noData])];
  const client = await login();
  client.socket.write(
    Buffer.concat([...extended("SELECT 'MARKER'", { describe: true }), write.sync]),
  );
  const answers = await client.until(() => false);
  expect(answers.at(-1)!.body.toString()).toContain('CHP-3006');
  changer.change = (bytes) => [bytes];
  await serves();
});
