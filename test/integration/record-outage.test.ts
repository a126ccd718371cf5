/** No record, no access: the collector away, the spool full, the program killed. Tallied each time. */
import { setImmediate as turn } from 'node:timers/promises';
import type { EventView } from '@chaperone/collector/query/render.ts';
import type { ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import pg from 'pg';
import { policy, type Resource, TestChaperone } from '../support/chaperone.ts';
import { ChildChaperone } from '../support/child-chaperone.ts';
import { startPostgres, type TestPostgres } from '../support/postgres.ts';
import { eventsOf, withRecord } from '../support/record.ts';

const mebibyte = 1024 * 1024;

const rule: Resource = {
  name: 'all',
  action: 'Allow',
  classes: ['Read', 'Write'],
  resources: ['tally.public.**'],
};

let postgres: TestPostgres;

beforeAll(async () => {
  postgres = await startPostgres({ version: 18 });
  await postgres.query('CREATE DATABASE tally');
  await postgres.query('CREATE TABLE done (client text, n int)', [], 'tally');
});
afterAll(() => postgres?.stop());

/** Statements by verdict, each by its own number within its session. */
function tally(events: readonly EventView[]): {
  readonly allowed: number;
  readonly denied: number;
} {
  const seqs = new Set(events.map(({ event }) => `${event.session} ${event.seq}`));
  expect(seqs.size).toBe(events.length);
  const count = (verdict: string) => events.filter(({ event }) => event.verdict === verdict).length;
  return { allowed: count('Allow'), denied: count('Deny') };
}

test('collector away: the spool holds, then statements are refused; back: all of it, once', async () => {
  const chaperone = await TestChaperone.start({
    postgres,
    resources: [policy('p', [rule])],
    spoolMaxBytes: 16 * mebibyte,
  });
  try {
    // The collector's own end of the way there, so that what it answers is all that changes.
    const transport = chaperone.standalone.collector.transport as {
      -readonly [Key in keyof ShipTransport]: ShipTransport[Key];
    };
    const { ship, putRecording } = transport;
    transport.ship = async () => {
      throw new Error('the collector is away');
    };
    transport.putRecording = transport.ship as never;

    const client = await chaperone.connect('tally');
    // What is recorded of it fills a spool: a statement's text, without its literals.
    const long = `INSERT INTO done SELECT 'long', n FROM (VALUES ${Array.from({ length: 20_000 }, () => '(1)').join(',')}) AS v (n) WHERE n < 0`;
    let allowed = 0;
    let refusal: { code: string; message: string } | undefined;
    while (refusal === undefined) {
      await client.query(long).then(
        () => {
          allowed += 1;
        },
        (error) => {
          refusal = error;
        },
      );
    }
    expect(refusal).toMatchObject({ code: '53000', message: expect.stringContaining('CHP-4') });
    // The connection is usable, and what is refused does not happen.
    await expect(client.query("INSERT INTO done VALUES ('refused', 1)")).rejects.toMatchObject({
      code: '53000',
    });
    const { rows } = await postgres.query(
      "SELECT 1 FROM done WHERE client = 'refused'",
      [],
      'tally',
    );
    expect(rows).toEqual([]);

    transport.ship = ship;
    transport.putRecording = putRecording;
    for (;;) {
      const code = await client.query('SELECT 1').then(
        () => 'allowed',
        (error) => error.code,
      );
      if (code === 'allowed') break;
      expect(code).toBe('53000');
      await turn();
    }
    allowed += 1;
    await client.end();
    const events = await eventsOf(chaperone, { type: 'OperationDecided' });
    expect(tally(events).allowed).toBe(allowed);
  } finally {
    await chaperone.stop();
  }
});

test('killed in the middle of a load: what the database did is in the record', async () => {
  const chaperone = await ChildChaperone.start({ postgres, resources: [policy('p', [rule])] });
  try {
    const connection = await chaperone.connection('tally');
    const clients = await Promise.all(
      Array.from({ length: 8 }, async (_, n) => {
        const client = new pg.Client({ ...connection, application_name: `load-${n}` });
        client.on('error', () => {});
        await client.connect();
        return client;
      }),
    );
    let inserted = 0;
    const { promise: enough, resolve: reached } = Promise.withResolvers<void>();
    const loads = clients.map(async (client, c) => {
      for (let n = 0; ; n += 1) {
        try {
          await client.query('INSERT INTO done VALUES ($1, $2)', [`load-${c}`, n]);
        } catch {
          return n; // at most one more than this was sent
        }
        inserted += 1;
        if (inserted === 400) reached();
      }
    });
    await enough;
    await chaperone.kill();
    const answered = await Promise.all(loads);

    await chaperone.restart();
    const { rows } = await postgres.query(
      "SELECT client, count(*)::int AS n FROM done WHERE client LIKE 'load-%' GROUP BY client",
      [],
      'tally',
    );
    expect(rows).toHaveLength(8);
    await withRecord(chaperone.directory, async (record) => {
      // What was in the spool is taken up at the start; the last of it may be under way.
      for (const { client, n } of rows) {
        const at = Number(client.slice('load-'.length));
        expect(n).toBeGreaterThanOrEqual(answered[at]!);
        for (;;) {
          const recorded = await insertsOf(client);
          expect(recorded).toBeLessThanOrEqual(answered[at]! + 1);
          if (recorded >= n) break;
        }
      }

      async function insertsOf(client: string): Promise<number> {
        for await (const { event } of record.events({ type: 'SessionOpened' }, 1000)) {
          if (event.client !== client) continue;
          const events: EventView[] = [];
          const question = { session: String(event.session), verb: 'Insert' };
          for await (const found of record.events(question, 100_000)) events.push(found);
          return tally(events).allowed;
        }
        return 0;
      }
    });
  } finally {
    await chaperone.stop();
  }
});
