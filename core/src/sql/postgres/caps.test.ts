import { beforeAll, describe, expect, test } from '@jest/globals';
import { analyze } from './analyze.ts';
import { checkCaps, defaultCaps } from './caps.ts';
import { loadParser, parseSql } from './parser.ts';
import { statements } from './sql-samples.ts';
import { catalogOf } from './test-catalog.ts';

beforeAll(loadParser);

const { maxDepth } = defaultCaps;
const context = {
  catalog: catalogOf({ relations: { 'public.t': { columns: ['a', 'b'] } } }),
  database: 'shop',
  currentUser: 'app',
  searchPath: ['pg_catalog', 'public'],
  parameterTypes: [],
};

/** Shapes that nest with n, each in its own way. */
const nesting: Record<string, (n: number) => string> = {
  plus: (n) => `SELECT 1${'+1'.repeat(n)}`,
  concatenation: (n) => `SELECT 'a'${"||'a'".repeat(n)}`,
  parentheses: (n) => `SELECT ${'('.repeat(n)}1${')'.repeat(n)}`,
  'parentheses with a run each': (n) => `SELECT ${'('.repeat(n)}1${'+1+1+1)'.repeat(n)}`,
  'calls with a run each': (n) => `SELECT ${'abs('.repeat(n)}1${')+1+1'.repeat(n)}`,
  not: (n) => `SELECT ${'NOT '.repeat(n)}true`,
  minus: (n) => `SELECT ${'- '.repeat(n)}1`,
  casts: (n) => `SELECT 1${'::int'.repeat(n)}`,
  calls: (n) => `SELECT ${'abs('.repeat(n)}1${')'.repeat(n)}`,
  cases: (n) => `SELECT ${'CASE WHEN true THEN '.repeat(n)}1${' END'.repeat(n)}`,
  'cases with a column named end': (n) =>
    `SELECT ${'CASE WHEN x.end THEN '.repeat(n)}1${' END'.repeat(n)} FROM t AS x`,
  'cases with a run each': (n) =>
    `SELECT ${'CASE WHEN true THEN '.repeat(n)}1${' END+1+1'.repeat(n)}`,
  'sub-selects': (n) => `SELECT ${'(SELECT '.repeat(n)}1${')'.repeat(n)}`,
  'sub-selects in FROM': (n) => `SELECT 1 FROM ${'(SELECT 1 FROM '.repeat(n)}t${') x'.repeat(n)}`,
  ctes: (n) => `${'WITH a AS ('.repeat(n)}SELECT 1${') SELECT 1'.repeat(n)}`,
  unions: (n) => `SELECT 1${' UNION SELECT 1'.repeat(n)}`,
  joins: (n) => `SELECT 1 FROM t${' CROSS JOIN t'.repeat(n)}`,
  'joins to the right': (n) => `SELECT 1 FROM ${'t JOIN '.repeat(n)}t${' ON true'.repeat(n)}`,
  arrays: (n) => `SELECT ${'ARRAY['.repeat(n)}1${']'.repeat(n)}`,
  collations: (n) => `SELECT 'a'${' COLLATE "C"'.repeat(n)}`,
  'null tests': (n) => `SELECT 1${' ISNULL'.repeat(n)}`,
  'time zones': (n) => `SELECT now()${" AT TIME ZONE 'x'".repeat(n)}`,
  fields: (n) => `SELECT ${'('.repeat(n)}t${').a'.repeat(n)} FROM t`,
  'qualified operators': (n) => `SELECT 1${' OPERATOR(pg_catalog.+) 1'.repeat(n)}`,
  'between to the right': (n) => `SELECT 1 WHERE ${'1 BETWEEN 1 AND NOT '.repeat(n)}true`,
  'distinct to the right': (n) => `SELECT 1 WHERE ${'true IS DISTINCT FROM NOT '.repeat(n)}true`,
};

/** Shapes that only get longer: what applications and drivers generate. */
const flat: Record<string, (n: number) => string> = {
  ands: (n) => `SELECT 1 FROM t WHERE a = 1${' AND a = 1'.repeat(n)}`,
  ors: (n) => `SELECT 1 FROM t WHERE (a = 1 AND b = 2)${' OR (a = 1 AND b = 2)'.repeat(n)}`,
  lists: (n) => `SELECT a FROM t WHERE a IN (1${',1'.repeat(n)})`,
  rows: (n) => `INSERT INTO t VALUES ('1', 2)${", ('1', -2)".repeat(n)}`,
  columns: (n) => `SELECT 1${', a + 1'.repeat(n)} FROM t`,
  betweens: (n) => `SELECT 1 FROM t WHERE a BETWEEN 1 AND 2${' AND a BETWEEN 1 AND 2'.repeat(n)}`,
  'cases side by side': (n) => `SELECT 1${', CASE WHEN a = 1 THEN 1 ELSE 2 END'.repeat(n)} FROM t`,
  statements: (n) => 'SELECT 1 + 1;'.repeat(n),
};

/** The largest n whose text the caps let pass. */
function largest(make: (n: number) => string): number {
  let [low, high] = [1, maxDepth * 4];
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (checkCaps(make(middle)) === undefined) low = middle;
    else high = middle;
  }
  return low;
}

describe('checkCaps', () => {
  test.each(statements)('lets pass: %s', (text) => {
    expect(checkCaps(text)).toBeUndefined();
  });

  test.each(Object.entries(nesting))(
    'nesting by %s ends at a depth that parser and analyzer take',
    (_name, make) => {
      const n = largest(make);
      expect(n).toBeGreaterThan(90);
      expect(n).toBeLessThanOrEqual(maxDepth);
      expect(checkCaps(make(n + 1))?.kind).toBe('Cap');
      // The margin: twice as deep is still within what the parser takes.
      expect(parseSql(make(n)).failure).toBeUndefined();
      expect(parseSql(make(n * 2)).failure).toBeUndefined();
      const analysis = analyze(make(n), context);
      const reasons = analysis.statements.flatMap((one) => one.operations.map((op) => op.reason));
      expect(reasons.filter((reason) => reason?.includes('call stack'))).toEqual([]);
      // The parser is whole.
      expect(parseSql('SELECT 1').failure).toBeUndefined();
    },
  );

  test.each(Object.entries(flat))('%s may be long', (_name, make) => {
    const text = make(3000);
    expect(checkCaps(text)).toBeUndefined();
    expect(parseSql(text).failure).toBeUndefined();
  });

  test('an INSERT with every parameter that the protocol has', () => {
    const rows = Array.from({ length: 6553 }, (_, row) => {
      const parameters = Array.from(
        { length: 10 },
        (_unused, column) => `$${row * 10 + column + 1}`,
      );
      return `(${parameters.join(', ')})`;
    });
    expect(checkCaps(`INSERT INTO t VALUES ${rows.join(', ')}`)).toBeUndefined();
  });

  test('bytes, not characters, are counted', () => {
    const caps = { ...defaultCaps, maxBytes: 20 };
    expect(checkCaps("SELECT 'ééééé'", caps)).toBeUndefined();
    expect(checkCaps("SELECT 'éééééé'", caps)).toMatchObject({ kind: 'Cap' });
    expect(checkCaps(`SELECT '${'x'.repeat(1 << 20)}'`)?.message).toContain('1048576 bytes');
  });

  test('tokens are counted, and the place is told', () => {
    expect(checkCaps('SELECT 1, 2', { ...defaultCaps, maxTokens: 3 })).toEqual({
      kind: 'Cap',
      message: 'the statement has more than 3 tokens',
      position: 11,
    });
    expect(checkCaps(`SELECT ${'('.repeat(maxDepth + 1)}`)).toMatchObject({
      position: maxDepth + 8,
    });
    expect(checkCaps('/* a */ '.repeat(50_000))).toBeUndefined();
  });

  test('closing what was not opened does no harm', () => {
    expect(checkCaps(`)]END${')'.repeat(1000)}`)).toBeUndefined();
    expect(checkCaps(`)${'('.repeat(maxDepth + 1)}`)?.kind).toBe('Cap');
  });
});
