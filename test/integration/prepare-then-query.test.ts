/**
 * What drivers do that prepare with Flush alone: a simple query comes behind Parse, Describe and Close that no
 * Sync ends. It must go as without a proxy, and be ignored as there when the preparing failed.
 */

import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { policy } from '../support/chaperone.ts';
import { type Step, texts } from '../support/conversations.ts';
import { allowEverything, useTwins } from '../support/twins.ts';

const twins = useTwins([policy('everything', allowEverything)]);

const step = (label: string, ready: number, messages: readonly Buffer[]): Step => ({
  label,
  ready,
  bytes: () => Buffer.concat(messages),
});

const prepared = (sql: string): Buffer[] => [
  write.parse('s1', sql, []),
  write.describe('Statement', 's1'),
];

describe('by hand', () => {
  const cases: readonly (readonly [string, readonly Step[]])[] = [
    [
      'a query, and then what was prepared',
      [
        step('prepare, query', 1, [...prepared('SELECT 1'), write.flush, write.query('SELECT 2')]),
        step('describe', 1, [write.describe('Statement', 's1'), write.sync]),
      ],
    ],
    [
      'in a transaction block',
      [
        step('begin', 1, [write.query('BEGIN')]),
        step('write', 1, [write.query('DELETE FROM t WHERE id = 1')]),
        step('prepare, query', 1, [...prepared('SELECT 1'), write.flush, write.query('SELECT 2')]),
        step('rollback', 1, [write.query('ROLLBACK')]),
      ],
    ],
    [
      'ignored behind what failed to prepare, up to the Sync',
      [
        step('prepare, query, sync', 1, [
          ...prepared('SELECT missing FROM t'),
          write.flush,
          write.query('DELETE FROM t'),
          write.sync,
        ]),
        step('count', 1, [write.query('SELECT count(*) FROM t')]),
      ],
    ],
    [
      'a failing query, and another',
      [
        step('prepare, query', 1, [...prepared('SELECT 1'), write.query('SELECT 1/0')]),
        step('again', 1, [write.query('SELECT 1')]),
      ],
    ],
    [
      'a query that ends the block behind a closed statement',
      [
        step('begin', 1, [write.query('BEGIN')]),
        step('close, commit', 1, [
          write.close('Statement', 's1'),
          write.flush,
          write.query('COMMIT'),
        ]),
      ],
    ],
  ];
  test.each(cases)('%s', async (_name, steps) => {
    for (const cut of [0, 40]) {
      const { expected, actual } = await twins.compare(steps, cut);
      expect(actual).toEqual(expected);
    }
  });
});

test('whatever is prepared, and whatever is asked', async () => {
  // Preparing takes a snapshot: without our Sync behind it, it is too late for an isolation level.
  const text = fc.constantFrom(...texts.filter((sql) => !sql.includes('ISOLATION LEVEL')));
  const preparing = fc.oneof(
    text.map((sql) => write.parse('s1', sql, [])),
    text.map((sql) => write.parse('', sql, [])),
    fc.constantFrom(
      write.describe('Statement', 's1'),
      write.close('Statement', 's1'),
      write.close('Portal', ''),
      write.flush,
    ),
  );
  // The Sync is for where preparing failed: else it is one more.
  const conversation = fc.tuple(fc.array(preparing, { minLength: 1, maxLength: 4 }), text);
  await fc.assert(
    fc.asyncProperty(
      fc.array(conversation, { minLength: 1, maxLength: 3 }),
      fc.nat(300),
      async (parts, cut) => {
        const end = 'the end of the step';
        const steps = parts.map(([messages, sql]) => ({
          ...step(sql, 1, [
            ...messages,
            write.query(sql),
            write.sync,
            write.query('ROLLBACK'),
            write.query(`SELECT '${end}'`),
          ]),
          end,
        }));
        const { expected, actual } = await twins.compare(steps, cut);
        expect(actual).toEqual(expected);
      },
    ),
    { numRuns: Number(process.env.CHAPERONE_RUNS ?? 12) },
  );
}, 600_000);
