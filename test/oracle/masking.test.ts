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
import { conversation, conversationOf } from './masking-statements.ts';

const runs = Number(process.env['CHAPERONE_RUNS'] ?? 250);
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
    const failures: string[] = [];
    for (let seed = firstSeed; seed < firstSeed + runs; seed += 1) {
      const outcome = await lab.judge(conversation(seed, version));
      outcomes.push(outcome);
      failures.push(...outcome.findings.map((found) => `seed ${seed}: ${found}`));
    }
    console.log(`PostgreSQL ${version}, seeds from ${firstSeed}`, tally(outcomes));
    expect(failures).toEqual([]);
  }, 3_600_000);

  test('statements that told of protected values once do so no more', async () => {
    const failures: string[] = [];
    for (const texts of foundStatements) {
      for (const binary of [false, true]) {
        const { findings } = await lab.judge(conversationOf(texts, binary));
        failures.push(...findings);
      }
    }
    expect(failures).toEqual([]);
  }, 600_000);
});

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
