import { beforeAll, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(() => loadParser());

const description = {
  relations: {
    'public.people': { columns: ['id', 'name'] },
    'public.é': { columns: ['id'] },
    'public.é_seq': { kind: 'S' as const },
    'public.named': { columns: ['é'], definition: 'SELECT id AS "é" FROM people' },
    'public.valued': { columns: ['x'], definition: "SELECT 'é'::text AS x FROM people" },
  },
};
const utf8 = contextOf(catalogOf(description));
const latin1 = contextOf(catalogOf({ ...description, isUtf8: false }));

test.each([
  'select id from "é"',
  'select id from é',
  'select id as "é" from people',
  'select id from u&"\\00e9"',
  'select id from people "é"',
  "select nextval('é_seq')",
  "select nextval('é_seq'::regclass)",
  'with "é" as (select 1) select 1 from "é"',
  'create table "é2" (a int)',
  'prepare "é" as select 1',
  'declare "é" cursor for select 1',
  'set search_path = "é"',
  "set search_path = 'é'",
  'set role "é"',
  'explain select id from "é"',
  'select x from (select "é" from named) as y(x)',
  'select * from named',
])('a name beyond ASCII is certain in UTF8 alone: %s', (text) => {
  expect(unknownReasons(text, latin1)).not.toEqual([]);
});

test.each([
  'select id from "é"',
  "select nextval('é_seq')",
  'create table "é2" (a int)',
  'select * from named',
])('in UTF8 it is like any other: %s', (text) => {
  expect(unknownReasons(text, utf8)).toEqual([]);
});

test.each([
  "select id from people where name = 'é'",
  "insert into people values ('1', 'é'), ('2', $1)",
  "select name || 'é', u&'\\00e9' from people",
  "select x from valued where x = e'\\u00e9'",
  "comment on table people is 'é'",
  'select id from people /* é */ -- é',
])('values are not names: %s', (text) => {
  expect(unknownReasons(text, latin1)).toEqual([]);
});

test('a path set to one within a text is not followed', () => {
  const session = { ...latin1, pathSetting: ['public'] };
  for (const set of [
    "select set_config('search_path', '\"é\"', false)",
    "select set_config('search_path', '\"é\", public', false)",
  ]) {
    expect(unknownReasons(`${set}; select id from people`, session)).not.toEqual([]);
  }
});
