/** Texts for the properties of the lexer, the normaliser and the caps. Used by tests only. */
import fc from 'fast-check';

/** Statements that PostgreSQL parses. */
export const statements: readonly string[] = [
  "SELECT id, name FROM customers WHERE id = 42 AND name = 'Ada' ORDER BY 2 LIMIT 10 OFFSET 20",
  "select * from orders where status in ('new', 'paid') and total > 12.50 and placed_at > '2026-01-01'::timestamptz",
  'SELECT count(*) FROM orders GROUP BY 1, customer_id HAVING count(*) > 5',
  'SELECT DISTINCT ON (1) a, b FROM t ORDER BY 1 DESC NULLS LAST',
  "INSERT INTO t (a, b, c) VALUES (1, 'x', NULL), (2, E'y\\'z', TRUE) ON CONFLICT (a) DO UPDATE SET b = 'q' RETURNING a",
  "UPDATE t SET a = a + 1, b = b || 'suffix', c = DEFAULT WHERE d BETWEEN 1 AND 10 AND e LIKE '%x\\_%' ESCAPE '\\'",
  "DELETE FROM t USING u WHERE t.a = u.a AND u.b = ANY (ARRAY[1, 2, 3]) AND t.c[2] = 'x'",
  "WITH a AS (SELECT 1 AS x), b AS (DELETE FROM t WHERE y = 'z' RETURNING *) SELECT * FROM a, b WHERE a.x = -5",
  "SELECT set_config('search_path', 'evil', false), nextval('orders_id_seq'), lower('ABC'), pg_catalog.lower('X')",
  "SELECT 'orders'::regclass, CAST('t' AS regclass), regclass 'x', DATE '2026-01-01', INTERVAL '1 day', now() - interval '5' minute",
  "SELECT a::numeric(10, 2), b::varchar(5), c::float(3), CAST(d AS float(30)), current_timestamp(3), e::int[3], bit '101'",
  "SELECT CASE WHEN a = 1 THEN 'x' WHEN a IN (2, 3) THEN 'y' ELSE 'z' END, coalesce(b, 'none'), extract(year FROM c)",
  "SELECT U&'d\\0061t', U&\"d!0061t\" UESCAPE '!', $$dollar $1$$, $tag$it's$tag$, B'101', X'1F', 1e10, 0x1F, 1_000",
  "SELECT * FROM json_to_recordset('[]') AS x(a int, b numeric(5, 1)), generate_series(1, 10) g",
  'SELECT sum(x) FILTER (WHERE y > 3) OVER (PARTITION BY z ORDER BY 1 ROWS 5 PRECEDING) FROM t TABLESAMPLE system (10)',
  "SELECT 1 -- comment 'x'\n, 'a' /* b 'c' /* d */ */ , 'two'\n  'parts'",
  'SELECT "Mixed ""Case""" FROM "Odd Schema"."Table" AS "t 1" WHERE "t 1"."a?b" = $1',
  'SELECT 1; SELECT 2; ',
  "SET search_path = 'x', y; SELECT 1",
  "COPY t TO STDOUT WITH (FORMAT csv, DELIMITER ';')",
  'CREATE TABLE t (a int DEFAULT 5, b varchar(10))',
  "EXPLAIN (ANALYZE true) SELECT 1 WHERE 'x' = 'x'",
  "MERGE INTO t USING u ON t.a = u.a WHEN MATCHED AND u.b = 'x' THEN DELETE",
  'DO $$ BEGIN PERFORM 1; END $$',
  "PREPARE p AS SELECT 'x', $1",
  'VALUES (1, 2), (3, 4)',
  'TABLE t',
  "(SELECT 'a' UNION ALL SELECT 'b') ORDER BY 1",
  "SELECT a -> 'k' ->> 'l' #> '{m,n}' @> '{\"x\": 1}' FROM t WHERE a ? 'b' AND c @@ 'd' AND e = -1 AND f <> - 2",
  "SELECT x AT TIME ZONE 'UTC', trim(both ' ' from y), substring(z from 1 for 2), position('a' in b) FROM t FOR UPDATE",
  "SELECT $1::text = '' AND ''='' OR 'x' IS NOT NULL",
  '',
  '-- nothing',
];

/** Pieces of which texts are put together. */
export const fragments: fc.Arbitrary<string> = fc.constantFrom(
  ...[
    'SELECT|select|FROM|WHERE|AND|OR|NOT|IN|ORDER BY|GROUP BY|LIMIT|VALUES|INSERT INTO t|UPDATE t SET|a|b.c|t|"Q""q"|U&"d\\0061"',
    "'s'|''|'it''s'|E'\\''|e'a\\\\'|B'01'|X'1f'|n'x'|N'y'|U&'x'|$$d$$|$t$ $$ $t$|$1|$12|$|$a|'a'\\n'b'|'",
    '1|42|1.5|.5|1.|1e3|1e|1_0|0x1F|0b1|0o7|0x|1..2|2147483648|99999999999999999999',
    '+|-|*|/|%|=|<>|!=|<=|>=|=>|::|:=|:|||,|;|.|..|(|)|[|]|@-|*-|?-|->>|@>|#|~|^|&|`|--|--x\\n|/*|*/|/* c */|/* /* */ */|//|/*/',
    'now()|lower(|f(|set_config(|::int|::regclass|CAST(|AS|CASE WHEN|THEN|ELSE|END|ARRAY[|NULL|TRUE|DATE|INTERVAL|UESCAPE',
    ' |  |\\n|\\t|\\r\\n|\\f|\\v|\u00a0|é|ß|😀|_|{|}|\\\\|"|""|\u0001',
  ].flatMap((line) =>
    line
      .split('|')
      .map((piece) =>
        piece
          .replaceAll('\\n', '\n')
          .replaceAll('\\t', '\t')
          .replaceAll('\\r', '\r')
          .replaceAll('\\f', '\f')
          .replaceAll('\\v', '\v'),
      ),
  ),
);
