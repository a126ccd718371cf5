/** The proxy, killed at every step of a statement and at any moment of a load, at each durability. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ChildChaperone } from '../support/child-chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';
import { type Protocol, type Sent, send } from './support/sender.ts';
import type { Stage, Stop } from './support/stage.ts';
import { type Level, levels, namedInsert, Tally } from './support/tally.ts';
import { startTallyLab } from './support/tally-lab.ts';

let postgres: TestPostgres;
let stage: Stage;
let chaperone: ChildChaperone;

beforeAll(async () => {
  const lab = await startTallyLab();
  ({ postgres, stage } = lab);
  chaperone = await ChildChaperone.start(lab.proxy);
}, 120_000);

afterAll(async () => {
  await chaperone?.stop();
  stage?.close();
  await postgres?.stop();
});

async function client(level: Level): Promise<RawClient> {
  return RawClient.login(await chaperone.connection('tally', level.toLowerCase()));
}

const hold = 'hold' as const;
const steps: readonly (readonly [string, Protocol, Stop])[] = [
  ['before Query is forwarded', 'simple', { before: 'Q', act: hold }],
  ['in the middle of Query', 'simple', { sent: 20, act: hold }],
  ['run, and nothing answered', 'simple', { answered: 0, act: hold }],
  ['in the middle of its rows', 'simple', { answered: 40, act: hold }],
  ['before ReadyForQuery', 'simple', { answered: -6, act: hold }],
  ['all is answered', 'simple', { answered: 1_000_000, act: hold }],
  ['before Parse is forwarded', 'extended', { before: 'P', act: hold }],
  ['Parse is there, Bind is not', 'extended', { before: 'B', act: hold }],
  ['Bind is there, Execute is not', 'extended', { before: 'E', act: hold }],
  ['Execute is there, Sync is not', 'extended', { before: 'S', act: hold }],
  ['run, and nothing answered', 'extended', { answered: 0, act: hold }],
  ['in the middle of its rows', 'extended', { answered: 25, act: hold }],
  ['before ReadyForQuery', 'extended', { answered: -6, act: hold }],
  ['all is answered', 'extended', { answered: 1_000_000, act: hold }],
];

test('killed -9 at every step of a statement', async () => {
  const tallies = new Map(levels.map((level) => [level, new Tally(postgres, chaperone.directory)]));
  const beliefs: { level: Level; id: string; sent: Promise<Sent> }[] = [];
  for (const level of levels) {
    await Promise.all(
      steps.map(async ([, protocol, stop]) => {
        const one = await client(level);
        const { id, sql } = namedInsert();
        stage.stops.set(id, stop);
        beliefs.push({ level, id, sent: send(one, sql, protocol) });
        await stage.reached(id);
      }),
    );
  }
  await chaperone.kill();
  for (const { level, id, sent } of beliefs) tallies.get(level)!.say(id, (await sent).belief);
  await chaperone.restart();
  for (const [level, tally] of tallies) {
    const row = await tally.settle('killed -9 at every step of a statement', level);
    // Where the answer was under way the statement had run.
    expect(row.database).toBe(`8 of ${steps.length}`);
  }
}, 120_000);

const rounds = Number(process.env['CHAPERONE_FAULT_ROUNDS'] ?? 1);

test(
  'killed -9 at any moment of a load',
  async () => {
    for (let round = 0; round < rounds; round += 1) {
      const tallies = new Map(
        levels.map((level) => [level, new Tally(postgres, chaperone.directory)]),
      );
      const killAt = 60 + Math.floor(Math.random() * 200);
      const enough = Promise.withResolvers<void>();
      let answered = 0;
      const loads = [...levels, ...levels].map(async (level, index) => {
        const one = await client(level);
        for (;;) {
          const { id, sql } = namedInsert();
          const { belief } = await send(one, sql, index < levels.length ? 'simple' : 'extended');
          tallies.get(level)!.say(id, belief);
          if (belief === 'Lost') return;
          if ((answered += 1) === killAt) enough.resolve();
        }
      });
      await enough.promise;
      await chaperone.kill();
      await Promise.all(loads);
      await chaperone.restart();
      for (const [level, tally] of tallies) await tally.settle('killed -9 under load', level);
    }
  },
  120_000 + rounds * 60_000,
);
