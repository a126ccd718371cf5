/**
 * What DDL makes of a protected value (§12): code and definitions that would show or copy it later, when the statement
 * that does so no longer names it. The identity may read, write and change everything but is under the masks.
 */
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { AttackLab, canaries, leaks } from '../support/attack-lab.ts';
import { masking, policy } from '../support/chaperone.ts';
import { installedVersions } from '../support/postgres.ts';

const setup = [
  'CREATE TABLE vault (junk int, ssn text)',
  `INSERT INTO vault VALUES (1, '${canaries.ssn}')`,
  'CREATE TABLE chars (n int, c text)',
  'INSERT INTO chars SELECT n, chr(c) FROM generate_series(1, 18) AS n, generate_series(32, 126) AS c',
  'CREATE VIEW through AS SELECT ssn FROM vault',
  'CREATE MATERIALIZED VIEW kept AS SELECT ssn AS s FROM through',
  'CREATE VIEW through_rule AS SELECT ssn FROM vault',
  'CREATE MATERIALIZED VIEW kept_rule AS SELECT ssn AS s FROM through_rule',
  'CREATE TABLE gen (ssn text, low text GENERATED ALWAYS AS (lower(ssn)) STORED)',
  `INSERT INTO gen VALUES ('${canaries.ssn}')`,
  'CREATE TABLE parts (id int, ssn text, low text GENERATED ALWAYS AS (lower(ssn)) STORED) PARTITION BY LIST (id)',
  'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)',
  `INSERT INTO parts VALUES (1, '${canaries.ssn}')`,
  'CREATE TABLE base (id int, ssn text)',
  'CREATE TABLE leaf () INHERITS (base)',
  `INSERT INTO leaf VALUES (1, '${canaries.ssn}')`,
  'CREATE TABLE base_2 (id int, ssn text)',
  'CREATE TABLE leaf_2 (ssn text) INHERITS (base_2)',
  `INSERT INTO leaf_2 VALUES (1, '${canaries.ssn}')`,
  'CREATE TABLE base_3 (id int, ssn text)',
  'CREATE TABLE leaf_3 () INHERITS (base_3)',
  `INSERT INTO leaf_3 VALUES (1, '${canaries.ssn}')`,
  'CREATE MATERIALIZED VIEW kept_3 AS SELECT ssn AS s FROM base_3',
  'GRANT CREATE ON SCHEMA public TO shop_app',
  `DO $$ DECLARE r record; BEGIN
     FOR r IN SELECT oid::regclass AS name FROM pg_class
       WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
     LOOP EXECUTE 'ALTER TABLE ' || r.name || ' OWNER TO shop_app'; END LOOP; END $$`,
];

const columns = ['vault', 'gen', 'parts_1', 'base', 'base_2', 'leaf_3'];
const resources = [
  policy('migrations', [
    {
      name: 'all',
      action: 'Allow',
      classes: ['Read', 'Write', 'Schema', 'Admin'],
      resources: ['shop', 'shop.public', 'shop.public.**'],
    },
  ]),
  masking('values', {
    columns: columns.map((table) => `shop.public.${table}.ssn`),
    transform: { type: 'Redact' },
  }),
];

const grab = (name: string, loot: string): string =>
  `CREATE FUNCTION public.${name}() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.${loot} SELECT ssn FROM public.vault; RETURN NEW; END'`;

/** Texts, one after the other; any of them may be refused. */
const attacks: readonly { readonly name: string; readonly texts: readonly string[] }[] = [
  {
    name: 'a trigger of its own',
    texts: [
      'CREATE TABLE loot (x text)',
      'CREATE TABLE mine (a int)',
      grab('grab', 'loot'),
      'CREATE TRIGGER t BEFORE INSERT ON mine FOR EACH ROW EXECUTE FUNCTION public.grab()',
      'INSERT INTO mine VALUES (1)',
      'SELECT x FROM loot',
    ],
  },
  {
    name: 'a trigger of its own, in one text',
    texts: [
      `CREATE TABLE loot_2 (x text); CREATE TABLE mine_2 (a int); ${grab('grab_2', 'loot_2')}; CREATE TRIGGER t BEFORE INSERT ON mine_2 FOR EACH ROW EXECUTE FUNCTION public.grab_2(); INSERT INTO mine_2 VALUES (1); SELECT x FROM loot_2`,
    ],
  },
  {
    name: 'the sub-select of a policy',
    texts: [
      'ALTER TABLE chars ENABLE ROW LEVEL SECURITY',
      'ALTER TABLE chars FORCE ROW LEVEL SECURITY',
      'CREATE POLICY every ON chars USING (false)',
      'CREATE POLICY one ON chars USING (c = substr((SELECT ssn FROM vault LIMIT 1), n, 1))',
      'ALTER POLICY every ON chars USING (c = substr((SELECT ssn FROM vault LIMIT 1), n, 1))',
      "SELECT string_agg(c, '' ORDER BY n) FROM chars",
    ],
  },
  {
    name: 'another definition of a view through which rows were materialized',
    texts: ["CREATE OR REPLACE VIEW through AS SELECT ''::text AS ssn", 'SELECT s FROM kept'],
  },
  {
    name: 'the same by its rule',
    texts: [
      'CREATE OR REPLACE RULE "_RETURN" AS ON SELECT TO through_rule DO INSTEAD SELECT \'\'::text AS ssn',
      'SELECT s FROM kept_rule',
    ],
  },
  {
    name: 'a generated column that is so no more',
    texts: ['ALTER TABLE gen ALTER COLUMN low DROP EXPRESSION', 'SELECT upper(low) FROM gen'],
  },
  {
    name: 'a generated column of the whole, masked in a part',
    texts: ['SELECT low FROM parts', 'SELECT upper(low) FROM parts_1'],
  },
  {
    name: 'another name for the column of a parent',
    texts: ['ALTER TABLE parts RENAME COLUMN ssn TO s', 'SELECT s FROM parts'],
  },
  {
    name: 'a column that is dropped of the parent only',
    texts: ['ALTER TABLE ONLY base DROP COLUMN ssn', 'SELECT ssn FROM leaf'],
  },
  {
    name: 'a dropped column that the child has as its own',
    texts: ['ALTER TABLE base_2 DROP COLUMN ssn', 'SELECT ssn FROM leaf_2'],
  },
  {
    name: 'a child that goes, whose rows were materialized',
    texts: ['DROP TABLE leaf_3', 'SELECT s FROM kept_3'],
  },
];

describe.each(await installedVersions())('PostgreSQL %i', (version) => {
  let lab: AttackLab;
  beforeAll(async () => {
    lab = await AttackLab.start({
      version,
      setup,
      resources,
      // Row-level security does not hold for a superuser.
      login: { username: 'shop_app', password: 'sesame-of-the-shop' },
    });
  }, 60_000);
  afterAll(() => lab?.stop());

  test.each(attacks)('$name', async ({ texts }) => {
    const attacker = await lab.attacker();
    for (const text of texts) await attacker.query(text);
    expect(leaks(attacker.takeSeen())).toEqual([]);
    const alive = await attacker.query('SELECT 7');
    expect(alive.rows).toEqual([['7']]);
  });
});
