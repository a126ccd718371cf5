import { expect, test } from '@jest/globals';
import { manualClock, systemClock } from './clock.ts';

test('the system clock agrees with itself, in microseconds', () => {
  const clock = systemClock();
  let before = 0;
  for (let i = 0; i < 1000; i += 1) {
    const earliest = Date.now();
    const us = clock.nowUs();
    const latest = Date.now();
    expect(us).toBeGreaterThanOrEqual(earliest * 1000);
    expect(us).toBeLessThan((latest + 1) * 1000);
    const monotonic = clock.monotonicUs();
    expect(monotonic).toBeGreaterThanOrEqual(before);
    before = monotonic;
  }
});

test('the manual clock fires what is due, in order, also what a timer sets', () => {
  const clock = manualClock(0);
  const fired: string[] = [];
  const note = (name: string) => () => void fired.push(`${name}@${clock.nowMs()}`);
  clock.setTimer(30, note('c'));
  clock.setTimer(10, () => {
    note('a')();
    clock.setTimer(10, note('b'));
  });
  clock.setTimer(20, note('cancelled')).cancel();
  clock.setTimer(41, note('later'));
  clock.advance(40);
  expect(fired).toEqual(['a@10', 'b@20', 'c@30']);
  expect([clock.nowMs(), clock.pendingTimers()]).toEqual([40, 1]);
  clock.setWallMs(0);
  expect([clock.nowMs(), clock.monotonicUs()]).toEqual([0, 40_000]);
});
