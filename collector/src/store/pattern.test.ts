import { expect, test } from '@jest/globals';
import { matchesResource, patternProblem, separator } from './pattern.ts';

const name = (...parts: string[]) => parts.join(separator);

test.each<[string, string, boolean]>([
  ['shop.public.orders', name('shop', 'public', 'orders'), true],
  ['shop.public.orders', name('shop', 'public', 'orders2'), false],
  ['shop.public.*', name('shop', 'public', 'orders'), true],
  ['shop.public.*', name('shop', 'public'), false],
  ['shop.*', name('shop', 'public', 'orders'), false],
  ['shop.**', name('shop', 'public', 'orders'), true],
  ['shop.**', name('shop', 'public'), true],
  ['shop.**', name('shop'), false],
  ['**', name('shop', 'public', 'orders'), true],
  ['*.public.o*s', name('shop', 'public', 'orders'), true],
  ['*.public.o*s', name('shop', 'public', 'order'), false],
  ['*a*b*c', name('xxaxxbxxbc'), true],
  ['', name(''), true],
])('%s against %j: %s', (pattern, resource, expected) =>
  expect(matchesResource(pattern, resource)).toBe(expected),
);

test('many wildcards against a long name take no time to speak of', () => {
  const pattern = `${'*a'.repeat(16)}b`;
  expect(patternProblem(pattern)).toBeUndefined();
  expect(matchesResource(pattern, 'a'.repeat(10_000))).toBe(false);
});

test.each(['', 'a.**.b', '*'.repeat(17), 'x'.repeat(513)])('%j is no pattern', (pattern) =>
  expect(patternProblem(pattern)).toBeDefined(),
);
