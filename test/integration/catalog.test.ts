import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import { decodeField, readSessionState } from '@chaperone/core/sql/postgres/catalog-document.ts';
import {
  catalogFingerprintQuery,
  catalogQuery,
  savepointStatements,
  sessionStateQuery,
} from '@chaperone/core/sql/postgres/catalog-query.ts';
import { compileCatalog } from '@chaperone/core/sql/postgres/compile-catalog.ts';
import { effectiveSearchPath } from '@chaperone/core/sql/postgres/search-path.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import pg from 'pg';
import { installedVersions, startPostgres, type TestPostgres } from '../support/postgres.ts';
import { loadShop } from '../support/shop.ts';

const timeoutMs = 120_000;

async function field(client: pg.Client, sql: string): Promise<string> {
  const { rows } = await client.query<string[]>({ text: sql, rowMode: 'array' });
  const [[value, ...more] = [], ...others] = rows;
  expect([more, others]).toEqual([[], []]);
  return value ?? '';
}

const documentOf = async (client: pg.Client): Promise<string> =>
  decodeField(await field(client, catalogQuery));
const catalogOf = async (client: pg.Client): Promise<Catalog> =>
  compileCatalog(await documentOf(client));
const fingerprintOf = (client: pg.Client): Promise<string> =>
  field(client, catalogFingerprintQuery);

/**
 * Schema `evil`: operators and functions by the names that the queries use, all of which raise. Reachable
 * by search_path alone, so that a name which is looked up there fails the read.
 */
const evil = `
CREATE SCHEMA evil;
GRANT USAGE ON SCHEMA evil TO PUBLIC;
CREATE FUNCTION evil.strike() RETURNS void LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'evil ran'; END $$;
DO $do$
DECLARE
  op text; t text; f text; result text;
BEGIN
  FOREACH t IN ARRAY ARRAY['oid','name','"char"','int2','int4','int8','text','bool','xid','tid','json'] LOOP
    FOREACH op IN ARRAY ARRAY['=','<>','<','>','<=','>=','||','~~','~','+'] LOOP
      result := CASE WHEN op IN ('||','+') THEN t ELSE 'bool' END;
      EXECUTE format('CREATE FUNCTION evil.%I(a %s, b %s) RETURNS %s LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.strike(); RETURN NULL; END $f$',
        'op_' || md5(op || t), t, t, result);
      EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = %s, RIGHTARG = %s, FUNCTION = evil.%I)', op, t, t, 'op_' || md5(op || t));
    END LOOP;
    FOREACH f IN ARRAY ARRAY['lower','format_type','pg_get_viewdef','current_setting','count','encode','starts_with','current_schemas'] LOOP
      EXECUTE format('CREATE FUNCTION evil.%I(%s) RETURNS text LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.strike(); RETURN NULL; END $f$', f, t);
    END LOOP;
    EXECUTE format('CREATE FUNCTION evil.grow(state int, x %s) RETURNS int LANGUAGE plpgsql AS $f$ BEGIN PERFORM evil.strike(); RETURN 1; END $f$', t);
    EXECUTE format('CREATE AGGREGATE evil.json_agg(%s) (SFUNC = evil.grow, STYPE = int, INITCOND = 0)', t);
  END LOOP;
END $do$;
CREATE TABLE evil.pg_class (oid oid, relname name);
CREATE TABLE evil.pg_namespace (oid oid, nspname name);
CREATE TYPE evil.text AS (x int);
CREATE DOMAIN evil.oid AS int;
CREATE DOMAIN evil.int8 AS int;
`;

const versions = await installedVersions();

describe.each(versions)('PostgreSQL %i', (version) => {
  let postgres: TestPostgres;
  const open: pg.Client[] = [];

  async function connect(user = 'shop_app', database = 'shop'): Promise<pg.Client> {
    const client = new pg.Client({ host: postgres.host, port: postgres.port, user, database });
    await client.connect();
    open.push(client);
    return client;
  }

  beforeAll(async () => {
    postgres = await startPostgres({ version, auth: 'trust' });
    await loadShop(postgres, { orders: 20 });
  }, timeoutMs);
  afterAll(async () => {
    await Promise.all(open.map((client) => client.end()));
    await postgres.stop();
  });

  const owner = (sql: string) => postgres.query(sql, undefined, 'shop');

  test('an unprivileged role reads the whole shop', async () => {
    const catalog = await catalogOf(await connect());
    expect(catalog.database).toBe('shop');
    expect(Math.floor(catalog.serverVersion / 10_000)).toBe(version);
    const find = (name: string) => catalog.relation('public', name);
    expect(find('customers')?.columns.map((column) => column.name)).toEqual(
      'id name email ssn birth_date balance phone notes profile created_at'.split(' '),
    );
    expect(find('vip')).toMatchObject({ kind: 'v', definitionPath: ['pg_catalog'] });
    expect(find('vip')?.definition).toContain('FROM public.customer_contacts');
    expect(find('customer_totals')?.kind).toBe('m');
    expect(find('events')?.children).toHaveLength(4);
    expect(find('events_2026_01')?.parents).toEqual([find('events')?.oid]);
    expect(find('people')?.children).toEqual([find('employees')?.oid]);
    expect(find('customers')?.cascadesTo).toEqual([find('orders')?.oid]);
    expect(find('products')).toMatchObject({
      cascadesTo: [],
      referencedBy: [find('order_items')?.oid],
    });
    expect(find('products')?.dependents).toContain(find('order_items')?.oid);
    expect(find('customers')?.dependents).toEqual(
      expect.arrayContaining(['orders', 'customer_contacts'].map((name) => find(name)?.oid)),
    );
    expect(find('customers_pkey')).toMatchObject({ kind: 'i', indexOf: find('customers')?.oid });
    expect(find('orders')?.hasTriggers).toBe(true);
    expect(find('customers')).toMatchObject({
      hasTriggers: false,
      hasRules: false,
      hasRowSecurity: false,
      hasConstraintFunctions: false,
    });
    expect(catalog.functionSchemas('customer_name')).toEqual(['public']);
    expect(catalog.typeSchemas('orders')).toEqual(['public']);
    expect(catalog).toMatchObject({ isPrivate: false, hasEventTriggers: false });
    const system = catalog.relation('pg_catalog', 'pg_class');
    expect(system?.columns.map((column) => column.name)).toContain('relname');
    const columns = catalog.relation('information_schema', 'columns');
    const type = columns?.columns.find((column) => column.name === 'column_name')?.typeOid ?? 0;
    expect(catalog.baseType(type)).toBe(19);
    expect([...catalog.schemas]).toEqual(['information_schema', 'pg_catalog', 'public']);
  });

  test('what else stands in a database', async () => {
    await postgres.query('CREATE DATABASE zoo');
    await postgres.query(
      `
      CREATE FUNCTION odd(x int) RETURNS bool LANGUAGE sql IMMUTABLE RETURN x % 2 = 1;
      CREATE FUNCTION next_code() RETURNS text LANGUAGE sql AS 'SELECT ''a''';
      CREATE DOMAIN odd_int AS int CHECK (odd(VALUE));
      CREATE DOMAIN odder_int AS odd_int;
      CREATE DOMAIN small_int AS int CHECK (VALUE < 10);
      CREATE TABLE plain (a int CHECK (a > 0), b text DEFAULT lower('X'), c timestamptz DEFAULT now());
      CREATE TABLE defaulted (a text DEFAULT next_code(), b text);
      CREATE TABLE checked (a int CHECK (odd(a)));
      CREATE TABLE domained (a odder_int);
      CREATE TABLE small (a small_int);
      CREATE TABLE indexed (a int);
      CREATE INDEX ON indexed (odd(a));
      CREATE TABLE split (a int) PARTITION BY LIST (odd(a));
      CREATE TABLE computed (a text, b text, c text GENERATED ALWAYS AS (a || b) STORED, d text);
      ALTER TABLE computed DROP COLUMN d;
      CREATE TABLE ruled (a int);
      CREATE RULE quiet AS ON DELETE TO ruled DO INSTEAD NOTHING;
      CREATE TABLE secured (a int);
      ALTER TABLE secured ENABLE ROW LEVEL SECURITY;
      CREATE TYPE mood AS ENUM ('sad', 'happy');
      CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq);
      CREATE FUNCTION to_mood(text) RETURNS mood LANGUAGE sql AS 'SELECT ''sad''::mood';
      CREATE CAST (text AS mood) WITH FUNCTION to_mood(text);
      CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER watching ON ddl_command_end EXECUTE FUNCTION watch();
      CREATE SCHEMA "Odd ""Schema";
      CREATE TABLE "Odd ""Schema"."ünïcode 😀" ("c\\o'l" int);
      `,
      undefined,
      'zoo',
    );
    const client = await connect('shop_app', 'zoo');
    // An encoding in which the names above cannot be written.
    await client.query("SET client_encoding = 'LATIN1'");
    const catalog = await catalogOf(client);
    const find = (name: string) => catalog.relation('public', name);
    const withCode = ['checked', 'domained', 'indexed', 'split'];
    for (const name of [...withCode, 'plain', 'defaulted', 'small', 'computed', 'ruled']) {
      expect([name, find(name)?.hasConstraintFunctions]).toEqual([name, withCode.includes(name)]);
    }
    expect(find('plain')?.columns.map((one) => one.hasDefault)).toEqual([false, false, false]);
    expect(find('defaulted')?.columns.map((one) => one.hasDefault)).toEqual([true, false]);
    expect(find('computed')?.columns.map((one) => one.generatedFrom)).toEqual([
      undefined,
      undefined,
      [1, 2],
    ]);
    expect(find('ruled')?.hasRules).toBe(true);
    expect(find('secured')?.hasRowSecurity).toBe(true);
    expect(catalog.operatorSchemas('===')).toEqual(['public']);
    expect(catalog.typeSchemas('mood')).toEqual(['public']);
    expect(catalog.plainTypeSchemas('mood')).toEqual(['public']);
    expect(catalog.plainTypeSchemas('small_int')).toEqual(['public']);
    for (const name of ['odd_int', 'odder_int', 'orders']) {
      expect([name, catalog.plainTypeSchemas(name)]).toEqual([name, []]);
    }
    expect(catalog.hasUserCast(25)).toBe(true);
    expect(catalog.hasUserCast(23)).toBe(false);
    expect(catalog.hasEventTriggers).toBe(true);
    expect(catalog.relation('Odd "Schema', 'ünïcode 😀')?.columns[0]?.name).toBe("c\\o'l");
  });

  test('a hostile search_path and settings change nothing, and run nothing', async () => {
    await owner(evil);
    const [friendly, client] = [await connect(), await connect()];
    await client.query(`
      SET search_path = evil, pg_catalog;
      SET standard_conforming_strings = off;
      SET DateStyle = 'German';
      SET bytea_output = 'escape';
      SET extra_float_digits = -15;
      SET IntervalStyle = 'sql_standard';
      SET TimeZone = 'Asia/Kathmandu';
      SET client_min_messages = error;
    `);
    await expect(client.query("SELECT 'a'::name = 'a'::name")).rejects.toThrow('evil ran');
    await expect(client.query("SELECT lower('a'::name)")).rejects.toThrow('evil ran');
    await expect(client.query("SELECT json_agg('a'::name)")).rejects.toThrow('evil ran');
    expect(await documentOf(client)).toBe(await documentOf(friendly));
    expect(await fingerprintOf(client)).toBe(await fingerprintOf(friendly));
    const state = readSessionState(await field(client, sessionStateQuery));
    expect(state).toMatchObject({ searchPath: 'evil, pg_catalog', currentUser: 'shop_app' });
    expect(effectiveSearchPath(state)).toEqual(['evil', 'pg_catalog']);
    await owner('DROP SCHEMA evil CASCADE');
  });

  test('definitions are qualified whatever the path, but for own temporary relations', async () => {
    await owner(`
      CREATE SCHEMA one; CREATE SCHEMA two;
      CREATE TABLE one.t (a int); CREATE TABLE two.t (a int);
      CREATE VIEW one.v AS SELECT x.a FROM one.t AS x JOIN two.t AS y ON x.a = y.a;
    `);
    const client = await connect('postgres');
    await client.query('CREATE TEMP TABLE t (z int)');
    await client.query('CREATE TEMP VIEW mine AS SELECT z FROM t');
    for (const path of ['two', 'two, one', 'one, two, pg_temp', 'pg_temp, one', "''"]) {
      await client.query(`SET search_path = ${path}`);
      const catalog = await catalogOf(client);
      expect(catalog.relation('one', 'v')?.definition).toMatch(/FROM \(one\.t x\s+JOIN two\.t y/);
      const mine = catalog.relation(catalog.tempSchema ?? '', 'mine');
      expect(mine?.definition).toMatch(/FROM t;$/);
      expect(mine?.definitionPath).toEqual(['pg_catalog', catalog.tempSchema]);
    }
    await owner('DROP SCHEMA one, two CASCADE');
  });

  test.each<[string, string[], string[], string]>([
    ['in a session', [], [], '"$user", public'],
    ['set for the session', ['SET search_path = a, b'], [], 'a, b'],
    ['set in a block', ['BEGIN', 'SET search_path = c'], ['COMMIT'], 'c'],
    [
      'set for a block',
      ['SET search_path = d', 'BEGIN', 'SET LOCAL search_path = e'],
      ['COMMIT'],
      'd',
    ],
    [
      'set both ways',
      ['BEGIN', 'SET search_path = f', 'SET LOCAL search_path = g'],
      ['COMMIT'],
      'f',
    ],
    ['rolled back', ['SET search_path = h', 'BEGIN', 'SET search_path = i'], ['ROLLBACK'], 'h'],
  ])('reading leaves the search path alone, %s', async (_where, before, after, value) => {
    const [client, alone] = [await connect(), await connect()];
    const reported: string[] = [];
    // pg's types leave out the connection beneath, where ParameterStatus (since 18) can be seen.
    (client as unknown as { connection: NodeJS.EventEmitter }).connection.on(
      'parameterStatus',
      (message: { parameterName: string }) => reported.push(message.parameterName),
    );
    const show = async (on: pg.Client): Promise<string> =>
      (await on.query('SHOW search_path')).rows[0].search_path;
    for (const sql of before) {
      await client.query(sql);
      await alone.query(sql);
    }
    reported.length = 0;
    await catalogOf(client);
    expect(reported).toEqual([]);
    expect(await show(client)).toBe(await show(alone));
    for (const sql of after) {
      await client.query(sql);
      await alone.query(sql);
    }
    expect(await show(client)).toBe(value);
    expect(await show(alone)).toBe(value);
  });

  test('temporary objects: own ones are seen and make it private, others are not', async () => {
    const [own, other] = [await connect(), await connect()];
    await owner('GRANT TEMP ON DATABASE shop TO shop_app');
    const before = await fingerprintOf(other);
    await own.query('CREATE TEMP TABLE customers (secret text)');
    const catalog = await catalogOf(own);
    expect(catalog.isPrivate).toBe(true);
    expect(catalog.relation(catalog.tempSchema ?? '', 'customers')?.columns).toHaveLength(1);
    expect(await fingerprintOf(own)).not.toBe(before);
    const seen = await catalogOf(other);
    expect([...seen.schemas].filter((schema) => schema.startsWith('pg_temp'))).toEqual([]);
    expect(seen.isPrivate).toBe(false);
    expect(await fingerprintOf(other)).toBe(before);
  });

  test.each([
    'CREATE TABLE fresh (a int)',
    'ALTER TABLE fresh ADD COLUMN b int',
    'ALTER TABLE fresh RENAME COLUMN b TO c',
    'ALTER TABLE fresh ALTER COLUMN c TYPE bigint',
    'CREATE VIEW seen AS SELECT a FROM fresh',
    'CREATE OR REPLACE VIEW seen AS SELECT a + 1 AS a FROM fresh',
    'ALTER TABLE fresh ALTER COLUMN a SET DEFAULT 5',
    'ALTER TABLE fresh ADD CHECK (a > 1)',
    'ALTER TABLE fresh ENABLE ROW LEVEL SECURITY',
    'CREATE RULE quiet AS ON DELETE TO fresh DO INSTEAD NOTHING',
    'CREATE TRIGGER t AFTER DELETE ON fresh FOR EACH ROW EXECUTE FUNCTION record_order_change()',
    'CREATE TABLE heir () INHERITS (fresh)',
    'CREATE POLICY p ON fresh USING (EXISTS (SELECT FROM heir))',
    'ALTER TABLE heir NO INHERIT fresh',
    'CREATE SEQUENCE counter',
    'ALTER SEQUENCE counter OWNED BY fresh.a',
    'ALTER TABLE events DETACH PARTITION events_later',
    'CREATE SCHEMA another',
    'ALTER TABLE fresh SET SCHEMA another',
    'ALTER SCHEMA another RENAME TO yet_another',
    "CREATE FUNCTION lower(varchar) RETURNS text LANGUAGE sql RETURN 'x'",
    'ALTER FUNCTION lower(varchar) RENAME TO lowest',
    'CREATE OPERATOR === (LEFTARG = int, RIGHTARG = int, FUNCTION = int4eq)',
    'CREATE DOMAIN d AS int',
    'ALTER DOMAIN d ADD CHECK (VALUE > 1)',
    "CREATE TYPE mood AS ENUM ('sad')",
    'CREATE CAST (mood AS int) WITH INOUT',
    "CREATE FUNCTION watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END'",
    'CREATE EVENT TRIGGER watching ON sql_drop EXECUTE FUNCTION watch()',
    'DROP EVENT TRIGGER watching',
    'DROP VIEW seen',
    'DROP SCHEMA yet_another CASCADE',
  ])('the fingerprint and the version change with: %s', async (sql) => {
    const client = await connect();
    const before = [await fingerprintOf(client), (await catalogOf(client)).version];
    expect(await fingerprintOf(client)).toBe(before[0]);
    await owner(sql);
    const after = [await fingerprintOf(client), (await catalogOf(client)).version];
    await client.end();
    open.pop();
    expect(after[0]).not.toBe(before[0]);
    // A function's or domain's new check does not concern the analyzer; everything else is in the document.
    if (!sql.startsWith('ALTER DOMAIN') && !/ADD CHECK|SET DEFAULT/.test(sql)) {
      expect(after[1]).not.toBe(before[1]);
    }
  });

  test('the fingerprint sees two changes of one row in one transaction, and no others', async () => {
    const client = await connect('postgres');
    await client.query('BEGIN');
    await client.query('CREATE VIEW twice AS SELECT 1 AS a');
    const first = await fingerprintOf(client);
    await client.query('CREATE OR REPLACE VIEW twice AS SELECT 2 AS a');
    expect(await fingerprintOf(client)).not.toBe(first);
    await client.query('ROLLBACK');
    const before = await fingerprintOf(client);
    await client.query("UPDATE orders SET status = 'paid'");
    await client.query('ANALYZE orders');
    await client.query('VACUUM orders');
    expect(await fingerprintOf(client)).toBe(before);
  });

  test('between the savepoint statements a transaction keeps no lock and no failure', async () => {
    const client = await connect();
    const locks = async (): Promise<string[]> => {
      const { rows } = await client.query(
        `SELECT c.relname FROM pg_locks JOIN pg_class AS c ON c.oid = relation
         WHERE pid = pg_backend_pid() AND c.oid >= 16384 ORDER BY 1`,
      );
      return rows.map((row) => row.relname);
    };
    await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ');
    await catalogOf(client);
    // What the savepoint is for: the definitions lock what they name.
    expect(await locks()).toContain('customers');
    await client.query('ROLLBACK');

    await client.query('BEGIN; SET LOCAL search_path = public, evil');
    await client.query(savepointStatements.before);
    await catalogOf(client);
    for (const sql of savepointStatements.after) await client.query(sql);
    expect(await locks()).toEqual([]);
    await client.query(savepointStatements.before);
    await expect(client.query('SELECT 1/0')).rejects.toThrow();
    for (const sql of savepointStatements.after) await client.query(sql);
    expect((await client.query('SHOW search_path')).rows).toEqual([
      { search_path: 'public, evil' },
    ]);
    await client.query('COMMIT');
  });

  test(
    'effectiveSearchPath is current_schemas(true), whatever the list',
    async () => {
      await owner(`
      CREATE SCHEMA shop_app; CREATE SCHEMA closed; CREATE SCHEMA "A b"; CREATE SCHEMA "x""y";
      GRANT USAGE ON SCHEMA shop_app, "A b", "x""y" TO shop_app;
      GRANT TEMP ON DATABASE shop TO shop_app;
    `);
      const [plain, temporary] = [await connect(), await connect()];
      await temporary.query('CREATE TEMP TABLE mine (a int)');
      const name = fc.constantFrom(
        '"$user"',
        '$user',
        'public',
        'PUBLIC',
        '"PUBLIC"',
        'pg_catalog',
        'pg_temp',
        'information_schema',
        'closed',
        'missing',
        '"A b"',
        '"x""y"',
        'shop_app',
        'a"b',
        '"unclosed',
        '""',
        '',
        `"${'ü'.repeat(40)}"`,
      );
      const list = fc
        .array(fc.tuple(name, fc.constantFrom(',', ' , ', ',\t', '\n,', ' ')), { maxLength: 5 })
        .map((parts) => parts.flat().slice(0, -1).join(''));
      await fc.assert(
        fc.asyncProperty(list, fc.boolean(), async (value, withTemp) => {
          const client = withTemp ? temporary : plain;
          let accepted = true;
          await client
            .query("SELECT set_config('search_path', $1, false)", [value])
            .catch(() => (accepted = false));
          const state = readSessionState(await field(client, sessionStateQuery));
          if (!accepted) {
            expect(effectiveSearchPath({ ...state, searchPath: value })).toBeUndefined();
            return;
          }
          expect(state.searchPath).toBe(value);
          // Asking creates the temporary schema where the path begins with pg_temp: hence in a transaction.
          await client.query('BEGIN');
          const { rows } = await client.query('SELECT current_schemas(true)::text[] AS path');
          const created = readSessionState(await field(client, sessionStateQuery)).temp;
          await client.query('ROLLBACK');
          const path = rows[0].path as string[];
          expect(effectiveSearchPath(state)).toEqual(
            state.temp === null ? path.filter((one) => one !== created) : path,
          );
        }),
        { numRuns: 300 },
      );
    },
    timeoutMs,
  );
});
