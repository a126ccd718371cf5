import { beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { loadModule, parseSync } from 'libpg-query';
import { analyze } from './analyze.ts';
import { checkCaps } from './caps.ts';
import { Lexer, TokenKind } from './lexer.ts';
import { normalize } from './normalize.ts';
import { loadParser } from './parser.ts';
import { fragments, statements } from './sql-samples.ts';
import { catalogOf } from './test-catalog.ts';

beforeAll(async () => {
  await loadModule();
  await loadParser();
});

const context = {
  catalog: catalogOf({
    relations: {
      'public.t': { columns: ['a', 'b', 'c', 'd', 'e', 'x', 'y', 'z'] },
      'public.u': { columns: ['a', 'b'] },
      'public.orders': { columns: ['id', 'status', 'total', 'placed_at', 'customer_id'] },
      'public.customers': { columns: ['id', 'name', 'ssn'] },
    },
  }),
  database: 'shop',
  currentUser: 'app',
  searchPath: ['pg_catalog', 'public'],
  parameterTypes: [],
};

const lists: readonly string[] = [
  "SELECT a FROM t WHERE b IN (1, 2, 3,4 , 5) AND c IN ('x', 'y', 'z','it''s', 'w') ORDER BY 1, 2",
  "INSERT INTO t VALUES (1, 2, 3, 'x', 'y', 'z', 4), (1, 2, 3, 'x', 'y', 'z', 4)",
  "SELECT a FROM t WHERE b = ANY (ARRAY['x', 'y', 'z', 'w']) OR (c, d) IN ((1, 2), (3, 4))",
];

/** The tree without locations and without the values of constants. */
function shape(text: string): unknown {
  let tree: unknown;
  try {
    tree = parseSync(text === '' ? ' ;' : text);
  } catch {
    return undefined;
  }
  return JSON.parse(JSON.stringify(tree), function (this: object, key, value) {
    if (key === 'location' || /^(stmt_)?(len|location)$/.test(key) || key.endsWith('location')) {
      return undefined;
    }
    if (key === 'rexpr_list_start' || key === 'rexpr_list_end') return undefined;
    if (key === 'list_start' || key === 'list_end') return undefined;
    if (key === 'A_Const') return Object.keys(value as object).filter((one) => one !== 'location');
    return value;
  });
}

const literalKinds = new Set<number>([
  TokenKind.String,
  TokenKind.EscapeString,
  TokenKind.Integer,
  TokenKind.Float,
]);

const otherLiteral: Record<number, fc.Arbitrary<string>> = {
  [TokenKind.String]: fc.constantFrom(
    "'other'",
    "''",
    '$$x$$',
    "'customers'",
    "'it''s'",
    "E'\\n'",
    "'search_path'",
    "'application_name'",
    "'u'",
    "'s'",
  ),
  [TokenKind.EscapeString]: fc.constantFrom("E'\\''", "'other'", "E'a'"),
  [TokenKind.Integer]: fc.constantFrom('1', '2', '3', '30', '999999999', '2147483648', '0x1F', '0'),
  [TokenKind.Float]: fc.constantFrom('1.5', '.5', '1e10', '99.'),
};

/** The places where the analysis reads a literal's value, or might. */
const literalReaders: readonly string[] = [
  "SELECT set_config(name, 'shadow, public', false) FROM pg_settings WHERE name = 'application_name'",
  "SELECT pg_catalog.set_config(name, 'x', false) FROM pg_catalog.pg_settings WHERE name = 'work_mem' AND 1 = 1",
  "SELECT a FROM t, (SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'application_name') s WHERE b = 'y'",
  "SELECT a FROM t JOIN LATERAL (SELECT \"set_config\"(name, 'x', false) FROM pg_settings WHERE name = 'role') s ON b = 'y'",
  "WITH s AS (SELECT set_config('application_name', 'x', false)) SELECT a FROM t, s WHERE b = 'y'",
  "SELECT current_setting('search_path'), (SELECT current_setting('work_mem', true)) FROM t WHERE a = 'x'",
  "SELECT nextval('s'), setval('s'::regclass, 5), currval('public.s') FROM t WHERE a = 3 LIMIT 3",
  "INSERT INTO t (a, b) VALUES (nextval('s'), 'x') ON CONFLICT (a) DO UPDATE SET b = 'y' WHERE t.c = 'z'",
  "SELECT 't'::regclass, to_regclass('t'), CAST('u' AS regclass), (('t'))::regclass FROM t WHERE a = 'x'",
  "SELECT pg_notify('channel', 'payload'), pg_advisory_lock(1) FROM t WHERE a = 'x'",
  'SELECT a, b FROM t WHERE c = 4 GROUP BY 1, 2 ORDER BY 2, 1 LIMIT 10 OFFSET 20',
  'SELECT a, b FROM t WHERE c = 4 ORDER BY (2), b + 1 FETCH FIRST 3 ROWS ONLY',
  'SELECT a, b FROM t GROUP BY GROUPING SETS ((1), (2), ROLLUP (1, 2)) HAVING count(*) > 3',
  "SELECT DISTINCT ON (1, 2) a, b FROM t WHERE c = 'x' UNION SELECT 1, 'z' ORDER BY 2",
  'SELECT g FROM generate_series(1, 10, 2) g, t WHERE a = g AND b = 3',
  'SELECT row_number() OVER (ORDER BY 1), sum(a) OVER (ROWS BETWEEN 2 PRECEDING AND 3 FOLLOWING) FROM t',
  "SELECT coalesce(a, 'x'), CASE a WHEN 'x' THEN 1 ELSE 2 END, 2 = 3 FROM t WHERE 1 = 1 AND 'a' = 'b'",
];

/** The text with some of its literals changed. */
function varied(text: string): fc.Arbitrary<string> {
  const lexer = new Lexer(text);
  const pieces: fc.Arbitrary<string>[] = [];
  let copied = 0;
  while (lexer.next()) {
    if (!literalKinds.has(lexer.kind)) continue;
    const literal = text.slice(lexer.start, lexer.end);
    pieces.push(fc.constant(text.slice(copied, lexer.start)));
    pieces.push(fc.oneof(fc.constant(literal), otherLiteral[lexer.kind] ?? fc.constant(literal)));
    copied = lexer.end;
  }
  pieces.push(fc.constant(text.slice(copied)));
  return fc.tuple(...pieces).map((parts) => parts.join(''));
}

const form = (text: string): string => normalize(text).normalForm.replaceAll('\0', '¤');

describe('normalize', () => {
  test.each([
    [
      "SELECT * FROM t WHERE a = 'x' AND b = 42 AND c > 1.5",
      'SELECT * FROM t WHERE a = ¤s AND b = ¤i AND c > ¤f',
    ],
    ["SELECT 'a' -- b\n , 1 /* 2 */", 'SELECT ¤s  \n , ¤i  '],
    ["SELECT E'x\\'', $$y$$, 'a'\n'b'", 'SELECT ¤s, ¤s, ¤s'],
    [
      'SELECT a FROM t ORDER BY 2, 1 LIMIT 10 OFFSET 20',
      'SELECT a FROM t ORDER BY 2, 1 LIMIT 10 OFFSET 20',
    ],
    ['SELECT a FROM t WHERE b = 1 GROUP BY 1', 'SELECT a FROM t WHERE b = ¤i GROUP BY 1'],
    ['SELECT DISTINCT ON (1) a FROM t', 'SELECT DISTINCT ON (1) a FROM t'],
    [
      'SELECT a FROM (SELECT 1 ORDER BY 1) x WHERE b = 3',
      'SELECT a FROM (SELECT ¤i ORDER BY 1) x WHERE b = ¤i',
    ],
    ["SELECT current_setting('a'), lower('C')", "SELECT current_setting('a'), lower(¤s)"],
    ['SELECT "lower"(\'C\'), f(1, (2))', 'SELECT "lower"(\'C\'), f(1, (2))'],
    [
      "SELECT 'orders'::regclass, 'x'::text, '1'::pg_catalog.int4",
      "SELECT 'orders'::regclass, ¤s::text, ¤s::pg_catalog.int4",
    ],
    ["SELECT 'orders'/**/::regclass", "SELECT 'orders' ::regclass"],
    [
      "SELECT 'x' /* a */ -- b\n::regclass, 'x' /* a */ :: text",
      "SELECT 'x'    \n::regclass, ¤s   :: text",
    ],
    [
      "SELECT CAST('orders' AS regclass), regclass 'orders'",
      "SELECT CAST('orders' AS regclass), regclass 'orders'",
    ],
    ["SELECT DATE '2026-01-01', INTERVAL '1 day'", "SELECT DATE ¤s, INTERVAL '1 day'"],
    [
      'SELECT a::float(3), b::numeric(10,2), current_time(2)',
      'SELECT a::float(3), b::numeric(10,2), current_time(2)',
    ],
    [
      'SELECT tags[1], ARRAY[1, 2], ARRAY[[1], [2]]',
      'SELECT tags[1], ARRAY[¤i, ¤i], ARRAY[[¤i], [¤i]]',
    ],
    [
      'SELECT 1, 2147483648, 0x10, 1_0, 000000001, 0000000001',
      'SELECT ¤i, 2147483648, 0x10, 1_0, ¤i, 0000000001',
    ],
    ["SELECT B'1', n'x', $1", "SELECT B'1', n'x', $1"],
    ["INSERT INTO t VALUES (1, 'x', NULL, TRUE)", 'INSERT INTO t VALUES (¤i, ¤s, NULL, TRUE)'],
    ['SELECT 1; SELECT 2', 'SELECT ¤i; SELECT ¤i'],
    ['SELECT a IN (1, 2,\n3 ,4)', 'SELECT a IN (¤3i ,¤i)'],
    ['SELECT a IN (1, 2, 3)', 'SELECT a IN (¤2i, ¤i)'],
    ["SELECT a IN ('x', '', 'y','z')", 'SELECT a IN (¤3s,¤s)'],
    ["VALUES (1, 2, 'x', 'y', 3, 4)", 'VALUES (¤2i, ¤2s, ¤i, ¤i)'],
    // Only what is surely of one type, and stands alone.
    ["SELECT a IN ('x', 'it''s', 'y', $$z$$, 'w')", 'SELECT a IN (¤s, ¤2s, ¤s, ¤s)'],
    ["SELECT a IN (E'x', 'y', 'z'\n'z', 'w')", 'SELECT a IN (¤s, ¤s, ¤s, ¤s)'],
    [
      'SELECT a IN (1, 2.5, 1, 1e3, 1, 0x1F, 1, 1_000, 1, 1000000000, 1, 1, 1)',
      'SELECT a IN (¤i, ¤f, ¤i, ¤f, ¤i, 0x1F, ¤i, 1_000, ¤i, 1000000000, ¤2i, ¤i)',
    ],
    ['SELECT a IN (1, 2, -3, 4 + 1, 5)', 'SELECT a IN (¤2i, -¤i, ¤i + ¤i, ¤i)'],
    [
      "SELECT a IN ('a', 'b'::text, 'c'::regclass, 'd')",
      "SELECT a IN (¤s, ¤s::text, 'c'::regclass, ¤s)",
    ],
    ['SELECT a IN (1, 2 /* c */, 3, 4)', 'SELECT a IN (¤i, ¤i  , ¤i, ¤i)'],
    [
      'SELECT f(1, 2, 3, 4), a FROM t ORDER BY 1, 2, 3, 4',
      'SELECT f(1, 2, 3, 4), a FROM t ORDER BY 1, 2, 3, 4',
    ],
    ["(SELECT 'a') UNION SELECT 'b'", '(SELECT ¤s) UNION SELECT ¤s'],
  ])('%s', (text, expected) => {
    expect(form(text)).toBe(expected);
    expect(normalize(text).safe).toBe(true);
  });

  test.each([
    "SET search_path = 'x'",
    "SELECT 1; SET a = 'x'",
    "EXPLAIN SELECT 'x'",
    "COPY t TO '/tmp/x'",
    'DO $$ BEGIN END $$',
    "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND t.b = 'x' THEN DELETE",
    'WITH x AS (SELECT 1) MERGE INTO t USING x ON true WHEN MATCHED THEN DELETE',
    "SELECT ('orders')::regclass",
    "SELECT 'orders'::text::regclass",
    "SELECT 'orders'::pg_catalog.text::regclass",
    "SELECT 'orders'::character varying::regclass",
    "SELECT 'orders'::varchar(10)::regclass",
    "SELECT U&'d\\0061t'",
    'SELECT U&"d!0061t" UESCAPE \'!\'',
    "SELECT 'x",
    "SELECT '\ud800'",
    'SELECT 1\0',
    "PREPARE p AS SELECT 'x'",
    "SELECT set_config('a', 'b', false)",
    "SELECT set_config(name, 'x', false) FROM pg_settings WHERE name = 'search_path'",
    "SELECT 1 FROM (SELECT Pg_Catalog . SET_CONFIG /* */ (name, 'x', false) FROM pg_settings WHERE name = 'role') s",
    "SELECT a FROM t WHERE b = 'x' AND \"set_config\"('a', 'b', false) = ''",
    "'x'",
  ])('not by a form: %j', (text) => {
    expect(normalize(text)).toMatchObject({ safe: false, normalForm: text, literals: 0 });
  });

  test.each([
    [
      "SELECT 'x', 1, 1.5, $$y$$, B'1', U&'z', n'w' /* c */ FROM \"T 1\" WHERE a = $1",
      'SELECT ?, ?, ?, ?, ?, ?, n?   FROM "T 1" WHERE a = $1',
    ],
    ["ALTER ROLE a PASSWORD 'secret'", 'ALTER ROLE a PASSWORD ?'],
    ['SELECT U&"d\\0061t" FROM t LIMIT 5', 'SELECT U&"d\\0061t" FROM t LIMIT ?'],
    ["SELECT a FROM t WHERE b = 'unterminated", 'SELECT a FROM t WHERE b = …'],
    ['SELECT 1abc', 'SELECT …'],
  ])('redacted: %s', (text, expected) => {
    expect(normalize(text).redacted).toBe(expected);
  });

  test('texts with one form have one tree and one analysis', () => {
    let alike = 0;
    fc.assert(
      fc.property(
        fc
          .constantFrom(...statements, ...literalReaders, ...lists)
          .chain((text) => fc.tuple(varied(text), varied(text))),
        ([one, other]) => {
          const [first, second] = [normalize(one), normalize(other)];
          if (!first.safe || !second.safe || first.normalForm !== second.normalForm) return;
          const [tree, otherTree] = [shape(one), shape(other)];
          if (tree === undefined || otherTree === undefined) return;
          if (one !== other) alike += 1;
          expect({ one, other, tree: otherTree }).toEqual({ one, other, tree });
          expect(analyze(other, context)).toEqual(analyze(one, context));
          expect(second.redacted).toBe(first.redacted);
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 300) },
    );
    expect(alike).toBeGreaterThan(20);
  });

  test('lists of one form have one length', () => {
    const list = (length: number) => `SELECT a FROM t WHERE b IN (${'1, '.repeat(length)}2)`;
    for (const [one, other] of [
      [3, 4],
      [9, 10],
      [1, 11],
    ] as const) {
      expect(normalize(list(one)).normalForm).not.toBe(normalize(list(other)).normalForm);
    }
    expect(normalize(list(20))).toMatchObject({
      literals: 21,
      redacted: `SELECT a FROM t WHERE b IN (${'?, '.repeat(20)}?)`,
    });
  });

  test('so have texts put together at random', () => {
    const piece = fc.oneof(fragments, fc.constantFrom(' ', ' ', ' '));
    const text = fc
      .array(piece, { maxLength: 14 })
      .map((parts) => `SELECT ${parts.join(' ')}`.replaceAll('\0', ''));
    fc.assert(
      fc.property(
        text.chain((one) => fc.tuple(varied(one), varied(one))),
        ([one, other]) => {
          const [first, second] = [normalize(one), normalize(other)];
          if (!first.safe || first.normalForm !== second.normalForm) return;
          const [tree, otherTree] = [shape(one), shape(other)];
          if (tree === undefined || otherTree === undefined) return;
          expect({ one, other, tree: otherTree }).toEqual({ one, other, tree });
        },
      ),
      { numRuns: Number(process.env.RUNS ?? 500) },
    );
  });

  test('never throws, and never shows a literal, whatever the text', () => {
    const canary = 'c4n4ry';
    const holder = fc.constantFrom(
      `'${canary}'`,
      `E'\\'${canary}'`,
      `$$${canary}$$`,
      `$t$ ${canary} $t$`,
      `U&'${canary}'`,
      `/* ${canary} */`,
      `-- ${canary}\n`,
      `'x'\n'${canary}'`,
      `n'${canary}'`,
      `'${canary}`,
      `$$${canary}`,
      `/* /* ${canary} */`,
    );
    fc.assert(
      fc.property(
        fc.array(fc.oneof(fragments, fc.string({ unit: 'binary', maxLength: 4 })), {
          maxLength: 8,
        }),
        holder,
        fc.array(fragments, { maxLength: 4 }),
        (before, held, after) => {
          const prefix = `${before.join(' ')} `;
          // Only where the canary begins outside quotes, names and comments is it a literal.
          const lexer = new Lexer(prefix);
          while (lexer.next());
          if (lexer.kind !== TokenKind.End || /--[^\n\r]*$|'\s*$/.test(prefix)) return;
          expect(normalize(prefix + held + after.join(' ')).redacted).not.toContain(canary);
        },
      ),
      { numRuns: 1500 },
    );
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 300 }), (text) => {
        normalize(text);
      }),
    );
  });

  // With work that grows with the square, each of these takes minutes.
  test.each([
    '+-',
    '(',
    '[',
    '1 ',
    '1,',
    "'a',",
    "'a',1,",
    "'',''',",
    '1234567890,',
    '1_',
    '$',
    '$a$ ',
    "'a'\n",
    "'a' /* */ ",
    "'a'--\n",
    '/*',
    'a::text::b.',
    "'a'::",
    'U&"a" ',
    '1e1$',
    'CASE END ',
    '""',
  ])('work is linear in texts of %j', (unit) => {
    const text = `SELECT ${unit.repeat(1_000_000 / unit.length)}`;
    normalize(text);
    checkCaps(text);
  });
});
