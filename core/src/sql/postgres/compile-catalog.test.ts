import { describe, expect, test } from '@jest/globals';
import { decodeField, readSessionState } from './catalog-document.ts';
import { compileCatalog } from './compile-catalog.ts';

const system = {
  relations: [[1259, 'pg_catalog', 'pg_class', 'r', false, [[1, 'oid', 26]], null]],
  domains: [[13000, 1043, false]],
  builtins: [
    ['function', 'lower upper'],
    ['collation', 'C'],
  ],
};

const empty = {
  format: 1,
  server: 180004,
  database: 'shop',
  temp: null,
  schemas: ['information_schema', 'pg_catalog', 'public'],
  relations: [],
  inherits: [],
  foreignKeys: [],
  triggers: [],
  rules: [],
  defaultsWithCode: [],
  generated: [],
  constraintsWithCode: [],
  indexes: [],
  dependents: [],
  domains: [],
  functions: [],
  operators: [],
  types: [],
  plainTypes: [],
  casts: [],
  others: [],
  eventTriggers: false,
  encoding: 'UTF8',
  schemaDefaults: false,
  system: JSON.stringify(system),
};

const table = (oid: number, name: string, typeOids: number[] = [23, 25]): unknown[] => [
  oid,
  'public',
  name,
  'r',
  false,
  typeOids.map((typeOid, at) => [at + 1, `c${at + 1}`, typeOid]),
  null,
];

const compile = (part: object) => compileCatalog(JSON.stringify({ ...empty, ...part }));

describe('compileCatalog', () => {
  test('resolves by name and by OID, the system part included', () => {
    const catalog = compile({ relations: [table(16400, 'orders')] });
    expect(catalog.relation('public', 'orders')).toBe(catalog.relationByOid(16400));
    expect(catalog.relation('pg_catalog', 'pg_class')?.columns).toMatchObject([{ name: 'oid' }]);
    expect(catalog.relation('public', 'pg_class')).toBeUndefined();
    expect(catalog.relation('public', 'constructor')).toBeUndefined();
    expect(catalog.relation('__proto__', 'orders')).toBeUndefined();
    expect([catalog.database, catalog.serverVersion]).toEqual(['shop', 180004]);
  });

  test('the system part of equal documents is the same object', () => {
    const one = compile({}).relationByOid(1259);
    expect(compile({ database: 'other' }).relationByOid(1259)).toBe(one);
  });

  test('names that only their kind tells apart', () => {
    const catalog = compile({
      others: [
        ['collation', 'public', 'C'],
        ['collation', 'app', 'german'],
        ['ts_dict', 'public', 'german'],
      ],
    });
    expect(catalog.otherSchemas('collation', 'german')).toEqual(['app']);
    expect(catalog.otherSchemas('ts_dict', 'german')).toEqual(['public']);
    expect(catalog.otherSchemas('conversion', 'german')).toEqual([]);
    expect(catalog.isBuiltin('function', 'lower')).toBe(true);
    expect(catalog.isBuiltin('collation', 'C')).toBe(true);
    expect(catalog.isBuiltin('collation', 'lower')).toBe(false);
    expect(catalog.isBuiltin('type', 'lower')).toBe(false);
  });

  test('encoding and default privileges of schemas', () => {
    expect(compile({})).toMatchObject({ isUtf8: true, hasSchemaDefaults: false });
    expect(compile({ encoding: 'SQL_ASCII', schemaDefaults: true })).toMatchObject({
      isUtf8: false,
      hasSchemaDefaults: true,
    });
  });

  test('the version is that of the document', () => {
    expect(compile({}).version).toBe(compile({}).version);
    expect(compile({ eventTriggers: true }).version).not.toBe(compile({}).version);
  });

  test('joins what is listed apart', () => {
    const catalog = compile({
      relations: [table(1, 'a'), table(2, 'b'), table(3, 'c')],
      inherits: [[2, 1]],
      foreignKeys: [
        [1, 2, true],
        [1, 2, false],
        [1, 3, false],
      ],
      triggers: [2],
      rules: [3, 3],
      defaultsWithCode: [[1, 2]],
      generated: [[3, 2, 1]],
      constraintsWithCode: [1],
      indexes: [[3, 1]],
      dependents: [
        [1, 2, false],
        [1, 0, false],
        [1, 2, true],
        [7, 1, false],
      ],
    });
    expect(catalog.relationByOid(1)).toMatchObject({
      children: [2],
      cascadesTo: [2],
      referencedBy: [2, 3],
      dependents: [2, 0],
      hasTriggers: false,
      hasConstraintFunctions: true,
      columns: [{ hasDefault: false }, { hasDefault: true }],
    });
    expect(catalog.relationByOid(2)).toMatchObject({ parents: [1], hasTriggers: true });
    expect(catalog.relationByOid(3)).toMatchObject({
      hasRules: true,
      indexOf: 1,
      columns: [{}, { generatedFrom: [1] }],
    });
  });

  test('of what a view loses a part with, it is no dependent', () => {
    const view = (oid: number, name: string) => [oid, 'public', name, 'v', false, [], 'SELECT 1'];
    const catalog = compile({
      relations: [table(1, 'a'), table(2, 'b'), view(3, 'v'), view(4, 'w')],
      dependents: [
        [1, 2, false],
        [1, 3, false],
        [1, 4, false],
        [1, 4, true],
        [2, 3, true],
      ],
    });
    expect(catalog.relationByOid(1)?.dependents).toEqual([4, 2, 0]);
    expect(catalog.relationByOid(2)?.dependents).toEqual([3]);
  });

  test('a view carries the path under which its definition is to be read', () => {
    const view = [9, 'public', 'v', 'v', false, [], ' SELECT 1;'];
    expect(compile({ relations: [view] }).relationByOid(9)).toMatchObject({
      definition: ' SELECT 1;',
      definitionPath: ['pg_catalog'],
    });
    expect(compile({ relations: [view], temp: 'pg_temp_3' }).relationByOid(9)).toMatchObject({
      definitionPath: ['pg_catalog', 'pg_temp_3'],
    });
  });

  test('domains: base types through several, checks that call code', () => {
    const catalog = compile({
      domains: [
        [20001, 25, true],
        [20002, 20001, false],
        [20003, 20003, false],
      ],
      relations: [table(1, 'plain', [25]), table(2, 'checked', [20002])],
    });
    expect([25, 20001, 20002, 13000].map((oid) => catalog.baseType(oid))).toEqual([
      25, 25, 25, 1043,
    ]);
    expect(catalog.baseType(20003)).toBe(20003);
    expect(catalog.relationByOid(1)?.hasConstraintFunctions).toBe(false);
    expect(catalog.relationByOid(2)?.hasConstraintFunctions).toBe(true);
  });

  test('what shadows pg_catalog', () => {
    const catalog = compile({
      functions: [
        ['public', 'lower'],
        ['pg_catalog', 'lower'],
        ['public', 'lower'],
      ],
      operators: [['evil', '=']],
      types: [['public', 'date']],
      casts: [[25, 20001]],
    });
    expect(catalog.functionSchemas('lower')).toEqual(['public', 'pg_catalog']);
    expect(catalog.functionSchemas('toString')).toEqual([]);
    expect(catalog.operatorSchemas('=')).toEqual(['evil']);
    expect(catalog.typeSchemas('date')).toEqual(['public']);
    expect([25, 20001, 23].map((oid) => catalog.hasUserCast(oid))).toEqual([true, true, false]);
  });

  test.each([
    ['a relation', { relations: [[5, 'pg_temp_3', 't', 'r', false, [], null]] }],
    ['a function', { functions: [['pg_temp_3', 'f']] }],
    ['a type', { types: [['pg_temp_3', 't']] }],
  ])('%s in the temporary schema makes the catalog private', (_what, part) => {
    expect(compile({ temp: 'pg_temp_3', ...part })).toMatchObject({
      isPrivate: true,
      tempSchema: 'pg_temp_3',
    });
    expect(compile({ temp: 'pg_temp_4', ...part }).isPrivate).toBe(false);
    expect(compile(part)).toMatchObject({ isPrivate: false, tempSchema: undefined });
  });

  test.each([
    ['not JSON', '{'],
    ['no object', 'null'],
    ['a list', '[]'],
    ['another format', JSON.stringify({ ...empty, format: 2 })],
    ['a missing part', JSON.stringify({ ...empty, casts: undefined })],
    ['a short row', JSON.stringify({ ...empty, casts: [[1]] })],
    ['a wrong type', JSON.stringify({ ...empty, triggers: ['1'] })],
    ['a fraction for an OID', JSON.stringify({ ...empty, triggers: [1.5] })],
    ['a broken system part', JSON.stringify({ ...empty, system: '{"relations":[]}' })],
  ])('refuses %s', (_what, json) => {
    expect(() => compileCatalog(json)).toThrow(TypeError);
  });
});

test('decodeField takes base64 in lines', () => {
  const text = JSON.stringify({ name: 'Jürgen 😀'.repeat(20) });
  const lines = Buffer.from(text).toString('base64').replace(/.{76}/g, '$&\n');
  expect(decodeField(lines)).toBe(text);
});

test('readSessionState takes the form of its query only', () => {
  const state = {
    searchPath: 'public',
    currentUser: 'app',
    sessionUser: 'app',
    temp: null,
    usableSchemas: ['public'],
  };
  const field = (value: unknown) => Buffer.from(JSON.stringify(value)).toString('base64');
  expect(readSessionState(field(state))).toEqual(state);
  expect(() => readSessionState(field({ ...state, temp: 3 }))).toThrow(TypeError);
  expect(() => readSessionState(field({ ...state, usableSchemas: null }))).toThrow(TypeError);
  expect(() => readSessionState('')).toThrow(TypeError);
});
