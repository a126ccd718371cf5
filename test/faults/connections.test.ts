/** Connections that come and go without end, and ends that are gone without a word. */
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { identity, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';
import { acknowledged, sessionsOf } from '../support/record.ts';
import { send } from './support/sender.ts';
import { addRow, levelPolicies, namedInsert, Tally } from './support/tally.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE tally');
  await postgres.query('CREATE TABLE done (id text)', [], 'tally');
  chaperone = await TestChaperone.start({
    postgres,
    resources: [...levelPolicies, identity('process')],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

const login = async (): Promise<RawClient> =>
  RawClient.login(await chaperone.connection('tally', 'process'));

const descriptors = (): number => readdirSync('/proc/self/fd').length;

async function backends(): Promise<number> {
  const { rows } = await postgres.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = 'tally' AND pid <> pg_backend_pid()",
    [],
    'tally',
  );
  return rows[0]!.n;
}

/** Goes on once this holds; fails where it does not come to that. */
async function until(holds: () => boolean | Promise<boolean>, mostTries = 20_000): Promise<void> {
  for (let tries = 0; !(await holds()); tries += 1) {
    if (tries === mostTries) throw new Error(`never: ${holds}`);
    await turn();
  }
}

async function opened(): Promise<Socket> {
  const socket = connect({ host: chaperone.host, port: chaperone.port });
  socket.on('error', () => {});
  await once(socket, 'connect');
  return socket;
}

const total = Number(process.env['CHAPERONE_FAULT_CONNECTIONS'] ?? 2000);

test(`${total} connections opened and dropped: nothing of them is left, and those that matter are on record`, async () => {
  // What is made once is made.
  (await login()).socket.destroy();
  await until(async () => (await backends()) === 0);
  await acknowledged(chaperone);
  const before = {
    descriptors: descriptors(),
    sessions: (await sessionsOf(chaperone, 'process')).length,
  };
  const { user, database } = await chaperone.connection('tally', 'process');
  const startup = write.startupMessage(0, [
    ['user', user],
    ['database', database],
  ]);
  let loggedIn = 0;
  const tally = new Tally(postgres, chaperone.directory);
  const kinds: readonly (() => Promise<void>)[] = [
    async () => void (await opened()).resetAndDestroy(),
    async () => void (await opened()).end(),
    async () => {
      const socket = await opened();
      socket.write(startup.subarray(0, 9));
      socket.destroy();
    },
    async () => {
      const socket = await opened();
      socket.write(startup);
      await once(socket, 'data'); // it is asked for its password
      socket.resetAndDestroy();
    },
    async () => {
      const client = await login();
      loggedIn += 1;
      if (loggedIn % 2 === 0) {
        const { id, sql } = namedInsert();
        client.socket.write(write.query(sql));
        tally.say(id, 'Lost');
      }
      client.socket.resetAndDestroy();
    },
  ];
  const atOnce = 20;
  for (let count = 0; count < total; count += atOnce) {
    await Promise.all(
      Array.from({ length: atOnce }, (_, index) => {
        // One in ten logs in: that costs the server a process.
        const at = count + index;
        return kinds[at % 10 === 0 ? 4 : at % 4]!();
      }),
    );
  }
  await until(async () => (await backends()) === 0);
  await until(() => descriptors() <= before.descriptors + 5);
  await acknowledged(chaperone);
  const sessions = await sessionsOf(chaperone, 'process');
  expect(sessions.length - before.sessions).toBe(loggedIn);
  expect(sessions.filter(({ closed }) => closed === undefined)).toEqual([]);
  const client = await login();
  const { id, sql } = namedInsert();
  tally.say(id, (await send(client, sql, 'simple')).belief);
  client.end();
  await acknowledged(chaperone);
  await tally.settle(`${total} connections opened and dropped`, 'Process');
}, 120_000);

test('both ends of a session ask whether the other is there', async () => {
  const client = await login();
  try {
    const { localPort } = client.socket;
    const ends = [
      (one: Connection) => one.local === chaperone.port && one.peer === localPort,
      (one: Connection) => one.peer === postgres.port,
    ];
    for (const end of ends) {
      // While something is not acknowledged, another timer stands in its place.
      let seconds: number | undefined;
      await until(() => (seconds = probeAfter(end)) !== undefined, 2000);
      expect(seconds).toBeGreaterThan(50);
      expect(seconds).toBeLessThanOrEqual(60);
    }
    addRow({
      fault: 'an end that is gone without a word',
      level: '',
      client: 'probed after 60 s',
      database: 'probed after 60 s',
      record: '',
      contradictions: 0,
    });
  } finally {
    client.end();
  }
});

/** Stands before the server, and lets nothing through before it is told to. */
async function startGate(): Promise<{
  readonly port: number;
  readonly arrived: Promise<void>;
  open(): void;
  close(): void;
}> {
  const arrived = Promise.withResolvers<void>();
  const opened = Promise.withResolvers<void>();
  const server = createServer((proxy) => {
    arrived.resolve();
    proxy.on('error', () => {});
    void opened.promise.then(() => {
      const { host, port } = postgres;
      const behind = connect({ host, port });
      behind.on('error', () => {});
      proxy.pipe(behind).pipe(proxy);
      proxy.on('close', () => behind.destroy());
      behind.on('close', () => proxy.destroy());
    });
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    arrived: arrived.promise,
    open: () => opened.resolve(),
    close: () => server.close(),
  };
}

/** A proxy before the gate, and a caller whose backend waits there. */
async function whileLoggingIn(
  test: (socket: Socket, own: TestChaperone, open: () => void) => Promise<void>,
): Promise<void> {
  const gate = await startGate();
  const own = await TestChaperone.start({
    postgres: { ...postgres, port: gate.port } as TestPostgres,
    resources: [...levelPolicies, identity('process')],
  });
  try {
    const { host, port, user, database, password } = await own.connection('tally', 'process');
    const socket = connect({ host, port });
    socket.on('error', () => {});
    await once(socket, 'connect');
    socket.write(
      write.startupMessage(0, [
        ['user', user],
        ['database', database],
      ]),
    );
    await once(socket, 'data'); // it is asked for its password
    socket.write(write.passwordMessage(password));
    await gate.arrived;
    await test(socket, own, gate.open);
    await until(async () => (await backends()) === 0, 3000);
  } finally {
    await own.stop();
    gate.close();
  }
}

const leavings: Readonly<Record<string, (socket: Socket) => void>> = {
  'is reset': (socket) => socket.resetAndDestroy(),
  'says goodbye': (socket) => socket.end(write.terminate),
  'is closed': (socket) => socket.destroy(),
};

test.each(Object.keys(leavings))(
  'a client that %s while its backend logs in leaves nothing behind',
  async (leaving) => {
    await whileLoggingIn(async (socket, own, open) => {
      leavings[leaving]!(socket);
      // So that it has been noticed, or not, by the time that the session begins.
      for (let turns = 0; turns < 50; turns += 1) await turn();
      open();
      await until(async () => (await sessionsOf(own, 'process')).length === 1, 200);
      await until(async () => (await backends()) === 0, 3000);
      await acknowledged(own);
      const sessions = await sessionsOf(own, 'process');
      expect(sessions.filter(({ closed }) => closed === undefined)).toEqual([]);
    });
  },
);

test('a session that cannot be recorded from its beginning leaves no backend connection', async () => {
  await whileLoggingIn(async (socket, own, open) => {
    own.standalone.recorder.openSession = () => {
      throw new Error('no record');
    };
    open();
    socket.resume();
    await once(socket, 'close');
  });
});

interface Connection {
  readonly local: number;
  readonly peer: number;
  /** Seconds until the kernel probes an idle peer; undefined where it does not. */
  readonly keepalive?: number;
}

/** The shortest of those that match, of proc(5)'s table of TCP connections. */
function probeAfter(matches: (one: Connection) => boolean): number | undefined {
  const port = (address: string): number => Number.parseInt(address.split(':')[1]!, 16);
  const found = readFileSync('/proc/net/tcp', 'utf8')
    .split('\n')
    .slice(1, -1)
    .map((line): Connection => {
      const [, local, peer, , , timer] = line.trim().split(/\s+/);
      const [active, when] = timer!.split(':');
      return {
        local: port(local!),
        peer: port(peer!),
        // In ticks of a hundredth of a second; 02 is the timer of keepalive.
        ...(active === '02' && { keepalive: Number.parseInt(when!, 16) / 100 }),
      };
    })
    .filter(matches)
    .flatMap(({ keepalive }) => keepalive ?? []);
  return found.length === 0 ? undefined : Math.min(...found);
}
