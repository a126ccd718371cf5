import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { refOf } from '../testing/policy-fixtures.ts';
import { effectiveLimits, LimitCounter } from './limits.ts';
import type { LimitObligation, LimitSpec } from './types.ts';

const obligation = (name: string, limits: Partial<LimitSpec>): LimitObligation => ({
  rule: refOf(name),
  limits: { onExceed: 'Deny', scope: 'Pod', ...limits },
});

const hourMs = 3_600_000;

test('of several bounds the smallest holds, with its own rule', () => {
  const wide = obligation('wide', { rowsPerStatement: 1000, bytesPerStatement: 5 });
  const narrow = obligation('narrow', { rowsPerStatement: 10, onExceed: 'RequireApproval' });
  expect(effectiveLimits([])).toEqual({});
  expect(effectiveLimits([wide, narrow])).toEqual({
    rowsPerStatement: { max: 10, rule: narrow.rule, onExceed: 'RequireApproval' },
    bytesPerStatement: { max: 5, rule: wide.rule, onExceed: 'Deny' },
  });
});

describe('statements a second', () => {
  const five = [obligation('five', { statementsPerSecond: 5 })];

  test('a burst of one second, then as many as flow in', () => {
    const counter = new LimitCounter();
    for (let index = 0; index < 5; index += 1) expect(counter.admit(five, 1000)).toBeUndefined();
    expect(counter.admit(five, 1000)).toMatchObject({
      limit: 'statementsPerSecond',
      allowed: 5,
      retryAtMs: 1200,
    });
    expect(counter.admit(five, 1199)).toBeDefined();
    expect(counter.admit(five, 1200)).toBeUndefined();
    expect(counter.admit(five, 1200)).toBeDefined();
  });

  test('never more than the rate and one burst in any stretch of time', () => {
    const steps = fc.array(fc.integer({ min: 0, max: 400 }), { maxLength: 200 });
    fc.assert(
      fc.property(steps, (gaps) => {
        const counter = new LimitCounter();
        const admitted: number[] = [];
        let now = 0;
        for (const gap of gaps) {
          now += gap;
          if (counter.admit(five, now) === undefined) admitted.push(now);
        }
        admitted.forEach((to, last) => {
          admitted.slice(0, last + 1).forEach((from, first) => {
            expect(last - first + 1).toBeLessThanOrEqual(5 + ((to - from) / 1000) * 5 + 1e-6);
          });
        });
      }),
    );
  });

  test('a refused statement takes nothing, from no rule', () => {
    const counter = new LimitCounter();
    const both = [...five, obligation('one', { statementsPerSecond: 1 })];
    expect(counter.admit(both, 0)).toBeUndefined();
    for (let index = 0; index < 10; index += 1) expect(counter.admit(both, 0)).toBeDefined();
    for (let index = 0; index < 4; index += 1) expect(counter.admit(five, 0)).toBeUndefined();
    expect(counter.admit(five, 0)).toBeDefined();
  });

  test('a clock that goes back gains nothing', () => {
    const counter = new LimitCounter();
    for (let index = 0; index < 5; index += 1) counter.admit(five, 10_000);
    expect(counter.admit(five, 0)).toBeDefined();
    expect(counter.admit(five, 10_000)).toBeDefined();
  });
});

describe('rows an hour', () => {
  const hundred = [obligation('hundred', { rowsPerHour: 100 })];

  test('are full once reached, and free when the hour has passed', () => {
    const counter = new LimitCounter();
    expect(counter.addRows(hundred, 99, 0)).toBeUndefined();
    expect(counter.admit(hundred, 1)).toBeUndefined();
    expect(counter.remainingRows(hundred, 1)).toBe(1);
    expect(counter.addRows(hundred, 1, 1)).toBeUndefined();
    const breach = counter.admit(hundred, 2);
    expect(breach).toMatchObject({ limit: 'rowsPerHour', allowed: 100 });
    expect(counter.admit(hundred, breach!.retryAtMs - 1)).toBeDefined();
    expect(counter.admit(hundred, breach!.retryAtMs)).toBeUndefined();
    expect(breach!.retryAtMs).toBeGreaterThanOrEqual(hourMs);
  });

  test('passing them within a statement is told at once', () => {
    const counter = new LimitCounter();
    expect(counter.addRows(hundred, 101, 0)).toMatchObject({ limit: 'rowsPerHour' });
    expect(counter.remainingRows(hundred, 0)).toBe(0);
  });

  test('a statement is never admitted while an hour has had its rows', () => {
    const steps = fc.array(
      fc.record({
        gap: fc.integer({ min: 0, max: 20 * 60_000 }),
        rows: fc.integer({ min: 1, max: 60 }),
      }),
      { maxLength: 80 },
    );
    fc.assert(
      fc.property(steps, (all) => {
        const counter = new LimitCounter();
        const passed: { at: number; rows: number }[] = [];
        let now = 0;
        for (const { gap, rows } of all) {
          now += gap;
          const within = passed
            .filter(({ at }) => at > now - hourMs)
            .reduce((sum, one) => sum + one.rows, 0);
          if (counter.admit(hundred, now) !== undefined) continue;
          expect(within).toBeLessThan(100);
          counter.addRows(hundred, rows, now);
          passed.push({ at: now, rows });
        }
      }),
    );
  });

  test('count for a whole hour, whatever the minute of the clock', () => {
    const counter = new LimitCounter();
    counter.addRows(hundred, 100, 59_999);
    expect(counter.admit(hundred, 59_998 + hourMs)).toBeDefined();
  });

  test('a clock that goes back forgets none', () => {
    const counter = new LimitCounter();
    counter.addRows(hundred, 100, 61 * 60_000);
    counter.addRows(hundred, 0, 0);
    expect(counter.admit(hundred, 61 * 60_000)).toBeDefined();
  });

  test('an edited rule goes on counting', () => {
    const counter = new LimitCounter();
    counter.addRows(hundred, 100, 0);
    const edited = hundred.map((one) => ({ ...one, rule: { ...one.rule, generation: 2 } }));
    expect(counter.admit(edited, 0)).toBeDefined();
  });
});
