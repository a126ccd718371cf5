/** What a load counted, held against the database and the record. */
import { waitFor } from '../node/wait-for.ts';
import { askDatabase, type Database } from '../support/database.ts';
import { recordedViews, recordIntegrity } from '../support/record.ts';
import { noLoss, ofAnswers, ofDatabase, ofRecord, type SidecarLoss } from './contradictions.ts';
import type { Load } from './load.ts';
import { RecordedLoad } from './recorded-load.ts';
import type { Tally } from './tally.ts';

export interface AccountOptions {
  readonly load: Load;
  readonly tally: Tally;
  readonly database: Database;
  /** `namespace/name` of the load's MachineIdentity. */
  readonly identity: string;
  /** Default: none. */
  readonly loss?: SidecarLoss;
}

export interface Account {
  /** Figures to print, by name. */
  readonly figures: Readonly<Record<string, number>>;
  /** Each a sentence; none when tally, database and record say the same. */
  readonly contradictions: readonly string[];
}

/** Compares, as soon as the record holds what the tally says; what does not come in time is a contradiction. */
export async function takeAccount(options: AccountOptions): Promise<Account> {
  const { load, tally, database, loss = noLoss } = options;
  let record = await readRecord(options);
  const whole = async (): Promise<boolean> => {
    record = await readRecord(options);
    return ofRecord(tally, record, new Map(), loss).length === 0;
  };
  await waitFor(whole, { timeoutMs: 90_000, intervalMs: 1000 }).catch(() => {}); // told below
  const inserted = await insertedRows(database, load);
  const broken = tally.with('Broken');
  return {
    figures: {
      done: tally.with('Done').length,
      refused: tally.with('Refused').length,
      broken: broken.length,
      'broken, yet inserted': broken.filter(({ number }) => inserted.has(number)).length,
      inserted: inserted.size,
      'connections failed': tally.connections.filter(({ connection }) => connection === 'Failed')
        .length,
      sessions: record.sessions.size,
      'without end': record.unclosed.length,
      events: record.events.length,
      'longest silence, ms': longestSilenceMs(tally),
    },
    contradictions: [
      ...ofAnswers(tally),
      ...ofDatabase(tally, inserted, await traces(database)),
      ...ofRecord(tally, record, inserted, loss),
      ...(await ofIntegrity()),
    ],
  };
}

async function readRecord({ load, identity }: AccountOptions): Promise<RecordedLoad> {
  const from = new Date(load.startedAt).toISOString();
  return new RecordedLoad(await recordedViews({ identity, from, order: 'oldest' }));
}

/** When each row was inserted by the database's clock, which is the machine's: microseconds of the epoch. */
async function insertedRows(
  database: Database,
  { first }: Load,
): Promise<ReadonlyMap<number, number>> {
  const us = 'floor(extract(epoch FROM placed_at) * 1000000)';
  const range = `id >= ${first} AND id < ${first + 1_000_000}`;
  const text = await askDatabase(database, `SELECT id, ${us} FROM orders WHERE ${range}`);
  const rows = text.split('\n').filter((line) => line !== '');
  return new Map(rows.map((line) => line.split('|').map(Number) as [number, number]));
}

/** What refused writes left in the database. */
async function traces(database: Database): Promise<readonly string[]> {
  const text = await askDatabase(database, "SELECT notes FROM customers WHERE notes ~ '^s[0-9]+$'");
  return text.split('\n').filter((line) => line !== '');
}

/** The collector itself misses nothing, of whatever source. */
async function ofIntegrity(): Promise<string[]> {
  const complete = async () => {
    const { sources, alerts } = await recordIntegrity();
    return sources.every(({ missing }) => missing.length === 0) && alerts.length === 0;
  };
  await waitFor(complete, { intervalMs: 1000 }).catch(() => {}); // told below
  const { sources, alerts } = await recordIntegrity();
  return [
    ...sources.flatMap(({ source, missing }) =>
      missing.map((gap) => `of ${source} is missing ${JSON.stringify(gap)}`),
    ),
    ...alerts.map((alert) => `the collector alerts ${JSON.stringify(alert)}`),
  ];
}

/** The longest time for which one worker had no answer. */
function longestSilenceMs({ statements }: Tally): number {
  const last = new Map<string, number>();
  let longest = 0;
  for (const { worker, at, outcome } of statements) {
    if (outcome === 'Broken') continue;
    longest = Math.max(longest, at - (last.get(worker) ?? at));
    last.set(worker, at);
  }
  return longest;
}
