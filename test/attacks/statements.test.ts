/**
 * What a statement does (§7, 9, 10, 19): destruction and flight in disguise. The database is looked at from
 * behind: nothing is deleted, made or changed; and the connection goes on.
 */
import { existsSync } from 'node:fs';
import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Attacker, AttackLab, canaries, leaks } from '../support/attack-lab.ts';
import { installedVersions } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';

const setup = [
  "CREATE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'DELETE FROM public.order_items RETURNING 1'",
  'CREATE PROCEDURE wipe_all() LANGUAGE plpgsql AS $$ BEGIN DELETE FROM public.order_items; END $$',
  'CREATE VIEW orders_view AS SELECT * FROM orders',
  'CREATE TABLE order_parent (id int)',
  'CREATE SCHEMA "Odd Name"',
  'CREATE TABLE "Odd Name"."Orders" (id int)',
  'INSERT INTO "Odd Name"."Orders" VALUES (1)',
  'CREATE TABLE "ORDERS" (id int)',
];

const file = '/tmp/chaperone-attack-made-this';

/** Refused, whatever they look like. */
const refused: Readonly<Record<string, readonly string[]>> = {
  'comments, quotes and encodings (§7)': [
    'DELETE FROM orders',
    '/* SELECT */ DELETE FROM orders',
    '/* a /* b */ c */ DELETE FROM orders',
    '/* a /* b */ DELETE FROM orders -- */ */ DELETE FROM orders',
    '-- SELECT 1\nDELETE FROM orders',
    '--\rDELETE FROM orders',
    'DELETE/**/FROM/**/orders',
    'DELETE FROM\tonly\u000borders',
    'DELETE\u00a0FROM orders',
    'DELETE\u2003FROM\u2003orders',
    'dElEtE fRoM OrDeRs',
    'DELETE FROM "orders"',
    'DELETE FROM U&"\\006f\\0072ders"',
    'DELETE FROM U&"!006frders" UESCAPE \'!\'',
    'DELETE FROM U&"\\+00006frders"',
    'DELETE FROM public."orders"',
    'DELETE FROM shop.public.orders',
    'DELETE FROM "Odd Name"."Orders"',
    'DELETE FROM ONLY (orders)',
    'DELETE FROM orders AS customers',
    'SELECT \'x\' AS "; DELETE FROM orders; --"; DELETE FROM orders',
    'SELECT $$;$$; DELETE FROM orders',
    'SELECT $a$ $$ $a$; DELETE FROM orders',
    "SELECT E'\\''; DELETE FROM orders; --'",
    "SELECT '\\'; DELETE FROM orders; --'",
    "SELECT U&'\\0027'; DELETE FROM orders; --'",
    "SELECT 'a'\n'b'; DELETE FROM orders",
    'SELECT 1; DELETE FROM orders',
    ';;; DELETE FROM orders ;;;',
    'SELECT 1; ; SELECT 2; TRUNCATE orders; SELECT 3',
    'BEGIN; DELETE FROM orders; COMMIT',
    'SELECT 1 -- ;\n; DELETE FROM orders',
    "SELECT B'1', X'1F'; DELETE FROM orders",
    'SELECT 1::int; DELETE FROM orders WHERE true',
    'SELECT "a;b" FROM plain; DELETE FROM orders',
    '\ufeffDELETE FROM orders',
    'EXPLAIN ANALYZE /**/ DELETE FROM orders',
  ],
  'destruction in disguise (§9)': [
    'TRUNCATE orders',
    'TRUNCATE TABLE ONLY orders CASCADE',
    'TRUNCATE order_audit, orders',
    'TRUNCATE customers CASCADE',
    'DELETE FROM customers',
    'DELETE FROM orders_view',
    'WITH d AS (DELETE FROM orders RETURNING *) SELECT count(*) FROM d',
    'WITH a AS (WITH d AS (SELECT 1) SELECT * FROM d), b AS (DELETE FROM orders) SELECT 1',
    'WITH d AS (DELETE FROM orders RETURNING id) INSERT INTO plain SELECT id::int FROM d',
    'WITH d AS (DELETE FROM orders RETURNING id) UPDATE plain SET id = 1 FROM d',
    'MERGE INTO orders o USING plain p ON true WHEN MATCHED THEN DELETE',
    'MERGE INTO orders o USING plain p ON o.id = 0 WHEN NOT MATCHED THEN DO NOTHING WHEN MATCHED THEN DELETE',
    'SELECT * INTO stolen FROM orders',
    'SELECT 1 AS x INTO TEMP stolen',
    'CREATE TABLE stolen AS SELECT * FROM orders',
    'CREATE TABLE stolen (LIKE orders INCLUDING ALL)',
    'CREATE TEMP TABLE orders (id int)',
    'CREATE UNLOGGED TABLE stolen AS TABLE orders WITH NO DATA',
    'CREATE MATERIALIZED VIEW stolen AS SELECT 1',
    'CREATE VIEW stolen AS SELECT 1',
    'CREATE TABLE stolen AS EXECUTE whatever',
    'EXPLAIN ANALYZE DELETE FROM orders',
    'EXPLAIN (ANALYZE, TIMING OFF) WITH d AS (DELETE FROM orders) SELECT 1',
    'EXPLAIN (ANALYZE false, ANALYZE true) DELETE FROM orders',
    'EXPLAIN ANALYZE CREATE TABLE stolen AS SELECT 1',
    'PREPARE gone AS DELETE FROM orders',
    'PREPARE gone (int) AS DELETE FROM orders WHERE id = $1',
    'DECLARE c CURSOR WITH HOLD FOR WITH d AS (DELETE FROM orders RETURNING 1) SELECT * FROM d',
    `COPY orders TO '${file}'`,
    `COPY orders TO PROGRAM 'cat > ${file}'`,
    `COPY (SELECT 1) TO PROGRAM 'touch ${file}'`,
    `COPY plain FROM PROGRAM 'touch ${file}'`,
    "COPY plain FROM '/etc/passwd'",
    'COPY (DELETE FROM orders RETURNING id) TO STDOUT',
    'COPY (WITH d AS (DELETE FROM orders RETURNING id) SELECT id FROM d) TO STDOUT',
    `COPY (SELECT pg_read_file('/etc/passwd')) TO STDOUT`,
    'ALTER TABLE orders RENAME TO gone',
    'ALTER TABLE orders DISABLE TRIGGER ALL',
    'ALTER TABLE orders DROP COLUMN total',
    'ALTER TABLE orders OWNER TO shop_app',
    'DROP TABLE orders',
    'DROP TABLE IF EXISTS missing, orders CASCADE',
    'DROP OWNED BY shop_app',
    'DROP SCHEMA public CASCADE',
    'CREATE RULE r AS ON SELECT TO plain DO ALSO DELETE FROM orders',
    'CREATE RULE r AS ON INSERT TO plain DO ALSO DELETE FROM orders',
    'CREATE TRIGGER t AFTER INSERT ON plain EXECUTE FUNCTION record_order_change()',
    'CREATE INDEX ON orders (total)',
    'CREATE POLICY p ON orders USING (false)',
    'GRANT ALL ON orders TO PUBLIC',
    'REVOKE ALL ON orders FROM shop_app',
    'CREATE ROLE evil SUPERUSER LOGIN',
    'ALTER ROLE shop_app SUPERUSER',
    "ALTER ROLE postgres PASSWORD 'owned'",
    'ALTER ROLE shop_app SET search_path = decoy',
    'ALTER DATABASE shop SET session_preload_libraries = evil',
    'ALTER SYSTEM SET shared_preload_libraries = evil',
    'CREATE DATABASE evil',
    'CREATE EXTENSION dblink',
    'CREATE FUNCTION evil() RETURNS int LANGUAGE sql RETURN 1',
    "CREATE OR REPLACE FUNCTION wipe() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    'CREATE CAST (text AS int) WITH INOUT AS IMPLICIT',
    'CREATE OPERATOR === (FUNCTION = texteq, LEFTARG = text, RIGHTARG = text)',
    'CREATE PUBLICATION p FOR ALL TABLES',
    "CREATE SUBSCRIPTION s CONNECTION 'host=evil' PUBLICATION p",
    'CREATE SERVER s FOREIGN DATA WRAPPER none',
    'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION record_order_change()',
    "SECURITY LABEL ON TABLE orders IS 'x'",
    "COMMENT ON TABLE orders IS 'gone'",
    'VACUUM FULL orders',
    'CLUSTER orders USING orders_pkey',
    'REINDEX TABLE orders',
    'LOCK TABLE orders',
    'CHECKPOINT',
    "LOAD 'auto_explain'",
    "PREPARE TRANSACTION 'left behind'",
    'REFRESH MATERIALIZED VIEW customer_totals',
    'IMPORT FOREIGN SCHEMA x FROM SERVER y INTO public',
    'REASSIGN OWNED BY postgres TO shop_app',
    "SELECT nextval('order_audit_id_seq'), setval('order_audit_id_seq', 1, false); DELETE FROM orders",
  ],
  'what cannot be analyzed (§10)': [
    'DO $$ BEGIN DELETE FROM orders; END $$',
    "DO LANGUAGE plpgsql 'BEGIN EXECUTE ''DELETE FROM orders''; END'",
    'CALL wipe_all()',
    'SELECT wipe()',
    'SELECT * FROM wipe()',
    'SELECT id FROM plain WHERE id = wipe()',
    'SELECT id FROM plain ORDER BY wipe()',
    'SELECT 1 LIMIT wipe()',
    'INSERT INTO plain VALUES (wipe())',
    'UPDATE plain SET id = wipe()',
    'SELECT public.wipe() FROM plain GROUP BY 1',
    'SELECT CASE WHEN true THEN wipe() END',
    'SELECT (SELECT wipe())',
    'VALUES (wipe())',
    'SELECT ROW(wipe())',
    'SELECT ARRAY[wipe()]',
    'SELECT coalesce(null, wipe())',
    'EXPLAIN ANALYZE SELECT wipe()',
    'COPY (SELECT wipe()) TO STDOUT',
    'SELECT 1 FROM generate_series(1, wipe())',
    'SELECT count(*) FILTER (WHERE wipe() = 1) FROM plain',
    "SELECT query_to_xml('DELETE FROM orders RETURNING 1', true, true, '')",
    "SELECT table_to_xml('customers', true, true, '')",
    "SELECT database_to_xml(true, true, '')",
    "SELECT schema_to_xml('public', true, true, '')",
    "SELECT cursor_to_xml('c', 1, true, true, '')",
    "SELECT query_to_xmlschema('SELECT 1', true, true, '')",
    "SELECT dblink('host=/tmp', 'SELECT 1')",
    "SELECT pg_read_file('/etc/passwd')",
    "SELECT pg_read_binary_file('/etc/passwd')",
    "SELECT pg_ls_dir('/')",
    'SELECT * FROM pg_ls_logdir()',
    "SELECT pg_stat_file('/etc/passwd')",
    "SELECT lo_import('/etc/passwd')",
    `SELECT lo_export(1, '${file}')`,
    "SELECT lo_from_bytea(0, 'x')",
    'SELECT lo_create(0)',
    'SELECT lo_get(1)',
    'SELECT loread(1, 1)',
    'SELECT pg_terminate_backend(pg_backend_pid())',
    'SELECT pg_cancel_backend(1)',
    'SELECT pg_reload_conf()',
    'SELECT pg_rotate_logfile()',
    "SELECT pg_logical_emit_message(false, 'a', 'b')",
    "SELECT pg_create_physical_replication_slot('s')",
    "SELECT pg_create_logical_replication_slot('s', 'test_decoding')",
    "SELECT pg_drop_replication_slot('s')",
    'SELECT pg_switch_wal()',
    'SELECT pg_promote()',
    "SELECT pg_notify('c', 'x')",
    "SELECT ts_stat('SELECT 1')",
    "SELECT * FROM ts_stat('DELETE FROM orders RETURNING to_tsvector(''x'')')",
    "SELECT ts_rewrite('a'::tsquery, 'SELECT t, s FROM plain')",
    "SELECT set_config('standard_conforming_strings', 'off', false)",
    "SELECT set_config('session_authorization', 'shop_app', false)",
    "SELECT set_config(name, '', false) FROM pg_settings",
    "SELECT set_config('role', 'shop_app', false)",
    "SELECT current_setting('data_directory')",
    "SELECT pg_import_system_collations('public')",
    'SELECT pg_get_wal_replay_pause_state(), pg_wal_replay_pause()',
    'SELECT binary_upgrade_set_next_pg_type_oid(1)',
    "SELECT pg_sequence_last_value('order_audit_id_seq'), wipe()",
    'SELECT record_order_change()',
    'SELECT plpgsql_call_handler()',
    "SELECT has_table_privilege('orders', 'SELECT'), pg_advisory_lock(1), wipe()",
    "SELECT brin_summarize_new_values('orders_pkey')",
    "SELECT gin_clean_pending_list('orders_pkey')",
    "SELECT pg_relation_size('orders'), pg_stat_reset()",
    'SELECT pg_stat_get_backend_activity(1)',
    'SELECT * FROM pg_show_all_file_settings()',
    'SELECT * FROM pg_hba_file_rules',
    'SELECT * FROM pg_file_settings',
    'SELECT * FROM pg_config',
    'SELECT usename, passwd FROM pg_user_mapping, pg_shadow',
    "NOTIFY channel, 'x'",
    'LISTEN channel',
    'SET ROLE shop_app',
    'SET SESSION AUTHORIZATION shop_app',
    'SET LOCAL ROLE shop_app',
    'SET standard_conforming_strings = off',
    'SET backslash_quote = on',
    "SET client_encoding = 'LATIN1'",
    "SET NAMES 'LATIN1'",
    'SET session_replication_role = replica',
    'SET default_transaction_read_only = off; DELETE FROM orders',
    "SET log_statement = 'none'",
    'SET allow_system_table_mods = on',
    "SET temp_tablespaces = 'x'",
    'SET debug_print_parse = on',
    "SET my.variable = 'x'",
    'UPDATE pg_class SET relname = relname',
    'DELETE FROM pg_proc',
    "INSERT INTO pg_authid (rolname) VALUES ('evil')",
    "UPDATE pg_settings SET setting = 'off' WHERE name = 'standard_conforming_strings'",
  ],
};

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  let before: unknown;
  beforeAll(async () => {
    lab = await AttackLab.start({ version, setup });
    before = await lab.state();
  }, 60_000);
  afterAll(() => lab?.stop());

  const answerIn: Readonly<
    Record<string, (a: Attacker, sql: string) => ReturnType<Attacker['query']>>
  > = {
    simple: (a, sql) => a.query(sql),
    extended: (a, sql) => a.extended(sql),
    'in a transaction': async (a, sql) => {
      await a.query('BEGIN');
      const answer = await a.query(sql);
      await a.query('COMMIT');
      return answer;
    },
    'by EXECUTE': async (a, sql) => {
      const prepared = await a.query(`PREPARE p AS ${sql}`);
      if (prepared.sqlstate !== undefined) return prepared;
      const answer = await a.query('EXECUTE p');
      await a.query('DEALLOCATE p');
      return answer;
    },
  };

  describe.each(Object.keys(refused))('%s', (group) => {
    test.each(Object.keys(answerIn))(
      '%s',
      async (way) => {
        const attacker = await lab.attacker();
        const wrong: string[] = [];
        for (const sql of refused[group]!) {
          const answer = await answerIn[way]!(attacker, sql);
          if (answer.errors.length !== 1 || answer.fields.length > 0 || answer.tags.length > 0) {
            wrong.push(`${sql} → ${answer.types} ${answer.message}`);
          }
          const alive = await attacker.query('SELECT 7');
          if (alive.rows[0]?.[0] !== '7') {
            wrong.push(`${sql} → the connection: ${alive.message}`);
            break;
          }
        }
        expect(wrong).toEqual([]);
        expect(leaks(attacker.seen)).toEqual([]);
        expect(await lab.state()).toEqual(before);
        expect(existsSync(file)).toBe(false);
        attacker.end();
      },
      60_000,
    );
  });

  test('without the product these statements do harm', async () => {
    const direct = await RawClient.direct({
      host: lab.postgres.host,
      port: lab.postgres.port,
      user: lab.postgres.superuser,
      password: lab.postgres.password,
      database: 'shop',
    });
    const tags: string[] = [];
    const harmful = refused['destruction in disguise (§9)']!.slice(0, 12);
    for (const sql of harmful.filter((one) => !/^TRUNCATE order/.test(one))) {
      for (const text of ['BEGIN', sql, 'ROLLBACK']) {
        const messages = await direct.exchange(write.query(text));
        if (text === sql) tags.push(messages.map(({ type }) => type).join(''));
      }
    }
    direct.end();
    expect(tags.filter((types) => types.includes('E'))).toEqual([]);
  });

  test('the FunctionCall message is refused, and what is behind it goes on', async () => {
    const attacker = await lab.attacker();
    const [row] = await lab.behind(
      "SELECT 'wipe'::regproc::oid::int, 'pg_read_file(text)'::regprocedure::oid::int",
    );
    for (const functionOid of row as number[]) {
      const answer = await attacker.send([
        write.functionCall({
          functionOid,
          argumentFormats: [],
          arguments: functionOid === row![0] ? [] : [Buffer.from('PG_VERSION')],
          resultFormat: 0,
        }),
      ]);
      expect([answer.types, answer.sqlstate]).toEqual(['EZ', '42501']);
    }
    expect(await lab.state()).toEqual(before);
    expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    attacker.end();
  });

  test('a setting that a parameter names is shown as by its name, and by Bind alone', async () => {
    const attacker = await lab.attacker();
    const show = 'SELECT current_setting($1::VARCHAR)';
    const bound = async (parameters: (string | null)[], text = show) => {
      const answer = await attacker.extended(text, { parameters, describe: true });
      return answer.sqlstate ?? answer.rows[0]?.[0];
    };
    expect(await bound(['standard_conforming_strings'])).toBe('on');
    expect(await bound(['Server_Version_Num'])).toMatch(/^[0-9]{6}$/);
    for (const name of ['data_directory', 'config_file', 'ssl_key_file', 'no.such', '', ' ']) {
      expect([name, await bound([name])]).toEqual([name, '42501']);
    }
    expect(await bound([null])).toBe('42501');
    expect(await bound(['timezone'.padEnd(2000)])).toBe('42501');
    expect(await bound([])).toBe('42501');
    expect(await bound(['server_version  '], 'SELECT current_setting($1::bpchar)')).toBe('42501');
    expect(await bound(['role', 'x'], 'SELECT set_config($1, $2, false)')).toBe('42501');

    // Binary is the same for a text; the values of a Bind that is too long to be held are not looked at.
    const besides = async (name: string, parameterFormats: (0 | 1)[], bytes: number) => {
      const parameters = [Buffer.from(name), Buffer.alloc(bytes, 'x')];
      const answer = await attacker.send([
        write.parse('', `${show}, length($2)`),
        write.bind({ portal: '', statement: '', parameterFormats, parameters, resultFormats: [] }),
        write.execute('', 0),
        write.sync,
      ]);
      return answer.sqlstate ?? answer.rows[0]?.[0];
    };
    expect(await besides('client_encoding', [1], 3)).toBe('UTF8');
    expect(await besides('data_directory', [1], 3)).toBe('42501');
    expect(await besides('client_encoding', [0], 2_000_000)).toBe('42501');

    // What SQL prepares has no Bind that tells.
    expect((await attacker.query(`PREPARE p(text) AS ${show}`)).sqlstate).toBe('42501');
    expect(await lab.state()).toEqual(before);
    expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    attacker.end();
  });

  test.each(['true', 'on', 'yes', '1', 'database', 'DATABASE'])(
    'replication=%s is refused at login',
    async (replication) => {
      await expect(lab.attacker({ replication })).rejects.toThrow(/refused|Replication/);
    },
  );

  test.each([
    { options: '-c standard_conforming_strings=off' },
    { options: '-cstandard_conforming_strings=off' },
    { options: '--standard-conforming-strings=off' },
    { options: '-c client_encoding=LATIN1' },
    { options: '-c role=shop_app' },
    { options: '-c session_authorization=shop_app' },
    { options: '-c session_replication_role=replica' },
    { options: '-c session_preload_libraries=evil' },
    { options: '-c log_statement=none -c role=shop_app' },
    { options: '-c geqo=off -c role=shop_app' },
    { options: '-c\\ role=shop_app' },
    { options: '-d 5' },
    { options: '-s' },
    { options: '-P' },
    { options: '-c allow_system_table_mods=on' },
    { standard_conforming_strings: 'off' },
    { role: 'shop_app' },
    { session_authorization: 'shop_app' },
    { Role: 'shop_app' },
    { client_encoding: 'LATIN1' },
    { 'my.setting': 'x' },
  ])('startup parameter %j is refused, or does nothing', async (parameters) => {
    let attacker: Attacker;
    try {
      attacker = await lab.attacker(parameters);
    } catch {
      return;
    }
    const answer = await attacker.query(
      'SELECT current_user, session_user; SHOW standard_conforming_strings; SHOW client_encoding',
    );
    expect(answer.rows).toEqual([['postgres', 'postgres'], ['on'], ['UTF8']]);
    attacker.end();
  });

  test('a login role with settings of its own changes nothing about how text is read', async () => {
    await lab.behind('ALTER ROLE postgres SET standard_conforming_strings = off');
    await lab.behind("ALTER ROLE postgres SET client_encoding = 'LATIN1'");
    await lab.behind('ALTER ROLE postgres SET search_path = decoy, public');
    await lab.behind("ALTER ROLE postgres SET backslash_quote = 'on'");
    try {
      const attacker = await lab.attacker();
      const text = "SELECT '\\'; DELETE FROM public.orders; --'";
      expect((await attacker.query(text)).sqlstate).toBe('42501');
      for (const reset of ['', 'RESET ALL', 'DISCARD ALL']) {
        if (reset !== '') await attacker.query(reset);
        expect((await attacker.query("SELECT '\\'")).rows).toEqual([['\\']]);
        expect((await attacker.query(text)).sqlstate).toBe('42501');
        const shown = await attacker.query(
          'SELECT ssn FROM customers UNION ALL SELECT ssn FROM public.customers',
        );
        expect(shown.rows.length).toBeGreaterThan(1);
      }
      expect(leaks(attacker.seen)).toEqual([]);
      attacker.end();
    } finally {
      await lab.behind('ALTER ROLE postgres RESET ALL');
    }
    expect(await lab.state()).toEqual(before);
  });

  test('bytes that are no UTF-8 are refused before they are understood in two ways', async () => {
    const attacker = await lab.attacker();
    for (const bytes of [
      Buffer.from([0xc0, 0xaf]),
      Buffer.from([0xff]),
      Buffer.from([0xed, 0xa0, 0x80]),
      Buffer.from([0xf4, 0x90, 0x80, 0x80]),
      Buffer.from([0xe2, 0x82]),
    ]) {
      const text = Buffer.concat([
        Buffer.from("SELECT '"),
        bytes,
        Buffer.from("'; DELETE FROM orders"),
      ]);
      const message = Buffer.concat([Buffer.from('Q\0\0\0\0'), text, Buffer.from([0])]);
      message.writeInt32BE(message.length - 1, 1);
      const messages = await attacker.client.exchange(message);
      const types = messages.map(({ type }) => type).join('');
      expect(types).toMatch(/^EZ?$/);
      if (types === 'E') break; // a violation of the protocol ends the connection
    }
    attacker.end();
    expect(await lab.state()).toEqual(before);
  });

  test('statements beyond the caps are refused, and the connection goes on', async () => {
    const attacker = await lab.attacker();
    const many = 200_000;
    for (const text of [
      `SELECT ${'('.repeat(many)}1${')'.repeat(many)}`,
      `SELECT ${'- '.repeat(many)}1`,
      `SELECT 1${' UNION ALL SELECT 1'.repeat(20_000)}`,
      `SELECT ${'NOT '.repeat(many)}true`,
      `SELECT ${'['.repeat(many)}`,
      `SELECT 1 WHERE ${'(1=1) AND '.repeat(50_000)}true`,
      `SELECT ${'a.'.repeat(100_000)}b FROM plain`,
      `${'SELECT 1;'.repeat(100_000)}DELETE FROM orders`,
      `/*${'/*'.repeat(many)}${'*/'.repeat(many)}*/ DELETE FROM orders`,
      `SELECT '${'x'.repeat(2_000_000)}'; DELETE FROM orders`,
      `SELECT ${'CASE WHEN true THEN '.repeat(20_000)}1${' END'.repeat(20_000)}`,
      `SELECT ${'ARRAY['.repeat(50_000)}1${']'.repeat(50_000)}`,
      `${'WITH a AS ('.repeat(20_000)}DELETE FROM orders${')'.repeat(20_000)}`,
    ]) {
      const answer = await attacker.query(text);
      expect([answer.types.at(0), answer.status]).toEqual(['E', 'I']);
      expect((await attacker.extended(text)).types).toMatch(/^E?.*Z$/);
      expect((await attacker.query('SELECT 7')).rows).toEqual([['7']]);
    }
    expect(await lab.state()).toEqual(before);
    attacker.end();
  }, 120_000);

  test('names that JavaScript knows are names like any other', async () => {
    const attacker = await lab.attacker({ application_name: '__proto__' });
    for (const name of ['__proto__', 'constructor', 'toString', 'hasOwnProperty', 'prototype']) {
      expect((await attacker.query(`EXECUTE "${name}"`)).sqlstate).toBe('26000');
      expect((await attacker.query(`FETCH ALL FROM "${name}"`)).sqlstate).toBe('34000');
      expect((await attacker.query(`SELECT "${name}" FROM customers`)).errors.length).toBe(1);
      expect((await attacker.query(`SELECT * FROM "${name}"`)).errors.length).toBe(1);
      expect((await attacker.query(`SELECT "${name}"('x')`)).errors.length).toBe(1);
      expect((await attacker.query(`SET "${name}" = x`)).errors.length).toBe(1);
      const both = await attacker.query(
        `SELECT ssn AS "${name}" FROM customers WHERE ssn = '${canaries.ssn}'`,
      );
      expect(both.rows).toEqual([['***************0042']]);
      await attacker.query(`PREPARE "${name}" AS SELECT ssn FROM customers UNION ALL SELECT '1'`);
      expect((await attacker.query(`EXECUTE "${name}"`)).rows.length).toBeGreaterThan(1);
    }
    expect(leaks(attacker.seen)).toEqual([]);
    attacker.end();
  });
});
