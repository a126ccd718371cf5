/**
 * The session against a model: PostgreSQL itself, which is told a text that never parses wherever the policy
 * refuses one. Skipping up to Sync, the state of the transaction, what is rolled back and which names are left
 * are then its own; what the proxy makes of the same conversation must be that, message for message, and
 * leave the same rows.
 */
import { expect } from '@jest/globals';
import fc from 'fast-check';
import { policy } from '../support/chaperone.ts';
import {
  bind,
  describe,
  execute,
  parse,
  pipeline,
  query,
  secretTexts,
  stepsOf,
  texts,
  together,
} from '../support/conversations.ts';
import { allowEverything, useTwins } from '../support/twins.ts';
import { fuzz } from './support/fuzz.ts';

const secret = {
  name: 'secret',
  action: 'Deny',
  classes: ['Read', 'Write', 'Schema', 'Session', 'Export', 'Admin'],
  resources: ['*.public.secret'],
};

const twins = useTwins([policy('all-but-secret', [...allowEverything, secret])]);

const refused: ReadonlySet<string> = new Set(secretTexts);
const neverParses = 'REFUSED';
const spelling = (text: string): string => (refused.has(text) ? neverParses : text);

/** Refusals are worded by each side in its own way; nothing else of a conversation may differ. */
function unworded(lines: readonly string[]): string[] {
  return lines.map((line) =>
    line.startsWith('E ') && (line.includes(`"${neverParses}"`) || line.includes('C=42501'))
      ? 'E refused'
      : line,
  );
}

/** Fails while it is carried out. */
const duplicate = 'INSERT INTO t VALUES (1, $$dup$$, 1)';

fuzz(
  'session: refusals among what is allowed are what PostgreSQL makes of an error',
  fc.asyncProperty(
    fc.array(stepsOf([...texts, ...secretTexts, ...secretTexts]), { minLength: 1, maxLength: 6 }),
    fc.nat(1000),
    async (steps, cut) => {
      const { expected, actual } = await twins.compare(steps, cut, spelling);
      expect(unworded(actual)).toEqual(unworded(expected));
    },
  ),
  {
    briefly: 4,
    past: [
      {
        values: [[query('BEGIN'), query(duplicate), pipeline(execute(''))], 0],
        was: 'an Execute of the portal that a failed query left was told that there is none',
      },
      {
        values: [[together(query('BEGIN'), query(duplicate), pipeline(execute('')))], 0],
        was: 'the same, sent before the failure was known',
      },
      {
        values: [[query('BEGIN'), query(duplicate), pipeline(describe('Portal', ''))], 0],
        was: 'a Describe of it, which finds no columns',
      },
      {
        values: [[query('BEGIN'), query('ROLLBACK TO a'), pipeline(execute(''))], 0],
        was: 'one that could end the block but has failed',
      },
      {
        values: [
          [
            query('BEGIN'),
            pipeline(parse('', 'SELECT 1/0'), bind('p1', '')),
            pipeline(execute('p1'), describe('Portal', 'p1'), execute('', 2)),
          ],
          0,
        ],
        was: 'the empty portal that a failed Bind left was not there',
      },
    ],
  },
);
