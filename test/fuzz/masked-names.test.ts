/**
 * Names, paths and pipelines under a mask: whatever a conversation makes of the names of statements and cursors, of
 * the search path and of transactions, carried out or skipped, a protected value never reaches the client.
 */
import { afterAll, beforeAll, expect } from '@jest/globals';
import fc from 'fast-check';
import { AttackLab, canaryId, harmless, hidden, labMasks, leaks } from '../support/attack-lab.ts';
import { policy } from '../support/chaperone.ts';
import {
  bind,
  close,
  converse,
  execute,
  parse,
  pipeline,
  query,
  stepsOf,
  together,
} from '../support/conversations.ts';
import { fuzz } from './support/fuzz.ts';

const pathTo = (path: string, rows: number): string =>
  `SELECT set_config('search_path', '${path}', false) FROM generate_series(1, ${rows})`;

const texts: readonly string[] = [
  ...[hidden, harmless].flatMap((text) => [
    text,
    text,
    `PREPARE s1 AS ${text}`,
    `DECLARE p1 CURSOR FOR ${text}`,
    `DECLARE p1 CURSOR WITH HOLD FOR ${text}`,
    `COPY (${text}) TO STDOUT`,
  ]),
  'SELECT 1/0',
  'EXECUTE s1',
  'EXECUTE s2',
  'DEALLOCATE s1',
  'DEALLOCATE ALL',
  'FETCH 1 FROM p1',
  'FETCH ALL FROM p1',
  'CLOSE p1',
  'CLOSE ALL',
  'DISCARD ALL',
  'BEGIN',
  'COMMIT',
  'ROLLBACK',
  'SAVEPOINT a',
  'ROLLBACK TO a',
  'SET search_path = other, public',
  'SET LOCAL search_path = other',
  'SET search_path = public',
  pathTo('other', 1),
  pathTo('other', 3),
  pathTo('public', 3),
  "CREATE TEMP TABLE customers AS SELECT 9001 AS id, 'nothing'::text AS ssn",
  'DROP TABLE IF EXISTS pg_temp.customers',
];

let lab: AttackLab;
beforeAll(async () => {
  lab = await AttackLab.start({
    setup: [
      'CREATE SCHEMA other',
      'CREATE TABLE other.customers (id int, ssn text)',
      `INSERT INTO other.customers VALUES (${canaryId}, 'nothing')`,
    ],
    resources: [
      policy('all', [
        {
          name: 'all',
          action: 'Allow',
          classes: ['Read', 'Write', 'Schema', 'Session', 'Export'],
          resources: ['shop.**'],
        },
      ]),
      ...labMasks,
    ],
  });
}, 120_000);
afterAll(() => lab?.stop());

const failing = [parse('s2', 'SELECT 1/0'), bind('', 's2'), execute('')];
const executed = [bind('', 's1'), execute('')];

fuzz(
  'names under a mask: no protected value reaches the client',
  fc.asyncProperty(
    fc.array(
      fc.array(stepsOf(texts), { minLength: 1, maxLength: 4 }).map((steps) => together(...steps)),
      { minLength: 1, maxLength: 5 },
    ),
    fc.nat(1000),
    async (steps, cut) => {
      const attacker = await lab.attacker();
      try {
        await converse(attacker.client, steps, cut);
        expect(leaks(attacker.seen)).toEqual([]);
      } finally {
        lab.disconnect();
      }
    },
  ),
  {
    briefly: 5,
    past: [
      {
        values: [
          [
            pipeline(parse('s1', hidden)),
            together(pipeline(parse('s1', harmless)), pipeline(...executed)),
          ],
          0,
        ],
        was: 'a statement was decided as what a Parse that fails would have made of its name',
      },
      {
        values: [
          [
            pipeline(parse('s1', hidden)),
            together(
              pipeline(...failing, close('Statement', 's1'), parse('s1', harmless)),
              query('EXECUTE s1'),
            ),
          ],
          0,
        ],
        was: 'and as what a Parse that is skipped would have made of it',
      },
      {
        values: [
          [
            pipeline(parse('', 'SET search_path = other'), bind('', ''), execute('')),
            pipeline(parse('', pathTo('public', 3)), bind('', ''), execute('', 2)),
            query(hidden),
          ],
          0,
        ],
        was: 'a search path set by a result that was read in part was not noticed',
      },
    ],
  },
);
