import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { terminalSafe } from './terminal-safe.ts';

test.each([
  ['select 1', 'select 1'],
  ['Grüße 😀 日本', 'Grüße 😀 日本'],
  ['a\nb\r\tc', 'a\\nb\\r\\tc'],
  ['\u001b[31mred\u001b]0;title\u0007', '\\x1b[31mred\\x1b]0;title\\x07'],
  ['\u009b31m', '\\x9b31m'],
  ['user\u202egpj.exe', 'user\\u{202e}gpj.exe'],
  ['a\u200bb\ufeff', 'a\\u{200b}b\\u{feff}'],
  ['a\u2028b', 'a\\u{2028}b'],
  ['\ud800', '\\u{d800}'],
  ['\u{e0041}', '\\u{e0041}'],
  ['a\u0000b\u007f', 'a\\x00b\\x7f'],
])('%j is shown as %j', (text, shown) => expect(terminalSafe(text)).toBe(shown));

test('nothing that a terminal acts on is left, and a second pass changes nothing', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      const safe = terminalSafe(text);
      expect(safe).not.toMatch(/[\u0000-\u001f\u007f-\u009f\u2028-\u202e\u2066-\u2069]/);
      expect(terminalSafe(safe)).toBe(safe);
    }),
  );
});
