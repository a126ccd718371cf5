import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLines, unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(loadParser);

const columns = ['id', 'name'];
const shop = contextOf(
  catalogOf({
    relations: {
      'public.people': {
        columns,
        referencedBy: ['public.sales'],
        dependents: ['public.sales', 'public.known', 'public.people_ids'],
      },
      'public.sales': { columns, dependents: ['public.totals'] },
      'public.known': {
        columns,
        definition: 'SELECT id, name FROM public.people',
        dependents: ['public.known_again'],
      },
      'public.known_again': { columns, definition: 'SELECT id, name FROM public.known' },
      'public.totals': { columns, definition: 'SELECT id, name FROM public.sales' },
      'public.people_ids': { kind: 'S', dependents: ['public.log'] },
      'public.people_pkey': { kind: 'i', indexOf: 'public.people', dependents: ['public.sales'] },
      'public.lost_index': { kind: 'i' },
      'public.log': { columns },
      'public.typed': { columns, dependents: [''] },
      'public.pair': { kind: 'c', columns },
      'app.parts': { kind: 'p', columns },
      'app.parts_1': { columns, parents: ['app.parts'], dependents: ['app.first'] },
      'app.parts_rest': { columns, parents: ['app.parts'] },
      'app.parts_id': { kind: 'I', indexOf: 'app.parts' },
      'app.first': { columns, definition: 'SELECT id, name FROM app.parts_1' },
    },
  }),
);

describe('what a statement reaches without naming it', () => {
  test.each<[text: string, expected: string[]]>([
    ['drop table log cascade', ['Drop log']],
    [
      'drop table people cascade',
      [
        'Drop people',
        '~Alter log',
        '~Alter sales',
        '~Drop known',
        '~Drop known_again',
        '~Drop people_ids',
      ],
    ],
    ['drop view known cascade', ['Drop known', '~Drop known_again']],
    ['drop sequence people_ids cascade', ['Drop people_ids', '~Alter log']],
    [
      'drop table app.parts cascade',
      [
        'Drop app.parts',
        '~Alter app.parts_1',
        '~Alter app.parts_rest',
        '~Drop app.first',
        '~Drop app.parts_1',
        '~Drop app.parts_rest',
      ],
    ],
    [
      'alter table people drop column name cascade',
      [
        'Alter people',
        '~Alter log',
        '~Alter sales',
        '~Drop known',
        '~Drop known_again',
        '~Drop people_ids',
      ],
    ],
    ['alter table people drop column name', ['Alter people']],
    ['alter table people alter id type bigint', ['Alter people', '~Alter sales']],
    ['drop index people_pkey', ['Drop people_pkey', '~Alter people']],
    ['drop index people_pkey cascade', ['Drop people_pkey', '~Alter people', '~Alter sales']],
    ['alter index people_pkey set (fillfactor = 50)', ['Alter people_pkey', '~Alter people']],
    ['alter index people_pkey rename to p', ['Alter people_pkey', 'Create p', '~Alter people']],
    ['reindex index people_pkey', ['Maintain people_pkey', '~Maintain people']],
    [
      'reindex index app.parts_id',
      [
        'Maintain app.parts_id',
        '~Maintain app.parts',
        '~Maintain app.parts_1',
        '~Maintain app.parts_rest',
      ],
    ],
    ["comment on index people_pkey is 'x'", ['Comment people_pkey', '~Comment people']],
    ['lock known_again', ['Lock known_again', '~Lock known', '~Lock people']],
    [
      'select id from known for update',
      ['Lock known', 'Select known (id)', '~Lock people', '~Select people (id)'],
    ],
    ['select id from (select id from people) x for update', ['Lock people', 'Select people (id)']],
    [
      'create trigger t after insert on app.parts execute function f()',
      ['Create app.parts', '~Create app.parts_1', '~Create app.parts_rest'],
    ],
    [
      'create table app.parts_2 partition of app.parts for values in (1)',
      ['Alter app.parts', 'Create app.parts_2', '~Alter app.parts_1', '~Alter app.parts_rest'],
    ],
    ['alter sequence people_ids owned by log.id', ['Alter log', 'Alter people_ids']],
    ['alter sequence people_ids owned by none', ['Alter people_ids']],
    [
      'reindex schema app',
      ['Maintain', '~Maintain app.parts', '~Maintain app.parts_1', '~Maintain app.parts_rest'],
    ],
    [
      'grant select on all tables in schema app to r',
      [
        'Grant app',
        '~Grant app.first',
        '~Grant app.parts',
        '~Grant app.parts_1',
        '~Grant app.parts_rest',
      ],
    ],
    ['grant usage on all sequences in schema public to r', ['Grant', '~Grant people_ids']],
    ['create publication p for table people', ['System', 'System people']],
    ['alter extension x add table people', ['System', 'System people']],
    ["security label on table people is 'x'", ['System', 'System people']],
    ['create statistics on id, name from log', ['Alter log', 'Create']],
  ])('%s', (text, expected) => {
    expect(operationLines(text, shop).filter((line) => line !== '')).toEqual(expected);
    expect(unknownReasons(text, shop)).toEqual([]);
  });

  test.each(['vacuum', 'analyze', 'cluster', 'reindex database shop'])(
    '%s: each table, one by one',
    (text) => {
      const lines = operationLines(text, shop);
      expect(lines).toContain('Maintain');
      expect(lines).toContain('~Maintain people');
      expect(lines).toContain('~Maintain app.parts_1');
    },
  );

  test('a publication of all tables: each of them', () => {
    expect(operationLines('create publication p for all tables', shop)).toContain('~System people');
  });

  test.each([
    ['drop table typed cascade', 'CASCADE to what is no relation, from public.typed'],
    ['alter type pair drop attribute id cascade', 'CASCADE from type public.pair'],
    ['drop index lost_index', 'index public.lost_index of a relation that is not known'],
    ['alter schema app rename to application', 'another name for a schema'],
    ['alter function lower(text) stable', 'DDL on built-in pg_catalog.lower'],
    ['alter function pg_catalog.lower(text) owner to r', 'DDL on built-in pg_catalog.lower'],
    ['alter type t set (storage = plain)', 'a base type and what is made of it'],
    ['alter domain d add check (value > 0)', 'a domain whose values are checked'],
    ['alter domain d set not null', 'a domain whose values are checked'],
    ['alter domain d drop constraint c cascade', 'a change of a domain with CASCADE'],
    ['create extension x', 'what CREATE EXTENSION reaches is not named in it'],
    ['alter extension x update', 'what ALTER EXTENSION reaches is not named in it'],
    ['drop extension x', 'what an extension holds is not named by dropping it'],
    ['drop owned by r', 'what DROP OWNED reaches is not named in it'],
    ['reassign owned by r to s', 'what REASSIGN OWNED reaches is not named in it'],
    [
      'alter table all in tablespace a set tablespace b',
      'what ALTER … ALL IN TABLESPACE reaches is not named in it',
    ],
    [
      'import foreign schema a from server b into app',
      'what IMPORT FOREIGN SCHEMA reaches is not named in it',
    ],
    [
      "create subscription s connection 'x' publication p",
      'what CREATE SUBSCRIPTION reaches is not named in it',
    ],
    ['alter subscription s disable', 'what ALTER SUBSCRIPTION reaches is not named in it'],
    ['create publication p for tables in schema app', 'a publication of a whole schema'],
  ])('not told, so Unknown: %s', (text, reason) => {
    expect(unknownReasons(text, shop)).toContain(reason);
  });
});
