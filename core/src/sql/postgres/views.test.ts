import { beforeAll, describe, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { outputLines, unknownReasons, useLines } from './test-analysis.ts';
import { catalogOf, contextOf } from './test-catalog.ts';

beforeAll(() => loadParser());

/** As pg_get_viewdef prints them: what USING merged stands without its table, also where a query within asks for it. */
const definitions = {
  'public.fj':
    'SELECT ( SELECT COALESCE(ssn, x.n) AS c FROM public.x LIMIT 1) AS leak FROM (public.vault FULL JOIN public.other USING (ssn))',
  'public.plain': 'SELECT ssn AS leak FROM public.vault WHERE (note IS NOT NULL)',
} as const;

const reading = (view: keyof typeof definitions, columnsOfX: readonly string[]) =>
  contextOf(
    catalogOf({
      relations: {
        'public.vault': { columns: ['ssn', 'note'] },
        'public.other': { columns: ['ssn'] },
        'public.x': { columns: columnsOfX },
        [view]: { columns: ['leak'], definition: definitions[view] },
      },
    }),
  );

test('a column without its table is found in the queries around', () => {
  expect(outputLines('select leak from fj', reading('public.fj', ['n']))).toEqual([
    'leak=fj.leak other.ssn vault.ssn x.n',
  ]);
  expect(outputLines('select leak from plain', reading('public.plain', ['n']))).toEqual([
    'leak=plain.leak vault.ssn',
  ]);
});

test('one that another table has got since, too, may be either', () => {
  expect(unknownReasons('select leak from fj', reading('public.fj', ['n', 'ssn']))).not.toEqual([]);
});

describe('what a view brings under a name is stored there', () => {
  const context = reading('public.plain', ['n']);

  test.each([
    'create view v as select note as a, ssn as b from vault',
    'create or replace view plain as select upper(ssn) as leak from vault',
    'create temp view v (a) as select v.ssn from vault v join other using (ssn)',
    'create recursive view v (a) as select ssn from vault union all select a from v',
    'alter view plain rename to x',
    'alter view plain rename column leak to other',
    'alter view plain set schema app',
    'alter table plain rename to x',
  ])('%s', (text) => {
    expect(useLines(text, context)).toContain('Store vault.ssn');
  });

  test.each([
    'create view v as select count(*) as n from vault where ssn = $1',
    'drop view plain',
    'alter view plain owner to other',
  ])('not by %s', (text) => {
    expect(useLines(text, context).join()).not.toContain('Store');
  });
});
