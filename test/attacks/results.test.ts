/**
 * What comes back (§12): a protected value by whatever way SQL has to say it, in every shape of the protocol.
 * It is masked or not delivered; no part of it is in any byte that the client received.
 */
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import {
  type Attacker,
  AttackLab,
  canaries,
  canaryId,
  labMasks,
  labPolicy,
  leaks,
} from '../support/attack-lab.ts';
import { identity, masking } from '../support/chaperone.ts';
import { installedVersions, type PostgresVersion } from '../support/postgres.ts';

const setup = [
  'CREATE VIEW v_ssn AS SELECT id, ssn AS s FROM customers',
  'CREATE VIEW v_nested AS SELECT id, s AS t FROM v_ssn',
  'CREATE VIEW v_expression AS SELECT id, upper(ssn) AS u FROM customers',
  'CREATE VIEW v_row AS SELECT to_jsonb(c) AS j FROM customers c',
  'CREATE VIEW v_union AS SELECT ssn AS s FROM customers UNION ALL SELECT note FROM plain',
  'CREATE VIEW v_renamed (a, b) AS SELECT id, ssn FROM customers',
  'CREATE MATERIALIZED VIEW m_ssn AS SELECT id, ssn AS s FROM customers',
  'CREATE TABLE parent (id int, code text)',
  'CREATE TABLE child () INHERITS (parent)',
  `INSERT INTO child VALUES (1, '${canaries.ssn}')`,
  'CREATE TABLE parted (id int, code text) PARTITION BY LIST (id)',
  'CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1)',
  `INSERT INTO parted VALUES (1, '${canaries.ssn}')`,
  `CREATE FUNCTION leaky() RETURNS text LANGUAGE sql AS 'SELECT ssn FROM public.customers WHERE id = ${canaryId}'`,
  "CREATE FUNCTION leaky_rows() RETURNS SETOF customers LANGUAGE sql AS 'SELECT * FROM public.customers'",
  "CREATE FUNCTION shout(text) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '%', $1; RETURN $1; END $$",
  "CREATE FUNCTION same(text, text) RETURNS bool LANGUAGE plpgsql AS $$ BEGIN RAISE NOTICE '% %', $1, $2; RETURN true; END $$",
  'CREATE OPERATOR === (FUNCTION = same, LEFTARG = text, RIGHTARG = text)',
  'CREATE TYPE pair AS (a text, b text)',
  'CREATE TABLE tree (id int, up int)',
  'INSERT INTO tree VALUES (1, null), (2, 1)',
];
const masks = [
  ...labMasks,
  masking('inherited', {
    columns: ['shop.public.child.code', 'shop.public.parted_1.code'],
    transform: { type: 'Partial', keepLast: 4 },
  }),
];

const row = `id = ${canaryId}`;

/** SELECTs that reach for the value. */
const selects: readonly string[] = [
  // by name, alias, star
  `SELECT ssn FROM customers WHERE ${row}`,
  `SELECT ssn AS harmless FROM customers WHERE ${row}`,
  `SELECT * FROM customers WHERE ${row}`,
  `SELECT c.* FROM customers AS c WHERE ${row}`,
  `SELECT "customers"."ssn" FROM "public"."customers" WHERE ${row}`,
  `SELECT shop.public.customers.ssn FROM shop.public.customers WHERE ${row}`,
  `SELECT d FROM customers AS x (a, b, c, d) WHERE a = ${canaryId}`,
  `SELECT j.d FROM (customers JOIN plain ON true) AS j (a, b, c, d) WHERE a = ${canaryId}`,
  `SELECT z FROM (SELECT * FROM customers) AS s (a, b, c, z) WHERE a = ${canaryId}`,
  'TABLE customers',
  'TABLE people',
  'SELECT * FROM ONLY people',
  'SELECT * FROM employees',
  'SELECT ssn FROM people *',
  // casts and expressions
  `SELECT ssn::varchar FROM customers WHERE ${row}`,
  `SELECT ssn::varchar(9) FROM customers WHERE ${row}`,
  `SELECT ssn::bytea FROM customers WHERE ${row}`,
  `SELECT ssn::name FROM customers WHERE ${row}`,
  `SELECT ssn::"char" FROM customers WHERE ${row}`,
  `SELECT ssn::char(12) FROM customers WHERE ${row}`,
  `SELECT CAST(ssn AS json) FROM (SELECT to_json(ssn)::text AS ssn FROM customers WHERE ${row}) AS q`,
  `SELECT ssn || '' FROM customers WHERE ${row}`,
  `SELECT '' || ssn FROM customers WHERE ${row}`,
  `SELECT concat(ssn, name) FROM customers WHERE ${row}`,
  `SELECT format('%s', ssn) FROM customers WHERE ${row}`,
  `SELECT substr(ssn, 1, 8) FROM customers WHERE ${row}`,
  `SELECT left(ssn, 9), right(ssn, 15) FROM customers WHERE ${row}`,
  `SELECT reverse(ssn) FROM customers WHERE ${row}`,
  `SELECT lower(ssn) FROM customers WHERE ${row}`,
  `SELECT encode(convert_to(ssn, 'UTF8'), 'hex') FROM customers WHERE ${row}`,
  `SELECT encode(ssn::bytea, 'base64') FROM customers WHERE ${row}`,
  `SELECT string_to_array(ssn, '-') FROM customers WHERE ${row}`,
  `SELECT regexp_matches(ssn, '.*', 'g') FROM customers WHERE ${row}`,
  `SELECT unnest(string_to_array(ssn, null)) FROM customers WHERE ${row}`,
  `SELECT ssn COLLATE "C" FROM customers WHERE ${row}`,
  `SELECT (ssn) FROM customers WHERE ${row}`,
  `SELECT nullif(ssn, 'x') FROM customers WHERE ${row}`,
  `SELECT coalesce(null, ssn) FROM customers WHERE ${row}`,
  `SELECT greatest(ssn, '') FROM customers WHERE ${row}`,
  `SELECT CASE WHEN true THEN ssn END FROM customers WHERE ${row}`,
  `SELECT CASE name WHEN 'x' THEN '' ELSE ssn END FROM customers WHERE ${row}`,
  `SELECT translate(ssn, 'QZJX', '1234') FROM customers WHERE ${row}`,
  `SELECT md5(ssn), sha256(ssn::bytea) FROM customers WHERE ${row}`,
  `SELECT quote_literal(ssn), quote_ident(ssn) FROM customers WHERE ${row}`,
  `SELECT to_tsvector('simple', ssn) FROM customers WHERE ${row}`,
  // rows and documents
  `SELECT c FROM customers c WHERE ${row}`,
  `SELECT c::text FROM customers c WHERE ${row}`,
  `SELECT (c).ssn FROM customers c WHERE ${row}`,
  `SELECT (c.*).ssn FROM customers c WHERE ${row}`,
  `SELECT c.ssn FROM (SELECT customers AS c FROM customers WHERE ${row}) q, LATERAL (SELECT (q.c).ssn) AS c`,
  `SELECT ssn(c) FROM customers c WHERE ${row}`,
  `SELECT ROW(ssn, name) FROM customers WHERE ${row}`,
  `SELECT ROW(c.*) FROM customers c WHERE ${row}`,
  `SELECT (ROW(ssn, name)::pair).a FROM customers WHERE ${row}`,
  `SELECT row_to_json(c) FROM customers c WHERE ${row}`,
  `SELECT to_jsonb(c) FROM customers c WHERE ${row}`,
  `SELECT to_jsonb(c) ->> 'ssn' FROM customers c WHERE ${row}`,
  `SELECT to_jsonb(c) -> 'email' FROM customers c WHERE ${row}`,
  `SELECT json_build_object('x', ssn) FROM customers WHERE ${row}`,
  `SELECT jsonb_pretty(to_jsonb(ssn)) FROM customers WHERE ${row}`,
  `SELECT (jsonb_each_text(to_jsonb(c))).value FROM customers c WHERE ${row}`,
  `SELECT e.value FROM customers c, LATERAL jsonb_each_text(to_jsonb(c)) AS e WHERE ${row}`,
  `SELECT e.* FROM customers c CROSS JOIN LATERAL jsonb_to_record(to_jsonb(c)) AS e (ssn text) WHERE ${row}`,
  `SELECT e.* FROM unnest((SELECT array_agg(c) FROM customers c WHERE ${row})) AS e`,
  `SELECT b FROM unnest((SELECT array_agg(c.ssn) FROM customers c WHERE ${row}), (SELECT array_agg(c) FROM customers c WHERE ${row})) AS t(a, b, c, d)`,
  `SELECT e.*, c.ssn FROM (SELECT array_agg(p) AS a FROM plain p) q, unnest(q.a) AS e, customers c WHERE c.${row}`,
  `SELECT xmlelement(name a, ssn) FROM customers WHERE ${row}`,
  `SELECT xmlforest(ssn AS a) FROM customers WHERE ${row}`,
  `SELECT x.* FROM customers c, XMLTABLE('/a' PASSING xmlelement(name a, c.ssn) COLUMNS v text PATH '.') AS x WHERE ${row}`,
  `SELECT jsonb_path_query(to_jsonb(c), '$.ssn') FROM customers c WHERE ${row}`,
  // aggregates and windows
  `SELECT array_agg(ssn) FROM customers WHERE ${row}`,
  `SELECT (array_agg(ssn))[1] FROM customers WHERE ${row}`,
  `SELECT array_to_string(array_agg(ssn), ',') FROM customers WHERE ${row}`,
  `SELECT string_agg(ssn, ',') FROM customers WHERE ${row}`,
  `SELECT string_agg('x', ssn) FROM customers`,
  `SELECT json_agg(c) FROM customers c WHERE ${row}`,
  `SELECT jsonb_object_agg(ssn, 1) FROM customers WHERE ${row}`,
  'SELECT max(ssn) FROM customers',
  'SELECT min(ssn) FROM people',
  'SELECT mode() WITHIN GROUP (ORDER BY ssn) FROM customers',
  'SELECT percentile_disc(1.0) WITHIN GROUP (ORDER BY ssn) FROM customers',
  `SELECT first_value(ssn) OVER () FROM customers WHERE ${row}`,
  `SELECT lag(ssn, 0) OVER (ORDER BY id) FROM customers WHERE ${row}`,
  'SELECT any_value(ssn) FROM customers',
  'SELECT DISTINCT ssn FROM customers',
  'SELECT ssn, count(*) FROM customers GROUP BY ssn',
  'SELECT ssn, count(*) FROM customers GROUP BY ROLLUP (ssn)',
  // sub-selects, CTEs, set operations, joins
  `SELECT (SELECT ssn FROM customers WHERE ${row})`,
  `SELECT (SELECT c FROM customers c WHERE ${row})::text`,
  `SELECT ARRAY(SELECT ssn FROM customers WHERE ${row})`,
  `SELECT ARRAY[ssn] FROM customers WHERE ${row}`,
  `SELECT (ARRAY[ssn])[1] FROM customers WHERE ${row}`,
  `VALUES ((SELECT ssn FROM customers WHERE ${row}))`,
  `SELECT v FROM (VALUES ((SELECT ssn FROM customers WHERE ${row}))) AS x (v)`,
  `WITH q AS (SELECT ssn AS s FROM customers WHERE ${row}) SELECT s FROM q`,
  `WITH q (a) AS MATERIALIZED (SELECT ssn FROM customers WHERE ${row}), r AS (SELECT a AS b FROM q) SELECT b FROM r`,
  `WITH RECURSIVE q (s, n) AS (SELECT ssn, 1 FROM customers WHERE ${row} UNION ALL SELECT s, n + 1 FROM q WHERE n < 3) SELECT s FROM q`,
  `WITH RECURSIVE q (s, t, n) AS (SELECT ssn, ''::text, 1 FROM customers WHERE ${row} UNION ALL SELECT ''::text, s, n + 1 FROM q WHERE n < 3) SELECT t FROM q`,
  `WITH customers AS (SELECT 1 AS x) SELECT ssn FROM public.customers WHERE ${row}`,
  `SELECT note FROM plain UNION ALL SELECT ssn FROM customers WHERE ${row}`,
  `SELECT note FROM plain UNION SELECT email FROM customers WHERE ${row}`,
  `SELECT ssn FROM customers WHERE ${row} INTERSECT SELECT ssn FROM people`,
  `SELECT ssn FROM customers WHERE ${row} EXCEPT SELECT note FROM plain`,
  `SELECT note FROM plain UNION ALL (SELECT 'x' UNION ALL SELECT ssn FROM customers WHERE ${row})`,
  `SELECT x.s FROM plain, LATERAL (SELECT ssn AS s FROM customers WHERE ${row}) AS x`,
  `SELECT ssn FROM customers JOIN people USING (ssn)`,
  `SELECT ssn FROM customers FULL JOIN people USING (ssn)`,
  'SELECT ssn FROM customers NATURAL JOIN (SELECT ssn FROM people) AS p',
  'SELECT q.ssn FROM customers c JOIN people p USING (ssn) AS q',
  `SELECT s.v FROM customers c LEFT JOIN LATERAL (VALUES (c.ssn)) AS s (v) ON true WHERE c.${row}`,
  `SELECT x FROM ROWS FROM (unnest(ARRAY(SELECT ssn FROM customers WHERE ${row}))) AS t (x)`,
  `SELECT x FROM generate_series(1, 1), unnest((SELECT array_agg(ssn) FROM customers)) AS x`,
  `SELECT ctid, xmin, tableoid, ssn FROM customers WHERE ctid = ANY (SELECT ctid FROM customers WHERE ${row})`,
  // views, materialized views, inheritance, partitions
  'SELECT s FROM v_ssn',
  'SELECT t FROM v_nested',
  'SELECT u FROM v_expression',
  'SELECT j FROM v_row',
  "SELECT j ->> 'ssn' FROM v_row",
  'SELECT s FROM v_union',
  'SELECT b FROM v_renamed',
  'SELECT v_nested FROM v_nested',
  'SELECT s FROM m_ssn',
  'SELECT code FROM parent',
  'SELECT code FROM child',
  'SELECT code FROM parted',
  'SELECT code FROM parted_1',
  'SELECT parted FROM parted',
  'SELECT address FROM vip',
  'SELECT email FROM customer_contacts',
  // code and operators of the target's
  'SELECT leaky()',
  'SELECT * FROM leaky_rows()',
  `SELECT shout(ssn) FROM customers WHERE ${row}`,
  `SELECT ssn === 'x' FROM customers WHERE ${row}`,
  `SELECT ssn OPERATOR(public.===) 'x' FROM customers WHERE ${row}`,
  // statistics, storage and other sessions
  "SELECT * FROM pg_stats WHERE tablename = 'customers'",
  'SELECT most_common_vals FROM pg_catalog.pg_stats',
  'SELECT stavalues1, stavalues2 FROM pg_statistic',
  'SELECT * FROM pg_stats_ext_exprs',
  'SELECT query FROM pg_stat_activity',
  'SELECT statement FROM pg_prepared_statements',
  'SELECT pg_stat_get_activity(null)',
  'SELECT histogram_bounds::text FROM "pg_stats"',
  'SELECT data FROM pg_largeobject',
  'SELECT * FROM pg_authid',
  'SELECT rolpassword FROM pg_authid',
  'SELECT passwd FROM pg_shadow',
  // texts of errors and notices
  `SELECT ssn::int FROM customers WHERE ${row}`,
  `SELECT (SELECT ssn FROM customers WHERE ${row})::numeric`,
  `SELECT CAST(c.ssn AS date) FROM customers c WHERE ${row}`,
  `SELECT 1 / (SELECT length(ssn) - 19 FROM customers WHERE ${row})`,
  `SELECT ssn::json FROM customers WHERE ${row}`,
  `SELECT ssn::uuid FROM customers WHERE ${row}`,
  `SELECT to_date(ssn, 'YYYY') FROM customers WHERE ${row}`,
  `SELECT id FROM customers WHERE ssn::int = 1`,
  `SELECT id FROM customers WHERE name = 'Canary' AND ssn::regclass IS NOT NULL`,
  `SELECT to_regclass(ssn) FROM customers WHERE ${row}`,
  `SELECT customers::text::int FROM customers WHERE ${row}`,
  `SELECT notes::int FROM customers WHERE ${row}`,
  // the detectors' columns
  `SELECT notes, profile FROM customers WHERE ${row}`,
  `SELECT profile -> 'card' FROM customers WHERE ${row}`,
  `SELECT profile ->> 'card' FROM customers WHERE ${row}`,
  `SELECT notes || '!' FROM customers WHERE ${row}`,
  `SELECT split_part(notes, ' ', 2) FROM customers WHERE ${row}`,
  `SELECT max(notes) FROM customers WHERE ${row}`,
  `SELECT jsonb_object_keys(jsonb_build_object(notes, 1)) FROM customers WHERE ${row}`,
];

/** From PostgreSQL 16 or later; an older server refuses them, and so may we. */
const newer: readonly string[] = [
  `SELECT JSON_OBJECT('a' VALUE ssn) FROM customers WHERE ${row}`,
  `SELECT JSON_ARRAY(ssn) FROM customers WHERE ${row}`,
  `SELECT JSON_ARRAYAGG(ssn) FROM customers WHERE ${row}`,
  `SELECT JSON_SCALAR(ssn) FROM customers WHERE ${row}`,
  `SELECT JSON_SERIALIZE(to_json(ssn)) FROM customers WHERE ${row}`,
  `SELECT JSON_VALUE(to_jsonb(c), '$.ssn') FROM customers c WHERE ${row}`,
  `SELECT JSON_QUERY(to_jsonb(c), '$.ssn') FROM customers c WHERE ${row}`,
  `SELECT t.* FROM customers c, JSON_TABLE(to_jsonb(c), '$' COLUMNS (v text PATH '$.ssn')) AS t WHERE ${row}`,
];

/** Writes that show, copy or report the value. */
const writes: readonly string[] = [
  `UPDATE customers SET name = 'Canary' WHERE ${row} RETURNING ssn`,
  `UPDATE customers SET name = 'Canary' WHERE ${row} RETURNING *`,
  `UPDATE customers SET name = 'Canary' WHERE ${row} RETURNING customers::text`,
  `UPDATE customers c SET name = 'Canary' WHERE ${row} RETURNING to_jsonb(c)`,
  `WITH u AS (UPDATE customers SET name = 'Canary' WHERE ${row} RETURNING ssn AS s) SELECT s FROM u`,
  `DELETE FROM customers WHERE ${row} RETURNING upper(ssn)`,
  `WITH d AS (DELETE FROM customers WHERE ${row} RETURNING *) SELECT row_to_json(d) FROM d`,
  `INSERT INTO plain SELECT 1, ssn FROM customers WHERE ${row}`,
  `INSERT INTO plain SELECT 1, ssn FROM customers WHERE ${row} RETURNING note`,
  `INSERT INTO plain VALUES (1, (SELECT ssn FROM customers WHERE ${row})) RETURNING *`,
  `INSERT INTO plain SELECT id, email FROM customers WHERE ${row}`,
  `UPDATE plain SET note = (SELECT ssn FROM customers WHERE ${row})`,
  `UPDATE plain SET note = c.ssn FROM customers c WHERE c.${row}`,
  `UPDATE plain SET (id, note) = (SELECT id, ssn FROM customers WHERE ${row})`,
  `UPDATE customers SET name = ssn WHERE ${row}`,
  `UPDATE customers SET notes = ssn WHERE ${row}`,
  `UPDATE customers SET profile = to_jsonb(customers) WHERE ${row}`,
  `MERGE INTO plain p USING customers c ON p.id = c.id WHEN NOT MATCHED THEN INSERT VALUES (c.id, c.ssn)`,
  `MERGE INTO plain p USING customers c ON p.id = 1 AND c.${row} WHEN MATCHED THEN UPDATE SET note = c.ssn`,
  `WITH q AS (SELECT ssn AS s FROM customers) INSERT INTO plain SELECT 1, s FROM q`,
  `SELECT ssn AS s INTO copied FROM customers`,
  `CREATE TABLE copied AS SELECT ssn AS s FROM customers`,
  `CREATE TEMP TABLE copied AS TABLE customers`,
  `CREATE MATERIALIZED VIEW copied AS SELECT ssn AS s FROM customers`,
  `CREATE VIEW copied AS SELECT ssn AS s FROM customers`,
  // errors that print rows
  `UPDATE customers SET name = NULL WHERE ${row}`,
  `INSERT INTO customers SELECT * FROM customers WHERE ${row}`,
  `INSERT INTO customers SELECT id, NULL, email, ssn, birth_date, balance, phone, notes, profile, created_at FROM customers WHERE ${row}`,
  `UPDATE customers SET id = 1 WHERE ${row}`,
  `UPDATE order_items SET quantity = 0`,
  `INSERT INTO orders (id, customer_id, total, placed_at) SELECT 1, id, 0, now() FROM customers WHERE ${row}`,
];

/** Questions whose answer, row by row, would tell the value: refused as a use beyond equality. */
const guesses: readonly string[] = [
  "SELECT id FROM customers WHERE ssn LIKE 'Q%'",
  "SELECT id FROM customers WHERE ssn ILIKE 'q%'",
  "SELECT id FROM customers WHERE ssn ~ '^Q'",
  "SELECT id FROM customers WHERE ssn SIMILAR TO 'Q%'",
  "SELECT id FROM customers WHERE ssn > 'Q'",
  "SELECT id FROM customers WHERE 'Q' < ssn",
  "SELECT id FROM customers WHERE ssn BETWEEN 'Q' AND 'R'",
  "SELECT id FROM customers WHERE NOT (ssn < 'Q')",
  "SELECT id FROM customers WHERE ssn <> 'x'",
  "SELECT id FROM customers WHERE ssn IS DISTINCT FROM 'x'",
  "SELECT id FROM customers WHERE starts_with(ssn, 'Q')",
  "SELECT id FROM customers WHERE ssn ^@ 'Q'",
  "SELECT id FROM customers WHERE substr(ssn, 1, 1) = 'Q'",
  "SELECT id FROM customers WHERE left(ssn, 1) IN ('Q')",
  "SELECT id FROM customers WHERE lower(ssn) = 'x'",
  "SELECT id FROM customers WHERE ssn::varchar(1) = 'Q'",
  'SELECT id FROM customers WHERE length(ssn) = 19',
  "SELECT id FROM customers WHERE position('Q' IN ssn) = 1",
  'SELECT id FROM customers WHERE ascii(ssn) = 81',
  "SELECT id FROM customers WHERE (ssn, id) > ('Q', 0)",
  "SELECT id FROM customers c WHERE c > ROW(1, '', '', '', null, 0, '', '', null, null)",
  "SELECT id FROM customers c WHERE c::text LIKE '%Q%'",
  'SELECT id FROM customers c WHERE to_jsonb(c) @> \'{"ssn": "x"}\'',
  "SELECT id FROM customers c WHERE to_jsonb(c) ->> 'ssn' LIKE 'Q%'",
  'SELECT id FROM customers ORDER BY ssn',
  'SELECT id FROM customers ORDER BY customers',
  'SELECT id, ssn FROM customers ORDER BY 2',
  'SELECT id, ssn AS s FROM customers ORDER BY s',
  'SELECT id FROM customers ORDER BY upper(ssn)',
  'SELECT DISTINCT ON (ssn) id FROM customers',
  'SELECT count(*) FROM customers GROUP BY ssn',
  'SELECT count(*) FROM customers GROUP BY left(ssn, 1)',
  'SELECT count(DISTINCT ssn) FROM customers',
  "SELECT count(*) FILTER (WHERE ssn LIKE 'Q%') FROM customers",
  "SELECT count(*) FROM customers HAVING max(ssn) > 'Q'",
  "SELECT id FROM customers GROUP BY id HAVING max(ssn) LIKE 'Q%'",
  'SELECT rank() OVER (ORDER BY ssn) FROM customers',
  'SELECT row_number() OVER (PARTITION BY left(ssn, 1)) FROM customers',
  'SELECT id, row_number() OVER w FROM customers WINDOW w AS (ORDER BY ssn)',
  "SELECT rank('Q') WITHIN GROUP (ORDER BY ssn) FROM customers",
  'SELECT array_agg(id ORDER BY ssn) FROM customers',
  "SELECT c.id FROM customers c JOIN (VALUES ('Q')) v (x) ON c.ssn > v.x",
  "SELECT c.id FROM customers c JOIN (VALUES ('Q')) v (x) ON c.ssn LIKE v.x || '%'",
  "SELECT v.x FROM (VALUES ('Q')) v (x) WHERE EXISTS (SELECT FROM customers WHERE ssn > v.x)",
  "SELECT v.x FROM (VALUES ('Q')) v (x) WHERE v.x < ANY (SELECT ssn FROM customers)",
  "SELECT 1 WHERE 'Q' <= ALL (SELECT ssn FROM customers)",
  "SELECT id FROM customers WHERE ssn > ANY (ARRAY['Q'])",
  "SELECT (SELECT ssn FROM customers WHERE id = 1) > 'Q'",
  "SELECT ssn > 'Q' FROM customers",
  "SELECT ssn = 'x' FROM customers",
  "SELECT CASE WHEN ssn > 'Q' THEN 1 END FROM customers",
  "SELECT CASE WHEN ssn LIKE 'Q%' THEN id END FROM customers",
  'SELECT length(ssn) FROM customers',
  'SELECT ascii(ssn), id FROM customers',
  'SELECT g FROM customers c, generate_series(1, length(c.ssn)) g',
  'SELECT 1 FROM customers c, LATERAL generate_series(1, ascii(c.ssn)) g',
  "SELECT 1 FROM customers c, LATERAL regexp_matches(c.ssn, '^Q') g",
  'SELECT o FROM customers c, LATERAL unnest(string_to_array(c.ssn, null)) WITH ORDINALITY AS u (x, o)',
  'SELECT c.id FROM customers c, XMLTABLE(\'/a[starts-with(., "Q")]\' PASSING xmlelement(name a, c.ssn) COLUMNS n FOR ORDINALITY) x',
  'SELECT 1 LIMIT (SELECT length(ssn) FROM customers LIMIT 1)',
  'SELECT 1 OFFSET (SELECT ascii(ssn) - 81 FROM customers LIMIT 1)',
  "SELECT pg_sleep(CASE WHEN ssn LIKE 'Q%' THEN 1 ELSE 0 END) FROM customers",
  "SELECT 1 / (CASE WHEN ssn LIKE 'Q%' THEN 0 ELSE 1 END) FROM customers",
  "SELECT id FROM customers WHERE id = CASE WHEN ssn LIKE 'Q%' THEN id ELSE 0 END",
  "SELECT id FROM customers WHERE coalesce(nullif(ssn, 'x'), '') = ''",
  "SELECT id FROM v_ssn WHERE s LIKE 'Q%'",
  'SELECT id FROM v_nested ORDER BY t',
  "SELECT id FROM v_expression WHERE u > 'Q'",
  "WITH q AS (SELECT id, ssn AS s FROM customers) SELECT id FROM q WHERE s > 'Q'",
  'SELECT id FROM (SELECT id, ssn AS s FROM customers) q ORDER BY s',
  "SELECT id FROM people WHERE ssn > 'Q'",
  "SELECT id FROM child WHERE code > 'Q'",
  "SELECT id FROM parent WHERE code > 'Q'",
  'SELECT id FROM parted ORDER BY code',
  "UPDATE plain SET id = 2 FROM customers c WHERE c.ssn > 'Q'",
  'UPDATE plain SET id = (SELECT ascii(ssn) FROM customers LIMIT 1)',
  "DELETE FROM plain USING customers c WHERE c.ssn LIKE 'Q%'",
  "UPDATE customers SET name = name WHERE ssn > 'Q'",
  "DELETE FROM customers WHERE ssn LIKE 'ZZZ%'",
  "MERGE INTO plain p USING customers c ON c.ssn > 'Q' WHEN MATCHED THEN UPDATE SET id = 1",
  "MERGE INTO plain p USING customers c ON p.id = c.id WHEN MATCHED AND c.ssn > 'Q' THEN UPDATE SET id = 1",
  "EXPLAIN SELECT id FROM customers WHERE ssn > 'Q'",
  "EXPLAIN (ANALYZE) SELECT id FROM customers WHERE ssn LIKE 'Q%'",
  "COPY (SELECT id FROM customers WHERE ssn > 'Q') TO STDOUT",
  'SELECT id FROM customers TABLESAMPLE SYSTEM (ascii((SELECT ssn FROM customers LIMIT 1)))',
  // evaluated though nobody sees it: that it failed, or what it left behind, tells
  "WITH q AS MATERIALIZED (SELECT 1 / (CASE WHEN ssn LIKE 'Q%' THEN 0 ELSE 1 END) AS x FROM customers) SELECT count(*) FROM q",
  'WITH q AS MATERIALIZED (SELECT chr(ascii(ssn) - 82) FROM customers) SELECT 1 FROM q',
  'WITH u AS (UPDATE plain SET id = 1 RETURNING (SELECT max(ssn) FROM customers)::int) SELECT 1',
  "SELECT count(*) FROM (SELECT set_config('application_name', ssn, false) FROM customers) q",
  'SELECT count(*) FROM (SELECT pg_advisory_xact_lock(ascii(ssn)) FROM customers) q',
  'SELECT count(*) FROM (SELECT setseed(ascii(ssn) / 1000.0) FROM customers) q',
];

/** One statement in every shape that the protocol and SQL have. */
const shapes: readonly {
  readonly name: string;
  run(a: Attacker, sql: string): Promise<unknown>;
}[] = [
  { name: 'simple', run: (a, sql) => a.query(sql) },
  { name: 'extended, text, not described', run: (a, sql) => a.extended(sql) },
  { name: 'extended, binary', run: (a, sql) => a.extended(sql, { resultFormats: [1] }) },
  {
    name: 'extended, binary, described, in parts',
    run: (a, sql) => a.extended(sql, { resultFormats: [1], describe: true, maxRows: 1 }),
  },
  {
    name: 'prepared',
    run: async (a, sql) => {
      await a.query(`PREPARE p AS ${sql}`);
      await a.query('EXECUTE p');
      await a.extended('EXECUTE p', { resultFormats: [1] });
    },
  },
];
const selectShapes: typeof shapes = [
  {
    name: 'cursor',
    run: async (a, sql) => {
      await a.query('BEGIN');
      await a.query(`DECLARE c CURSOR FOR ${sql}`);
      await a.query('FETCH 2 FROM c');
      await a.extended('FETCH ALL FROM c', { resultFormats: [1] });
      await a.query('ROLLBACK');
    },
  },
  {
    name: 'binary cursor with hold',
    run: async (a, sql) => {
      await a.query(`DECLARE c BINARY CURSOR WITH HOLD FOR ${sql}`);
      await a.query('FETCH ALL FROM c');
      await a.send([write.execute('c', 0), write.sync]);
    },
  },
  { name: 'copy', run: (a, sql) => a.query(`COPY (${sql}) TO STDOUT`) },
  {
    name: 'copy csv',
    run: (a, sql) => a.query(`COPY (${sql}) TO STDOUT WITH (FORMAT csv, HEADER)`),
  },
  { name: 'copy binary', run: (a, sql) => a.query(`COPY (${sql}) TO STDOUT (FORMAT binary)`) },
  { name: 'CTE', run: (a, sql) => a.extended(`WITH wrapped AS (${sql}) SELECT * FROM wrapped`) },
  { name: 'sub-select', run: (a, sql) => a.query(`SELECT x.* FROM (${sql}) AS x`) },
  { name: 'row of it', run: (a, sql) => a.query(`SELECT x FROM (${sql}) AS x`) },
  { name: 'document', run: (a, sql) => a.query(`SELECT to_jsonb(x) FROM (${sql}) AS x`) },
  { name: 'explained', run: (a, sql) => a.query(`EXPLAIN (ANALYZE, VERBOSE) ${sql}`) },
];

const versions: readonly PostgresVersion[] = await installedVersions();

describe.each(versions)('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      setup,
      resources: [labPolicy(), ...masks, identity('other')],
    });
  }, 60_000);
  afterAll(() => lab?.stop());

  /** Runs statements in one shape, all on one connection: whatever became of one, the next can be run. */
  async function attempt(
    shape: (typeof shapes)[number],
    statements: readonly string[],
  ): Promise<string[]> {
    const attacker = await lab.attacker();
    const found: string[] = [];
    for (const sql of statements) {
      await shape.run(attacker, sql);
      await attacker.query('ROLLBACK');
      await attacker.query('DEALLOCATE ALL');
      await attacker.query('CLOSE ALL');
      const alive = await attacker.query('SELECT 7 AS alive');
      const problems = leaks(attacker.takeSeen());
      if (alive.rows[0]?.[0] !== '7') problems.push(`the connection: ${alive.message}`);
      found.push(...problems.map((what) => `${sql} → ${what}`));
      if (alive.rows.length === 0) break;
    }
    attacker.end();
    return found;
  }

  test.each([...shapes, ...selectShapes])(
    'reading: $name',
    async (shape) => {
      const before = await lab.state();
      const statements = version >= 18 ? [...selects, ...newer] : selects;
      expect(await attempt(shape, statements)).toEqual([]);
      expect(await lab.state()).toEqual(before);
    },
    120_000,
  );

  test.each(shapes)(
    'writing and copying: $name',
    async (shape) => {
      expect(await attempt(shape, writes)).toEqual([]);
      // Nothing protected was carried to where it is not.
      const [plain] = await lab.behind(
        `SELECT string_agg(note, '|') FROM (SELECT note FROM plain UNION ALL SELECT name || notes || profile::text FROM customers) AS x`,
      );
      expect(leaks(String(plain?.[0]).replaceAll(canaries.card, ''))).toEqual([]);
      const [copied] = await lab.behind("SELECT to_regclass('public.copied')");
      expect(copied).toEqual([null]);
    },
    120_000,
  );

  test.each(shapes.slice(0, 2))(
    'guessing: $name',
    async (shape) => {
      const before = await lab.state();
      const allowed: string[] = [];
      const attacker = await lab.attacker();
      for (const sql of guesses) {
        const answer = (await shape.run(attacker, sql)) as Awaited<ReturnType<Attacker['query']>>;
        if (answer.sqlstate !== '42501' || answer.rows.length > 0) {
          const { types, sqlstate = '', message } = answer;
          allowed.push(`${sql} → ${types.slice(0, 20)} ${sqlstate} ${message}`);
        }
      }
      expect(allowed).toEqual([]);
      expect(await lab.state()).toEqual(before);
    },
    60_000,
  );

  test('equality, which usage Lookup allows, works', async () => {
    const attacker = await lab.attacker();
    const answer = await attacker.extended('SELECT id FROM customers WHERE ssn = $1', {
      parameters: [canaries.ssn],
    });
    expect(answer.rows).toEqual([[String(canaryId)]]);
  });
});
