/** Reading into one buffer over and over: bytes that have not left yet are never overwritten. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { connect, createServer, type Socket } from 'node:net';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { readReusing } from '@chaperone/sidecar/protocols/postgres/read-reusing.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { policy, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';

let postgres: TestPostgres;
let chaperone: TestChaperone;

beforeAll(async () => {
  postgres = await startPostgres();
  await postgres.query('CREATE TABLE numbers (n int, filler text)');
  chaperone = await TestChaperone.start({
    postgres,
    resources: [
      policy('all', [
        {
          name: 'all',
          action: 'Allow',
          classes: ['Read', 'Write'],
          resources: ['postgres.public.numbers'],
        },
      ]),
    ],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

async function login(): Promise<RawClient> {
  return RawClient.login(await chaperone.connection('postgres'));
}

/** The first field of each DataRow. */
function firstFields(messages: readonly { type: string; body: Buffer }[]): string[] {
  return messages
    .filter(({ type }) => type === 'D')
    .map(({ body }) => body.toString('utf8', 6, 6 + body.readInt32BE(2)));
}

test('a pipeline of many reads, each waiting for its record, goes out as it came', async () => {
  const client = await login();
  const numbers = Array.from({ length: 3000 }, (_, n) => n);
  const answers = await client.exchange(
    Buffer.concat(numbers.map((n) => write.query(`SELECT ${n} AS n, 'padding of statement ${n}'`))),
    numbers.length,
  );
  expect(firstFields(answers)).toEqual(numbers.map(String));
  client.end();
});

test('data for a server that does not read yet arrives unchanged', async () => {
  await postgres.query(`
    CREATE FUNCTION wait_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN IF NEW.n = 0 THEN PERFORM pg_advisory_xact_lock(1); END IF; RETURN NEW; END $$;
    CREATE TRIGGER wait_once BEFORE INSERT ON numbers FOR EACH ROW EXECUTE FUNCTION wait_once();
    SELECT pg_advisory_lock(1)`);
  const client = await login();
  const rows = Array.from({ length: 60_000 }, (_, n) => `${n}\t${md5(n).repeat(6)}\n`);
  const copied = client.exchange(
    Buffer.concat([
      write.query('COPY numbers FROM STDIN'),
      ...rows.map((row) => copyData(row)),
      Buffer.from([0x63, 0, 0, 0, 4]),
    ]),
  );
  await backendWaits('COPY%', 'advisory');
  await postgres.query('SELECT pg_advisory_unlock(1)');
  await copied;
  const { rows: counted } = await postgres.query(
    `SELECT count(*)::int AS rows,
       count(*) FILTER (WHERE filler <> repeat(md5(n::text), 6))::int AS wrong FROM numbers`,
  );
  expect(counted).toEqual([{ rows: rows.length, wrong: 0 }]);
  client.end();
});

test('a result for a client that reads late arrives unchanged', async () => {
  const client = await login();
  client.socket.pause();
  // Each row takes the server a while, so that it comes by itself and is a small read.
  client.socket.write(
    write.query(`SELECT repeat(md5(n::text), 300), (SELECT sum(i * n) FROM generate_series(1, 1000) AS i)
      FROM generate_series(1, 2500) AS n`),
  );
  await backendWaits('SELECT repeat%', 'ClientWrite');
  client.socket.resume();
  const answers = await client.until(({ type }) => type === 'Z');
  const wrong = firstFields(answers).filter((field, at) => field !== md5(at + 1).repeat(300));
  expect(wrong).toEqual([]);
  expect(firstFields(answers)).toHaveLength(2500);
  client.end();
});

const md5 = (n: number): string => createHash('md5').update(String(n)).digest('hex');

function copyData(row: string): Buffer {
  const message = Buffer.alloc(5 + row.length);
  message.write('d');
  message.writeInt32BE(4 + row.length, 1);
  message.write(row, 5);
  return message;
}

/** Resolves when a backend that runs such a statement waits for that, and not only between two packets. */
async function backendWaits(query: string, event: string): Promise<void> {
  const text = 'SELECT 1 FROM pg_stat_activity WHERE query LIKE $1 AND wait_event = $2';
  for (let times = 0; times < 200; ) {
    times = (await postgres.query(text, [query, event])).rowCount === 0 ? 0 : times + 1;
  }
}

test('memory that is in use is not read into; memory that is free is', async () => {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const far = connect({ port: (server.address() as { port: number }).port });
  const [near] = (await once(server, 'connection')) as [Socket];
  near.pause();
  const chunks: Buffer[] = [];
  const arrived: (() => void)[] = [];
  /** Whether all is written when a chunk comes, and once it was taken. */
  let [before, after] = [false, false];
  let asked = 0;
  const { socket } = readReusing(
    near,
    { first: 1024, most: 2048 },
    (chunk) => {
      chunks.push(chunk);
      arrived.shift()?.();
    },
    () => (asked++ % 2 === 0 ? before : after),
  );
  socket.resume();
  const send = async (text: string): Promise<void> => {
    const next = new Promise<void>((resolve) => arrived.push(resolve));
    far.write(text);
    await next;
  };
  await send('one');
  await send('two');
  expect(chunks.map(String)).toEqual(['one', 'two']);
  after = true;
  await send('three');
  before = true;
  after = false;
  await send('four');
  expect(chunks.map(String)).toEqual(['one', 'two', 'foure', 'four']);
  // When it came nothing was in use; it is itself now: the buffer before it is taken again, and then none.
  before = false;
  await send('five');
  await send('six');
  expect(chunks.map(String)).toEqual(['one', 'fiv', 'foure', 'four', 'five', 'six']);

  after = true;
  // A read that fills the buffer makes the next one longer, up to the most that is allowed.
  far.write(Buffer.alloc(64 * 1024));
  const received = (): number => chunks.slice(6).reduce((sum, { length }) => sum + length, 0);
  while (received() < 64 * 1024) await new Promise<void>((resolve) => arrived.push(resolve));
  expect(Math.max(...chunks.map(({ length }) => length))).toBe(2048);
  far.destroy();
  socket.destroy();
  server.close();
});
