import { beforeAll, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, statementOf, unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(loadParser);

const catalog = catalogOf({
  relations: {
    'public.authors': {
      columns: [['id', 23], 'name'],
      dependents: ['public.authors_id_seq', 'public.listed', ''],
    },
    'public.authors_id_seq': { kind: 'S' },
    'public.listed': { columns: [['id', 23]], definition: 'SELECT a.id FROM public.authors a' },
    'public.plain': { columns: [['id', 23]] },
    'public.called': {
      columns: [['n', 20]],
      definition: "SELECT nextval(evil.pg_get_serial_sequence('authors'::text, 'id'::text)) AS n",
    },
    'Odd.Names': { columns: [['id', 23]], dependents: ['Odd.ids', 'Odd.more'] },
    'Odd.ids': { kind: 'S' },
    'Odd.more': { kind: 'S' },
  },
  functions: { pg_get_serial_sequence: ['evil'] },
});
const context = contextOf(catalog);
const asked = 'Select Catalog pg_catalog.pg_get_serial_sequence';

test.each([
  ["select nextval('authors_id_seq')", ['Update authors_id_seq']],
  ["select currval('public.AUTHORS_id_seq'::regclass)", ['Select authors_id_seq']],
  [
    "select setval(pg_get_serial_sequence('\"authors\"', 'id'), coalesce(max(id), 1)) from authors",
    [asked, 'Select authors (id)', 'Update authors_id_seq'],
  ],
  [
    "select nextval(pg_catalog.pg_get_serial_sequence('shop.public.authors', 'id')::regclass)",
    [asked, 'Update authors_id_seq'],
  ],
  // Whichever it is.
  [
    'select currval(pg_get_serial_sequence(\'"Odd"."Names"\', \'id\'))',
    [asked, 'Select Odd.ids', 'Select Odd.more'],
  ],
])('%s', (text, expected) => {
  expect(operationLines(text, context)).toEqual(expected);
});

test.each([
  "select nextval('nowhere')",
  "select nextval(lower('ids'))",
  "select setval(pg_get_serial_sequence('plain', 'id'), 1)",
  "select setval(pg_get_serial_sequence('nowhere', 'id'), 1)",
  "select setval(pg_get_serial_sequence($1, 'id'), 1)",
  "select setval(pg_get_serial_sequence(lower('authors'), 'id'), 1)",
  "select setval(evil.pg_get_serial_sequence('authors', 'id'), 1)",
  'select n from called',
  // What a text names is looked up when it runs, behind what the statement itself does to the search path.
  "select set_config('search_path', 'app', false), setval(pg_get_serial_sequence('authors', 'id'), 1)",
  "select set_config('search_path', 'app', false), nextval('authors_id_seq'::text)",
  // Another schema's type may cut or change the text, whatever it is called.
  "select nextval('authors_id_seq'::evil.text)",
  "select nextval('authors_id_seq'::evil.regclass)",
  // To PostgreSQL these are letters.
  "select nextval('\u00a0authors_id_seq')",
  "select nextval(pg_get_serial_sequence('\ufeffauthors', 'id'))",
  'select "__proto__"(1)',
  'select * from "constructor"(1)',
])('%s is not understood', (text) => {
  expect(unknownReasons(text, context)).not.toEqual([]);
});

test('a function of the user’s by that name may be the one that is called', () => {
  const shadowed = contextOf(catalog, ['evil', 'pg_catalog', 'public']);
  const text = "select setval(pg_get_serial_sequence('authors', 'id'), 1)";
  expect(unknownReasons(text, shadowed)).toEqual(['user function evil.pg_get_serial_sequence']);
});

test('what is looked up when it runs says so, unless its schema is named', () => {
  const late = (text: string) => statementOf(text, context).effects.lateNames;
  expect(late("select nextval('authors_id_seq'::text)")).toBe(true);
  expect(late("select nextval(pg_get_serial_sequence('authors', 'id'))")).toBe(true);
  expect(late("select nextval(pg_get_serial_sequence('public.authors', 'id'))")).toBeUndefined();
  expect(late("select nextval('authors_id_seq')")).toBeUndefined();
  expect(late("select nextval('authors_id_seq'::regclass)")).toBeUndefined();
});
