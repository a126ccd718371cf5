/**
 * What ORMs, reports and administration tools send of their own habit, written by hand: each passes under the policy
 * of an ordinary application, is carried out by PostgreSQL, and is refused to nobody for not being understood.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import pg from 'pg';
import { masking, policy, TestChaperone } from '../support/chaperone.ts';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

/** A statement, or several one after the other; values of its parameters; the first server version that takes it. */
type Habit = readonly [
  sql: string | readonly string[],
  values?: readonly unknown[],
  since?: number,
];

/** Beside the shop: what migrations leave. */
const setup = [
  "CREATE TYPE article_state AS ENUM ('draft', 'published')",
  'CREATE TABLE authors (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, name text NOT NULL, email varchar(255) UNIQUE, meta jsonb NOT NULL DEFAULT $${}$$, created_at timestamptz NOT NULL DEFAULT now())',
  `CREATE TABLE articles (id uuid PRIMARY KEY DEFAULT gen_random_uuid(), author_id int REFERENCES authors ON DELETE CASCADE,
     title text NOT NULL, body text, tags text[] NOT NULL DEFAULT '{}', state article_state NOT NULL DEFAULT 'draft', version int NOT NULL DEFAULT 0,
     price numeric(10,2), published_on date, updated_at timestamp(6) without time zone NOT NULL DEFAULT now(), CHECK (version >= 0))`,
  'CREATE INDEX articles_by_state ON articles (state, lower(title))',
  'CREATE SEQUENCE hibernate_sequence INCREMENT BY 50',
  "INSERT INTO authors (name, email) VALUES ('Ada', 'ada@example.com'), ('Bo', 'bo@example.com')",
  "INSERT INTO articles (author_id, title, tags) VALUES (1, 'One', '{a,b}'), (2, 'Two', '{}')",
];

const habits: Readonly<Record<string, readonly Habit[]>> = {
  Django: [
    [
      'SELECT "authors"."id", "authors"."name", "authors"."email" FROM "authors" WHERE "authors"."email" = $1 LIMIT 21',
      ['ada@example.com'],
    ],
    [
      'SELECT COUNT(*) AS "__count" FROM "articles" INNER JOIN "authors" ON ("articles"."author_id" = "authors"."id") WHERE UPPER("authors"."name"::text) LIKE UPPER($1)',
      ['%a%'],
    ],
    ['SELECT 1 AS "a" FROM "authors" WHERE "authors"."id" = $1 LIMIT 1', [1]],
    [
      'SELECT "authors"."id", COUNT("articles"."id") AS "n" FROM "authors" LEFT OUTER JOIN "articles" ON ("authors"."id" = "articles"."author_id") GROUP BY "authors"."id" HAVING COUNT("articles"."id") > $1 ORDER BY "n" DESC',
      [0],
    ],
    [
      'INSERT INTO "authors" ("name", "email", "meta") VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT("email") DO UPDATE SET "name" = EXCLUDED."name" RETURNING "authors"."id"',
      ['Cy', 'cy@example.com', '{}', 'Di', 'di@example.com', '{}'],
    ],
    [
      'UPDATE "articles" SET "version" = ("articles"."version" + $1) WHERE "articles"."id" IN (SELECT U0."id" FROM "articles" U0 WHERE U0."state" = $2)',
      [1, 'draft'],
    ],
    [
      `SELECT DATE_TRUNC($1, "articles"."updated_at" AT TIME ZONE $2) AS "day", COUNT("articles"."id") AS "n" FROM "articles" GROUP BY 1 ORDER BY 1 ASC`,
      ['day', 'UTC'],
    ],
    [
      `SELECT "articles"."id", ("articles"."tags" @> $1::varchar[]::text[]) AS "has", CASE WHEN "articles"."version" > $2 THEN $3 ELSE NULL END AS "k" FROM "articles"`,
      [['a'], 0, 'new'],
    ],
    [
      'SELECT "authors"."id", ("authors"."meta" #>> $1) AS "city" FROM "authors" WHERE "authors"."meta" @> $2 ORDER BY "authors"."id" ASC',
      [['address', 'city'], '{}'],
    ],
    [
      `SELECT c.relname, CASE WHEN c.relispartition THEN 'p' WHEN c.relkind IN ('m', 'v') THEN 'v' ELSE 't' END, obj_description(c.oid, 'pg_class') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)`,
    ],
    [
      `SELECT a.attname AS column_name, NOT (a.attnotnull OR (t.typtype = 'd' AND t.typnotnull)) AS is_nullable, pg_get_expr(ad.adbin, ad.adrelid) AS column_default, CASE WHEN collname = 'default' THEN NULL ELSE collname END AS collation, a.attidentity != '' AS is_autofield, col_description(a.attrelid, a.attnum) AS column_comment FROM pg_attribute a LEFT JOIN pg_attrdef ad ON a.attrelid = ad.adrelid AND a.attnum = ad.adnum LEFT JOIN pg_collation co ON a.attcollation = co.oid JOIN pg_type t ON a.atttypid = t.oid JOIN pg_class c ON a.attrelid = c.oid JOIN pg_namespace n ON c.relnamespace = n.oid WHERE c.relkind IN ('f', 'm', 'p', 'r', 'v') AND c.relname = $1 AND n.nspname NOT IN ('pg_catalog', 'pg_toast') AND pg_catalog.pg_table_is_visible(c.oid)`,
      ['articles'],
    ],
    [
      `SELECT c.conname, array(SELECT attname FROM unnest(c.conkey) WITH ORDINALITY cols(colid, arridx) JOIN pg_attribute AS ca ON cols.colid = ca.attnum WHERE ca.attrelid = c.conrelid ORDER BY cols.arridx), c.contype, (SELECT fkc.relname || '.' || fka.attname FROM pg_attribute AS fka JOIN pg_class AS fkc ON fka.attrelid = fkc.oid WHERE fka.attrelid = c.confrelid AND fka.attnum = c.confkey[1]), cl.reloptions FROM pg_constraint AS c JOIN pg_class AS cl ON c.conrelid = cl.oid WHERE cl.relname = $1 AND pg_catalog.pg_table_is_visible(cl.oid)`,
      ['articles'],
    ],
    [
      `SELECT indexname, array_agg(attname ORDER BY arridx), indisunique, indisprimary, array_agg(ordering ORDER BY arridx), amname, exprdef, s2.attoptions FROM (SELECT c2.relname as indexname, idx.*, attr.attname, am.amname, CASE WHEN idx.indexprs IS NOT NULL THEN pg_get_indexdef(idx.indexrelid) END AS exprdef, CASE am.amname WHEN 'btree' THEN CASE (option & 1) WHEN 1 THEN 'DESC' ELSE 'ASC' END END as ordering, c2.reloptions as attoptions FROM (SELECT * FROM pg_index i, unnest(i.indkey, i.indoption) WITH ORDINALITY koi(key, option, arridx)) idx LEFT JOIN pg_class c ON idx.indrelid = c.oid LEFT JOIN pg_class c2 ON idx.indexrelid = c2.oid LEFT JOIN pg_am am ON c2.relam = am.oid LEFT JOIN pg_attribute attr ON attr.attrelid = c.oid AND attr.attnum = idx.key WHERE c.relname = $1 AND pg_catalog.pg_table_is_visible(c.oid)) s2 GROUP BY indexname, indisunique, indisprimary, amname, exprdef, attoptions`,
      ['articles'],
    ],
    [
      'SELECT CONVERT_TO($1, $2), STATEMENT_TIMESTAMP(), (NOW() AT TIME ZONE $3)::date',
      ['x', 'UTF8', 'UTC'],
    ],
    ['SAVEPOINT "s140_x1"; RELEASE SAVEPOINT "s140_x1"'],
  ],
  ActiveRecord: [
    [
      "SET client_min_messages TO 'warning'; SET standard_conforming_strings = on; SET SESSION timezone TO 'UTC'",
    ],
    ['SHOW max_identifier_length'],
    [
      `SELECT t.oid, t.typname, t.typelem, t.typdelim, t.typinput, r.rngsubtype, t.typtype, t.typbasetype FROM pg_type as t LEFT JOIN pg_range as r ON t.oid = r.rngtypid WHERE t.typname IN ('int2', 'int4', 'int8', 'oid', 'float4', 'bool') OR t.typtype IN ('r', 'e', 'd') OR t.typinput = 'array_in(cstring,oid,integer)'::regprocedure OR t.typelem != 0`,
    ],
    [
      `SELECT a.attname, format_type(a.atttypid, a.atttypmod), pg_get_expr(d.adbin, d.adrelid), a.attnotnull, a.atttypid, a.atttypmod, c.collname, col_description(a.attrelid, a.attnum) AS comment, a.attidentity AS identity, a.attgenerated as attgenerated FROM pg_attribute a LEFT JOIN pg_attrdef d ON a.attrelid = d.adrelid AND a.attnum = d.adnum LEFT JOIN pg_type t ON a.atttypid = t.oid LEFT JOIN pg_collation c ON a.attcollation = c.oid AND a.attcollation <> t.typcollation WHERE a.attrelid = '"articles"'::regclass AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum`,
    ],
    [
      `SELECT a.attname FROM (SELECT indrelid, indkey, generate_subscripts(indkey, 1) idx FROM pg_index WHERE indrelid = '"articles"'::regclass AND indisprimary) i JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[i.idx] ORDER BY i.idx`,
    ],
    [
      `SELECT c.relname FROM pg_class c LEFT JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname = ANY (current_schemas(false)) AND c.relname = 'articles' AND c.relkind IN ('r','v','m','p','f')`,
    ],
    [
      `SELECT distinct i.relname, d.indisunique, d.indkey, pg_get_indexdef(d.indexrelid), pg_catalog.obj_description(i.oid, 'pg_class') AS comment, d.indisvalid, ARRAY(SELECT pg_get_indexdef(d.indexrelid, k + 1, true) FROM generate_subscripts(d.indkey, 1) AS k ORDER BY k) AS columns, ARRAY(SELECT a.attname FROM pg_attribute a WHERE a.attrelid = d.indexrelid ORDER BY a.attnum) AS names FROM pg_class t INNER JOIN pg_index d ON t.oid = d.indrelid INNER JOIN pg_class i ON d.indexrelid = i.oid LEFT JOIN pg_namespace n ON n.oid = t.relnamespace WHERE i.relkind IN ('i', 'I') AND d.indisprimary = 'f' AND t.relname = 'articles' AND n.nspname = ANY (current_schemas(false)) ORDER BY i.relname`,
    ],
    [
      `SELECT t2.oid::regclass::text AS to_table, a1.attname AS column, a2.attname AS primary_key, c.conname AS name, c.confupdtype AS on_update, c.confdeltype AS on_delete, c.convalidated AS valid, c.condeferrable AS deferrable, c.conkey, c.confkey, c.conrelid, c.confrelid FROM pg_constraint c JOIN pg_class t1 ON c.conrelid = t1.oid JOIN pg_class t2 ON c.confrelid = t2.oid JOIN pg_attribute a1 ON a1.attnum = c.conkey[1] AND a1.attrelid = t1.oid JOIN pg_attribute a2 ON a2.attnum = c.confkey[1] AND a2.attrelid = t2.oid JOIN pg_namespace t3 ON c.connamespace = t3.oid WHERE c.contype = 'f' AND t1.relname = 'articles' AND t3.nspname = ANY (current_schemas(false)) ORDER BY c.conname`,
    ],
    [
      `SELECT type.typname AS name, type.OID AS oid, n.nspname AS schema, array_agg(enum.enumlabel ORDER BY enum.enumsortorder) AS value FROM pg_enum AS enum JOIN pg_type AS type ON (type.oid = enum.enumtypid) JOIN pg_namespace n ON type.typnamespace = n.oid WHERE n.nspname = ANY (current_schemas(false)) GROUP BY type.OID, n.nspname, type.typname`,
    ],
    [
      'SELECT pg_try_advisory_lock(1234567890123456789); SELECT pg_advisory_unlock(1234567890123456789)',
    ],
    ['SELECT "authors".* FROM "authors" ORDER BY "authors"."id" ASC LIMIT $1 OFFSET $2', [10, 0]],
    [
      'SELECT "articles"."id" AS t0_r0, "articles"."title" AS t0_r1, "authors"."id" AS t1_r0, "authors"."name" AS t1_r1 FROM "articles" LEFT OUTER JOIN "authors" ON "authors"."id" = "articles"."author_id" WHERE "articles"."state" = $1',
      ['draft'],
    ],
    [
      'INSERT INTO "authors" ("name","email") VALUES ($1, $2) ON CONFLICT ("email") DO UPDATE SET "created_at"=(CASE WHEN ("authors"."name" IS NOT DISTINCT FROM excluded."name") THEN "authors"."created_at" ELSE CURRENT_TIMESTAMP END),"name"=excluded."name" RETURNING "id"',
      ['Ed', 'ed@example.com'],
    ],
    ['SELECT "authors".* FROM "authors" WHERE "authors"."id" = $1 LIMIT $2 FOR UPDATE', [1, 1]],
    [
      'SELECT SUM("articles"."price") AS "sum_price", "articles"."author_id" AS "articles_author_id" FROM "articles" GROUP BY "articles"."author_id"',
    ],
    [
      [
        'CREATE TABLE "schema_migrations" ("version" character varying NOT NULL PRIMARY KEY)',
        'CREATE TABLE "ar_internal_metadata" ("key" character varying NOT NULL PRIMARY KEY, "value" character varying, "created_at" timestamp(6) NOT NULL)',
        `ALTER TABLE "authors" ADD "nickname" character varying DEFAULT 'x' NOT NULL`,
        'CREATE INDEX "index_authors_on_name" ON "authors" ("name")',
        'ALTER TABLE "authors" DROP COLUMN "nickname"',
        'DROP INDEX "index_authors_on_name"',
        'DROP TABLE "schema_migrations", "ar_internal_metadata"',
      ],
    ],
  ],
  Hibernate: [
    ["select nextval('hibernate_sequence')"],
    ["select next_val.* from (select nextval('hibernate_sequence') as v) next_val"],
    [
      "select a1_0.id,a1_0.title,a2_0.id,a2_0.name from articles a1_0 left join authors a2_0 on a2_0.id=a1_0.author_id where a1_0.title like $1 escape '' order by a1_0.title offset $2 rows fetch first $3 rows only",
      ['%', 0, 20],
    ],
    [
      'select a1_0.id from articles a1_0 where a1_0.version=$1 and a1_0.author_id in ($2,$3,$4) for no key update of a1_0 skip locked',
      [0, 1, 2, 3],
    ],
    [
      'update articles set title=$1,version=$2 where id=$3 and version=$4',
      ['x', 1, '00000000-0000-4000-8000-000000000000', 0],
    ],
    [
      'select cast(count(*) as bigint),extract(year from published_on),coalesce(sum(price),0) from articles group by 2',
    ],
    ['select current_timestamp, localtimestamp(6), cast($1 as text)||cast($2 as text)', ['a', 'b']],
    ['insert into authors (name,email) values ($1,$2) returning id', ['Fay', 'fay@example.com']],
    ['select * from information_schema.sequences'],
    [
      'select sequence_schema, sequence_name, increment, start_value, minimum_value, maximum_value from information_schema.sequences',
    ],
    [
      "select listagg.author_id, string_agg(listagg.title, ', ' order by listagg.title) within_group from articles listagg group by listagg.author_id",
    ],
    [
      'select row_number() over (partition by author_id order by updated_at desc nulls last) rn, id from articles',
    ],
  ],
  Prisma: [
    [
      'SELECT "public"."authors"."id", "public"."authors"."name" FROM "public"."authors" WHERE ("public"."authors"."email" = $1 AND 1=1) LIMIT $2 OFFSET $3',
      ['ada@example.com', 1, 0],
    ],
    [
      'SELECT "public"."articles"."id", "public"."articles"."author_id", "public"."articles"."state"::text FROM "public"."articles" WHERE "public"."articles"."author_id" IN ($1,$2) OFFSET $3',
      [1, 2, 0],
    ],
    [
      'INSERT INTO "public"."articles" ("author_id","title","state","updated_at") VALUES ($1,$2,CAST($3::text AS "public"."article_state"),$4) RETURNING "public"."articles"."id", "public"."articles"."state"::text',
      [1, 'p', 'draft', '2026-01-01'],
    ],
    [
      'SELECT COUNT(*), SUM("version") FROM (SELECT "public"."articles"."id", "public"."articles"."version" FROM "public"."articles" WHERE 1=1 OFFSET $1) AS "sub"',
      [0],
    ],
    [
      'UPDATE "public"."authors" SET "meta" = $1 WHERE ("public"."authors"."id" = $2 AND 1=1) RETURNING "public"."authors"."id"',
      ['{}', 1],
    ],
    [
      `SELECT "t0"."id", "t0_articles"."__prisma_data__" AS "articles" FROM "public"."authors" AS "t0" LEFT JOIN LATERAL (SELECT COALESCE(JSONB_AGG("__prisma_data__"), '[]') AS "__prisma_data__" FROM (SELECT "t2"."__prisma_data__" FROM (SELECT JSONB_BUILD_OBJECT('id', "t1"."id", 'title', "t1"."title") AS "__prisma_data__" FROM (SELECT "t0a".* FROM "public"."articles" AS "t0a" WHERE "t0"."id" = "t0a"."author_id") AS "t1") AS "t2") AS "t3") AS "t0_articles" ON TRUE WHERE "t0"."id" = $1 LIMIT $2`,
      [1, 1],
    ],
    ['SELECT version()'],
    ['SET search_path = "public"'],
    [
      "SELECT EXISTS(SELECT 1 FROM pg_namespace WHERE nspname = $1), version(), current_setting('server_version_num')::integer as numeric_version",
      ['public'],
    ],
    [
      `SELECT namespace.nspname AS namespace, tbl.relname AS table_name, (tbl.relhassubclass AND tbl.relkind = 'p') AS is_partition, (tbl.relhassubclass AND tbl.relkind = 'r') AS has_subclass, tbl.relrowsecurity AS has_row_level_security, reloptions, obj_description(tbl.oid, 'pg_class') AS description FROM pg_class AS tbl INNER JOIN pg_namespace AS namespace ON namespace.oid = tbl.relnamespace WHERE ((tbl.relkind = 'r' AND tbl.relispartition = 'f') OR tbl.relkind = 'p') AND namespace.nspname = ANY ($1) ORDER BY namespace, table_name`,
      [['public']],
    ],
    [
      `SELECT oid.namespace, info.table_name, info.column_name, format_type(att.atttypid, att.atttypmod) AS formatted_type, info.numeric_precision, info.numeric_scale, info.numeric_precision_radix, info.datetime_precision, info.data_type, info.udt_schema AS type_schema_name, info.udt_name AS full_data_type, pg_get_expr(attdef.adbin, attdef.adrelid) AS column_default, info.is_nullable, info.is_identity, info.character_maximum_length, col_description(att.attrelid, ordinal_position) AS description FROM information_schema.columns info JOIN pg_attribute att ON att.attname = info.column_name JOIN (SELECT pg_class.oid, relname, pg_namespace.nspname AS namespace FROM pg_class JOIN pg_namespace ON pg_namespace.oid = pg_class.relnamespace AND pg_namespace.nspname = ANY ($1) WHERE reltype > 0) AS oid ON oid.oid = att.attrelid AND relname = info.table_name AND namespace = info.table_schema LEFT JOIN pg_attrdef attdef ON attdef.adrelid = att.attrelid AND attdef.adnum = att.attnum AND table_schema = namespace WHERE table_schema = ANY ($1) ORDER BY namespace, table_name, ordinal_position`,
      [['public']],
    ],
    [
      `SELECT t.typname AS name, e.enumlabel AS value, n.nspname AS namespace, obj_description(t.oid, 'pg_type') AS description FROM pg_type t JOIN pg_enum e ON t.oid = e.enumtypid JOIN pg_catalog.pg_namespace n ON n.oid = t.typnamespace WHERE n.nspname = ANY ($1) ORDER BY e.enumsortorder`,
      [['public']],
    ],
    [
      `WITH rawindex AS (SELECT indrelid, indexrelid, indisunique, indisprimary, unnest(indkey) AS indkeyid, generate_subscripts(indkey, 1) AS indkeyidx, unnest(indclass) AS indclass, unnest(indoption) AS indoption FROM pg_index WHERE indpred IS NULL AND NOT indisexclusion) SELECT schemainfo.nspname AS namespace, indexinfo.relname AS index_name, tableinfo.relname AS table_name, columninfo.attname AS column_name, rawindex.indisunique AS is_unique, rawindex.indisprimary AS is_primary_key, rawindex.indkeyidx AS column_index, opclass.opcname AS opclass, opclass.opcdefault AS opcdefault, indexaccess.amname AS index_algo, CASE rawindex.indoption & 1 WHEN 1 THEN 'DESC' ELSE 'ASC' END AS column_order, pc.condeferrable AS condeferrable FROM rawindex INNER JOIN pg_class AS tableinfo ON tableinfo.oid = rawindex.indrelid INNER JOIN pg_class AS indexinfo ON indexinfo.oid = rawindex.indexrelid INNER JOIN pg_namespace AS schemainfo ON schemainfo.oid = tableinfo.relnamespace LEFT JOIN pg_attribute AS columninfo ON columninfo.attrelid = tableinfo.oid AND columninfo.attnum = rawindex.indkeyid INNER JOIN pg_am AS indexaccess ON indexaccess.oid = indexinfo.relam LEFT JOIN pg_opclass AS opclass ON opclass.oid = rawindex.indclass LEFT JOIN pg_constraint pc ON rawindex.indexrelid = pc.conindid AND pc.contype <> 'f' WHERE schemainfo.nspname = ANY ($1) ORDER BY namespace, table_name, index_name, column_index`,
      [['public']],
    ],
    [
      `SELECT con.oid AS con_id, att2.attname AS child_column, cl.relname AS parent_table, att.attname AS parent_column, con.confdeltype, con.confupdtype, con.conname AS constraint_name, child, parent, table_name, namespace FROM (SELECT unnest(con1.conkey) AS parent, unnest(con1.confkey) AS child, cl.relname AS table_name, ns.nspname AS namespace, generate_subscripts(con1.conkey, 1) AS colidx, con1.oid, con1.confrelid, con1.conrelid, con1.conname, con1.confdeltype, con1.confupdtype FROM pg_class cl JOIN pg_constraint con1 ON con1.conrelid = cl.oid JOIN pg_namespace ns ON cl.relnamespace = ns.oid WHERE ns.nspname = ANY ($1) AND con1.contype = 'f' ORDER BY colidx) con JOIN pg_attribute att ON att.attrelid = con.confrelid AND att.attnum = con.child JOIN pg_class cl ON cl.oid = con.confrelid JOIN pg_attribute att2 ON att2.attrelid = con.conrelid AND att2.attnum = con.parent ORDER BY con_id`,
      [['public']],
    ],
    [
      `SELECT views.viewname AS view_name, views.definition AS view_sql, views.schemaname AS namespace, obj_description(class.oid, 'pg_class') AS description FROM pg_catalog.pg_views views INNER JOIN pg_catalog.pg_namespace ns ON views.schemaname = ns.nspname INNER JOIN pg_catalog.pg_class class ON class.relnamespace = ns.oid AND class.relname = views.viewname WHERE schemaname = ANY ($1)`,
      [['public']],
    ],
    [
      `SELECT p.proname AS name, n.nspname AS namespace, CASE WHEN l.lanname = 'internal' THEN p.prosrc ELSE pg_get_functiondef(p.oid) END AS definition FROM pg_proc p LEFT JOIN pg_namespace n ON p.pronamespace = n.oid LEFT JOIN pg_language l ON p.prolang = l.oid WHERE n.nspname = ANY ($1) AND p.prokind IN ('f', 'p')`,
      [['public']],
    ],
    [
      `SELECT ext.extname AS extension_name, ext.extversion AS extension_version, ext.extrelocatable, pn.nspname AS extension_schema FROM pg_extension ext INNER JOIN pg_namespace pn ON ext.extnamespace = pn.oid`,
    ],
    [
      `SELECT sequencename AS sequence_name, schemaname AS namespace, start_value, min_value, max_value, increment_by, cycle, cache_size FROM pg_sequences WHERE schemaname = ANY ($1)`,
      [['public']],
    ],
    ['SELECT pg_advisory_lock(72707369)'],
    ['SELECT pg_advisory_unlock(72707369)'],
    [
      [
        'CREATE TABLE "_prisma_migrations" ("id" VARCHAR(36) PRIMARY KEY NOT NULL, "checksum" VARCHAR(64) NOT NULL, "finished_at" TIMESTAMPTZ, "started_at" TIMESTAMPTZ NOT NULL DEFAULT now(), "applied_steps_count" INTEGER NOT NULL DEFAULT 0)',
        'DROP TABLE "_prisma_migrations"',
      ],
    ],
    ['BEGIN; COMMIT; DEALLOCATE ALL'],
  ],
  'TypeORM, Sequelize, Knex': [
    [
      'SELECT DISTINCT "distinctAlias"."Author_id" AS "ids_Author_id" FROM (SELECT "Author"."id" AS "Author_id", "Author"."name" AS "Author_name" FROM "authors" "Author" WHERE "Author"."id" = $1) "distinctAlias" ORDER BY "Author_id" ASC LIMIT 1',
      [1],
    ],
    [
      `SELECT * FROM "information_schema"."tables" WHERE "table_schema" = current_schema() AND "table_name" = 'authors'`,
    ],
    [
      `SELECT columns.*, pg_catalog.col_description(('"' || table_catalog || '"."' || table_schema || '"."' || table_name || '"')::regclass::oid, ordinal_position) AS description, ('"' || "udt_schema" || '"."' || "udt_name" || '"')::"regtype"::text AS "regtype", pg_catalog.format_type("col_attr"."atttypid", "col_attr"."atttypmod") AS "format_type" FROM "information_schema"."columns" LEFT JOIN "pg_catalog"."pg_attribute" AS "col_attr" ON "col_attr"."attname" = "columns"."column_name" AND "col_attr"."attrelid" = ('articles')::regclass WHERE table_schema = 'public' AND table_name = 'articles'`,
    ],
    [
      `SELECT pk.constraint_type as "Constraint", c.column_name as "Field", c.column_default as "Default", c.is_nullable as "Null", (CASE WHEN c.udt_name = 'hstore' THEN c.udt_name ELSE c.data_type END) || (CASE WHEN c.character_maximum_length IS NOT NULL THEN '(' || c.character_maximum_length || ')' ELSE '' END) as "Type", (SELECT array_agg(e.enumlabel) FROM pg_catalog.pg_type t JOIN pg_catalog.pg_enum e ON t.oid = e.enumtypid WHERE t.typname = c.udt_name) AS "special" FROM information_schema.columns c LEFT JOIN (SELECT tc.table_schema, tc.table_name, cu.column_name, tc.constraint_type FROM information_schema.table_constraints tc JOIN information_schema.key_column_usage cu ON tc.table_schema = cu.table_schema AND tc.table_name = cu.table_name AND tc.constraint_name = cu.constraint_name AND tc.constraint_type = 'PRIMARY KEY') pk ON pk.table_schema = c.table_schema AND pk.table_name = c.table_name AND pk.column_name = c.column_name WHERE c.table_name = 'authors' AND c.table_schema = 'public'`,
    ],
    [
      `insert into "authors" ("name", "email") values ($1, DEFAULT), ($2, $3) on conflict do nothing returning *`,
      ['g', 'h', 'h@example.com'],
    ],
    [
      `update "articles" set "tags" = array_append("tags", $1), "updated_at" = CURRENT_TIMESTAMP where "id" = any($2::uuid[]) returning "id"`,
      ['t', []],
    ],
    [
      'select count(*) OVER() AS full_count, "a".* from "articles" as "a" where "a"."title" ilike $1 order by "a"."updated_at" desc limit $2',
      ['%o%', 5],
    ],
    [
      `SELECT "id", "meta"#>>'{address,city}' AS "city" FROM "authors" AS "author" WHERE ("author"."meta"#>>'{a}') = 'b' OR jsonb_typeof("meta"->'x') = 'array'`,
    ],
    [
      'with recursive "up" as (select "id", 0 as depth from "authors" where "id" = $1 union all select "a"."id", depth + 1 from "authors" "a" join "up" on "a"."id" = "up"."id" + 1 where depth < 5) select * from "up"',
      [1],
    ],
  ],
  'EF Core and Npgsql': [
    [
      `SELECT version();\n\nSELECT ns.nspname, t.oid, t.typname, t.typtype, t.typnotnull, t.elemtypoid FROM (SELECT typ.oid, typ.typnamespace, typ.typname, typ.typtype, typ.typrelid, typ.typnotnull, typ.relkind, elemtyp.oid AS elemtypoid, elemtyp.typname AS elemtypname, elemcls.relkind AS elemrelkind, CASE WHEN elemproc.proname='array_recv' THEN 'a' ELSE elemtyp.typtype END AS elemtyptype, typ.typcategory FROM (SELECT typ.oid, typnamespace, typname, typrelid, typnotnull, relkind, typelem AS elemoid, typcategory, CASE WHEN proc.proname='array_recv' THEN 'a' ELSE typ.typtype END AS typtype, CASE WHEN proc.proname='array_recv' THEN typ.typelem WHEN typ.typtype='r' THEN rngsubtype WHEN typ.typtype='m' THEN (SELECT rngtypid FROM pg_range WHERE rngmultitypid = typ.oid) WHEN typ.typtype='d' THEN typ.typbasetype END AS elemtypoid FROM pg_type AS typ LEFT JOIN pg_class AS cls ON (cls.oid = typ.typrelid) LEFT JOIN pg_proc AS proc ON proc.oid = typ.typreceive LEFT JOIN pg_range ON (pg_range.rngtypid = typ.oid)) AS typ LEFT JOIN pg_type AS elemtyp ON elemtyp.oid = elemtypoid LEFT JOIN pg_class AS elemcls ON (elemcls.oid = elemtyp.typrelid) LEFT JOIN pg_proc AS elemproc ON elemproc.oid = elemtyp.typreceive) AS t JOIN pg_namespace AS ns ON (ns.oid = typnamespace) WHERE typtype IN ('b', 'r', 'm', 'e', 'd') OR (typtype = 'c' AND relkind='c') OR (typtype = 'p' AND typname IN ('record', 'void', 'unknown')) ORDER BY CASE WHEN typtype IN ('b', 'e', 'p') THEN 0 ELSE 1 END`,
    ],
    [
      'SELECT a."id", a."title", (SELECT count(*)::int FROM "articles" AS a0 WHERE a."author_id" = a0."author_id") AS "N" FROM "articles" AS a WHERE strpos(a."title", $1) > 0 AND date_part(\'year\', a."updated_at")::int = $2 ORDER BY a."id" LIMIT $3',
      ['O', 2026, 5],
    ],
    [
      'SELECT t.* FROM unnest($1::int[], $2::text[]) WITH ORDINALITY AS t(id, name, ord) WHERE t.id = ANY ($3)',
      [[1, 2], ['a', 'b'], [1]],
    ],
    [
      `MERGE INTO "authors" AS t USING (VALUES ($1, $2)) AS s (name, email) ON t.email = s.email WHEN MATCHED THEN UPDATE SET name = s.name WHEN NOT MATCHED THEN INSERT (name, email) VALUES (s.name, s.email)`,
      ['Ada', 'ada@example.com'],
      15,
    ],
    ['COPY "authors" ("name", "email") TO STDOUT (FORMAT text)'],
  ],
  'Metabase, Grafana, reports': [
    [
      `SELECT "source"."day" AS "day", SUM("source"."total") AS "sum", CUME_DIST() OVER (ORDER BY "source"."day") FROM (SELECT CAST(DATE_TRUNC('week', (CAST("public"."orders"."placed_at" AS timestamp) + INTERVAL '1 day')) AS timestamp) + INTERVAL '-1 day' AS "day", "public"."orders"."total" AS "total" FROM "public"."orders" WHERE ("public"."orders"."placed_at" >= timestamp with time zone '2026-01-01 00:00:00.000Z') AND ("public"."orders"."placed_at" < DATE_TRUNC('month', (NOW() + INTERVAL '-12 month')) + INTERVAL '24 month')) AS "source" GROUP BY "source"."day" ORDER BY "source"."day" ASC`,
    ],
    [
      `SELECT FLOOR((("public"."orders"."total" - 0.0) / 1000.0)) * 1000.0 AS "total", COUNT(*) AS "count" FROM "public"."orders" GROUP BY FLOOR((("public"."orders"."total" - 0.0) / 1000.0)) * 1000.0 ORDER BY 1 ASC LIMIT 1048575`,
    ],
    [
      `SELECT STDDEV_POP("total"), VAR_POP("total"), PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY "total"), COUNT(DISTINCT "status"), SUM(CASE WHEN "status" = 'paid' THEN 1 ELSE 0.0 END) / CASE WHEN COUNT(*) = 0 THEN NULL ELSE COUNT(*) END FROM "public"."orders"`,
    ],
    [
      `SELECT NULL AS role, t.schemaname AS schema, t.objectname AS table, pg_catalog.has_any_column_privilege(current_user, '"' || replace(t.schemaname, '"', '""') || '"' || '.' || '"' || replace(t.objectname, '"', '""') || '"', 'update') AS update FROM (SELECT schemaname, tablename AS objectname FROM pg_catalog.pg_tables UNION SELECT schemaname, viewname FROM pg_catalog.pg_views UNION SELECT schemaname, matviewname FROM pg_catalog.pg_matviews) t WHERE t.schemaname !~ '^pg_' AND t.schemaname <> 'information_schema' AND pg_catalog.has_schema_privilege(current_user, t.schemaname, 'usage')`,
    ],
    [
      `SELECT "$__".t AS "time", "$__".v FROM (SELECT floor(extract(epoch from placed_at)/300)*300 AS t, avg(total) AS v FROM orders WHERE placed_at BETWEEN '2026-01-01T00:00:00Z' AND '2026-12-01T00:00:00Z' GROUP BY 1) AS "$__" ORDER BY 1`,
    ],
    [
      `SELECT quote_ident(table_name) FROM information_schema.tables WHERE quote_ident(table_schema) NOT IN ('information_schema', 'pg_catalog') AND table_type = 'BASE TABLE' AND quote_ident(table_schema) = ANY (SELECT CASE WHEN trim(s[i]) = '"$user"' THEN user ELSE trim(s[i]) END FROM generate_series(array_lower(string_to_array(current_setting('search_path'), ','), 1), array_upper(string_to_array(current_setting('search_path'), ','), 1)) AS i, string_to_array(current_setting('search_path'), ',') s) ORDER BY 1`,
    ],
    [
      "SELECT width_bucket(total, 0, 50000, 10) b, min(total), max(total), repeat('#', count(*)::int / 10) FROM orders GROUP BY b ORDER BY b",
    ],
    [
      "SELECT d::date AS day, coalesce(n, 0) AS n FROM generate_series(date '2026-01-01', date '2026-01-31', interval '1 day') AS d LEFT JOIN (SELECT placed_at::date AS day, count(*) AS n FROM orders GROUP BY 1) o ON o.day = d::date ORDER BY 1",
    ],
    [
      'SELECT status, total, sum(total) OVER w AS running, lag(total) OVER w, ntile(4) OVER (ORDER BY total) FROM orders WINDOW w AS (PARTITION BY status ORDER BY placed_at ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) LIMIT 10',
    ],
    [
      "SELECT coalesce(status, 'all') AS status, grouping(status), count(*), sum(total) FILTER (WHERE total > 100) FROM orders GROUP BY ROLLUP (status) ORDER BY grouping(status), 1",
    ],
    [
      "SELECT to_char(placed_at, 'IYYY-IW') AS week, count(*) FROM orders WHERE placed_at > now() - interval '90 days' GROUP BY 1",
    ],
    [
      "SELECT profile->>'tier' AS tier, count(*), round(avg(balance), 2) FROM customers GROUP BY 1 ORDER BY 2 DESC",
    ],
    [
      'SELECT DISTINCT ON (customer_id) customer_id, id, total FROM orders ORDER BY customer_id, placed_at DESC',
    ],
    [
      "WITH monthly AS (SELECT date_trunc('month', placed_at) m, sum(total) t FROM orders GROUP BY 1) SELECT m, t, t - lag(t) OVER (ORDER BY m) AS delta, 100.0 * t / nullif(sum(t) OVER (), 0) AS share FROM monthly",
    ],
    [
      "SELECT * FROM (SELECT max(total) FILTER (WHERE status = 'new') AS new, max(total) FILTER (WHERE status = 'paid') AS paid FROM orders) p",
    ],
  ],
  dbt: [
    ['select distinct nspname from pg_namespace'],
    [
      `select 'shop' as database, tablename as name, schemaname as schema, 'table' as type from pg_tables where schemaname ilike 'public' union all select 'shop' as database, viewname as name, schemaname as schema, 'view' as type from pg_views where schemaname ilike 'public' union all select 'shop', matviewname, schemaname, 'materialized_view' from pg_matviews where schemaname ilike 'public'`,
    ],
    [
      `with relation as (select pg_rewrite.ev_class as class, pg_rewrite.oid as id from pg_rewrite), class as (select oid as id, relname as name, relnamespace as schema, relkind as kind from pg_class), dependency as (select distinct pg_depend.objid as id, pg_depend.refobjid as ref from pg_depend), schema as (select pg_namespace.oid as id, pg_namespace.nspname as name from pg_namespace where nspname != 'information_schema' and nspname not like 'pg\\_%'), referenced as (select relation.id AS id, referenced_class.name, referenced_class.schema, referenced_class.kind from relation join class as referenced_class on relation.class = referenced_class.id where referenced_class.kind in ('r', 'v', 'm')), relationships as (select referenced.name as referenced_name, referenced.schema as referenced_schema_id, dependent_class.name as dependent_name, dependent_class.schema as dependent_schema_id, referenced.kind as kind from referenced join dependency on referenced.id = dependency.id join class as dependent_class on dependency.ref = dependent_class.id where (referenced.name != dependent_class.name or referenced.schema != dependent_class.schema)) select referenced_schema.name as referenced_schema, relationships.referenced_name, dependent_schema.name as dependent_schema, relationships.dependent_name from relationships join schema as dependent_schema on relationships.dependent_schema_id = dependent_schema.id join schema as referenced_schema on relationships.referenced_schema_id = referenced_schema.id group by 1, 2, 3, 4 order by 1, 2`,
    ],
    [
      [
        `create table "shop"."public"."stage__dbt_tmp" as (select id, status, total from "shop"."public"."orders" where total > 100)`,
        `alter table "shop"."public"."stage__dbt_tmp" rename to "stage"`,
        `comment on table "public"."stage" is 'made'`,
        `create view "shop"."public"."stage_v" as (select status, count(*) as n from "shop"."public"."stage" group by 1)`,
        `drop view if exists "shop"."public"."stage_v"`,
        `drop table if exists "shop"."public"."stage" cascade`,
      ],
    ],
    [
      `select count(*) as failures, count(*) != 0 as should_warn from (select id from "shop"."public"."orders" where id is null) dbt_internal_test`,
    ],
    [
      `with all_values as (select status as value_field, count(*) as n_records from orders group by status) select * from all_values where value_field not in ('new', 'paid')`,
    ],
  ],
  'pgAdmin and DBeaver': [
    [
      "SELECT db.oid as did, db.datname, pg_catalog.pg_encoding_to_char(encoding) AS serverencoding, has_database_privilege(db.oid, 'CREATE') as cancreate, datistemplate FROM pg_catalog.pg_database db WHERE db.datname = current_database()",
    ],
    [
      "SELECT roles.oid as id, roles.rolname as name, roles.rolsuper as is_superuser, CASE WHEN roles.rolsuper THEN true ELSE roles.rolcreaterole END as can_create_role, pg_catalog.pg_has_role(roles.oid, 'MEMBER') FROM pg_catalog.pg_roles as roles WHERE rolname = current_user",
    ],
    [
      "SELECT rel.oid, rel.relname AS name, (SELECT count(*) FROM pg_trigger WHERE tgrelid=rel.oid AND tgisinternal = FALSE) AS triggercount, (SELECT count(1) FROM pg_catalog.pg_inherits WHERE inhrelid=rel.oid LIMIT 1) as is_inherits, pg_catalog.obj_description(rel.oid) FROM pg_catalog.pg_class rel WHERE rel.relkind IN ('r','s','t','p') AND rel.relnamespace = 'public'::regnamespace AND NOT rel.relispartition ORDER BY rel.relname",
    ],
    [
      "SELECT c.oid, a.attnum, a.attname, c.relname, n.nspname, a.attnotnull OR (t.typtype = 'd' AND t.typnotnull), a.attidentity != '' OR pg_catalog.pg_get_expr(d.adbin, d.adrelid) LIKE '%nextval(%' FROM pg_catalog.pg_class c JOIN pg_catalog.pg_namespace n ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (c.oid = a.attrelid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef d ON (d.adrelid = a.attrelid AND d.adnum = a.attnum) JOIN (SELECT 'authors'::regclass::oid AS oid, 1 AS attnum UNION ALL SELECT 'authors'::regclass, 2) vals ON (c.oid = vals.oid AND a.attnum = vals.attnum)",
    ],
    [
      "SELECT nspname, n.oid, (aclexplode(coalesce(nspacl, acldefault('n', nspowner)))).privilege_type, pg_catalog.pg_get_userbyid(nspowner), has_schema_privilege(n.oid, 'CREATE') FROM pg_catalog.pg_namespace n ORDER BY nspname",
    ],
    [
      "SELECT c.oid, c.*, d.description, pg_catalog.pg_get_expr(c.relpartbound, c.oid) as partition_expr, pg_catalog.pg_get_partkeydef(c.oid) as partition_key FROM pg_catalog.pg_class c LEFT OUTER JOIN pg_catalog.pg_description d ON d.objoid = c.oid AND d.objsubid = 0 AND d.classoid = 'pg_class'::regclass WHERE c.relnamespace = 'public'::regnamespace AND c.relkind NOT IN ('i','I','c')",
    ],
    [
      "SELECT i.*, i.indkey as keys, c.relname, c.relnamespace, c.relam, c.reltablespace, tc.relname as tabrelname, dsc.description, pg_catalog.pg_get_expr(i.indpred, i.indrelid) as pred_expr, pg_catalog.pg_get_expr(i.indexprs, i.indrelid, true) as expr, pg_catalog.pg_relation_size(i.indexrelid) as index_rel_size, pg_catalog.pg_stat_get_numscans(i.indexrelid) as index_num_scans FROM pg_catalog.pg_index i INNER JOIN pg_catalog.pg_class c ON c.oid = i.indexrelid INNER JOIN pg_catalog.pg_class tc ON tc.oid = i.indrelid LEFT OUTER JOIN pg_catalog.pg_description dsc ON i.indexrelid = dsc.objoid WHERE i.indrelid = 'articles'::regclass ORDER BY tabrelname, c.relname",
    ],
    [
      "SELECT p.oid, p.proname, pg_get_function_identity_arguments(p.oid), pg_get_function_result(p.oid), l.lanname FROM pg_catalog.pg_proc p JOIN pg_language l ON l.oid = p.prolang WHERE p.pronamespace = 'public'::regnamespace",
    ],
    [
      'SELECT relname, n_live_tup, n_dead_tup, last_vacuum, last_analyze, seq_scan, idx_scan, pg_size_pretty(pg_total_relation_size(relid)) FROM pg_stat_user_tables ORDER BY pg_total_relation_size(relid) DESC',
    ],
    [
      'SELECT sum(xact_commit + xact_rollback) AS "Transactions", sum(blks_read) AS "Reads", (SELECT count(*) FROM pg_locks) AS locks FROM pg_stat_database WHERE datname = current_database()',
    ],
    ['SELECT x.* FROM articles x', []],
    [
      'EXPLAIN (FORMAT JSON, ANALYZE OFF, VERBOSE OFF, COSTS ON) SELECT * FROM orders WHERE total > 10',
    ],
  ],
  'psql’s \\d and its kin': [
    [
      "SELECT c.oid, n.nspname, c.relname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relname OPERATOR(pg_catalog.~) '^(articles)$' COLLATE pg_catalog.default AND pg_catalog.pg_table_is_visible(c.oid) ORDER BY 2, 3",
    ],
    [
      "SELECT c.relchecks, c.relkind, c.relhasindex, c.relhasrules, c.relhastriggers, c.relrowsecurity, c.relforcerowsecurity, false AS relhasoids, c.relispartition, '', c.reltablespace, CASE WHEN c.reloftype = 0 THEN '' ELSE c.reloftype::pg_catalog.regtype::pg_catalog.text END, c.relpersistence, c.relreplident, am.amname FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_class tc ON (c.reltoastrelid = tc.oid) LEFT JOIN pg_catalog.pg_am am ON (c.relam = am.oid) WHERE c.oid = 'articles'::regclass",
    ],
    [
      "SELECT r.conname, pg_catalog.pg_get_constraintdef(r.oid, true) FROM pg_catalog.pg_constraint r WHERE r.conrelid = 'articles'::regclass AND r.contype = 'c' ORDER BY 1",
    ],
    [
      "SELECT conrelid = 'articles'::regclass AS sametable, conname, pg_catalog.pg_get_constraintdef(oid, true) AS condef, conrelid::pg_catalog.regclass AS ontable FROM pg_catalog.pg_constraint, pg_catalog.pg_partition_ancestors('articles'::regclass) WHERE conrelid = relid AND contype = 'f' AND conparentid = 0 ORDER BY sametable DESC, conname",
    ],
    [
      "SELECT pol.polname, pol.polpermissive, CASE WHEN pol.polroles = '{0}' THEN NULL ELSE pg_catalog.array_to_string(array(select rolname from pg_catalog.pg_roles where oid = any (pol.polroles) order by 1), ',') END, pg_catalog.pg_get_expr(pol.polqual, pol.polrelid) FROM pg_catalog.pg_policy pol WHERE pol.polrelid = 'articles'::regclass ORDER BY 1",
    ],
    [
      "SELECT oid, stxrelid::pg_catalog.regclass, stxnamespace::pg_catalog.regnamespace::pg_catalog.text AS nsp, stxname, pg_catalog.pg_get_statisticsobjdef_columns(oid) AS columns, 'd' = any(stxkind) AS ndist_enabled, stxstattarget FROM pg_catalog.pg_statistic_ext WHERE stxrelid = 'articles'::regclass ORDER BY nsp, stxname",
    ],
    [
      "SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p JOIN pg_catalog.pg_publication_rel pr ON p.oid = pr.prpubid WHERE pr.prrelid = 'articles'::regclass UNION SELECT pubname, NULL, NULL FROM pg_catalog.pg_publication p WHERE p.puballtables AND pg_catalog.pg_relation_is_publishable('articles'::regclass) ORDER BY 1",
    ],
    [
      "SELECT c.oid::pg_catalog.regclass, c.relkind, inhdetachpending, pg_catalog.pg_get_expr(c.relpartbound, c.oid) FROM pg_catalog.pg_class c, pg_catalog.pg_inherits i WHERE c.oid = i.inhrelid AND i.inhparent = 'events'::regclass ORDER BY pg_catalog.pg_get_expr(c.relpartbound, c.oid) = 'DEFAULT', c.oid::pg_catalog.regclass::pg_catalog.text",
    ],
    [
      "SELECT n.nspname AS \"Schema\", p.proname AS \"Name\", pg_catalog.pg_get_function_result(p.oid), pg_catalog.pg_get_function_arguments(p.oid), CASE p.prokind WHEN 'a' THEN 'agg' WHEN 'w' THEN 'window' ELSE 'func' END FROM pg_catalog.pg_proc p LEFT JOIN pg_catalog.pg_namespace n ON n.oid = p.pronamespace WHERE pg_catalog.pg_function_is_visible(p.oid) AND n.nspname <> 'pg_catalog' AND n.nspname <> 'information_schema' ORDER BY 1, 2, 4",
    ],
    [
      "SELECT r.rolname, r.rolsuper, r.rolinherit, r.rolcreaterole, r.rolcanlogin, r.rolconnlimit, ARRAY(SELECT b.rolname FROM pg_catalog.pg_auth_members m JOIN pg_catalog.pg_roles b ON (m.roleid = b.oid) WHERE m.member = r.oid) as memberof FROM pg_catalog.pg_roles r WHERE r.rolname !~ '^pg_' ORDER BY 1",
    ],
    [
      "SELECT n.nspname, c.relname, pg_catalog.array_to_string(c.relacl, E'\\n') AS \"Access privileges\", pg_catalog.array_to_string(ARRAY(SELECT attname || E':\\n  ' || pg_catalog.array_to_string(attacl, E'\\n  ') FROM pg_catalog.pg_attribute a WHERE attrelid = c.oid AND NOT attisdropped AND attacl IS NOT NULL), E'\\n') FROM pg_catalog.pg_class c LEFT JOIN pg_catalog.pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r','v','m','S','f','p') AND pg_catalog.pg_table_is_visible(c.oid)",
    ],
    [
      "SELECT d.datname, pg_catalog.pg_get_userbyid(d.datdba), pg_catalog.pg_encoding_to_char(d.encoding), d.datcollate, CASE WHEN pg_catalog.has_database_privilege(d.datname, 'CONNECT') THEN pg_catalog.pg_size_pretty(pg_catalog.pg_database_size(d.datname)) ELSE 'No Access' END FROM pg_catalog.pg_database d ORDER BY 1",
    ],
    [
      "SELECT e.extname, e.extversion, n.nspname, c.description FROM pg_catalog.pg_extension e LEFT JOIN pg_catalog.pg_namespace n ON n.oid = e.extnamespace LEFT JOIN pg_catalog.pg_description c ON c.objoid = e.oid AND c.classoid = 'pg_catalog.pg_extension'::pg_catalog.regclass ORDER BY 1",
    ],
    [
      "SELECT pg_catalog.format_type(seqtypid, NULL), seqstart, seqmin, seqmax, seqincrement, seqcycle, seqcache FROM pg_catalog.pg_sequence WHERE seqrelid = 'hibernate_sequence'::regclass",
    ],
    ['SELECT last_value, is_called FROM hibernate_sequence'],
  ],
  'Sequences and bulk writes': [
    [
      `SELECT setval(pg_get_serial_sequence('"authors"','id'), coalesce(max("id"), 1), max("id") IS NOT null) FROM "authors"`,
    ],
    [
      `SELECT setval('"public"."authors_id_seq"', (SELECT COALESCE(MAX("id"), 1) FROM "authors"), true)`,
    ],
    [
      "SELECT nextval('authors_id_seq'::regclass), currval(pg_get_serial_sequence('authors', 'id')), lastval()",
    ],
    [
      "UPDATE authors AS a SET name = v.name FROM (VALUES (1, 'x'), (2, 'y')) AS v(id, name) WHERE a.id = v.id RETURNING a.*",
    ],
    [
      'UPDATE authors AS a SET name = v.name FROM unnest($1::int[], $2::text[]) AS v(id, name) WHERE a.id = v.id',
      [[1], ['x']],
    ],
    [
      'INSERT INTO authors (name, email) SELECT x.name, x.email FROM jsonb_to_recordset($1::jsonb) AS x(name text, email text) ON CONFLICT DO NOTHING',
      ['[]'],
    ],
    [
      'WITH gone AS (DELETE FROM articles WHERE version < 0 RETURNING *) INSERT INTO articles SELECT * FROM gone',
    ],
    [
      'INSERT INTO authors (name) SELECT $1::text WHERE NOT EXISTS (SELECT 1 FROM authors WHERE name = $1)',
      ['z'],
    ],
    ['CREATE TEMP TABLE staging (LIKE authors INCLUDING DEFAULTS) ON COMMIT DROP'],
    [
      "SELECT '{draft,published}'::article_state[], 'draft'::article_state = ANY (enum_range(NULL::article_state))",
    ],
  ],
  'Counters, as dashboards read them': [
    ['SELECT * FROM pg_stat_bgwriter, pg_stat_wal'],
    ['SELECT datname, confl_lock, confl_deadlock FROM pg_stat_database_conflicts'],
    ['SELECT funcname, calls, total_time FROM pg_stat_user_functions'],
    ['SELECT num_timed, write_time FROM pg_stat_checkpointer', [], 17],
    ['SELECT backend_type, object, context, reads, hits FROM pg_stat_io', [], 16],
  ],
  'Queues and locks': [
    [
      "UPDATE articles SET version = version + 1 WHERE id = (SELECT id FROM articles WHERE state = 'draft' ORDER BY updated_at FOR UPDATE SKIP LOCKED LIMIT 1) RETURNING *",
    ],
    [
      `SELECT "articles".* FROM "articles" WHERE "articles"."id" IN (WITH "rows" AS MATERIALIZED (SELECT "articles"."id" FROM "articles" LIMIT 5) SELECT "id" FROM "rows" WHERE pg_try_advisory_lock(('x' || substr(md5('articles' || '-' || "id"::text), 1, 16))::bit(64)::bigint) LIMIT 1)`,
    ],
    ['SELECT pg_advisory_xact_lock(hashtext($1)), pg_try_advisory_xact_lock($2, $3)', ['x', 1, 2]],
    [
      "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND classid = ('x' || substr(md5('a'), 1, 8))::bit(32)::int",
    ],
    ['LOCK TABLE "authors" IN SHARE UPDATE EXCLUSIVE MODE'],
    ['SELECT pg_advisory_unlock_all()'],
  ],
  Search: [
    [
      "SELECT id, ts_rank(to_tsvector('english', coalesce(title, '') || ' ' || coalesce(body, '')), q) AS rank, ts_headline('english', title, q) FROM articles, plainto_tsquery('english', $1) q WHERE to_tsvector('english', title) @@ q ORDER BY rank DESC",
      ['one'],
    ],
    [
      "SELECT id FROM articles WHERE to_tsvector('simple'::regconfig, title) @@ websearch_to_tsquery('simple', $1)",
      ['one'],
    ],
    [
      'SELECT id FROM articles WHERE title ~* $1 OR title SIMILAR TO $2 OR regexp_count(title, $1) > 0',
      ['o', '%o%'],
    ],
    [
      "SELECT meta @? '$.a[*] ? (@ > 2)', meta @@ '$.b == 1', jsonb_path_query_array(meta, '$.*') FROM authors",
    ],
  ],
  'Ecto, GORM, Doctrine, Laravel, Flyway, Alembic': [
    [
      `SELECT t.oid, t.typname, t.typsend, t.typreceive, t.typoutput, t.typinput, coalesce(d.typelem, t.typelem), coalesce(r.rngsubtype, 0), ARRAY (SELECT a.atttypid FROM pg_attribute AS a WHERE a.attrelid = t.typrelid AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum) FROM pg_type AS t LEFT JOIN pg_type AS d ON t.typbasetype = d.oid LEFT JOIN pg_range AS r ON r.rngtypid = t.oid OR r.rngmultitypid = t.oid OR (t.typbasetype <> 0 AND r.rngtypid = t.typbasetype) WHERE (t.typrelid = 0) AND (t.typelem = 0 OR NOT EXISTS (SELECT 1 FROM pg_catalog.pg_type s WHERE s.typrelid != 0 AND s.oid = t.typelem))`,
    ],
    [
      `SELECT count(*) FROM information_schema.tables WHERE table_schema = CURRENT_SCHEMA() AND table_name = $1 AND table_type = $2`,
      ['authors', 'BASE TABLE'],
    ],
    [
      `SELECT c.column_name, c.is_nullable = 'YES', c.udt_name, c.character_maximum_length, c.numeric_precision, c.numeric_scale, c.datetime_precision, 8 * typlen, c.column_default, pd.description, c.identity_increment FROM information_schema.columns AS c JOIN pg_type AS pgt ON c.udt_name = pgt.typname LEFT JOIN pg_catalog.pg_description as pd ON pd.objsubid = c.ordinal_position AND pd.objoid = (SELECT oid FROM pg_catalog.pg_class WHERE relname = c.table_name AND relnamespace = (SELECT oid FROM pg_catalog.pg_namespace WHERE nspname = c.table_schema)) WHERE table_catalog = $1 AND table_schema = CURRENT_SCHEMA() AND table_name = $2`,
      ['shop', 'authors'],
    ],
    [
      `SELECT a.attnum, quote_ident(a.attname) AS field, t.typname AS type, format_type(a.atttypid, a.atttypmod) AS complete_type, (SELECT tc.collcollate FROM pg_catalog.pg_collation tc WHERE tc.oid = a.attcollation) AS collation, (SELECT t1.typname FROM pg_catalog.pg_type t1 WHERE t1.oid = t.typbasetype) AS domain_type, a.attnotnull AS isnotnull, (SELECT 't' FROM pg_index WHERE c.oid = pg_index.indrelid AND pg_index.indkey[0] = a.attnum AND pg_index.indisprimary = 't') AS pri, (SELECT pg_get_expr(adbin, adrelid) FROM pg_attrdef WHERE c.oid = pg_attrdef.adrelid AND pg_attrdef.adnum = a.attnum) AS default, (SELECT pg_description.description FROM pg_description WHERE pg_description.objoid = c.oid AND a.attnum = pg_description.objsubid) AS comment FROM pg_attribute a, pg_class c, pg_type t, pg_namespace n WHERE n.nspname NOT IN ('information_schema', 'pg_catalog', 'pg_toast') AND c.relname = 'authors' AND n.nspname = CURRENT_SCHEMA() AND a.attnum > 0 AND a.attrelid = c.oid AND a.atttypid = t.oid AND n.oid = c.relnamespace ORDER BY a.attnum`,
    ],
    [
      `select c.relname as name, n.nspname as schema, pg_total_relation_size(c.oid) as size, obj_description(c.oid, 'pg_class') as comment from pg_class c, pg_namespace n where c.relkind in ('r', 'p') and n.oid = c.relnamespace and n.nspname not in ('pg_catalog', 'information_schema') order by c.relname`,
    ],
    [
      `select ic.relname as name, string_agg(a.attname, ',' order by indseq.ord) as columns, am.amname as "type", i.indisunique as "unique", i.indisprimary as "primary" from pg_index i join pg_class tc on tc.oid = i.indrelid join pg_namespace tn on tn.oid = tc.relnamespace join pg_class ic on ic.oid = i.indexrelid join pg_am am on am.oid = ic.relam join lateral unnest(i.indkey) with ordinality as indseq(num, ord) on true left join pg_attribute a on a.attrelid = i.indrelid and a.attnum = indseq.num where tc.relname = 'articles' and tn.nspname = current_schema() group by ic.relname, am.amname, i.indisunique, i.indisprimary`,
    ],
    [
      'SELECT EXISTS (SELECT FROM information_schema.tables WHERE table_schema = $1 AND table_name = $2)',
      ['public', 'flyway_schema_history'],
    ],
    ['SELECT rolcreaterole, rolsuper FROM pg_roles WHERE rolname = current_user'],
    [
      'CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL, CONSTRAINT alembic_version_pkc PRIMARY KEY (version_num))',
    ],
    ['ALTER TABLE articles ADD CONSTRAINT positive CHECK (price > 0) NOT VALID'],
    ["ALTER TYPE article_state ADD VALUE IF NOT EXISTS 'gone'"],
    ['ALTER TABLE articles ALTER COLUMN version TYPE bigint USING version::bigint'],
    [
      'CREATE OR REPLACE VIEW article_list AS SELECT a.id, u.name FROM articles a JOIN authors u ON u.id = a.author_id',
    ],
    ["COMMENT ON COLUMN authors.name IS 'x'"],
    ['TRUNCATE TABLE articles, authors RESTART IDENTITY CASCADE'],
    ['ALTER SEQUENCE hibernate_sequence RESTART WITH 100'],
    ['CREATE TABLE measurements (at timestamptz NOT NULL, v float8) PARTITION BY RANGE (at)'],
    [
      "CREATE TABLE events_2027 PARTITION OF events FOR VALUES FROM ('2027-01-01') TO ('2027-02-01')",
    ],
    [
      'CREATE UNIQUE INDEX IF NOT EXISTS by_lower ON authors USING btree (lower(email)) WHERE email IS NOT NULL',
    ],
    ['CREATE INDEX by_meta ON authors USING gin (meta jsonb_path_ops)'],
    [
      'CREATE MATERIALIZED VIEW author_counts AS SELECT author_id, count(*) FROM articles GROUP BY 1 WITH NO DATA',
    ],
  ],
  'JDBC metadata': [
    [
      `SELECT * FROM (SELECT n.nspname,c.relname,a.attname,a.atttypid,a.attnotnull OR (t.typtype = 'd' AND t.typnotnull) AS attnotnull,a.atttypmod,a.attlen,t.typtypmod,row_number() OVER (PARTITION BY a.attrelid ORDER BY a.attnum) AS attnum, nullif(a.attidentity, '') as attidentity,nullif(a.attgenerated, '') as attgenerated,pg_catalog.pg_get_expr(def.adbin, def.adrelid) AS adsrc,dsc.description,t.typbasetype,t.typtype FROM pg_catalog.pg_namespace n JOIN pg_catalog.pg_class c ON (c.relnamespace = n.oid) JOIN pg_catalog.pg_attribute a ON (a.attrelid=c.oid) JOIN pg_catalog.pg_type t ON (a.atttypid = t.oid) LEFT JOIN pg_catalog.pg_attrdef def ON (a.attrelid=def.adrelid AND a.attnum = def.adnum) LEFT JOIN pg_catalog.pg_description dsc ON (c.oid=dsc.objoid AND a.attnum = dsc.objsubid) LEFT JOIN pg_catalog.pg_class dc ON (dc.oid=dsc.classoid AND dc.relname='pg_class') LEFT JOIN pg_catalog.pg_namespace dn ON (dc.relnamespace=dn.oid AND dn.nspname='pg_catalog') WHERE c.relkind in ('r','p','v','f','m') and a.attnum > 0 AND NOT a.attisdropped) c WHERE true ORDER BY nspname,c.relname,attnum`,
    ],
    [
      `SELECT NULL AS TABLE_CAT, n.nspname AS TABLE_SCHEM, ct.relname AS TABLE_NAME, NOT i.indisunique AS NON_UNIQUE, NULL AS INDEX_QUALIFIER, ci.relname AS INDEX_NAME, CASE i.indisclustered WHEN true THEN 1 ELSE CASE am.amname WHEN 'hash' THEN 2 ELSE 3 END END AS TYPE, (information_schema._pg_expandarray(i.indkey)).n AS ORDINAL_POSITION, ci.reltuples AS CARDINALITY, ci.relpages AS PAGES, pg_catalog.pg_get_expr(i.indpred, i.indrelid) AS FILTER_CONDITION FROM pg_catalog.pg_class ct JOIN pg_catalog.pg_namespace n ON (ct.relnamespace = n.oid) JOIN pg_catalog.pg_index i ON (ct.oid = i.indrelid) JOIN pg_catalog.pg_class ci ON (ci.oid = i.indexrelid) JOIN pg_catalog.pg_am am ON (ci.relam = am.oid)`,
    ],
    [
      `SELECT NULL::text AS PKTABLE_CAT, pkn.nspname AS PKTABLE_SCHEM, pkc.relname AS PKTABLE_NAME, pka.attname AS PKCOLUMN_NAME, fka.attname, pos.n AS KEY_SEQ, CASE con.confupdtype WHEN 'c' THEN 0 ELSE NULL END AS UPDATE_RULE, con.conname FROM pg_catalog.pg_namespace pkn, pg_catalog.pg_class pkc, pg_catalog.pg_attribute pka, pg_catalog.pg_namespace fkn, pg_catalog.pg_class fkc, pg_catalog.pg_attribute fka, pg_catalog.pg_constraint con, pg_catalog.generate_series(1, 32) pos(n), pg_catalog.pg_class pkic WHERE pkn.oid = pkc.relnamespace AND pkc.oid = pka.attrelid AND pka.attnum = con.confkey[pos.n] AND con.confrelid = pkc.oid AND fkn.oid = fkc.relnamespace AND fkc.oid = fka.attrelid AND fka.attnum = con.conkey[pos.n] AND con.conrelid = fkc.oid AND con.contype = 'f' AND (pkic.relkind = 'i' OR pkic.relkind = 'I') AND pkic.oid = con.conindid`,
    ],
    [
      "select string_agg(word, ',') from pg_catalog.pg_get_keywords() where word <> ALL ('{a,abs,absolute}'::text[])",
    ],
    [
      'SELECT n.nspname = ANY(current_schemas(true)), n.nspname, t.typname FROM pg_catalog.pg_type t JOIN pg_catalog.pg_namespace n ON t.typnamespace = n.oid WHERE t.oid = $1',
      [23],
    ],
    [
      'SELECT pg_type.oid, typname FROM pg_type LEFT JOIN (select ns.oid as nspoid, ns.nspname, r.r from pg_namespace as ns join (select s.r, (current_schemas(false))[s.r] as nspname from generate_series(1, array_upper(current_schemas(false), 1)) as s(r)) as r using (nspname)) as sp ON sp.nspoid = typnamespace WHERE typname = $1 ORDER BY sp.r, pg_type.oid DESC LIMIT 1',
      ['text'],
    ],
    [
      'SELECT e.typdelim FROM pg_catalog.pg_type t, pg_catalog.pg_type e WHERE t.oid = $1 and t.typelem = e.oid',
      [1007],
    ],
    [
      "SELECT c.oid, a.attnum, a.attname FROM pg_catalog.pg_class c JOIN pg_catalog.pg_attribute a ON c.oid = a.attrelid WHERE c.oid = 'authors'::regclass::oid AND a.attnum > 0",
    ],
    [
      "select current_setting('max_index_keys')::int, current_setting('max_identifier_length'), current_setting('default_transaction_isolation')",
    ],
  ],
  'ODBC, Tableau, Looker, Airbyte': [
    [
      'BEGIN;declare "SQL_CUR0x1" cursor with hold for SELECT id, total FROM orders;fetch 100 in "SQL_CUR0x1"',
    ],
    [
      'SELECT CAST(TRUNC(EXTRACT(YEAR FROM "orders"."placed_at")) AS INTEGER) AS "yr", SUM(CAST("orders"."total" AS DOUBLE PRECISION)) FROM "public"."orders" "orders" GROUP BY 1',
    ],
    [
      "SELECT COALESCE(CAST((SUM(DISTINCT (CAST(FLOOR(COALESCE(orders.total, 0) * (1000000 * 1.0)) AS DECIMAL(65,0))) + ('x' || MD5(orders.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(orders.id::varchar), 17))::bit(64)::bigint::DECIMAL(65)) - SUM(DISTINCT ('x' || MD5(orders.id::varchar))::bit(64)::bigint::DECIMAL(65) * 18446744073709551616 + ('x' || SUBSTR(MD5(orders.id::varchar), 17))::bit(64)::bigint::DECIMAL(65))) AS DOUBLE PRECISION) / CAST((1000000 * 1.0) AS DOUBLE PRECISION), 0) AS t FROM orders",
    ],
    [
      "SELECT ctid::text, xmin::text::bigint, * FROM orders WHERE ctid > '(0,0)'::tid AND ctid <= '(1,0)'::tid",
    ],
    [
      "SELECT (c.relpages * current_setting('block_size')::bigint), c.reltuples::bigint, pg_relation_size(c.oid), age(c.relfrozenxid) FROM pg_class c WHERE c.oid = 'orders'::regclass",
    ],
    [
      'select "rows"."status" as "status", sum(cast("rows"."total" as decimal)) as "a0" from (select "_"."status", "_"."total" from "public"."orders" "_" where "_"."total" is not null) "rows" group by "status" limit 1000001',
    ],
    ['SELECT pg_current_wal_lsn(), txid_snapshot_xmin(txid_current_snapshot())'],
    ['SELECT * FROM pg_stat_user_indexes ORDER BY idx_scan LIMIT 5'],
    [
      'SELECT round(100 * sum(heap_blks_hit) / nullif(sum(heap_blks_hit) + sum(heap_blks_read), 0), 2) FROM pg_statio_user_tables',
    ],
    [
      "SELECT pg_stat_get_live_tuples(c.oid), pg_stat_get_dead_tuples(c.oid) FROM pg_class c WHERE relname = 'orders'",
    ],
  ],
};

describe.each(await installedVersions())('on PostgreSQL %i', (version) => {
  let postgres: TestPostgres;
  let chaperone: TestChaperone;
  let client: pg.Client;
  beforeAll(async () => {
    postgres = await startPostgres({ version });
    await loadShop(postgres, { orders: 200 });
    for (const sql of setup) await postgres.query(sql, undefined, 'shop');
    chaperone = await TestChaperone.start({
      postgres,
      resources: [
        policy('application', [
          {
            name: 'data',
            action: 'Allow',
            classes: ['Read', 'Write', 'Schema', 'Export'],
            verbs: ['Lock'],
            resources: ['shop.public', 'shop.public.**', 'shop.pg_temp*.**', 'shop.advisory'],
          },
        ]),
        masking('ssn', { columns: ['shop.public.*.ssn'], transform: { type: 'Redact' } }),
      ],
    });
    client = new pg.Client(await chaperone.connection('shop'));
    await client.connect();
  }, 120_000);
  afterAll(async () => {
    await client?.end();
    await chaperone?.stop();
    await postgres?.stop();
  });

  const table = Object.entries(habits).flatMap(([whose, statements]) =>
    statements
      .filter(([, , since = 0]) => version >= since)
      .map(([sql, values]) => [whose, sql, values] as const),
  );
  test.each(table)('%s: %s', async (_whose, sql, values) => {
    // In a transaction that is undone: none finds what another left.
    await client.query('BEGIN');
    const answers: unknown[] = [];
    try {
      for (const one of typeof sql === 'string' ? [sql] : sql) {
        answers.push(await client.query(one, values === undefined ? undefined : [...values]));
      }
    } finally {
      await client.query('ROLLBACK');
    }
    expect(answers).toHaveLength(typeof sql === 'string' ? 1 : sql.length);
  });
});
