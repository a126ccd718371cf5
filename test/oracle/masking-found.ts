/**
 * Statements that once told of protected values, or that reach for them where a random query seldom does. Each is
 * held in every shape that fits.
 */

/** Divides by zero where the value says so: whether it fails tells. */
const fails = (condition: string): string => `1 / (CASE WHEN ${condition} THEN 0 ELSE 1 END)`;

const failing = [
  fails(`t > 'M'`),
  fails(`ascii(t) % 2 = 0`),
  `1 / (ascii(t) % 2)`,
  `CASE WHEN t > 'M' THEN 1 / (id - id) ELSE 1 END`,
  `(t > 'M' AND 1 / (id - id) = 1)`,
  `(CASE WHEN t > 'M' THEN 'x' ELSE '1' END)::int`,
  `('{"B":1,"C":1,"D":1,"F":1,"G":1,"H":1,"J":1}'::jsonb -> left(t, 1))::int / 1`,
  `substr('abc', 1, 70 - ascii(t))`,
  `chr(ascii(t) - 70)`,
  `lpad('x', (ascii(t) - 66) * 100000000)`,
  `i + 600000000`,
  `i::smallint`,
  `decode(left(t, 4), 'hex')`,
  `make_date(2000, ascii(t) - 66, 1)`,
  `get_byte(by, ascii(t) - 60)`,
  `sqrt(1500000000 - i)`,
  `jsonb_set('{}', '{a}', ('"' || replace(t, 'B', '"') || '"')::jsonb)`,
] as const;

/** Where an expression is evaluated though nobody sees its value. */
const unseen: readonly ((expression: string, table: string) => string)[] = [
  (x, table) => `WITH q AS MATERIALIZED (SELECT ${x} AS x FROM ${table}) SELECT count(*) FROM q`,
  (x, table) => `SELECT count(*) FROM (SELECT ${x} AS x, random() AS r FROM ${table} OFFSET 0) q`,
  (x, table) => `SELECT ${x} FROM ${table} WHERE id = 3`,
  (x, table) => `WITH u AS (UPDATE ${table} SET label = 'x' RETURNING ${x}) SELECT 1`,
  (x, table) => `SELECT 1 FROM plain WHERE EXISTS (SELECT ${x} FROM ${table} ORDER BY id)`,
];

/** Ways to keep a value in the session, or elsewhere, and read it from there. */
const kept: readonly (readonly string[])[] = ['vault', 'archive', 'guessed'].flatMap((table) => [
  [`SELECT set_config('application_name', t, false) FROM ${table} WHERE id = 3`],
  [`SELECT count(*) FROM (SELECT set_config('application_name', t, false) FROM ${table}) q`],
  [`SELECT id FROM ${table} WHERE set_config('chaperone.x', t, false) = ''`, 'SHOW chaperone.x'],
  [`SELECT id FROM ${table} WHERE pg_notify('ch', t) IS NULL`],
  [
    `SELECT count(*) FROM (SELECT pg_advisory_xact_lock(i) FROM ${table}) q`,
    `SELECT objid FROM pg_locks WHERE locktype = 'advisory' AND database = (SELECT oid FROM pg_database WHERE datname = current_database()) ORDER BY 1`,
  ],
  [
    'CREATE SEQUENCE made',
    `SELECT count(*) FROM (SELECT setval('made', i) FROM ${table} ORDER BY id) q`,
    'SELECT last_value FROM made',
  ],
  [`SELECT count(*) FROM (SELECT setseed(1 / f) FROM ${table} WHERE id = 3) q`, 'SELECT random()'],
  [
    `SELECT CASE WHEN t > 'M' THEN set_config('chaperone.x', 'high', false) END FROM ${table} WHERE id = 3`,
    'SHOW chaperone.x',
  ],
]);

/** Definitions that fail, or not, by what values are there. */
const defined: readonly string[] = [
  'CREATE UNIQUE INDEX ON vault (t)',
  'ALTER TABLE parts DETACH PARTITION parts_1; SELECT t, i FROM parts_1',
  'ALTER TABLE heirs NO INHERIT vault; SELECT t, i FROM heirs',
  'CREATE UNIQUE INDEX ON archive (i) WHERE id < 3',
  'ALTER TABLE vault ADD UNIQUE (t)',
  'ALTER TABLE vault ADD CONSTRAINT made EXCLUDE USING btree (t WITH =)',
  'ALTER TABLE plain ADD UNIQUE (note); ALTER TABLE vault ADD FOREIGN KEY (t) REFERENCES plain (note)',
  'ALTER TABLE vault ALTER u TYPE smallint USING 1',
  'ALTER TABLE vault ALTER i TYPE smallint',
  'ALTER TABLE vault ALTER n TYPE numeric(12,4)',
  'ALTER TABLE vault ADD CHECK (i > 1500000000)',
  `ALTER TABLE vault ADD CONSTRAINT made CHECK (t > 'M') NOT VALID; ALTER TABLE vault VALIDATE CONSTRAINT made`,
];

/** Each is a conversation of its own: one statement after the other. */
export const foundStatements: readonly (readonly string[])[] = [
  // Each in two of the places, so that all of them stand in each.
  ...failing.flatMap((expression, index) =>
    ['vault', 'archive'].map((table, turn) => [
      unseen[(index + 2 * turn) % unseen.length]!(expression, table),
    ]),
  ),
  ...kept,
  ...defined.map((text) => text.split('; ')),
];
