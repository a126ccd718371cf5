import { beforeAll, describe, expect, test } from '@jest/globals';
import { analyze } from './analyze.ts';
import { Budget, CapError, checkWidth, maxFields } from './budget.ts';
import { loadParser } from './parser.ts';
import { unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(loadParser);

const wideColumns = Array.from({ length: 1_500 }, (_, index) => `c${index}`);
const context = contextOf(
  catalogOf({
    relations: {
      'public.t': { columns: ['a', 'b'] },
      'public.wide': { columns: wideColumns },
    },
  }),
);

/** `make(0)`, `make(1)`, … with commas between. */
const list = (count: number, make: (index: number) => string): string =>
  Array.from({ length: count }, (_, index) => make(index)).join(', ');

const doubling = (count: number): string =>
  `WITH c0 AS (SELECT 1 AS x), ${list(
    count,
    (index) => `c${index + 1} AS (SELECT l.*, l.* FROM c${index} l)`,
  )} SELECT * FROM c${count}`;

/** Each level is analyzed some times over for each time that the one around it is. */
const recursion = (depth: number): string =>
  depth === 0
    ? 'SELECT 1 AS x'
    : `WITH RECURSIVE r AS (SELECT 1 AS x UNION SELECT x FROM (${recursion(depth - 1)}) s UNION SELECT x FROM r) SELECT x FROM r`;

describe('a text that multiplies what it means is over a cap', () => {
  test.each([
    ['stars of stars', doubling(24)],
    ['many stars', `SELECT ${list(30_000, () => 'w.*')} FROM wide w`],
    ['stars of a row', `SELECT ${list(2, () => '(w).*')} FROM wide w`],
    ['RETURNING', 'INSERT INTO wide (c0) VALUES (1) RETURNING *, *'],
    ['a list', `SELECT ${list(maxFields + 1, () => '1')}`],
    ['whole rows', `SELECT 1 FROM wide w WHERE row_to_json(w) IN (${list(20_000, () => 'w')})`],
    ['statements', 'SELECT * FROM wide;'.repeat(20_000)],
    ['columns looked up', `SELECT 1 FROM wide WHERE c1499 IN (${list(90_000, () => 'c1499')})`],
    ['things in FROM', `SELECT 1 FROM ${list(40_000, () => 't')}`],
    ['WITH queries', `WITH ${list(20_000, (index) => `q${index} AS (SELECT 1)`)} SELECT 1`],
    ['natural joins', `SELECT 1 FROM wide ${'NATURAL JOIN wide '.repeat(300)}`],
    ['recursion', recursion(16)],
    ['inside EXPLAIN', `EXPLAIN ${doubling(24)}`],
  ])('%s', (_, text) => {
    expect(analyze(text, context)).toMatchObject({ failure: { kind: 'Cap' }, statements: [] });
  });

  test('what applications and dumps send is not', () => {
    for (const text of [
      doubling(10),
      `SELECT ${list(maxFields, () => '1')}`,
      'SELECT * FROM wide',
      'INSERT INTO wide (c0) VALUES (1) RETURNING *',
      `INSERT INTO t VALUES ${list(32_000, (index) => `($${index * 2 + 1}, $${index * 2 + 2})`)}`,
      `INSERT INTO t VALUES ${list(25_000, () => "(1, 'x')")}`,
      `SELECT a FROM t WHERE b IN (${list(60_000, () => "'x'")})`,
      `SELECT w.* FROM wide w JOIN t ON w.c0 = t.a ${'JOIN wide USING (c0) '.repeat(5)}`,
      `SELECT 1 FROM t ${list(200, (index) => `JOIN wide w${index} ON true`).replaceAll(',', '')}`,
      "INSERT INTO t (a, b) VALUES ('x', 'y');".repeat(8_000),
      recursion(2),
    ]) {
      expect(analyze(text, context).failure).toBeUndefined();
    }
  });
});

test('a budget is used up once', () => {
  const budget = new Budget(3);
  budget.spend(2);
  budget.search(32);
  expect(() => budget.search(1)).toThrow(CapError);
  expect(() => checkWidth(maxFields)).not.toThrow();
  expect(() => checkWidth(maxFields + 1)).toThrow(CapError);
});

test('a view whose analysis failed is analyzed anew', () => {
  const catalog = catalogOf({
    relations: {
      'public.t': { columns: ['a'] },
      'public.v': { columns: ['a'], definition: 'SELECT lower(a) AS a FROM public.t' },
    },
  });
  let failures = 1;
  const failing = {
    ...catalog,
    functionSchemas: (name: string) => {
      if (failures > 0) {
        failures -= 1;
        throw new RangeError('the stack is full');
      }
      return catalog.functionSchemas(name);
    },
  };
  const reasons = () => unknownReasons('SELECT a FROM v', contextOf(failing));
  expect(reasons()).toEqual(['the analysis failed: the stack is full']);
  expect(reasons()).toEqual([]);
});
