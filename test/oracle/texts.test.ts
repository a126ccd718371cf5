/**
 * The differential oracle of texts: what each statement of a text really does, and the catalog that it leaves, against
 * what the analyzer makes of the whole text. CHAPERONE_RUNS and CHAPERONE_SEED as in operations.test.ts.
 */
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { installedVersions } from '../support/postgres.ts';
import { randomText } from './random-texts.ts';
import { Scratch } from './scratch.ts';
import { spoiltTexts } from './spoilt.ts';
import { texts } from './texts.ts';
import { type TextOutcome, tryText } from './texts-tried.ts';

const runs =
  process.env.CHAPERONE_RUNS === undefined ? undefined : Number(process.env.CHAPERONE_RUNS);
const firstSeed = Number(process.env.CHAPERONE_SEED ?? (Date.now() % 1_000_000) * 1000);
/** How long random texts take without CHAPERONE_RUNS, a server. */
const boxMs = 3_000;
const timeoutMs = 240_000 + (runs ?? 0) * 500;

/** Fails with what was missed. */
function expectCovered(what: string, { verdicts, differences }: TextOutcome): void {
  for (const [index, verdict] of verdicts.entries()) {
    if (verdict.kind === 'Missed') {
      throw new Error(
        `${what}\nstatement ${index + 1} did what no operation says: ${verdict.missed.join(', ')}`,
      );
    }
  }
  if (differences.length > 0)
    throw new Error(`${what}\nleaves another catalog: ${differences.join('; ')}`);
}

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let scratch: Scratch;
  beforeAll(async () => {
    await loadParser();
    // With event triggers nothing that a text makes is followed.
    scratch = await Scratch.start(version, 'DROP EVENT TRIGGER quiet;');
  }, timeoutMs);
  afterAll(async () => {
    await scratch.stop();
  }, timeoutMs);

  test.each(texts.map((text) => [text.statements.join('; '), text] as const))(
    '%s',
    async (sql, { statements, path, hasUnknown }) => {
      const outcome = await tryText(scratch, statements, path === undefined ? {} : { path });
      expectCovered(sql, outcome);
      expect(outcome.whole).toBe(true);
      const reasons = outcome.verdicts.flatMap((verdict) =>
        verdict.kind === 'Unknown' ? [verdict.reason] : [],
      );
      if (hasUnknown) expect(reasons).not.toEqual([]);
      else expect(reasons).toEqual([]);
    },
    timeoutMs,
  );

  test(
    'at random',
    async () => {
      const end = Date.now() + boxMs;
      let tried = 0;
      let statements = 0;
      let understood = 0;
      for (; runs === undefined ? Date.now() < end : tried < runs; tried += 1) {
        const seed = firstSeed + tried;
        const { statements: made, path } = randomText(seed);
        const outcome = await tryText(scratch, made, { path, omitsFailing: true });
        const what = `CHAPERONE_SEED=${seed}, search_path ${path}: ${outcome.taken.join('; ')}`;
        expectCovered(what, outcome);
        statements += outcome.verdicts.length;
        understood += outcome.verdicts.filter(({ kind }) => kind === 'Covered').length;
      }
      if (runs !== undefined) {
        process.stdout.write(
          `PostgreSQL ${version}: ${tried} texts, ${statements} statements taken, ${understood} understood\n`,
        );
      }
      // Else the generator has gone astray, and nothing is tested.
      expect(statements).toBeGreaterThan(tried);
      expect(understood).toBeGreaterThan(statements / 4);
    },
    timeoutMs,
  );

  test.each(spoiltTexts)('an analysis without %s is noticed', async (_what, statements, spoil) => {
    const missed = ({ verdicts }: TextOutcome): boolean =>
      verdicts.some(({ kind }) => kind === 'Missed');
    expect(missed(await tryText(scratch, statements))).toBe(false);
    expect(missed(await tryText(scratch, statements, { spoil }))).toBe(true);
  });
});
