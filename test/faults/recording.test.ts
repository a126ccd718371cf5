/** Disks that are full or fail, a collector that is away or slow, clocks that are set: under load. */
import { setImmediate as turn } from 'node:timers/promises';
import { type Clock, systemClock } from '@chaperone/runtime/clock.ts';
import { nodeSpoolFiles, type SpoolFiles } from '@chaperone/runtime/recorder/spool-files.ts';
import type { ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { identity, TestChaperone } from '../support/chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';
import { acknowledged, eventsOf } from '../support/record.ts';
import { send } from './support/sender.ts';
import {
  type Belief,
  type Level,
  levelPolicies,
  levels,
  namedInsert,
  Tally,
} from './support/tally.ts';

type Writable<Type> = { -readonly [Key in keyof Type]: Type[Key] };

let postgres: TestPostgres;
let chaperone: TestChaperone;
/** Added to the wall clock. */
let offsetMs = 0;

const system = systemClock();
const clock: Clock = {
  ...system,
  nowMs: () => system.nowMs() + offsetMs,
  nowUs: () => system.nowUs() + offsetMs * 1000,
};

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE tally');
  await postgres.query('CREATE TABLE done (id text)', [], 'tally');
  chaperone = await TestChaperone.start({
    postgres,
    clock,
    resources: [...levelPolicies, ...levels.map((level) => identity(level.toLowerCase()))],
  });
}, 60_000);

afterAll(async () => {
  await chaperone?.stop();
  await postgres?.stop();
});

const files = nodeSpoolFiles as Writable<SpoolFiles>;
const { write, datasync } = files;
afterEach(() => {
  files.write = write;
  files.datasync = datasync;
  offsetMs = 0;
});

const connect = async (level: Level): Promise<RawClient> =>
  RawClient.login(await chaperone.connection('tally', level.toLowerCase()));

const connections = 4;

/** Statements over several connections while `during` does what it does; what the clients believed, by word. */
async function load(
  tally: Tally,
  level: Level,
  during: (answered: () => number) => Promise<void>,
): Promise<Record<Belief, number>> {
  const beliefs: Record<Belief, number> = { Ok: 0, Refused: 0, Lost: 0 };
  let over = false;
  const loads = Array.from({ length: connections }, async (_, index) => {
    let client = await connect(level);
    while (!over) {
      const { id, sql } = namedInsert();
      const { belief, usable } = await send(client, sql, index % 2 === 0 ? 'simple' : 'extended');
      tally.say(id, belief);
      beliefs[belief] += 1;
      if (!usable) client = await connect(level);
    }
    client.end();
  });
  const answered = (): number => beliefs.Ok + beliefs.Refused + beliefs.Lost;
  await during(answered);
  over = true;
  await Promise.all(loads);
  return beliefs;
}

const noSpace = (): never => {
  throw Object.assign(new Error('ENOSPC: no space left on device'), { code: 'ENOSPC' });
};

/** What the recorder said of its own spool: bytes that nobody wrote, or that it could not read back. */
async function damages(): Promise<unknown[]> {
  const events = await eventsOf(chaperone);
  return events.flatMap(({ event }) =>
    event.type === 'SpoolState' || event.type === 'RecordGap' ? [event] : [],
  );
}

/** Until so many more statements were answered. */
async function more(answered: () => number, statements: number): Promise<void> {
  const until = answered() + statements;
  while (answered() < until) await turn();
}

describe.each(levels)('durability %s', (level: Level) => {
  test('a disk that is full, and has space again', async () => {
    const tally = new Tally(postgres, chaperone.directory);
    const beliefs = await load(tally, level, async (answered) => {
      await more(answered, 20);
      let left = 3;
      files.write = (fd, bytes, offset, length, position) => {
        // A last write that fits in part, as on a disk that fills.
        if (left > 0) {
          left -= 1;
          return write(fd, bytes, offset, Math.max(1, length >> 1), position);
        }
        return noSpace();
      };
      await more(answered, 60);
      files.write = write;
      await more(answered, 60);
    });
    expect(beliefs.Refused).toBeGreaterThan(20);
    expect(beliefs.Ok).toBeGreaterThan(20);
    await acknowledged(chaperone);
    expect(await damages()).toEqual([]);
    // Of those under load nobody knows which found the disk full first: one alone, which is the first.
    const client = await connect(level);
    await acknowledged(chaperone);
    files.write = noSpace;
    const { id, sql } = namedInsert();
    const { belief } = await send(client, sql, 'simple');
    expect(belief).toBe('Refused');
    tally.say(id, belief);
    files.write = write;
    client.end();
    await acknowledged(chaperone);
    await tally.settle('disk full under load', level);
  }, 60_000);

  test('a disk that does not sync', async () => {
    const tally = new Tally(postgres, chaperone.directory);
    const beliefs = await load(tally, level, async (answered) => {
      await more(answered, 20);
      files.datasync = (_fd, callback) =>
        void setImmediate(() => callback(Object.assign(new Error('EIO'), { code: 'EIO' })));
      await more(answered, 40);
      files.datasync = datasync;
      await more(answered, 20);
    });
    // Only who asked for it is refused by it.
    if (level === 'Disk') expect(beliefs.Refused).toBeGreaterThan(0);
    await acknowledged(chaperone);
    await tally.settle('disk that does not sync', level);
  }, 60_000);

  test('a collector that is away, then slow, then back', async () => {
    const transport = chaperone.standalone.collector.transport as Writable<ShipTransport>;
    const { ship } = transport;
    const tally = new Tally(postgres, chaperone.directory);
    const waits = level === 'Collector';
    try {
      await load(tally, level, async (answered) => {
        await more(answered, 20);
        transport.ship = async () => {
          throw new Error('the collector is away');
        };
        const before = answered();
        if (waits) {
          // While others have theirs answered.
          for (let others = 0; others < 50; others += 1) await postgres.query('SELECT 1');
          // What was being acknowledged, one of each connection.
          expect(answered() - before).toBeLessThanOrEqual(connections);
        } else await more(answered, 100);
        transport.ship = async (...batch) => {
          for (let turns = 0; turns < 50; turns += 1) await turn();
          return ship.apply(transport, batch);
        };
        await more(answered, 40);
        transport.ship = ship;
        await more(answered, 40);
      });
    } finally {
      transport.ship = ship;
    }
    await acknowledged(chaperone);
    await tally.settle('collector away and slow under load', level);
  }, 60_000);

  test('a clock that is set forward and back', async () => {
    const tally = new Tally(postgres, chaperone.directory);
    const beliefs = await load(tally, level, async (answered) => {
      for (const step of [1, 3_600_000, -3_600_000, 86_400_000 * 400, 0, -86_400_000 * 400, 0]) {
        offsetMs = step;
        await more(answered, 15);
      }
    });
    expect(beliefs).toEqual({ Ok: expect.any(Number), Refused: 0, Lost: 0 });
    await acknowledged(chaperone);
    await tally.settle('clock set forward and back', level);
  }, 60_000);
});
