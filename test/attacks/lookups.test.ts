/**
 * Lookups (§8): a name that the server finds elsewhere than a reader of the statement would, for the caller has seen
 * to it. Each attack plants a decoy without a mask or a rule where a naive reader looks.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { Attacker, AttackLab, canaries, canaryId, leaks } from '../support/attack-lab.ts';
import { identity, masking, policy, TestChaperone } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';
import { RawClient } from '../support/raw-client.ts';

/** Cut to 63 bytes of UTF-8 it is another. */
const accented = 'é'.repeat(40);
const cut = 'é'.repeat(31);

/** Databases in other encodings: no two of one name, since what is known of one is known for a second. */
const others = ['latin1', 'sql_ascii', 'latin1_long', 'sql_ascii_odd'];

const resources = [
  policy('migrations', [
    {
      name: 'data',
      action: 'Allow',
      classes: ['Read', 'Write', 'Schema', 'Privilege'],
      resources: ['shop', ...others].flatMap((name) => [name, `${name}.*`, `${name}.**`]),
    },
    {
      name: 'kept',
      action: 'Deny',
      classes: ['Schema'],
      resources: ['shop.public.kept*', 'shop.public.orders'],
    },
  ]),
  masking('ssn', {
    columns: [
      'shop.public.customers.ssn',
      'shop.public.people.ssn',
      'shop.public.toasted.ssn',
      'latin1.public.people.ssn',
      'sql_ascii.public.people.ssn',
      `latin1_long.public.${accented}.ssn`,
    ],
    transform: { type: 'Redact' },
  }),
  identity('other'),
];

const value = "SELECT ssn || '' AS x FROM";
const setup = [
  'GRANT CREATE ON DATABASE shop TO shop_app',
  'GRANT CREATE ON SCHEMA public TO shop_app',
  "CREATE FUNCTION kept_f(int) RETURNS int LANGUAGE sql AS 'SELECT 1'",
  "CREATE TYPE kept_t AS ENUM ('a')",
  'CREATE COLLATION kept_c FROM "C"',
  'CREATE TABLE toasted (ssn text)',
  'ALTER TABLE toasted ALTER ssn SET STORAGE EXTERNAL',
  `INSERT INTO toasted SELECT repeat('${canaries.ssn}', 1000)`,
];

async function run(attacker: Attacker, texts: readonly string[]): Promise<void> {
  for (const text of texts) await attacker.query(text);
}

/** Tables, schemas and names that an attack needs, and of which none may have been refused. */
async function prepare(attacker: Attacker, texts: readonly string[]): Promise<void> {
  for (const text of texts) {
    const { errors } = await attacker.query(text);
    expect([text, errors.map((error) => error.get('M'))]).toEqual([text, []]);
  }
}

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;

  beforeAll(async () => {
    lab = await AttackLab.start({ version, resources, setup });
  }, 120_000);

  afterAll(() => lab.stop());

  test('the temporary objects of another session', async () => {
    const attacker = await lab.attacker();
    await lab.behind('CREATE TEMP VIEW tv AS SELECT id, ssn FROM customers');
    const [[temporary]] = (await lab.behind(
      "SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE c.relname = 'tv'",
    )) as [[string]];
    await prepare(attacker, [
      'CREATE TABLE public.tv (id int, ssn text)',
      `SET search_path = ${temporary}, public`,
    ]);
    await run(attacker, [
      `${value} tv WHERE id = ${canaryId}`,
      `${value} customers WHERE id = ${canaryId}`,
      `SET search_path = ${temporary}, public; ${value} tv WHERE id = ${canaryId}`,
    ]);
    expect(leaks(attacker.seen)).toEqual([]);
    // Qualified names are what they were, and so are all others by another path.
    await prepare(attacker, ['SELECT name FROM public.people', 'SET search_path = public']);
    await prepare(attacker, ['SELECT name FROM people', 'DROP TABLE public.tv']);
  });

  test('functions in the temporary schema of another session', async () => {
    const attacker = await lab.attacker();
    await lab.behind('CREATE TEMP TABLE here (a int)');
    const [[temporary]] = (await lab.behind(
      "SELECT n.nspname FROM pg_namespace n JOIN pg_class c ON c.relnamespace = n.oid WHERE c.relname = 'here'",
    )) as [[string]];
    await lab.behind(
      `CREATE FUNCTION ${temporary}.lower(text) RETURNS text LANGUAGE sql AS 'SELECT ssn FROM public.customers WHERE id = ${canaryId}'`,
    );
    await prepare(attacker, [`SET search_path = ${temporary}, pg_catalog, public`]);
    await run(attacker, ["SELECT lower('x'::text)", "SELECT public.lower('x')"]);
    expect(leaks(attacker.seen)).toEqual([]);
    await lab.behind(`DROP FUNCTION ${temporary}.lower(text)`);
  });

  test('TOAST tables', async () => {
    const [[name]] = (await lab.behind(
      "SELECT t.relname FROM pg_class c JOIN pg_class t ON t.oid = c.reltoastrelid WHERE c.relname = 'toasted'",
    )) as [[string]];
    const attacker = await lab.attacker();
    const bytes = `SELECT substr(chunk_data, 1, 60) FROM ${name} LIMIT 1`;
    await prepare(attacker, [
      `CREATE TABLE public.${name} (chunk_id oid, chunk_seq int, chunk_data bytea)`,
      'SET search_path = pg_toast, public, pg_catalog',
    ]);
    await run(attacker, [bytes, `SET search_path = pg_toast, public, pg_catalog; ${bytes}`]);
    expect(leaks(attacker.seen)).toEqual([]);
    await prepare(attacker, ['SET search_path = public', `DROP TABLE public.${name}`]);
  });

  test('a schema that was made since the catalog was read', async () => {
    const attacker = await lab.attacker();
    await prepare(attacker, ['CREATE TABLE public.fresh (ssn text)', 'SELECT ssn FROM fresh']);
    await lab.behind('CREATE SCHEMA since');
    await lab.behind('CREATE VIEW since.fresh AS SELECT ssn FROM public.customers');
    await prepare(attacker, ['SET search_path = since, public', 'SELECT ssn FROM fresh']);
    await run(attacker, [`${value} fresh`]);
    expect(leaks(attacker.seen)).toEqual([]);
    await lab.behind('DROP SCHEMA since CASCADE');
    await lab.behind('DROP TABLE public.fresh');
  });

  test('what is denied, by the name of another schema’s object', async () => {
    const attacker = await lab.attacker();
    await prepare(attacker, [
      'CREATE SCHEMA z',
      'CREATE TABLE z.kept_f ()',
      'CREATE COLLATION z.kept_c FROM "C"',
      'SET search_path = z, public',
    ]);
    await lab.behind("CREATE FUNCTION z.kept_t() RETURNS int LANGUAGE sql AS 'SELECT 1'");
    await lab.behind("CREATE FUNCTION z.kept_f(text) RETURNS int LANGUAGE sql AS 'SELECT 1'");
    // By one's own DDL the catalog is read again.
    await prepare(attacker, ['CREATE TABLE z.read_again ()', 'DROP TABLE z.read_again']);
    await run(attacker, [
      'DROP FUNCTION kept_f(int)',
      'DROP ROUTINE IF EXISTS kept_f(int)',
      'ALTER FUNCTION kept_f(int) RENAME TO f',
      'DROP TYPE kept_t',
      'ALTER TYPE kept_t RENAME TO t',
      'DROP COLLATION z.kept_c; DROP COLLATION kept_c',
      'SET search_path = public; DROP COLLATION kept_c',
    ]);
    const kept = await lab.behind(
      `SELECT 'public.kept_f(int)'::regprocedure::oid AS f, 'public.kept_t'::regtype::oid AS t,
         (SELECT oid FROM pg_collation WHERE collname = 'kept_c' AND collnamespace = 'public'::regnamespace) AS c`,
    );
    expect(kept[0]).toEqual([expect.any(Number), expect.any(Number), expect.any(Number)]);
    await lab.behind('DROP SCHEMA z CASCADE');
  });

  test('a schema that its maker may not use', async () => {
    const plain = await TestChaperone.start({
      postgres: lab.postgres,
      resources,
      login: { username: 'shop_app', password: 'sesame-of-the-shop' },
    });
    try {
      const connect = async (): Promise<Attacker> =>
        new Attacker(await RawClient.login(await plain.connection('shop', 'nightly-report')));
      const privileges = 'ALTER DEFAULT PRIVILEGES REVOKE USAGE ON SCHEMAS FROM shop_app';
      const decoys = 'CREATE SCHEMA z; CREATE TABLE z.customers (id int, ssn text);';
      const read = `SET search_path = z, public; ${value} customers WHERE id = ${canaryId}`;
      const attacker = await connect();
      await run(attacker, [
        `${privileges}; ${decoys} ${read}`,
        'DROP SCHEMA IF EXISTS z CASCADE',
        'RESET search_path',
        privileges,
        `${decoys} ${read}`,
        'BEGIN',
        `${decoys} ${read}`,
        'ROLLBACK',
        'SET search_path = z, public',
        `${decoys} ${value} customers WHERE id = ${canaryId}`,
        `${decoys} DROP TABLE orders CASCADE`,
      ]);
      expect(leaks(attacker.seen)).toEqual([]);
      attacker.end();
      expect(await lab.behind("SELECT to_regclass('public.orders') IS NOT NULL")).toEqual([[true]]);
      await lab.behind('DROP SCHEMA IF EXISTS z CASCADE');
      // Without them it is what its maker makes of it.
      const honest = await connect();
      await prepare(honest, ['ALTER DEFAULT PRIVILEGES GRANT USAGE ON SCHEMAS TO shop_app']);
      const { rows } = await honest.query(
        "CREATE SCHEMA z; CREATE TABLE z.customers (id int, ssn text); INSERT INTO z.customers VALUES (1, 'own'); SET search_path = z, public; SELECT ssn FROM customers",
      );
      expect(rows).toEqual([['own']]);
      honest.end();
    } finally {
      await plain.stop();
      await lab.behind('DROP SCHEMA IF EXISTS z CASCADE');
    }
  }, 60_000);

  describe('in a database in another encoding', () => {
    const inside = (database: string, sql: string): Promise<unknown> =>
      lab.postgres.query(sql, undefined, database);
    const create = (database: string, encoding: string): Promise<unknown> =>
      lab.behind(
        `CREATE DATABASE ${database} ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
      );
    const login = async (database: string): Promise<Attacker> =>
      new Attacker(
        await RawClient.login(await lab.chaperone.connection(database, 'nightly-report')),
      );

    test.each(['LATIN1', 'SQL_ASCII'])(
      '%s: values are values, names are not guessed',
      async (encoding) => {
        const database = encoding.toLowerCase();
        await create(database, encoding);
        await inside(database, 'CREATE TABLE people (ssn text, "prénom" text)');
        await inside(database, `INSERT INTO people VALUES ('${canaries.ssn}', 'René')`);
        const attacker = await login(database);
        const { rows } = await attacker.query("SELECT * FROM people WHERE 'né' = 'né'");
        expect(rows).toEqual([[expect.any(String), 'René']]);
        expect((await attacker.query('SELECT "prénom" FROM people')).sqlstate).toBe('42501');
        expect(leaks(attacker.seen)).toEqual([]);
        attacker.end();
      },
    );

    test('LATIN1: a long name, and the decoy that it is cut to in UTF8', async () => {
      await create('latin1_long', 'LATIN1');
      await inside('latin1_long', `CREATE TABLE "${accented}" (ssn text)`);
      await inside('latin1_long', `INSERT INTO "${accented}" VALUES ('${canaries.ssn}')`);
      await inside('latin1_long', `CREATE VIEW v AS SELECT ssn AS x FROM "${accented}"`);
      await inside('latin1_long', `CREATE TABLE "${cut}" (other text, ssn text)`);
      const attacker = await login('latin1_long');
      await run(attacker, [
        `${value} "${accented}"`,
        `SELECT * FROM "${accented}"`,
        `CREATE VIEW w AS SELECT ssn AS x FROM "${accented}"`,
        "SELECT x || '' FROM v",
        'SELECT x FROM v',
        `SET search_path = "${accented}", public; ${value} people`,
        `PREPARE "${accented}" AS SELECT * FROM v; EXECUTE "${cut}"`,
      ]);
      expect(leaks(attacker.seen)).toEqual([]);
      attacker.end();
    });

    // The server itself does not say it.
    test('SQL_ASCII: a catalog that is not UTF-8 is not read', async () => {
      await create('sql_ascii_odd', 'SQL_ASCII');
      // "é" as LATIN1 has it.
      await inside(
        'sql_ascii_odd',
        `DO $$ BEGIN EXECUTE 'CREATE TABLE "' || chr(233) || '" (ssn text)'; END $$`,
      );
      await expect(login('sql_ascii_odd')).rejects.toThrow('could not be read');
    });
  });
});
