import { expect, test } from '@jest/globals';
import { effectiveSearchPath } from './search-path.ts';

const long = 'é'.repeat(40);
const cut = 'é'.repeat(31);
const context = {
  currentUser: 'app',
  usableSchemas: ['pg_catalog', 'public', 'app', 'A b', 'x"y', 'a', cut, '$user2', 'x'.repeat(63)],
  temp: null,
};

test.each<[string, string[] | undefined]>([
  ['"$user", public', ['pg_catalog', 'app', 'public']],
  ['$user', ['pg_catalog', 'app']],
  ['', ['pg_catalog']],
  [' \t\n', ['pg_catalog']],
  ['public, pg_catalog', ['public', 'pg_catalog']],
  ['PUBLIC', ['pg_catalog', 'public']],
  ['"PUBLIC"', ['pg_catalog']],
  ['"A b" , "x""y",a', ['pg_catalog', 'A b', 'x"y', 'a']],
  ['a, a, missing, a', ['pg_catalog', 'a']],
  ['pg_temp, a', ['pg_catalog', 'a']],
  ['X'.repeat(80), ['pg_catalog', 'x'.repeat(63)]],
  ['é', undefined],
  [`"${long}"`, ['pg_catalog', cut]],
  ['"$user2"', ['pg_catalog', '$user2']],
  ['a,', undefined],
  [',a', undefined],
  ['a b', undefined],
  ['"a', undefined],
  ['"a"b', undefined],
])('%j', (value, expected) => {
  expect(effectiveSearchPath({ ...context, searchPath: value })).toEqual(expected);
});

test.each<[string, string[]]>([
  ['a', ['pg_temp_3', 'pg_catalog', 'a']],
  ['a, pg_temp', ['pg_catalog', 'a', 'pg_temp_3']],
  ['pg_temp, pg_catalog, a', ['pg_temp_3', 'pg_catalog', 'a']],
  ['pg_catalog', ['pg_temp_3', 'pg_catalog']],
])('with a temporary schema: %j', (value, expected) => {
  expect(effectiveSearchPath({ ...context, searchPath: value, temp: 'pg_temp_3' })).toEqual(
    expected,
  );
});
