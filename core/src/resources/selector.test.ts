import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { contradictoryLabel, selectorMatches } from './selector.ts';
import type { LabelSelector } from './types.ts';

const word = fc.constantFrom('a', 'b', 'c');
const labels = fc.dictionary(word, word, { maxKeys: 3 });
const selectors: fc.Arbitrary<LabelSelector> = fc.record(
  {
    matchLabels: labels.filter((one) => Object.keys(one).length > 0),
    matchExpressions: fc.array(
      fc.oneof(
        fc.record({
          key: word,
          operator: fc.constantFrom('In' as const, 'NotIn' as const),
          values: fc.uniqueArray(word, { minLength: 1 }),
        }),
        fc.record({
          key: word,
          operator: fc.constantFrom('Exists' as const, 'DoesNotExist' as const),
        }),
      ),
      { minLength: 1, maxLength: 4 },
    ),
  },
  { requiredKeys: [] },
);
/** Every set of labels over three keys, with the three values and one that no selector names. */
const everySet = ['a', 'b', 'c'].reduce<Record<string, string>[]>(
  (sets, key) =>
    sets.flatMap((set) => [
      set,
      ...['a', 'b', 'c', 'z'].map((value) => ({ ...set, [key]: value })),
    ]),
  [{}],
);

describe('label selectors', () => {
  test.each<[LabelSelector, Record<string, string> | undefined, boolean]>([
    [{}, { a: 'b' }, false],
    [{ matchLabels: { a: 'b' } }, { a: 'b', c: 'd' }, true],
    [{ matchLabels: { a: 'b' } }, { a: 'c' }, false],
    [{ matchLabels: { a: 'b' } }, undefined, false],
    [{ matchLabels: { toString: 'b' } }, {}, false],
    [{ matchExpressions: [{ key: 'constructor', operator: 'Exists' }] }, {}, false],
    [{ matchExpressions: [{ key: 'a', operator: 'NotIn', values: ['b'] }] }, {}, true],
    [{ matchExpressions: [{ key: 'a', operator: 'DoesNotExist' }] }, undefined, true],
    [
      { matchLabels: { a: 'b' }, matchExpressions: [{ key: 'c', operator: 'Exists' }] },
      { a: 'b' },
      false,
    ],
  ])('%j on %j: %p', (selector, on, expected) => {
    expect(selectorMatches(selector, on)).toBe(expected);
  });

  test('a contradiction is told exactly where no labels match', () => {
    fc.assert(
      fc.property(selectors, (selector) => {
        fc.pre(selector.matchLabels !== undefined || selector.matchExpressions !== undefined);
        const some = everySet.some((set) => selectorMatches(selector, set));
        expect(contradictoryLabel(selector) === undefined).toBe(some);
      }),
    );
  });

  test('further conditions never match more', () => {
    fc.assert(
      fc.property(selectors, selectors, labels, (one, other, on) => {
        fc.pre(one.matchExpressions !== undefined);
        const both = {
          ...one,
          matchExpressions: [...(one.matchExpressions ?? []), ...(other.matchExpressions ?? [])],
        };
        if (selectorMatches(both, on)) expect(selectorMatches(one, on)).toBe(true);
      }),
    );
  });
});
