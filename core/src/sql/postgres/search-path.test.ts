import { describe, expect, test } from '@jest/globals';
import { effectiveSearchPath, namePath, splitIdentifiers } from './search-path.ts';

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

test.each(['pg_toast', 'public, pg_temp_7', '"pg_toast_temp_3", a'])(
  'a path that names a schema of which the catalog holds nothing is not known: %s',
  (value) => {
    expect(effectiveSearchPath({ ...context, searchPath: value })).toBeUndefined();
    const usableSchemas = [...context.usableSchemas, 'pg_toast', 'pg_temp_3', 'pg_temp_7'];
    const state = { ...context, usableSchemas, temp: 'pg_temp_3', searchPath: value };
    expect(effectiveSearchPath(state)).toBeUndefined();
    expect(effectiveSearchPath({ ...state, searchPath: 'pg_temp_3' })).toEqual([
      'pg_catalog',
      'pg_temp_3',
    ]);
  },
);

describe('the names of a setting', () => {
  const many = (count: number): string =>
    Array.from({ length: count }, (_, index) => `n${index}`).join(', ');

  test('each counts once', () => {
    expect(splitIdentifiers('a, b, "a", A')).toEqual(['a', 'b']);
    expect(splitIdentifiers(`${'a,'.repeat(500)}b`)).toEqual(['a', 'b']);
  });

  test('more than 64 are not understood', () => {
    expect(splitIdentifiers(many(64))).toHaveLength(64);
    expect(splitIdentifiers(many(65))).toBeUndefined();
    expect(splitIdentifiers(many(500))).toBeUndefined();
  });

  test('nor is a text of more than 16 Ki characters', () => {
    expect(splitIdentifiers(`${'a,'.repeat(8191)}a`)).toEqual(['a']);
    expect(splitIdentifiers(`${'a,'.repeat(8192)}a`)).toBeUndefined();
  });
});

describe('what names are looked up by', () => {
  const state = { ...context, sessionUser: 'app', searchPath: 'a, public' };
  const schemas = new Set(['pg_catalog', 'public', 'a', 'é']);

  test('the schemas that are there, and the names of the setting', () => {
    expect(namePath({ ...state, searchPath: 'a, missing' }, { schemas, isUtf8: true })).toEqual({
      searchPath: ['pg_catalog', 'a'],
      pathSetting: ['a', 'missing'],
      isStale: false,
    });
  });

  test('nothing where a schema was made since the catalog was read', () => {
    expect(namePath(state, { schemas: new Set(['pg_catalog', 'public']), isUtf8: true })).toEqual({
      searchPath: [],
      isStale: true,
    });
    expect(
      namePath(
        { ...state, temp: 'pg_temp_3' },
        { schemas: new Set(['pg_catalog', 'public', 'a']), isUtf8: true },
      ).searchPath,
    ).toEqual(['pg_temp_3', 'pg_catalog', 'a', 'public']);
  });

  test('nothing where the encoding decides what a name is', () => {
    const accented = { ...state, usableSchemas: ['é'], searchPath: '"é"' };
    expect(namePath(accented, { schemas, isUtf8: true }).searchPath).toEqual(['pg_catalog', 'é']);
    expect(namePath(accented, { schemas, isUtf8: false })).toEqual({
      searchPath: [],
      isStale: false,
    });
    expect(namePath(state, { schemas, isUtf8: false }).searchPath).not.toEqual([]);
  });
});
