/**
 * The masking oracle. Two worlds differ only in what is protected; random conversations are held with both, through
 * the product, and everything that reaches the client has to be the same: whatever differs tells of a
 * protected value. No byte that reaches the client, the log, the record or the metrics holds a part of one.
 *
 * `CHAPERONE_RUNS` says how many conversations, `CHAPERONE_SEED` with which the first begins.
 */
import { randomInt } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { installedVersions } from '../support/postgres.ts';
import { foundStatements } from './masking-found.ts';
import { MaskingLab, type Outcome } from './masking-lab.ts';
import { conversation, conversationOf, detectorConversations } from './masking-statements.ts';
import { shapes } from './masking-worlds.ts';

const usualRuns = 100;
const runs = Number(process.env['CHAPERONE_RUNS'] ?? usualRuns);
const firstSeed = Number(process.env['CHAPERONE_SEED'] ?? randomInt(1_000_000_000));

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let lab: MaskingLab;
  beforeAll(async () => {
    lab = await MaskingLab.start(version);
  }, 120_000);
  afterAll(() => lab?.stop());

  test('worlds that differ in protected values alone answer the same', async () => {
    expect(lab.pairs.size).toBeGreaterThan(100);
    const outcomes: Outcome[] = [];
    const withParameters: Outcome[] = [];
    const failures: string[] = [];
    for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
      const held = conversation(seed, version);
      const outcome = await lab.judge(held);
      outcomes.push(outcome);
      if (held.shape.includes('parameters')) withParameters.push(outcome);
      failures.push(...outcome.findings.map((found) => `seed ${seed}: ${found}`));
    }
    const tallies = { all: tally(outcomes), 'with parameters': tally(withParameters) };
    console.log(`PostgreSQL ${version}, seeds from ${firstSeed}`, tallies);
    expect(failures).toEqual([]);
  }, 3_600_000);

  test('statements that told of protected values once do so no more', async () => {
    const failures: string[] = [];
    for (const [index, texts] of foundStatements.entries()) {
      // Both formats of all of them take longer than a usual run has.
      const formats = runs > usualRuns ? [false, true] : [index % 2 === 0];
      for (const binary of formats) {
        const { findings } = await lab.judge(conversationOf(texts, binary));
        failures.push(...findings);
      }
    }
    expect(failures).toEqual([]);
  }, 600_000);

  test('what a detector looks for is found in texts and documents said in other words', async () => {
    const failures: string[] = [];
    let delivered = 0;
    for (let turn = 0; turn < (runs > usualRuns ? 28 : 1); turn += 1) {
      for (const one of detectorConversations(turn + firstSeed)) {
        const outcome = await lab.judge(one);
        if (outcome.delivered) delivered += 1;
        failures.push(...outcome.findings);
      }
    }
    expect(failures).toEqual([]);
    expect(delivered).toBeGreaterThan(20);
  }, 600_000);

  test('files, log, metrics and the record hold nothing of a protected value', async () => {
    const written = await lab.written(runs > usualRuns);
    const spooled = written.filter(([where]) => /spool.*\.seg$/.test(where));
    // Else it is somewhere else, and nothing was looked at.
    expect(Buffer.concat(spooled.map(([, bytes]) => bytes)).length).toBeGreaterThan(100_000);
    const failures = written.flatMap(([where, bytes]) =>
      lab.canaries.find(bytes).map((found) => `${where}: ${found}`),
    );
    expect(failures).toEqual([]);
  }, 600_000);

  test('the oracle itself sees what PostgreSQL tells without the product', async () => {
    const told: Record<string, number> = {};
    for (const [name, sql] of Object.entries(revealing)) {
      for (const binary of [false, true]) {
        const { findings } = await lab.judge(conversationOf([sql], binary), true);
        told[name] = Math.min(told[name] ?? 1, findings.length);
      }
    }
    expect(Object.entries(told).filter(([, count]) => count === 0)).toEqual([]);
  });
});

/** A way of telling each; without the product each has to be found, in both formats. */
const revealing: Readonly<Record<string, string>> = {
  ...Object.fromEntries(
    Object.keys(shapes).map((column) => [column, `SELECT ${column} FROM vault`]),
  ),
  'in upper case': 'SELECT upper(t) FROM archive',
  'in lower case': 'SELECT lower(t) FROM archive',
  backwards: 'SELECT reverse(t) FROM archive',
  'in part': 'SELECT substr(t, 4, 8) FROM archive',
  'in hexadecimal': `SELECT encode(t::bytea, 'hex') FROM archive`,
  'in base64': `SELECT encode(('x' || t)::bytea, 'base64') FROM archive`,
  'with separators': `SELECT regexp_replace(t, '(.)', '\\1-', 'g') FROM archive`,
  'in a wider encoding': `SELECT string_agg(('\\x00' || encode(ch::bytea, 'hex'))::bytea, '') FROM archive, string_to_table(t, NULL) ch`,
  hashed: 'SELECT md5(t) FROM archive',
  'hashed to bytes': 'SELECT sha256(t::bytea) FROM archive',
  counted: `SELECT count(*) FROM vault WHERE t > 'M'`,
  'by the order of rows': 'SELECT id FROM archive ORDER BY t',
  'by an error': 'SELECT t::int FROM archive',
  'by which error': `SELECT 1 / (CASE WHEN t > 'M' THEN 0 ELSE 1 END) FROM vault WHERE id = 2`,
};

function tally(outcomes: readonly Outcome[]): Record<string, number> {
  const count = (test: (outcome: Outcome) => boolean) => outcomes.filter(test).length;
  return {
    generated: outcomes.length,
    'taken by PostgreSQL': count(({ valid }) => valid),
    'telling of protected values': count(({ telling }) => telling),
    'telling, refused': count(({ telling, refused }) => telling && refused),
    'telling, delivered masked': count(
      ({ telling, refused, delivered }) => telling && !refused && delivered,
    ),
    'telling, no rows': count(
      ({ telling, refused, delivered }) => telling && !refused && !delivered,
    ),
    'telling nothing, refused': count(
      ({ telling, valid, refused }) => valid && !telling && refused,
    ),
    'telling nothing, passed': count(
      ({ telling, valid, refused }) => valid && !telling && !refused,
    ),
    'in another order': count(({ reordered }) => reordered),
  };
}
