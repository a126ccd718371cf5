import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(() => loadParser());

const catalog = catalogOf({
  relations: {
    'app.kept_f': { columns: ['a'] },
    'app.kept_c': { columns: ['a'] },
    'public.plain': { columns: ['a'] },
  },
  functions: {
    kept_f: ['public'],
    both_f: ['app', 'public'],
    kept_t: ['app'],
    lower: ['public'],
    far_f: ['elsewhere'],
  },
  types: {
    kept_t: ['public'],
    kept_f: ['app'],
    both_t: ['app', 'public'],
    int4: ['app'],
    plain: ['public'],
  },
  operators: { '===': ['app', 'public'], '@@@': ['public'] },
  others: {
    'collation kept_c': ['public'],
    'collation both_c': ['public', 'app'],
    'ts_config english': ['app'],
    'statistics both_c': ['public'],
  },
  builtins: ['function lower', 'type int4', 'collation C', 'ts_config english'],
});
const context = contextOf(catalog, ['pg_catalog', 'app', 'public']);

describe('an object is found by its kind', () => {
  test.each([
    ['drop function kept_f(int)', 'Drop kept_f'],
    ['drop function kept_f', 'Drop kept_f'],
    ['alter function kept_f(int) rename to x', 'Alter kept_f'],
    ['alter function kept_f(int) immutable', 'Alter kept_f'],
    ['grant execute on function kept_f(int) to bob', 'Grant kept_f'],
    ["comment on function kept_f(int) is 'x'", 'Comment kept_f'],
    ['drop type kept_t', 'Drop kept_t'],
    ["alter type kept_t add value 'x'", 'Alter kept_t'],
    ['drop domain kept_t', 'Drop kept_t'],
    ['drop operator @@@ (int, int)', 'Drop @@@'],
    ['drop collation kept_c', 'Drop kept_c'],
    ['alter collation kept_c rename to x', 'Alter kept_c'],
    ['drop statistics both_c', 'Drop both_c'],
    ['alter statistics both_c set statistics 10', 'Alter both_c'],
    ['drop collation if exists none', 'Drop app.none'],
    ['drop function if exists far_f(int)', 'Drop app.far_f'],
    // The first type of the name is the one.
    ['drop type both_t', 'Drop app.both_t'],
    ['drop function app.kept_f(int)', 'Drop app.kept_f'],
  ])('%s', (text, expected) => {
    expect(operationLines(text, context)).toEqual([expected]);
  });
});

describe('one that may be another is Unknown', () => {
  test.each([
    'drop function both_f(int)',
    'drop routine if exists both_f(int)',
    'alter function both_f(int) immutable',
    'grant execute on function both_f(int) to bob',
    "comment on function both_f(int) is 'x'",
    'call both_f(1)',
    'drop operator === (int, int)',
    'drop collation both_c',
    // pg_catalog has some of the name as well.
    'alter function lower(text) rename to x',
    "comment on text search configuration english is 'x'",
    'alter text search configuration english rename to x',
  ])('%s', (text) => {
    expect(unknownReasons(text, context)).not.toEqual([]);
  });

  test.each(['alter collation "C" rename to x', 'drop type int4'])(
    'pg_catalog has it: %s',
    (text) => {
      const lines = operationLines(text, context);
      expect(lines.filter((line) => line.includes('pg_catalog'))).not.toEqual([]);
    },
  );

  test('a type whose name a table of the same text had', () => {
    const text = 'create table app.plain (a int); drop table app.plain; drop type plain';
    expect(unknownReasons(text, context)).not.toEqual([]);
  });
});
