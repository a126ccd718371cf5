/**
 * Two worlds: databases that agree in everything but the values of protected columns, and there in what the
 * rules let a caller see (kept characters, the year of a date, NULLs, lengths; equality where it may be used).
 * Whatever a caller does, both must answer the same.
 */
import { createHash } from 'node:crypto';
import type pg from 'pg';
import { masking, policy, type Resource } from '../support/chaperone.ts';

export type World = 0 | 1;

/** What kind of values a column holds: tells the generator of queries which expressions fit. */
export type Kind =
  | 'text'
  | 'int'
  | 'bigint'
  | 'numeric'
  | 'float'
  | 'date'
  | 'time'
  | 'uuid'
  | 'json'
  | 'jsonb'
  | 'bytea'
  | 'array'
  | 'enum'
  | 'row'
  | 'inet';

interface ColumnShape {
  readonly sqlType: string;
  readonly kind: Kind;
}

/** The protected columns that each protected table has. */
export const shapes = {
  t: { sqlType: 'text', kind: 'text' },
  v: { sqlType: 'varchar(24)', kind: 'text' },
  c: { sqlType: 'char(20)', kind: 'text' },
  x: { sqlType: 'tax_id', kind: 'text' },
  i: { sqlType: 'int', kind: 'int' },
  b: { sqlType: 'bigint', kind: 'bigint' },
  n: { sqlType: 'numeric(20,4)', kind: 'numeric' },
  f: { sqlType: 'float8', kind: 'float' },
  d: { sqlType: 'date', kind: 'date' },
  z: { sqlType: 'timestamptz', kind: 'time' },
  u: { sqlType: 'uuid', kind: 'uuid' },
  j: { sqlType: 'json', kind: 'json' },
  jb: { sqlType: 'jsonb', kind: 'jsonb' },
  by: { sqlType: 'bytea', kind: 'bytea' },
  ar: { sqlType: 'text[]', kind: 'array' },
  m: { sqlType: 'mood', kind: 'enum' },
  h: { sqlType: 'place', kind: 'row' },
  ip: { sqlType: 'inet', kind: 'inet' },
} as const satisfies Record<string, ColumnShape>;

export type ProtectedColumn = keyof typeof shapes;
const columnNames = Object.keys(shapes) as ProtectedColumn[];

export type Usage = 'None' | 'Lookup' | 'Any';
type Transform = Readonly<Record<string, unknown>>;

interface TableRules {
  readonly usage: Usage;
  readonly strictness: 'Strict' | 'BestEffort';
  readonly transforms: Readonly<Record<ProtectedColumn, Transform>>;
}

const redact: Transform = { type: 'Redact' };
const nothing: Transform = { type: 'Null' };
const hash: Transform = { type: 'Hash' };
const pseudonym: Transform = { type: 'Pseudonym' };

/** Each protected table stands for a usage and a strictness; every transform is on some type of it. */
export const protectedTables: Readonly<Record<string, TableRules>> = {
  vault: {
    usage: 'None',
    strictness: 'Strict',
    transforms: {
      t: redact,
      v: { type: 'Partial', keepLast: 4 },
      c: { type: 'Partial', keepFirst: 2 },
      x: { type: 'Fixed', fixed: 'withheld' },
      i: redact,
      b: { type: 'Partial', keepLast: 3 },
      n: { type: 'Generalize', step: 1000 },
      f: { type: 'Generalize', step: 100 },
      d: { type: 'Generalize', dateUnit: 'Year' },
      z: { type: 'Generalize', dateUnit: 'Month' },
      u: redact,
      j: { type: 'Fixed', fixed: '{"a": 1}' },
      jb: redact,
      by: nothing,
      ar: redact,
      m: nothing,
      h: nothing,
      ip: redact,
    },
  },
  ledger: {
    usage: 'Lookup',
    strictness: 'Strict',
    transforms: {
      t: hash,
      v: pseudonym,
      c: hash,
      x: pseudonym,
      i: pseudonym,
      b: hash,
      n: pseudonym,
      f: hash,
      d: hash,
      z: hash,
      u: hash,
      j: hash,
      jb: hash,
      by: hash,
      ar: hash,
      m: nothing,
      h: nothing,
      ip: hash,
    },
  },
  archive: {
    usage: 'None',
    strictness: 'BestEffort',
    transforms: {
      t: { type: 'Fixed', fixed: 'archived' },
      v: redact,
      c: { type: 'Fixed', fixed: 'a name that is far too long for it' },
      x: { type: 'Partial', keepFirst: 2, keepLast: 2 },
      i: { type: 'Generalize', step: 1_000_000_000 },
      b: { type: 'Fixed', fixed: '7' },
      n: redact,
      f: redact,
      d: { type: 'Generalize', dateUnit: 'Month' },
      z: { type: 'Fixed', fixed: '2001-02-03 04:05:06+00' },
      u: nothing,
      j: redact,
      jb: { type: 'Fixed', fixed: 'text' },
      by: redact,
      ar: nothing,
      m: redact,
      h: redact,
      ip: nothing,
    },
  },
  /** Anything may be guessed here; but nothing is shown. */
  guessed: {
    usage: 'Any',
    strictness: 'Strict',
    transforms: {
      t: { type: 'Partial', keepFirst: 2 },
      v: redact,
      c: { type: 'Partial', keepLast: 2 },
      x: redact,
      i: { type: 'Partial', keepLast: 2 },
      b: redact,
      n: redact,
      f: { type: 'Generalize', step: 100 },
      d: redact,
      z: redact,
      u: redact,
      j: redact,
      jb: redact,
      by: redact,
      ar: redact,
      m: nothing,
      h: nothing,
      ip: redact,
    },
  },
};

/** Columns that anybody may read, the same in both worlds. */
export const publicColumns: Readonly<Record<string, ColumnShape>> = {
  id: { sqlType: 'int', kind: 'int' },
  grp: { sqlType: 'int', kind: 'int' },
  label: { sqlType: 'text', kind: 'text' },
  qty: { sqlType: 'numeric', kind: 'numeric' },
};

const protectedRows = 6;
/** The row whose protected columns are NULL. */
const nullRow = 4;

/** A constant that a caller might guess: in world 0 the value of `vault.t` in row 6, in world 1 nobody's. */
export const guess = 'GUESSED-BY-CHANCE';

/** Bytes that look random and are the same each time, from what they are for. */
function bytesFor(...parts: readonly (string | number)[]): Buffer {
  return createHash('sha256').update(parts.join('|')).digest();
}

/** Consonants in pairs of this alphabet are no word of anybody's. */
const alphabet = 'BCDFGHJKLMNPQRSTVWXZ';

function letters(count: number, ...parts: readonly (string | number)[]): string {
  const bytes = bytesFor('letters', ...parts);
  return Array.from({ length: count }, (_, at) => alphabet[bytes[at]! % alphabet.length]).join('');
}

/** A number of `count` digits; neither the first nor the last is 0. */
function digits(count: number, ...parts: readonly (string | number)[]): string {
  const bytes = bytesFor('digits', ...parts);
  return Array.from({ length: count }, (_, at) =>
    String(at === 0 || at === count - 1 ? 1 + (bytes[at]! % 9) : bytes[at]! % 10),
  ).join('');
}

/** One protected value: what stands in the database, and the part of it that nobody may see. */
export interface ProtectedValue {
  readonly table: string;
  readonly column: ProtectedColumn;
  readonly row: number;
  /** As an SQL literal of the column's type. */
  readonly literal: string;
  /** Text that must not be seen in any form; absent where the value is no text of any length. */
  readonly hidden?: string;
  /** The whole value in the binary format, where it is too short to be looked for within other bytes. */
  readonly cell?: Buffer;
}

function text(
  table: string,
  column: ProtectedColumn,
  row: number,
  secret: string,
): { literal: string; hidden: string } {
  const { keepFirst = 0, keepLast = 0 } = protectedTables[table]!.transforms[column] as {
    keepFirst?: number;
    keepLast?: number;
  };
  const value =
    letters(keepFirst, 'first', table, column, row) +
    secret.slice(keepFirst, secret.length - keepLast) +
    letters(keepLast, 'last', table, column, row);
  return {
    literal: `'${value}'`,
    hidden: value.slice(keepFirst, value.length - keepLast),
  };
}

/**
 * The value of a column in a row of a world. In `ledger`, whose values may be compared, equality is the same in
 * both worlds, and each text is also the next row's in another column, so that equi-joins find something;
 * in the other tables world 1 has the same value in several rows and world 0 does not (but in `x`, which is unique).
 */
export function protectedValue(
  world: World,
  table: string,
  column: ProtectedColumn,
  row: number,
): ProtectedValue {
  const base = { table, column, row };
  const comparable = protectedTables[table]!.usage === 'Lookup';
  const shift = comparable && column === 'v' ? 1 : 0;
  const same = comparable ? 'ledger' : `${table}.${column}`;
  const source = comparable
    ? ((row + shift) % protectedRows) + 1
    : world === 1 && row <= 2 && column !== 'x'
      ? 1
      : row;
  const of = (...parts: readonly (string | number)[]) => [world, same, source, ...parts] as const;
  const secret = letters(16, ...of('text'));
  switch (column) {
    case 't':
      if (table === 'vault' && row === protectedRows && world === 0) {
        return { ...base, literal: `'${guess}'` };
      }
      // As long as the guess in world 0.
      if (table === 'vault' && row === protectedRows) return { ...base, literal: `'${secret}Q'` };
      return { ...base, ...text(table, column, row, secret) };
    case 'v':
    case 'c':
    case 'x':
      return { ...base, ...text(table, column, row, secret) };
    case 'i': {
      // One billion and something, so that a step of a billion tells nothing.
      const kept = table === 'guessed' ? digits(2, 'last', row) : '';
      const value = `1${digits(9 - kept.length, ...of('int'))}${kept}`;
      const cell = Buffer.alloc(4);
      cell.writeInt32BE(Number(value));
      return { ...base, literal: value, hidden: value.slice(0, 10 - kept.length), cell };
    }
    case 'b': {
      const kept = table === 'vault' ? digits(3, 'last', row) : '';
      const value = `${digits(13, ...of('bigint'))}${kept}`;
      const cell = Buffer.alloc(8);
      cell.writeBigInt64BE(BigInt(value));
      return { ...base, literal: value, hidden: value.slice(0, 13), cell };
    }
    case 'n': {
      const value =
        table === 'vault'
          ? `${digits(8, 'thousands', row)}${digits(3, ...of('numeric'))}.${digits(4, ...of('fraction'))}`
          : `${digits(11, ...of('numeric'))}.${digits(4, ...of('fraction'))}`;
      return { ...base, literal: value, hidden: value.slice(table === 'vault' ? 8 : 0) };
    }
    case 'f': {
      const hundreds = digits(5, 'hundreds', row);
      const value = `${hundreds}${digits(2, ...of('float'))}.${digits(6, ...of('fraction'))}`;
      const cell = Buffer.alloc(8);
      cell.writeDoubleBE(Number(value));
      return { ...base, literal: value, hidden: value.slice(5), cell };
    }
    case 'd': {
      const day = 1 + (bytesFor(...of('date'))[0]! % 27);
      const month = table === 'archive' ? 7 : 1 + (bytesFor(...of('date'))[1]! % 12);
      const two = (part: number) => String(part).padStart(2, '0');
      const value = `${1790 + row}-${two(month)}-${two(day)}`;
      return { ...base, literal: `'${value}'` };
    }
    case 'z': {
      const [day, hour, minute, second] = bytesFor(...of('time'));
      const two = (part: number) => String(part).padStart(2, '0');
      const value = `${1890 + row}-05-${two(1 + (day! % 28))} ${two(hour! % 24)}:${two(minute! % 60)}:${two(second! % 60)}+00`;
      return { ...base, literal: `'${value}'`, hidden: value.slice(5, 19) };
    }
    case 'u': {
      const value = bytesFor(...of('uuid'))
        .subarray(0, 16)
        .toString('hex');
      const dashed = value.replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
      return { ...base, literal: `'${dashed}'`, hidden: value, cell: Buffer.from(value, 'hex') };
    }
    case 'j':
    case 'jb':
      return {
        ...base,
        literal: `'{"k": "${secret}", "n": ${digits(3, ...of('json'))}}'`,
        hidden: secret,
      };
    case 'by':
      return {
        ...base,
        literal: `'\\x${Buffer.from(secret).toString('hex')}'`,
        hidden: secret,
        cell: Buffer.from(secret),
      };
    case 'ar':
      return { ...base, literal: `ARRAY['${secret}', 'two']`, hidden: secret };
    case 'm': {
      const turn = comparable ? source + world : bytesFor(...of('mood'))[0]!;
      const mood = ['low', 'mid', 'top'][turn % 3];
      return { ...base, literal: `'${mood}'` };
    }
    case 'h':
      return { ...base, literal: `ROW('${secret}', 12345)::place`, hidden: secret };
    case 'ip': {
      const [a, b, c] = bytesFor(...of('inet'));
      return {
        ...base,
        literal: `'10.${100 + (a! % 100)}.${100 + (b! % 100)}.${100 + (c! % 100)}'`,
      };
    }
  }
}

const letterRows = 3;

/**
 * A number that is a payment card's by its check digit; its last four digits are the same in both worlds, as a mask
 * that keeps them may show.
 */
function card(world: World, row: number): string {
  const start = `4${digits(10, world, 'card', row)}`;
  const last = digits(4, 'card', row);
  const valid = [...'0123456789'].find((digit) => luhn(start + digit + last) === 0);
  return start + valid + last;
}

/** The sum of digits, every other one doubled from the right, modulo 10. */
function luhn(number: string): number {
  let sum = 0;
  [...number].reverse().forEach((digit, index) => {
    const doubled = index % 2 === 1 ? 2 * Number(digit) : Number(digit);
    sum += doubled > 9 ? doubled - 9 : doubled;
  });
  return sum % 10;
}

/** What detectors have to find in texts and documents: all but the last four digits. */
export function hiddenCards(world: World): string[] {
  return Array.from({ length: letterRows }, (_, at) => card(world, at + 1).slice(0, 12));
}

function lettersOf(world: World): string[] {
  return Array.from({ length: letterRows }, (_, at) => {
    const row = at + 1;
    const number = card(world, row);
    const grouped = number.replace(/(.{4})(?=.)/g, '$1 ');
    return `INSERT INTO letters VALUES (${row}, 'pay by ${number}, thanks', '{"card": "${grouped}", "n": [1, "${number}"]}', 'no. ${number}', ARRAY['a', '${number}'])`;
  });
}

/** Every protected value of a world that is not NULL. */
export function protectedValues(world: World): ProtectedValue[] {
  return Object.keys(protectedTables).flatMap((table) =>
    Array.from({ length: protectedRows }, (_, at) => at + 1)
      .filter((row) => row !== nullRow)
      .flatMap((row) => columnNames.map((column) => protectedValue(world, table, column, row))),
  );
}

const columnList = columnNames.map((name) => `${name} ${shapes[name].sqlType}`).join(', ');

/** The same in every world: relations, and data that nobody protects. */
const commonSetup: readonly string[] = [
  "CREATE TYPE mood AS ENUM ('low', 'mid', 'top')",
  "CREATE DOMAIN tax_id AS text CHECK (VALUE <> '')",
  'CREATE TYPE place AS (street text, zip int)',
  "CREATE DOMAIN early AS text CHECK (VALUE < 'M')",
  ...Object.keys(protectedTables).map(
    (table) =>
      `CREATE TABLE ${table} (id int PRIMARY KEY, grp int, label text NOT NULL, qty numeric, ${columnList})`,
  ),
  'ALTER TABLE vault ADD UNIQUE (x)',
  'CREATE TABLE plain (id int PRIMARY KEY, grp int, label text, qty numeric, note text, at date, doc jsonb)',
  `INSERT INTO plain SELECT n, n % 3, 'plain ' || n, n * 1.25, 'note ' || n, date '2024-01-01' + n, jsonb_build_object('k', n)
     FROM generate_series(1, 5) AS n`,
  'CREATE TABLE parts (id int, grp int, label text, qty numeric, t text, i int) PARTITION BY LIST (grp)',
  'CREATE TABLE parts_0 PARTITION OF parts FOR VALUES IN (0)',
  'CREATE TABLE parts_1 PARTITION OF parts FOR VALUES IN (1)',
  'CREATE TABLE letters (id int, body text, doc jsonb, more varchar(40), tags text[])',
  'CREATE VIEW v_letters AS SELECT id, body || $$.$$ AS said, doc FROM letters',
  'CREATE TABLE heirs (more text) INHERITS (vault)',
  'CREATE VIEW v_vault AS SELECT id, grp, label, qty, t AS a, v, n, d, j FROM vault',
  'CREATE VIEW v_nested AS SELECT id, grp, label, qty, a AS deep, v, d FROM v_vault',
  "CREATE VIEW v_expression AS SELECT id, grp, label, qty, upper(t) AS up, i + 1 AS more, jb ->> 'k' AS k FROM vault",
  'CREATE VIEW v_joined AS SELECT v.id, p.grp, p.label, p.qty, v.t, v.c, l.t AS lt, p.note FROM vault v JOIN plain p USING (id) JOIN ledger l USING (id)',
  'CREATE VIEW v_row AS SELECT a.id, a.grp, a.label, a.qty, to_jsonb(a) AS doc FROM archive a',
  'CREATE VIEW v_union AS SELECT id, grp, label, qty, t AS one FROM archive UNION ALL SELECT id, grp, label, qty, note FROM plain',
  'CREATE MATERIALIZED VIEW kept AS SELECT id, grp, label, qty, t, n FROM vault WITH NO DATA',
  'CREATE VIEW v_grouped AS SELECT grp AS id, grp, max(label) AS label, sum(qty) AS qty, string_agg(t, $$,$$ ORDER BY id) AS agg FROM vault GROUP BY grp',
];

function rowsOf(world: World, table: string): string[] {
  return Array.from({ length: protectedRows }, (_, at) => {
    const row = at + 1;
    const values = columnNames.map((column) =>
      row === nullRow ? 'NULL' : protectedValue(world, table, column, row).literal,
    );
    return `INSERT INTO ${table} VALUES (${row}, ${row % 2}, 'label ${row}', ${row}.5, ${values.join(', ')})`;
  });
}

function worldSetup(world: World): string[] {
  return [
    ...Object.keys(protectedTables).flatMap((table) => rowsOf(world, table)),
    ...lettersOf(world),
    ...[1, 2].map(
      (row) =>
        `INSERT INTO parts VALUES (${row}, ${row % 2}, 'part ${row}', ${row}, ${protectedValue(world, 'vault', 't', row).literal}, ${protectedValue(world, 'vault', 'i', row).literal})`,
    ),
    `INSERT INTO heirs SELECT id + 10, grp, label, qty, ${columnNames.map((name) => (name === 'x' ? "'heir' || id" : name)).join(', ')}, 'more' FROM vault WHERE id <= 2`,
    'REFRESH MATERIALIZED VIEW kept',
    'ANALYZE',
  ];
}

/** A relation, its columns, and which of them carry something protected. */
export interface Relation {
  readonly name: string;
  readonly columns: Readonly<Record<string, Kind>>;
  readonly hidden: ReadonlySet<string>;
}

const common: Readonly<Record<string, Kind>> = {
  id: 'int',
  grp: 'int',
  label: 'text',
  qty: 'numeric',
};

function relation(name: string, hidden: Readonly<Record<string, Kind>>, open = {}): Relation {
  return {
    name,
    columns: { ...common, ...open, ...hidden },
    hidden: new Set(Object.keys(hidden)),
  };
}

const allHidden = Object.fromEntries(columnNames.map((name) => [name, shapes[name].kind]));

export const relations: readonly Relation[] = [
  ...Object.keys(protectedTables).map((name) => relation(name, allHidden)),
  relation('plain', {}, { note: 'text', at: 'date', doc: 'jsonb' }),
  relation('parts', { t: 'text', i: 'int' }),
  relation('parts_1', { t: 'text', i: 'int' }),
  relation('heirs', allHidden, { more: 'text' }),
  relation('v_vault', { a: 'text', v: 'text', n: 'numeric', d: 'date', j: 'json' }),
  relation('v_nested', { deep: 'text', v: 'text', d: 'date' }),
  relation('v_expression', { up: 'text', more: 'int', k: 'text' }),
  relation('v_joined', { t: 'text', c: 'text', lt: 'text' }, { note: 'text' }),
  relation('v_row', { doc: 'jsonb' }),
  relation('v_union', { one: 'text' }),
  relation('v_grouped', { agg: 'text' }),
  relation('kept', { t: 'text', n: 'numeric' }),
];

/** Relations that show what `ledger` holds: their values may be compared, and their masks are keyed. */
export const comparableRelations = /\b(ledger|v_joined)\b/i;
/** Relations with a column that may be guessed at will. */
export const guessableRelations = /\bguessed\b/i;

/** What the product is told: everything is allowed, and only masks stand in the way. */
export function maskingResources(): Resource[] {
  const rules: Resource[] = Object.entries(protectedTables).flatMap(
    ([table, { usage, strictness, transforms }]) =>
      columnNames.map((column) =>
        masking(`${table}-${column}`, {
          columns: [`*.public.${table}.${column}`],
          transform: transforms[column],
          usage,
          strictness,
        }),
      ),
  );
  const more: readonly (readonly [string, string])[] = [
    ['parts-t', 'parts.t'],
    // On one partition only: the parent's column is the same value.
    ['parts-i', 'parts_1.i'],
    ['kept-t', 'kept.t'],
    ['kept-n', 'kept.n'],
  ];
  return [
    policy(
      'everything',
      [
        {
          name: 'everything',
          action: 'Allow',
          classes: ['Read', 'Write', 'Schema', 'Privilege', 'Session', 'Procedure', 'Export'],
          resources: ['**'],
        },
        {
          name: 'named',
          action: 'Allow',
          verbs: [
            'Unknown',
            'Do',
            'Call',
            'FunctionCall',
            'ServerFile',
            'ServerProgram',
            'SetRole',
          ],
          resources: ['**'],
        },
      ],
      { session: { recording: 'Full' } },
    ),
    ...rules,
    masking('letters', {
      detectors: ['PaymentCard'],
      resources: ['*.public.letters'],
      transform: { type: 'Partial', keepLast: 4 },
    }),
    ...more.map(([name, column]) =>
      masking(name, { columns: [`*.public.${column}`], transform: redact, usage: 'None' }),
    ),
  ];
}

/** The database of a world that the product stands before, and the one that is asked directly. */
export const databases = (
  world: World,
): { readonly governed: string; readonly direct: string } => ({
  governed: `world_${world}_g`,
  direct: `world_${world}_d`,
});

/** Creates four databases: each world twice, with the same OIDs and the same places of rows. */
export async function createWorlds(
  query: (sql: string, params?: readonly unknown[], database?: string) => Promise<pg.QueryResult>,
): Promise<void> {
  await query('CREATE DATABASE world');
  for (const sql of commonSetup) await query(sql, undefined, 'world');
  await query(
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'world' AND pid <> pg_backend_pid()",
  );
  for (const world of [0, 1] as const) {
    for (const name of Object.values(databases(world))) {
      await query(`CREATE DATABASE ${name} TEMPLATE world`);
      for (const sql of worldSetup(world)) await query(sql, undefined, name);
    }
  }
}
