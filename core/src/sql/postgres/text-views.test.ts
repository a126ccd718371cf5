import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { operationLine, statementsOf, unknownReasons } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(() => loadParser());

const context = {
  ...contextOf(
    catalogOf({
      relations: {
        'public.vault': { columns: ['junk', 'ssn', 'note'], dependents: ['z.v'] },
        'public.free': { columns: ['a', 'b'] },
        'z.v': {
          columns: ['x'],
          definition: 'SELECT b AS x FROM public.vault x(a, b, c)',
          dependents: ['z.w'],
        },
        'z.w': { columns: ['x'], definition: 'SELECT v.x FROM z.v' },
        'public.v': { columns: ['x'] },
        'public.w': { columns: ['x'] },
        'public.ids': { kind: 'S' },
      },
    }),
    ['pg_catalog', 'z', 'public'],
  ),
  pathSetting: ['z', 'public'],
};

/** The operations of a text's last statement, sorted. */
function lastOf(text: string): readonly string[] {
  return (statementsOf(text, context).at(-1)?.operations ?? []).map(operationLine).sort();
}

describe('columns of what a view reads', () => {
  test.each([
    'alter table vault drop column junk',
    'alter table vault add column more text',
    'alter table vault rename column junk to other',
  ])('%s: whatever reads the view is Unknown', (change) => {
    expect(unknownReasons(`${change}; select x from z.v`, context)).not.toEqual([]);
    expect(unknownReasons(`${change}; select x from z.w`, context)).not.toEqual([]);
    expect(unknownReasons(`${change}; select b from free`, context)).toEqual([]);
  });

  test('those of what only a view of the text’s own reads are followed', () => {
    const text =
      'create view o as select a from free; alter table free add column c int; select * from free';
    expect(lastOf(text)).toEqual(['Select free (a b c)']);
    expect(unknownReasons(text, context)).toEqual([]);
  });

  test('those of another table are followed', () => {
    const text = 'alter table free drop column a, add column c int; select * from free';
    expect(lastOf(text)).toEqual(['Select free (b c)']);
    expect(unknownReasons(text, context)).toEqual([]);
  });
});

describe('a name that CASCADE uncovers', () => {
  test('of a view that the catalog has under it, it is that of the next schema', () => {
    const text = 'drop table vault cascade; select x from v';
    expect(lastOf(text)).toEqual(['Select v (x)']);
    expect(unknownReasons(text, context)).toEqual([]);
  });

  test.each([
    'drop sequence ids cascade; select x from made',
    'drop sequence ids cascade; drop view made',
    'drop sequence ids cascade; create table if not exists z.made (x text); select x from made',
  ])('of a view that the text has made, it is not known: %s', (then) => {
    const text = `create table public.made (x text);
      create view z.made as select b as x, nextval('ids'::text) as n from free; ${then}`;
    expect(lastOf(text).join()).toContain('Unknown');
  });

  test('of a view that the text has made over a table, it is free', () => {
    const text =
      'create view z.made as select b from free; drop table free cascade; create table z.made (x int); select x from made';
    expect(lastOf(text)).toEqual(['Select z.made (x)']);
    expect(unknownReasons(text, context)).toEqual([]);
  });

  test('what is not followed may take views of views along', () => {
    const text = 'alter table vault drop column note cascade; drop view w';
    expect(lastOf(text).join()).toContain('Unknown');
  });
});

describe('what is kept for later', () => {
  const late = {
    ...context,
    pathSetting: ['late', 'public'],
    searchPath: ['pg_catalog', 'public'],
  };

  test.each([
    'create schema late; prepare p as select ssn from vault',
    'create schema late; declare c cursor for select ssn from vault',
    'create temp table t (a int); prepare p as select ssn from vault',
    'create table pg_temp.t (a int); prepare p as select ssn from vault',
    'create temp view t as select 1; prepare p as select ssn from vault',
    'create table t (like free); prepare p as select ssn from vault where t.ssn = 1',
    'alter table free rename to f; prepare p as select a from f',
  ])('is Unknown then as it is now: %s', (text) => {
    const { prepare, declare } = statementsOf(text, late).at(-1)!.effects;
    const inner = (prepare ?? declare)!.inner;
    expect(inner.operations.map(({ verb }) => verb)).toContain('Unknown');
  });

  test('and else what it is', () => {
    const text =
      'create schema elsewhere; create table t (a int); prepare p as select ssn from vault';
    const inner = statementsOf(text, late).at(-1)!.effects.prepare?.inner;
    expect(inner?.operations.map(operationLine)).toEqual(['Select vault (ssn)']);
  });
});
