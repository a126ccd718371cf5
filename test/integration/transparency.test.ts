/**
 * Under a policy that allows and names everything, an application cannot tell the proxy from the server:
 * random conversations run against both, on two copies of one database, and every message must be the same.
 */

import { afterAll, beforeAll, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { policy } from '../support/chaperone.ts';
import { stepsOf, texts } from '../support/conversations.ts';
import { Twins } from '../support/twins.ts';

const everything = {
  name: 'everything',
  action: 'Allow',
  classes: ['Read', 'Write', 'Schema', 'Privilege', 'Session', 'Procedure', 'Export', 'Admin'],
  resources: ['**'],
};
const named = {
  name: 'named',
  action: 'Allow',
  verbs: ['Unknown', 'Do', 'Call', 'FunctionCall', 'ServerFile', 'ServerProgram', 'SetRole'],
  resources: ['**'],
};

let twins: Twins;

beforeAll(async () => {
  twins = await Twins.start([policy('everything', [everything, named])]);
}, 60_000);

afterAll(() => twins?.stop());

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
