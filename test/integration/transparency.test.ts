/**
 * Under a policy that allows and names everything, an application cannot tell the proxy from the server:
 * random conversations run against both, on two copies of one database, and every message must be the same.
 */

import { expect, test } from '@jest/globals';
import fc from 'fast-check';
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
