import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { canonicalJson } from './canonical-json.ts';

describe('canonicalJson', () => {
  test.each<[unknown, string]>([
    [{ b: 1, a: [true, null, 'x'] }, '{"a":[true,null,"x"],"b":1}'],
    // Sorted by UTF-16 code units: U+1F600 (D83D DE00) before U+FB33.
    [{ '\u{fb33}': 1, '\u{1f600}': 2 }, '{"\u{1f600}":2,"\u{fb33}":1}'],
    [[1e21, 1e-7, -0, 0.1 + 0.2], '[1e+21,1e-7,0,0.30000000000000004]'],
    [{ a: undefined, b: 'é\n"' }, '{"b":"é\\n\\""}'],
  ])('%j', (value, expected) => {
    expect(canonicalJson(value)).toBe(expected);
  });

  test.each([[Number.NaN], [Number.POSITIVE_INFINITY], [1n], [() => 1], ['\ud800'], [undefined]])(
    'refuses what JSON cannot carry: %p',
    (value) => {
      expect(() => canonicalJson(value)).toThrow(TypeError);
    },
  );

  test('means the same as the value, whatever the order of its members', () => {
    fc.assert(
      fc.property(fc.jsonValue(), (value) => {
        expect(JSON.parse(canonicalJson(value))).toEqual(JSON.parse(JSON.stringify(value)));
      }),
    );
  });
});
