import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { outputLines, statementOf, unknownReasons, useLines } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(loadParser);

const context = contextOf(
  catalogOf({
    relations: {
      'public.vault': { columns: ['ssn', 'note'], dependents: ['public.shown', 'public.raised'] },
      'public.shown': {
        columns: ['s', 'n'],
        definition: 'SELECT vault.ssn AS s, vault.note AS n FROM public.vault',
        dependents: ['public.again'],
      },
      'public.again': {
        columns: ['t'],
        definition: 'SELECT shown.s AS t FROM public.shown',
        dependents: ['public.kept'],
      },
      'public.kept': { kind: 'm', columns: ['t'], definition: 'SELECT again.t FROM public.again' },
      'public.raised': {
        columns: ['u'],
        definition: 'SELECT upper(vault.ssn) AS u FROM public.vault',
        dependents: ['public.kept_raised'],
      },
      'public.kept_raised': {
        kind: 'm',
        columns: ['u'],
        definition: 'SELECT raised.u FROM public.raised',
      },
      'public.unread': {
        columns: ['s'],
        definition: 'SELECT vault.ssn AS s FROM public.vault',
      },
      'public.broken': {
        columns: ['a'],
        definition: 'SELECT gone.a FROM public.gone',
        dependents: ['public.kept_broken'],
      },
      'public.kept_broken': {
        kind: 'm',
        columns: ['a'],
        definition: 'SELECT broken.a FROM public.broken',
      },
      'public.people': { columns: ['id', 'ssn'], dependents: ['public.kept_people'] },
      'public.employees': { columns: ['id', 'ssn', 'boss'], parents: ['public.people'] },
      'public.managers': { columns: ['ssn', 'id'], parents: ['public.employees'] },
      'public.kept_people': {
        kind: 'm',
        columns: ['ssn'],
        definition: 'SELECT people.ssn FROM public.people',
      },
      'public.parts': {
        kind: 'p',
        columns: ['id', 'ssn', 'low'],
        generated: { low: ['ssn'] },
      },
      'public.parts_1': {
        columns: ['low', 'id', 'ssn', 'more'],
        parents: ['public.parts'],
        generated: { low: ['more'] },
      },
      'pg_temp_3.shown': { columns: ['s'], definition: "SELECT ''::text AS s" },
      'public.gen': { columns: ['ssn', 'low'], generated: { low: ['ssn'] } },
    },
  }),
);

const parts = (usage: string, ...columns: string[]): string[] =>
  columns.flatMap((column) => [`${usage} parts.${column}`, `${usage} parts_1.${column}`]).sort();

describe('values that stay behind when what protects them goes', () => {
  test.each([
    // A view through which rows were materialized.
    ["create or replace view shown as select ''::text as s, ''::text as n", ['Store vault.ssn']],
    // What the view itself reads is stored under its name, too.
    [
      'create or replace view shown as select note as s, note as n from vault',
      ['Store vault.note', 'Store vault.ssn'],
    ],
    [
      'create or replace view shown as select ssn as s, note as n from vault',
      ['Store vault.note', 'Store vault.ssn'],
    ],
    ["create or replace view again as select ''::text as t", ['Store shown.s', 'Store vault.ssn']],
    // Still of the column, but now as if it were its value.
    ['create or replace view raised as select ssn as u from vault', ['Store vault.ssn']],
    ["create or replace view unread as select ''::text as s", []],
    ["create or replace view fresh as select ''::text as s", []],
    // A child of what was materialized.
    ['drop table managers', ['Store managers.ssn']],
    ['drop table parts_1', []],
    ['drop table vault', []],
    // Generated columns that are so no more.
    ['alter table gen alter low drop expression', ['Store gen.ssn']],
    ["alter table gen alter low set expression as ('')", ['Store gen.ssn']],
    [
      'alter table parts alter low drop expression',
      [...parts('Store', 'ssn'), 'Store parts_1.more'],
    ],
    // Columns of families.
    ['alter table parts rename ssn to s', parts('Store', 'ssn')],
    [
      'alter table people rename ssn to s',
      ['employees', 'managers', 'people'].map((one) => `Store ${one}.ssn`),
    ],
    ['alter table parts alter ssn type varchar', parts('Any', 'ssn')],
    ['create unique index on parts (ssn)', parts('Lookup', 'ssn')],
    ['alter table parts_1 add unique (ssn)', parts('Lookup', 'ssn')],
    ['create unique index on gen (low)', ['Any gen.ssn', 'Lookup gen.low']],
    // Columns that children keep.
    ['alter table only people drop column ssn', ['Store people.ssn']],
    ['alter table people drop column ssn', ['Store people.ssn']],
    ['alter table managers drop column ssn', []],
    ['alter table parts drop column ssn', []],
    ['alter table people drop column gone', []],
  ])('%s', (text, expected) => {
    expect(useLines(text, context)).toEqual([...expected].sort());
    expect(statementOf(text, context).keepsCode).toBeUndefined();
    expect(unknownReasons(text, context)).toEqual([]);
  });

  test('a materialized view that is not understood may come to be', () => {
    const text = "create or replace view broken as select ''::text as a";
    expect(statementOf(text, context).keepsCode).toEqual(expect.any(String));
    expect(unknownReasons(text, context)).toEqual([]);
  });
});

test('a view is replaced where it would be made, whatever stands before it', () => {
  const behind = {
    ...context,
    searchPath: ['pg_temp_3', 'pg_catalog', 'public'],
    pathSetting: ['public'],
  };
  const text = "create or replace view shown as select ''::text as s, ''::text as n";
  expect(useLines(text, behind)).toEqual(['Store vault.ssn']);
});

test('a generated column tells of what any of its family is computed from', () => {
  const carried = 'low=parts.low parts_1.low<parts.ssn parts_1.more parts_1.ssn';
  expect(outputLines('select low from parts', context)).toEqual([carried]);
  expect(outputLines('select low from parts_1', context)).toEqual([carried]);
});
