/** Texts of several statements over few names in two schemas, so that names hide, free and take over one another. */

const paths = [
  'public, other',
  'other, public',
  'late, other, public',
  '"$user", public',
  'other, pg_catalog, public',
];

/** Texts of a statement; in them R is a relation, N a plain name, C a column, T a type, K an action of a key. */
const forms: readonly (readonly [weight: number, form: string])[] = [
  [5, 'CREATE TABLE R (C int PRIMARY KEY, C T)'],
  [3, 'CREATE TABLE IF NOT EXISTS R (C serial, C T DEFAULT NULL)'],
  [3, 'CREATE TABLE R (id int, C int REFERENCES R K, C T UNIQUE)'],
  [
    2,
    'CREATE TABLE R (id serial CONSTRAINT N PRIMARY KEY, C int GENERATED ALWAYS AS IDENTITY, CHECK (id > 0))',
  ],
  [1, 'CREATE TABLE R (id int, C int GENERATED ALWAYS AS (id + 1) STORED) PARTITION BY RANGE (id)'],
  [1, 'CREATE UNLOGGED TABLE R (id int DEFAULT 3, C text)'],
  [1, 'CREATE TEMP TABLE N (id int, C text)'],
  [1, 'CREATE TABLE R (LIKE R)'],
  [1, 'CREATE TABLE R () INHERITS (R)'],
  [1, 'CREATE TABLE R AS SELECT 1 AS id'],
  [4, 'CREATE INDEX N ON R (C)'],
  [1, 'CREATE UNIQUE INDEX IF NOT EXISTS N ON R (C)'],
  [2, 'CREATE INDEX ON R (C)'],
  [4, 'ALTER TABLE R ADD COLUMN C T'],
  [2, 'ALTER TABLE R ADD COLUMN IF NOT EXISTS C int REFERENCES R K'],
  [1, 'ALTER TABLE R ADD COLUMN C serial'],
  [2, 'ALTER TABLE R DROP COLUMN C'],
  [1, 'ALTER TABLE R DROP COLUMN C, ADD COLUMN C int'],
  [1, 'ALTER TABLE R DROP COLUMN IF EXISTS C CASCADE'],
  [3, 'ALTER TABLE R ADD CONSTRAINT N FOREIGN KEY (C) REFERENCES R K'],
  [2, 'ALTER TABLE R ADD CONSTRAINT N UNIQUE (C)'],
  [1, 'ALTER TABLE R ADD PRIMARY KEY (C)'],
  [2, 'ALTER TABLE R DROP CONSTRAINT IF EXISTS N'],
  [1, 'ALTER TABLE R RENAME CONSTRAINT N TO N'],
  [1, 'ALTER TABLE R ALTER COLUMN C TYPE text USING C::text'],
  [1, "ALTER TABLE R ALTER COLUMN C SET DEFAULT nextval('R')"],
  [1, 'ALTER TABLE R ENABLE ROW LEVEL SECURITY'],
  [3, 'ALTER TABLE R RENAME TO N'],
  [1, 'ALTER INDEX R RENAME TO N'],
  [2, 'ALTER TABLE R RENAME COLUMN C TO C'],
  [3, 'DROP TABLE IF EXISTS R'],
  [2, 'DROP TABLE R CASCADE'],
  [1, 'DROP TABLE IF EXISTS R, R'],
  [2, 'DROP INDEX R'],
  [1, 'DROP INDEX IF EXISTS R CASCADE'],
  [1, 'DROP VIEW IF EXISTS R'],
  [1, 'DROP SEQUENCE IF EXISTS R CASCADE'],
  [1, 'DROP TYPE IF EXISTS R'],
  [2, 'CREATE SEQUENCE R'],
  [1, 'CREATE SEQUENCE IF NOT EXISTS R OWNED BY R.C'],
  [1, 'ALTER SEQUENCE R OWNED BY R.C'],
  [2, 'CREATE VIEW R AS SELECT * FROM R'],
  [1, 'CREATE MATERIALIZED VIEW R AS SELECT * FROM R'],
  [2, "CREATE TYPE R AS ENUM ('a', 'b')"],
  [1, 'CREATE TYPE R AS (a int, b T)'],
  [1, 'CREATE DOMAIN R AS int CHECK (VALUE > 0)'],
  [2, 'CREATE SCHEMA IF NOT EXISTS late'],
  [1, 'CREATE SCHEMA late'],
  [1, 'DROP SCHEMA IF EXISTS late'],
  [1, 'CREATE FUNCTION N() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RETURN NULL; END$$'],
  [1, 'CREATE FUNCTION N(R) RETURNS int LANGUAGE sql AS $$SELECT 1$$'],
  [1, 'CREATE TRIGGER N BEFORE INSERT ON R FOR EACH ROW EXECUTE FUNCTION own.note()'],
  [1, 'DROP TRIGGER IF EXISTS N ON R'],
  [1, 'COMMENT ON TABLE R IS $$c$$'],
  [1, 'GRANT SELECT ON R TO clerk'],
  [1, 'GRANT ALL ON ALL TABLES IN SCHEMA other TO clerk'],
  [1, 'SET search_path = other, public'],
  [1, "SELECT set_config('search_path', '', false)"],
  [1, 'SET search_path TO late, public'],
  [6, 'INSERT INTO R (C) VALUES (NULL)'],
  [3, 'INSERT INTO R DEFAULT VALUES'],
  [2, 'INSERT INTO R (C) SELECT C FROM R'],
  [4, 'UPDATE R SET C = NULL'],
  [1, 'UPDATE R SET C = (SELECT count(*) FROM R)'],
  [5, 'DELETE FROM R'],
  [2, 'DELETE FROM R USING R q'],
  [3, 'SELECT * FROM R'],
  [1, 'SELECT C FROM R FOR UPDATE'],
  [1, "SELECT nextval('R')"],
  [1, "SELECT setval(pg_get_serial_sequence('R', 'C'), 5)"],
  [2, 'TRUNCATE R CASCADE'],
  [1, 'LOCK R'],
  [1, 'ANALYZE R'],
  [1, "SELECT NULL::T, 'a'::T IS NULL"],
  [1, 'CREATE OR REPLACE VIEW R AS SELECT id, C FROM R'],
  [1, 'CREATE VIEW R AS SELECT q.id FROM R q JOIN R p ON p.id = q.id'],
  [1, 'ALTER VIEW R RENAME TO N'],
  [1, 'ALTER TABLE R SET SCHEMA other'],
  [1, 'ALTER SCHEMA late RENAME TO N'],
  [1, 'ALTER TYPE R RENAME TO N'],
  [1, "ALTER TYPE R ADD VALUE 'z'"],
  [1, 'CREATE TABLE R PARTITION OF parts FOR VALUES FROM (30) TO (40)'],
  [1, 'ALTER TABLE parts ADD COLUMN C int REFERENCES R K'],
  [1, 'DROP TABLE parts_1'],
  [1, 'ALTER TABLE base ADD COLUMN C int'],
  [1, 'ALTER TABLE R ADD CONSTRAINT N UNIQUE USING INDEX N'],
  [1, 'ALTER TABLE R ALTER COLUMN id ADD GENERATED ALWAYS AS IDENTITY'],
  [1, 'ALTER TABLE R ALTER COLUMN id DROP IDENTITY IF EXISTS'],
  [1, 'ALTER TABLE R ALTER COLUMN C SET NOT NULL, ALTER COLUMN id DROP DEFAULT, OWNER TO clerk'],
  [1, 'ALTER TABLE R ADD CHECK (C IS NOT NULL), ADD CONSTRAINT N FOREIGN KEY (C) REFERENCES R'],
  [1, 'ALTER TABLE R ADD EXCLUDE USING btree (C WITH =)'],
  [1, 'CREATE RULE N AS ON DELETE TO R DO ALSO DELETE FROM R'],
  [1, 'CREATE POLICY N ON R USING (true)'],
  [1, 'CREATE STATISTICS N ON id, C FROM R'],
  [1, 'DROP TABLE people CASCADE'],
  [1, 'DROP VIEW known CASCADE'],
  [1, 'ALTER TABLE people RENAME COLUMN name TO N'],
  [1, 'CREATE TABLE R (id int PRIMARY KEY, C R, word R[])'],
  [
    1,
    'CREATE TABLE R (id int, C int GENERATED ALWAYS AS (id * 2) STORED, word text REFERENCES people (ssn) K)',
  ],
  [1, 'PREPARE N AS DELETE FROM R'],
  [1, 'EXECUTE N'],
  [1, 'GRANT USAGE ON SCHEMA other TO clerk'],
  [1, 'REINDEX TABLE R'],
  [1, 'INSERT INTO R (id) VALUES (1) ON CONFLICT DO NOTHING RETURNING *'],
  [1, 'MERGE INTO R q USING R p ON q.id = p.id WHEN MATCHED THEN DELETE'],
  [1, 'WITH w AS (DELETE FROM R RETURNING id) INSERT INTO R (id) SELECT id FROM w'],
  [1, 'SELECT * FROM known_again, plain'],
  [1, 'DELETE FROM people WHERE id > 3'],
  [1, 'UPDATE plain SET id = id + 50'],
];

/** Of the scratch schema, and new ones; some are those that PostgreSQL chooses. */
const names = [
  'a',
  'b',
  'things',
  'pins',
  'lines',
  'base_id',
  'a_id_seq',
  'a_c_seq',
  'a_pkey',
  'a_c_key',
  'a_c_idx',
  'plain',
  'kept',
  'mood',
];
/** Most of what follows needs a table that is there. */
const beginnings = [
  'CREATE TABLE a (id int PRIMARY KEY, c int, word text)',
  'CREATE TABLE other.a (id int PRIMARY KEY, c int UNIQUE)',
  'CREATE TABLE public.b (id serial PRIMARY KEY, c int REFERENCES people ON DELETE CASCADE)',
  'CREATE TABLE b (id int, c int, d text)',
  'ALTER TABLE other.things ADD COLUMN c int',
  'CREATE VIEW other.b AS SELECT id, word FROM other.things',
  'SELECT 1',
];
const columns = ['id', 'id', 'c', 'c', 'd', 'word'];
const types = [
  'int',
  'text',
  'mood',
  'a',
  'b',
  'things',
  'numeric',
  'positive',
  'other.things',
  'a[]',
];
const actions = ['', 'ON DELETE CASCADE', 'ON UPDATE SET NULL', 'ON DELETE RESTRICT'];
const schemas = ['', '', '', '', 'public.', 'other.', 'other.', 'late.'];

/** The same number gives the same text. */
export function randomText(seed: number): {
  readonly statements: readonly string[];
  readonly path: string;
} {
  // Neighbouring seeds should not begin alike.
  let state = ((Math.imul(seed, 0x9e3779b1) >>> 1) % 0x7ffffffe) + 1;
  const below = (end: number): number => {
    // Park and Miller.
    state = (state * 48271) % 0x7fffffff;
    return Math.floor((state / 0x7fffffff) * end);
  };
  const pick = (list: readonly string[]): string => list[below(list.length)] ?? '';
  const total = forms.reduce((sum, [weight]) => sum + weight, 0);
  const form = (): string => {
    let left = below(total);
    for (const [weight, text] of forms) {
      if (left < weight) return text;
      left -= weight;
    }
    return 'SELECT 1';
  };
  // Few names in one text meet more often.
  const few = [pick(names), pick(names), 'a', 'a', 'b', 'things'];
  const fill = (text: string): string =>
    text.replace(/\b[RNCTK]\b/g, (what) => {
      switch (what) {
        case 'R':
          return pick(schemas) + pick(few);
        case 'N':
          return pick(few);
        case 'C':
          return pick(columns);
        case 'T':
          return pick(types);
        default:
          return pick(actions);
      }
    });
  const statements = [
    pick(beginnings),
    pick(beginnings),
    ...Array.from({ length: 3 + below(12) }, () => fill(form())),
  ];
  return { statements, path: pick(paths) };
}
