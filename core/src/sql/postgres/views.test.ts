import { beforeAll, expect, test } from '@jest/globals';
import { loadParser } from './parser.ts';
import { outputLines, unknownReasons } from './test-analysis.ts';
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
