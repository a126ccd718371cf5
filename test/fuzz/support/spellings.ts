/**
 * Statements with holes where a literal, a space or a comment stands, and two ways to fill them: what may or
 * may not share a place in the cache of decisions.
 */
import fc from 'fast-check';

/** Names by which a value is looked up, a type behind or before them. */
const casts: readonly string[] = [
  ...["'customers'::regclass", "'orders'::regclass", "'orders' :: pg_catalog.regclass"],
  ...["'orders'/**/::regclass", "'customers'::text::regclass", "'orders'::text::regclass"],
  ...["('customers')::regclass", "('orders')::regclass", "(('customers'))::text::regclass"],
  ...["CAST('customers' AS regclass)", "CAST('orders' AS regclass)", "E'orders'::regclass"],
  ...["'{orders}'::regclass[]", "'lower'::regproc", "'upper'::regproc"],
];
const typed: readonly string[] = [
  ...["regclass 'customers'", "regclass 'orders'", "pg_catalog.regclass 'orders'"],
  ...["REGCLASS\n'orders'", '"regclass" \'customers\'', '"regclass" \'orders\'', "regproc 'lower'"],
  ...["regproc 'upper'", "DATE '2026-01-01'", "date '2020-01-01'", "INTERVAL '1 day'"],
  ...["INTERVAL '1' DAY", "interval '2' day", "interval(3) '1'"],
];
const bits: readonly string[] = [
  "B'101'",
  "b''",
  "B'1'",
  "X'1F'",
  "x'ff'",
  "B'1'::int",
  "'101'",
  "''",
];
const unicode: readonly string[] = [
  ...["U&'d\\0061t'", "u&'dat'", "U&'d!0061t' UESCAPE '!'", "U&'d!0061t' UESCAPE '?'", "'dat'"],
  ...[
    "U&'orders'::regclass",
    "U&'customers'::regclass",
    "regclass U&'orders'",
    "regclass U&'customers'",
  ],
  ...["U&'orders' UESCAPE '!'::regclass", "U&'customers' UESCAPE '!'::regclass"],
  ...["U&'secret'", "U&'customers'"],
];

/** Every way to write a constant, a type before or behind it, and what the analysis reads names from. */
const literals: readonly string[] = [
  ...["'x'", "''", "'it''s'", "'a'\n'b'", "E'\\''", "E'a\\\\'", "e'\\x41'", "E'\\u0041'", '$$y$$'],
  ...[...casts, ...typed, ...bits, ...unicode],
  ...[
    "$t$ it's $$ $t$",
    '$T$$T$',
    "N'n'",
    "'customers'",
    "'public.customers'",
    "'secret'",
    "'search_path'",
    "'work_mem'",
    "'role'",
  ],
  ...['1', '0', '42', '00000001', '2147483647', '2147483648', '9223372036854775808', '1_000'],
  ...['0x1F', '0b101', '0o17', '1.5', '.5', '1.', '1.e5', '1e10', '1E-3', '1_0.5'],
  ...["'1'::int", "'1'::pg_catalog.int4", "'1'::varchar(3)", '\'a\' COLLATE "C"', "'{1}'::int[]"],
  ...['NULL', 'TRUE', '$1', '-5', "+'5'", "'a' || 'b'", "ARRAY[1, '2']", "ROW(1, 'x')"],
];

const spaces: readonly string[] = [
  ...[' ', ' ', ' ', '  ', '\n', '\t', '\r\n', '\f', ' /* c */ ', '/**/', ' /* a /* b */ c */ '],
  ...[" /* 'q' */ ", ' -- line\n', " --'\n", ' /* -- */ ', '/* $$ */'],
];

/** Columns that customers and contacts have; the first two have one name. */
const columns: readonly string[] = [
  'ssn',
  'U&"s\\0073n"',
  'U&"n\\0061me"',
  '"name"',
  'name',
  '"ssn"',
];

/** `~` is a literal, a space one or a comment, `%` a column of customers and contacts. */
const templates: readonly string[] = [
  'SELECT id, name FROM customers WHERE id = ~',
  'SELECT ssn FROM customers WHERE name = ~ AND age > ~ ORDER BY 1 LIMIT ~',
  'SELECT * FROM contacts WHERE ssn = ~ OR name LIKE ~ ESCAPE ~',
  'SELECT id FROM orders WHERE total BETWEEN ~ AND ~ GROUP BY ~, id HAVING count(*) > ~',
  'SELECT id, total FROM orders ORDER BY ~, ~ OFFSET ~ LIMIT ~',
  'SELECT id FROM orders ORDER BY 1 FETCH FIRST ~ ROWS ONLY',
  'SELECT DISTINCT ON (~) id, note FROM orders',
  'SELECT lower(~), coalesce(note, ~), substring(note from ~ for ~) FROM orders',
  'SELECT nextval(~), setval(~, ~)',
  'SELECT set_config(~, ~, false)',
  'SELECT set_config(name, ~, false) FROM pg_settings WHERE name = ~',
  'SELECT note FROM orders, (SELECT set_config(name, ~, false) FROM pg_settings WHERE name = ~) s WHERE id = ~',
  'SELECT current_setting(~) FROM orders WHERE note = ~',
  'SELECT to_regclass(~), pg_relation_size(~) FROM orders WHERE id = ~',
  'SELECT note::numeric(10,2), note::varchar(~), note::text FROM orders WHERE id = ~',
  'SELECT CAST(~ AS text), CAST(~ AS regclass) FROM orders WHERE id = ~',
  'SELECT ~::text, ~::regclass, (~)::text FROM orders WHERE note = ~',
  'SELECT doc -> ~ ->> ~, doc #> ~ FROM orders WHERE doc @> ~ AND doc ? ~',
  'SELECT CASE WHEN id = ~ THEN ~ ELSE ~ END FROM customers',
  'SELECT (ARRAY[~, ~])[~], note FROM orders WHERE id = ANY (ARRAY[~])',
  'SELECT g FROM generate_series(~, ~) g, orders WHERE id = g AND note = ~',
  'SELECT sum(total) OVER (ORDER BY ~ ROWS ~ PRECEDING) FROM orders WHERE id = ~',
  'SELECT id FROM orders TABLESAMPLE system (~) WHERE id = ~',
  'SELECT extract(year FROM ~), trim(~ from note), position(~ in note) FROM orders',
  'SELECT note AT TIME ZONE ~ FROM orders WHERE id IN (~, ~)',
  'SELECT xmlelement(name foo, ~), json_build_object(~, ssn) FROM customers WHERE id = ~',
  'SELECT query_to_xml(~, true, true, ~)',
  'SELECT lo_export(~, ~), pg_read_file(~) FROM orders WHERE id = ~',
  'WITH a AS (SELECT ~ AS x, ssn FROM customers WHERE id = ~) SELECT * FROM a',
  'WITH a AS (DELETE FROM orders WHERE note = ~ RETURNING *) SELECT id FROM a WHERE id = ~',
  'INSERT INTO orders (id, note) VALUES (~, ~), (~, ~) ON CONFLICT (id) DO UPDATE SET note = ~',
  'INSERT INTO log SELECT id, ssn FROM customers WHERE name = ~',
  'UPDATE customers SET name = ~, age = age + ~ WHERE ssn = ~ RETURNING ssn',
  'DELETE FROM orders USING customers WHERE customers.ssn = ~ AND orders.id = ~',
  'MERGE INTO orders USING customers ON orders.id = ~ WHEN MATCHED AND note = ~ THEN DELETE',
  'SELECT 1 FROM customers WHERE ssn = ~ UNION ALL SELECT ~ ORDER BY ~',
  'SELECT id FROM orders WHERE id = ~; SELECT ssn FROM customers WHERE id = ~',
  'VALUES (~, ~), (~, ~)',
  'SELECT ssn FROM customers WHERE id IN (~, ~ , ~, ~ ) AND name IN (~, ~,~, ~)',
  'SELECT a.ssn, b.note FROM contacts a JOIN orders b ON a.id = b.id AND b.note = ~',
  'SET search_path = ~; SELECT id FROM orders WHERE id = ~',
  'EXPLAIN (ANALYZE true) SELECT ssn FROM customers WHERE id = ~',
  'PREPARE p AS SELECT ssn FROM customers WHERE name = ~',
  'SELECT row_to_json(customers), customers::text FROM customers WHERE age = ~',
  'SELECT interval(~) ~ FROM orders', // a precision, or a call
  'SELECT %, % FROM customers WHERE name = ~ AND % <> ~',
  'UPDATE contacts SET % = ~ WHERE % = ~ RETURNING %',
  'SELECT ~ FROM contacts WHERE % = ~',
  'SELECT float8 ~, int4 ~, "date" ~, app.reveal ~ FROM orders',
];

/** Those that may share a placeholder. */
const alike: readonly (readonly string[])[] = [
  literals.filter((one) => /^(?:[eE]?'|\$[tT]?\$).*['$]$/s.test(one) && !one.includes('||')),
  literals.filter((one) => /^[\dx_]+$/i.test(one)),
  literals.filter((one) => /^[\d.]+(?:[eE]-?\d+)?$/.test(one)),
];
/** Those that would, were one thing about them not seen. */
const hardlyAlike: readonly (readonly string[])[] = [casts, typed, bits, unicode];

type Pair = readonly [string, string];

const ofOneKind = (kinds: readonly (readonly string[])[]): fc.Arbitrary<Pair> =>
  fc
    .constantFrom(...kinds)
    .chain((kind) => fc.tuple(fc.constantFrom(...kind), fc.constantFrom(...kind)));
const same = (choices: readonly string[]): fc.Arbitrary<Pair> =>
  fc.constantFrom(...choices).map((one) => [one, one]);

/** A literal, and one to stand in its place: mostly of its own kind, or hardly two texts would be alike. */
const literalPair: fc.Arbitrary<Pair> = fc.oneof(
  { weight: 8, arbitrary: ofOneKind(alike) },
  { weight: 4, arbitrary: same(literals) },
  { weight: 5, arbitrary: ofOneKind(hardlyAlike) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...literals), fc.constantFrom(...literals)) },
);
const spacePair: fc.Arbitrary<Pair> = fc.oneof(
  { weight: 12, arbitrary: same([' ']) },
  { weight: 4, arbitrary: same(spaces) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...spaces), fc.constantFrom(...spaces)) },
);
const columnPair: fc.Arbitrary<Pair> = fc.oneof(
  { weight: 3, arbitrary: same(columns) },
  { weight: 1, arbitrary: fc.tuple(fc.constantFrom(...columns), fc.constantFrom(...columns)) },
);
const holes: Readonly<Record<string, fc.Arbitrary<Pair>>> = {
  '~': literalPair,
  ' ': spacePair,
  '%': columnPair,
};

/** One template, its holes filled twice. */
export const spelledTwice: fc.Arbitrary<Pair> = fc.constantFrom(...templates).chain((template) => {
  const parts = template
    .split(/([~ %])/)
    .map((part) => holes[part] ?? fc.constant<Pair>([part, part]));
  return fc
    .tuple(...parts)
    .map((filled) => [
      filled.map(([one]) => one).join(''),
      filled.map(([, other]) => other).join(''),
    ]);
});
