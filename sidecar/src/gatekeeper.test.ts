import { compileTarget } from '@chaperone/core/policy/compile.ts';
import type { LimitObligation, LimitSpec, Permit } from '@chaperone/core/policy/types.ts';
import { bundle, identity, refOf } from '@chaperone/core/testing/policy-fixtures.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { describe, expect, test } from '@jest/globals';
import { Gatekeeper } from './gatekeeper.ts';

const policy = compileTarget(bundle([]), identity());
const recorder = { failure: undefined } as unknown as SpoolRecorder;

const limitedBy = (limits: Partial<LimitSpec>): LimitObligation[] => [
  { rule: refOf('limited'), limits: { onExceed: 'Deny', scope: 'Pod', ...limits } },
];

describe('a wall clock that is set', () => {
  const dayMs = 86_400_000;

  test('forward and back: statements go on flowing at their rate, no more and no less', () => {
    const clock = manualClock();
    const gatekeeper = new Gatekeeper(recorder, clock, () => false);
    const permit = { limits: limitedBy({ statementsPerSecond: 2 }) } as unknown as Permit;
    const statement = { permit, limits: {} };
    const startMs = clock.nowMs();
    const admitted = (): number =>
      [1, 2, 3].filter(() => gatekeeper.admit(policy, statement) === undefined).length;
    expect(admitted()).toBe(2);
    clock.setWallMs(startMs + 400 * dayMs);
    expect(admitted()).toBe(0);
    clock.setWallMs(startMs);
    clock.advance(1000);
    expect(admitted()).toBe(2);
    expect(gatekeeper.admit(policy, statement)).toMatchObject({
      hint: 'Try again in 1 s, or have the limit raised.',
    });
  });

  test('forward: the rows of the hour before still count', () => {
    const clock = manualClock();
    const gatekeeper = new Gatekeeper(recorder, clock, () => false);
    const obligations = limitedBy({ rowsPerHour: 100 });
    gatekeeper.countRows(policy, obligations, 60);
    clock.setWallMs(clock.nowMs() + dayMs);
    expect(gatekeeper.remainingRows(policy, obligations)).toBe(40);
    clock.advance(62 * 60_000);
    expect(gatekeeper.remainingRows(policy, obligations)).toBe(100);
  });
});
