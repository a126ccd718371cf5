import { manualClock } from '@chaperone/runtime/clock.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { expect, test } from '@jest/globals';
import { PublicKeys } from './public-keys.ts';

test('that the policy API is not there yet is no trouble for a minute', async () => {
  const clock = manualClock();
  const told: boolean[] = [];
  const keys = new PublicKeys({
    // Nobody listens there.
    url: 'https://127.0.0.1:1',
    ca: { text: () => '' } as unknown as FollowedFile,
    clock,
    onProblem: (_, starting) => void told.push(starting),
  });
  const ask = () => expect(keys.find('k')).rejects.toMatchObject({ code: 'CHP-6012' });
  await ask();
  clock.advance(59_000);
  await ask();
  clock.advance(1000);
  await ask();
  expect(told).toEqual([true, true, false]);
});
