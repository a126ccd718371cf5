import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, statementsOf, unknownReasons } from './test-analysis.ts';
import { shop } from './test-shop.ts';

beforeAll(loadParser);

/** In the manner of what psql, drivers and ORMs send on their own. */
const questions = [
  "SELECT n.nspname as \"Schema\", c.relname as \"Name\", CASE c.relkind WHEN 'r' THEN 'table' WHEN 'v' THEN 'view' END as \"Type\", pg_catalog.pg_get_userbyid(c.relowner) as \"Owner\" FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','p','v','') AND n.nspname !~ '^pg_toast' AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 1,2",
  "SELECT a.attname, pg_catalog.format_type(a.atttypid, a.atttypmod), (SELECT pg_catalog.pg_get_expr(d.adbin, d.adrelid, true) FROM pg_catalog.pg_attrdef d WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum AND a.atthasdef) FROM pg_catalog.pg_attribute a WHERE a.attrelid = '16385' AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
  "SELECT pg_catalog.obj_description(c.oid, 'pg_class'), c.oid::pg_catalog.regclass FROM pg_catalog.pg_class c WHERE c.relname OPERATOR(pg_catalog.~) '^(x)$' COLLATE pg_catalog.default",
  'SELECT pg_catalog.pg_class.relname FROM pg_catalog.pg_class JOIN pg_catalog.pg_namespace ON pg_catalog.pg_namespace.oid = pg_catalog.pg_class.relnamespace WHERE pg_catalog.pg_class.relkind = ANY (ARRAY[$1::varchar, $2::varchar]) AND pg_catalog.pg_table_is_visible(pg_catalog.pg_class.oid)',
  'select pg_catalog.version()',
  'select current_schema(), current_database(), current_user, session_user',
  'SELECT t.oid, typarray FROM pg_type t JOIN pg_namespace ns ON typnamespace = ns.oid WHERE typname = $1',
  "SELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typnotnull, elemtyp.oid AS elemtypoid FROM pg_type AS typ LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = typ.typelem LEFT JOIN pg_proc ON pg_proc.oid = typ.typreceive) AS t JOIN pg_namespace AS ns ON (ns.oid = t.typnamespace) WHERE t.typtype IN ('b', 'r', 'm', 'e', 'd') OR t.typname IN ('record', 'void') ORDER BY CASE WHEN t.typtype IN ('b', 'e', 'p') THEN 0 ELSE 1 END",
  'SELECT result.column_name, (result.keys).n FROM (SELECT a.attname AS column_name, information_schema._pg_expandarray(i.indkey) AS keys, a.attnum AS a_attnum FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_attribute a ON (ct.oid = a.attrelid) JOIN pg_catalog.pg_index i ON (a.attrelid = i.indrelid) WHERE i.indisprimary) result WHERE result.a_attnum = (result.keys).x',
  'SELECT table_schema, table_name, column_name, data_type FROM information_schema.columns WHERE table_schema = $1 ORDER BY ordinal_position',
  "SELECT c.relname, pg_catalog.pg_get_constraintdef(r.oid, true), array_agg(a.attname ORDER BY k.ord) FROM pg_constraint r JOIN pg_class c ON c.oid = r.conrelid CROSS JOIN LATERAL unnest(r.conkey) WITH ORDINALITY AS k(attnum, ord) JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum WHERE r.contype = 'f' GROUP BY c.relname, r.oid",
  'SELECT typname, enumlabel FROM pg_enum JOIN pg_type ON pg_type.oid = enumtypid ORDER BY enumtypid, enumsortorder',
  'select pg_is_in_recovery(), pg_backend_pid(), txid_current()',
  'SHOW standard_conforming_strings; SHOW TRANSACTION ISOLATION LEVEL; SHOW server_version_num',
  "SELECT 'x'::regclass::oid, has_table_privilege('contacts', 'SELECT'), to_regclass('x') IS NULL",
  'SELECT pg_stat_get_live_tuples(c.oid), pg_stat_get_last_autovacuum_time(c.oid) FROM pg_class c',
  'SELECT buffers_alloc FROM pg_stat_bgwriter, pg_stat_wal, pg_stat_io, pg_stat_user_functions',
  "SELECT (aclexplode(coalesce(n.nspacl, acldefault('n', n.nspowner)))).privilege_type FROM pg_namespace n",
  "SET DateStyle = ISO; SET client_min_messages TO WARNING; SET extra_float_digits = 3; SET search_path = '$user', public",
];

describe('questions about the catalog come with any access', () => {
  test.each(questions)('%s', (text) => {
    expect(unknownReasons(text, shop)).toEqual([]);
    for (const { operations } of statementsOf(text, shop)) {
      expect(operations.filter((operation) => operation.class !== 'Catalog')).toEqual([]);
    }
  });

  test('they are told apart from reads of tables', () => {
    expect(operationLines('select relname, ssn from pg_class, contacts', shop)).toEqual([
      'Select Catalog pg_catalog.pg_class (relname)',
      'Select contacts (ssn)',
    ]);
  });
});

const benchmark = [
  'drop table if exists pgbench_accounts, pgbench_branches',
  'create table pgbench_accounts(aid int not null, bid int, abalance int, filler char(84)) with (fillfactor=100)',
  'begin',
  'alter table pgbench_accounts add primary key (aid)',
  'commit',
];

test.each(benchmark)('%s', (text) => {
  const reasons = unknownReasons(text, shop);
  // The table is not in this catalog, so only altering it is not understood.
  expect(reasons).toEqual([]);
});
