/**
 * Under a policy that allows and names everything, an application cannot tell the proxy from the server:
 * random conversations run against both, on two copies of one database, and every message must be the same.
 */

import * as write from '@chaperone/sidecar/protocols/postgres/messages/frontend-writer.ts';
import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { extended } from '../support/attack-lab.ts';
import { policy } from '../support/chaperone.ts';
import { stepsOf, texts } from '../support/conversations.ts';
import { allowEverything, useTwins } from '../support/twins.ts';

const twins = useTwins([policy('everything', allowEverything)]);

test('message for message the same', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(stepsOf(texts), { minLength: 1, maxLength: 6 }),
      fc.nat(1000),
      async (steps, cut) => {
        const { expected, actual } = await twins.compare(steps, cut);
        expect(actual).toEqual(expected);
      },
    ),
    {
      numRuns: Number(process.env['CHAPERONE_RUNS'] ?? 40),
      ...(process.env['CHAPERONE_SEED'] && { seed: Number(process.env['CHAPERONE_SEED']) }),
    },
  );
}, 600_000);

test('what follows DISCARD ALL in a pipeline is another transaction, which nothing of ours begins', async () => {
  const pipeline = ['DISCARD ALL', 'SET TRANSACTION ISOLATION LEVEL SERIALIZABLE', 'SELECT 1'];
  const bytes = Buffer.concat([...pipeline.flatMap((sql) => extended(sql)), write.sync]);
  const step = { label: pipeline.join(' · '), ready: 1, bytes: () => bytes };
  const { expected, actual } = await twins.compare([step], 0);
  expect(actual).toEqual(expected);
});

test.each([
  ['a statement', 'SELECT 1'],
  ['a text that does not parse', 'SELEC 1'],
])('the unnamed statement stays where the Parse of %s is skipped', async (_, skipped) => {
  const failing = extended('INSERT INTO t VALUES (1, $$dup$$, 1)');
  const steps = [
    [...failing, ...extended(skipped), write.sync],
    [write.describe('Statement', ''), write.sync],
  ].map((messages) => ({ label: skipped, ready: 1, bytes: () => Buffer.concat(messages) }));
  const { expected, actual } = await twins.compare(steps, 0);
  expect(actual).toEqual(expected);
});

test.each([
  ['that stands alone', 'VACUUM t'],
  ['that does not', 'DECLARE c CURSOR FOR SELECT 1'],
])(
  'a statement %s is the first of its pipeline, although names are asked for before it',
  async (_, sql) => {
    const steps = [
      [...extended('SET search_path = other, public'), write.sync],
      [write.close('Statement', 's1'), ...extended(sql), write.sync],
    ].map((messages) => ({ label: sql, ready: 1, bytes: () => Buffer.concat(messages) }));
    const { expected, actual } = await twins.compare(steps, 0);
    expect(actual).toEqual(expected);
  },
);
