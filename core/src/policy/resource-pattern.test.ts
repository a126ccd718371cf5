import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import {
  formatResource,
  matchesPart,
  matchesResource,
  mayMatchBelow,
  parseName,
  parseResourcePattern,
} from './resource-pattern.ts';

const matches = (pattern: string, resource: readonly string[]): boolean =>
  matchesResource(parseResourcePattern(pattern), resource);

describe('patterns', () => {
  test.each([
    ['shop.public.orders', ['shop', 'public', 'orders'], true],
    ['shop.public.orders', ['shop', 'public', 'Orders'], false],
    ['shop.public.orders', ['shop', 'public'], false],
    ['shop.public.orders', ['shop', 'public', 'orders', 'id'], false],
    ['shop.public.order_*', ['shop', 'public', 'order_items'], true],
    ['shop.public.order_*', ['shop', 'public', 'orders'], false],
    ['shop.*.orders', ['shop', 'archive', 'orders'], true],
    ['shop.*', ['shop', 'public', 'orders'], false],
    ['shop.**', ['shop', 'public', 'orders'], true],
    ['shop.**', ['shop'], true],
    ['shop.**', ['shopping', 'public', 'orders'], false],
    ['**', ['anything', 'at', 'all'], true],
    ['shop.*a*b*.x', ['shop', 'aXbY', 'x'], true],
    ['shop.a*a.x', ['shop', 'a', 'x'], false],
    ['shop.*ab*b.x', ['shop', 'ab', 'x'], false],
    ['shop.public."My.Table"', ['shop', 'public', 'My.Table'], true],
    ['shop.public."a""b"', ['shop', 'public', 'a"b'], true],
    ['shop.public."*"', ['shop', 'public', 'orders'], false],
    ['shop.public."*"', ['shop', 'public', '*'], true],
    ['"**"', ['anything'], false],
  ])('%s on %j: %s', (pattern, resource, expected) => {
    expect(matches(pattern, resource)).toBe(expected);
  });

  test.each(['', '.', 'a..b', 'a.', '.a', 'a.**.b', '"a', '"a"b', 'a"b"', '""', 'x'.repeat(600)])(
    '%j is no pattern',
    (pattern) => {
      expect(() => parseResourcePattern(pattern)).toThrow(/resource pattern/);
    },
  );

  test('a formatted name is a pattern of that name alone', () => {
    const name = fc.string({ minLength: 1, maxLength: 40 });
    fc.assert(
      fc.property(fc.array(name, { minLength: 1, maxLength: 4 }), name, (resource, other) => {
        fc.pre(formatResource(resource).length <= 512);
        const pattern = parseResourcePattern(formatResource(resource));
        expect(matchesResource(pattern, resource)).toBe(true);
        const changed = [...resource.slice(0, -1), other];
        expect(matchesResource(pattern, changed)).toBe(other === resource.at(-1));
      }),
    );
  });

  test('a star stands for any characters, as the obvious definition has it', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '*'), maxLength: 8 });
    const obvious = (pattern: string, name: string): boolean => {
      if (pattern === '') return name === '';
      if (pattern[0] === '*') {
        return obvious(pattern.slice(1), name) || (name !== '' && obvious(pattern, name.slice(1)));
      }
      return name[0] === pattern[0] && obvious(pattern.slice(1), name.slice(1));
    };
    const plain = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 10 });
    fc.assert(
      fc.property(text, plain, (pattern, name) => {
        expect(matchesPart(parseName(pattern), name)).toBe(obvious(pattern, name));
      }),
      { numRuns: 2000 },
    );
  });

  test('what may match below a prefix', () => {
    const below = (pattern: string, prefix: string[]): boolean =>
      mayMatchBelow(parseResourcePattern(pattern), prefix);
    expect(below('shop.public.customers.ssn', ['shop'])).toBe(true);
    expect(below('shop.public.customers.ssn', ['shop', 'public', 'customers'])).toBe(true);
    expect(below('shop.public.customers.ssn', ['shop', 'public', 'orders'])).toBe(false);
    expect(below('shop.public.customers', ['shop', 'public', 'customers', 'ssn'])).toBe(false);
    expect(below('**', ['other', 'x'])).toBe(true);
  });
});
