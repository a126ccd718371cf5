/** The connection to the server, reset at every offset of what is sent and answered, and of the login. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { TestChaperone } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';
import { acknowledged } from '../support/record.ts';
import { type Protocol, send } from './support/sender.ts';
import type { Stage, Stop } from './support/stage.ts';
import { type Level, levels, namedInsert, Tally } from './support/tally.ts';
import { startTallyLab } from './support/tally-lab.ts';

let postgres: TestPostgres;
let stage: Stage;
let chaperone: TestChaperone;

beforeAll(async () => {
  const lab = await startTallyLab();
  ({ postgres, stage } = lab);
  chaperone = await TestChaperone.start(lab.proxy);
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  stage?.close();
  await postgres?.stop();
});

/** Every so many bytes; 1 is each of them. */
const stride = Number(process.env['CHAPERONE_FAULT_STRIDE'] ?? 4);

const offsets = (from: number, to: number): number[] =>
  Array.from({ length: Math.ceil((to - from) / stride) }, (_, index) => from + index * stride);

const cases: readonly (readonly [Protocol, Stop])[] = [
  ...offsets(0, 100).map((sent) => ['simple', { sent, act: 'reset' }] as const),
  ...offsets(0, 130).map((answered) => ['simple', { answered, act: 'reset' }] as const),
  ...offsets(0, 200).map((sent) => ['extended', { sent, act: 'reset' }] as const),
  ...offsets(0, 80).map((answered) => ['extended', { answered, act: 'reset' }] as const),
  ...(['P', 'B', 'E', 'S'] as const).map(
    (before) => ['extended', { before, act: 'reset' }] as const,
  ),
];
const atOnce = 12;

test.each(levels)(
  'reset at every step of a statement, durability %s',
  async (level: Level) => {
    const tally = new Tally(postgres, chaperone.directory);
    // Other offsets at each durability, so that together they are closer.
    const mine = cases.filter((_, index) => index % levels.length === levels.indexOf(level));
    for (let at = 0; at < mine.length; at += atOnce) {
      await Promise.all(
        mine.slice(at, at + atOnce).map(async ([protocol, stop]) => {
          const client = await RawClient.login(
            await chaperone.connection('tally', level.toLowerCase()),
          );
          const { id, sql } = namedInsert();
          stage.stops.set(id, stop);
          tally.say(id, (await send(client, sql, protocol)).belief);
          client.socket.destroy();
        }),
      );
    }
    // What was cut off to the server may still run there.
    while ((await backends()) > 0);
    await acknowledged(chaperone);
    await tally.settle('server connection reset at every step', level);
  },
  60_000,
);

async function backends(): Promise<number> {
  const { rows } = await postgres.query<{ n: number }>(
    "SELECT count(*)::int AS n FROM pg_stat_activity WHERE datname = 'tally' AND pid <> pg_backend_pid()",
    [],
    'tally',
  );
  return rows[0]!.n;
}

test('reset at every step of the login: the client is told, and nothing is left', async () => {
  const outcomes: string[] = [];
  for (let bytes = 0; bytes < 560; bytes += 10 * stride) {
    stage.loginBytes = bytes;
    const connection = await chaperone.connection('tally', 'process');
    const failed = await RawClient.login(connection).then(
      (client) => {
        client.socket.destroy();
        return 'logged in';
      },
      (error: Error) => error.message,
    );
    outcomes.push(failed);
    // In the protocol's words, not by a connection that ends.
    expect(failed).toMatch(/^logged in$|CHP-5\d{3}/);
  }
  stage.loginBytes = Number.POSITIVE_INFINITY;
  expect(outcomes.filter((one) => one !== 'logged in').length).toBeGreaterThan(5);
  const client = await RawClient.login(await chaperone.connection('tally', 'process'));
  const tally = new Tally(postgres, chaperone.directory);
  const { id, sql } = namedInsert();
  tally.say(id, (await send(client, sql, 'simple')).belief);
  client.end();
  await acknowledged(chaperone);
  await tally.settle('server connection reset at every step of the login', 'Process');
}, 60_000);
