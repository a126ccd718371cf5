/** What `make soak` calls a leak or a contradiction. */
import { describe, expect, test } from '@jest/globals';
import { breaches, type Found } from '../soak/report.ts';
import { metricOf, quantile, type Sample, trendOf } from '../soak/samples.ts';
import { type ClientTally, compare, type Facts } from '../soak/tally.ts';

const seconds = 1200;
const usual = { 'gateway RSS, MiB': 200, 'gateway handles': 40, 'gateway sockets': 20 };

/** Samples each 5 s, of which one value is `of(second)`. */
function samples(name: string, of: (atSeconds: number) => number): Sample[] {
  return Array.from({ length: seconds / 5 }, (_, n) => ({
    atSeconds: n * 5,
    values: { ...usual, [name]: of(n * 5) },
  }));
}

const tally: ClientTally = {
  name: 'one',
  logins: 10,
  refused: 5,
  inserted: 7,
  lost: 0,
  cancelled: 1,
  bare: 0,
  answered: 100,
  strange: {},
};
const facts: Facts = {
  refusals: 5,
  sessionsOpened: 10,
  sessionsClosed: 10,
  insertsAllowed: 8,
  rows: 7,
  missing: 0,
  alerts: 0,
};

function judged(more: Partial<Found>): string[] {
  const still: Sample = { atSeconds: 0, values: usual };
  const flat = samples('gateway RSS, MiB', () => 200);
  const agreements = compare([tally], facts);
  return breaches(
    { samples: flat, before: still, after: still, tallies: [tally], agreements, ...more },
    seconds,
  );
}

describe('trends', () => {
  test('what is flat, and what only swings or warms up, is no leak', () => {
    expect(judged({})).toEqual([]);
    const swings = samples('gateway handles', (second) => 40 + 10 * Math.sin(second));
    expect(judged({ samples: swings })).toEqual([]);
    const warms = samples('gateway RSS, MiB', (second) => Math.min(120 + second, 250));
    expect(judged({ samples: warms })).toEqual([]);
  });

  test.each([
    ['gateway RSS, MiB', 200, 0.05],
    ['gateway handles', 40, 0.02],
    ['collector RSS, MiB', 150, 0.05],
    ['read p50, ms', 10, 0.02],
  ])('%s that grows from %d by %d a second', (name, from, bySecond) => {
    expect(judged({ samples: samples(name, (second) => from + second * bySecond) })).toEqual([
      expect.stringContaining(`${name} grew by`),
    ]);
  });

  test('sockets that stay open when every client has gone', () => {
    const after: Sample = { atSeconds: 0, values: { ...usual, 'gateway sockets': 25 } };
    expect(judged({ after })).toEqual(['gateway sockets: 20 before, 25 afterwards']);
  });

  test('the fitted line', () => {
    const line = samples('x', (second) => 3 + second / 100);
    expect(trendOf('x', line, 300)).toMatchObject({
      samples: 180,
      growth: expect.closeTo(8.95),
      perHour: expect.closeTo(36),
    });
    expect(trendOf('missing', line, 0)).toBeUndefined();
  });
});

describe('tallies', () => {
  test.each<[string, Partial<ClientTally>, Partial<Facts>]>([
    ['a refusal that is not in the record', {}, { refusals: 4 }],
    ['a refusal in the record that no client was told', {}, { refusals: 6 }],
    ['an acknowledged row that is not there', {}, { rows: 6 }],
    ['a row that nobody wrote', {}, { rows: 8 }],
    ['a row without a decision', {}, { insertsAllowed: 6 }],
    ['a session that is not in the record', {}, { sessionsOpened: 9, sessionsClosed: 9 }],
    ['a session without an end', {}, { sessionsClosed: 9 }],
    ['a protected value', { bare: 1 }, {}],
    ['an error that nothing explains', { strange: { XX000: 1 } }, {}],
    ['a gap', {}, { missing: 1 }],
    ['an alert', {}, { alerts: 1 }],
  ])('%s contradicts', (_what, changedTally, changedFacts) => {
    const agreements = compare([{ ...tally, ...changedTally }], { ...facts, ...changedFacts });
    expect(judged({ agreements }).length).toBeGreaterThan(0);
  });

  test('what a client was not told may have happened or not', () => {
    for (const rows of [7, 8]) {
      const agreements = compare([{ ...tally, lost: 1 }], { ...facts, rows });
      expect(judged({ agreements })).toEqual([]);
    }
  });
});

test('metrics and quantiles', () => {
  const text = '# HELP a b\na{program="gateway"} 1.5e3\nab 2\n';
  expect(metricOf(text, 'a')).toBe(1500);
  expect(() => metricOf(text, 'c')).toThrow('no metric c');
  expect(quantile([5, 1, 3], 0.5)).toBe(3);
  expect(quantile([], 0.5)).toBeNaN();
});
