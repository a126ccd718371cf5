/**
 * The differential oracle of operations: what statements really do on a server against what the analyzer says of
 * them. CHAPERONE_RUNS sets how many random statements a server is given (default: as many as fit into some
 * seconds) and has the table printed; CHAPERONE_SEED the first of them, to see a failure again.
 */
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { installedVersions } from '../support/postgres.ts';
import { aloneOnCopy, inTransaction, neverTaken, noStatements, type Written } from './kinds.ts';
import { pastFailures } from './past-failures.ts';
import { StatementMaker } from './random-statements.ts';
import { type Outcome, Scratch } from './scratch.ts';
import { seedStatements } from './seeds.ts';
import { spoilt } from './spoilt.ts';
import { Tally } from './tally.ts';

const runs =
  process.env.CHAPERONE_RUNS === undefined ? undefined : Number(process.env.CHAPERONE_RUNS);
const firstSeed = Number(process.env.CHAPERONE_SEED ?? (Date.now() % 1_000_000) * 1000);
/** How long random statements take without CHAPERONE_RUNS, a server. */
const boxMs = 3_000;
const timeoutMs = 240_000 + (runs ?? 0) * 200;

/** The names of the grammar's statements, from the types that come with the parser. */
function grammarKinds(): string[] {
  const types = createRequire(import.meta.url).resolve('@pgsql/types/types.d.ts');
  const names = readFileSync(types, 'utf8').matchAll(/export interface (\w+Stmt)\b/g);
  return [...new Set([...names].map(([, name]) => name ?? ''))].filter(
    (name) => !noStatements.has(name),
  );
}

test('there are statements of every kind of the grammar', () => {
  const kinds = grammarKinds();
  expect(kinds.length).toBeGreaterThan(100);
  const written = new Set([...Object.keys(inTransaction), ...Object.keys(aloneOnCopy)]);
  expect(kinds.filter((kind) => !written.has(kind))).toEqual([]);
});

function firstOfEach(
  statements: Readonly<Record<string, readonly Written[]>>,
): Readonly<Record<string, readonly Written[]>> {
  return Object.fromEntries(
    Object.entries(statements).map(([kind, [first]]) => [kind, first === undefined ? [] : [first]]),
  );
}

/** Fails with what was missed. */
function expectCovered(text: string, outcome: Outcome): void {
  if (outcome?.verdict.kind === 'Missed') {
    throw new Error(`${text}\ndid what no operation says: ${outcome.verdict.missed.join(', ')}`);
  }
}

const versions = await installedVersions();

describe.each(versions)('on PostgreSQL %i', (version) => {
  let scratch: Scratch;
  const tally = new Tally();

  beforeAll(async () => {
    await loadParser();
    scratch = await Scratch.start(version);
  }, timeoutMs);
  afterAll(async () => {
    if (runs !== undefined) process.stdout.write(`PostgreSQL ${version}\n${tally.table()}\n`);
    await scratch.stop();
  }, timeoutMs);

  const whole = runs !== undefined || version === versions.at(-1);

  async function tryAll(
    statements: Readonly<Record<string, readonly Written[]>>,
    run: (written: Written) => Promise<Outcome>,
    endMs = Number.POSITIVE_INFINITY,
  ): Promise<void> {
    const all = Object.values(statements).flat();
    // Where time is short, another part of them each time.
    const start = firstSeed % all.length;
    for (const written of [...all.slice(start), ...all.slice(0, start)]) {
      if (Date.now() > endMs) return;
      const outcome = await run(written);
      tally.add(outcome);
      expectCovered(written.sql, outcome);
    }
  }

  test(
    'of each kind, by hand',
    () =>
      tryAll(
        inTransaction,
        (one) => scratch.tryOne(one),
        whole ? undefined : Date.now() + 2 * boxMs,
      ),
    timeoutMs,
  );

  // Each on a copy of the database, which takes its time: all of them only in a long run.
  if (whole) {
    test(
      'of each kind, outside of transactions',
      () =>
        tryAll(runs === undefined ? firstOfEach(aloneOnCopy) : aloneOnCopy, (one) =>
          scratch.tryAlone(one),
        ),
      timeoutMs,
    );

    test('the server took at least one of each kind', () => {
      const kinds = grammarKinds().filter((kind) => !(kind in neverTaken));
      expect(kinds.filter((kind) => !tally.kinds.has(kind))).toEqual([]);
    });
  }

  test('what once was missed', async () => {
    for (const sql of pastFailures) expectCovered(sql, await scratch.tryOne({ sql }));
  });

  test(
    'at random over the grammar',
    async () => {
      const maker = new StatementMaker(seedStatements());
      const before = tally.total.statements;
      const end = Date.now() + boxMs;
      let tried = 0;
      for (; runs === undefined ? Date.now() < end : tried < runs; tried += 1) {
        const sql = maker.make(firstSeed + tried);
        if (sql === undefined) continue;
        const outcome = await scratch.tryOne({ sql });
        tally.add(outcome);
        expectCovered(`CHAPERONE_SEED=${firstSeed + tried}: ${sql}`, outcome);
      }
      // Else the generator has gone astray, and nothing is tested.
      expect(tally.total.statements - before).toBeGreaterThan(tried / 10);
      expect(tally.unseen).toBeLessThanOrEqual(tally.total.statements / 50);
    },
    timeoutMs,
  );

  test.each(spoilt)('an analysis without %s is noticed', async (_what, sql, spoil) => {
    expect(await scratch.tryOne({ sql })).toMatchObject({ verdict: { kind: 'Covered' } });
    expect(await scratch.tryOne({ sql }, spoil)).toMatchObject({ verdict: { kind: 'Missed' } });
  });
});
