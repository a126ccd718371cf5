import { describe, expect, test } from '@jest/globals';
import { saslprepPassword } from './saslprep.ts';
import { isIn, leftToRight, prohibited, rightToLeft, unassigned } from './stringprep-tables.ts';

describe('saslprepPassword', () => {
  test.each([
    ['a soft hyphen is left out', 'I\u00adX', 'IX'],
    ['ASCII stays', 'user', 'user'],
    ['case stays', 'USER', 'USER'],
    ['NFKC: feminine ordinal', '\u00aa', 'a'],
    ['NFKC: Roman numeral', '\u2168', 'IX'],
    ['NFKC: composes', 'u\u0308', '\u00fc'],
    ['no-break space', 'a\u00a0b', 'a b'],
    ['ideographic space', 'a\u3000b', 'a b'],
    ['zero width space is a space', 'a\u200bb', 'a b'],
    ['right-to-left alone', '\u0627\u0628', '\u0627\u0628'],
  ])('%s', (_, password, prepared) => {
    expect(saslprepPassword(password)).toBe(prepared);
  });

  test.each([
    ['ASCII controls', '\u0007'],
    ['a prohibited character', '\u00aa\u2028'],
    ['right-to-left that does not end so', '\u0627\u00aa1'],
    ['right-to-left mixed with left-to-right', '\u0627\u00aa\u0628'],
    ['not assigned in Unicode 3.2', '\u00aa😀'],
    ['nothing left', '\u00ad'],
    ['a lone surrogate', '\u00aa\ud800'],
    ['empty', ''],
  ])('%s: used as it is', (_, password) => {
    expect(saslprepPassword(password)).toBe(password);
  });
});

test('the tables have the sizes and bounds of RFC 3454', () => {
  expect([unassigned.length / 2, rightToLeft.length / 2, leftToRight.length / 2]).toEqual([
    396, 34, 360,
  ]);
  expect([0x220, 0x221, 0x222].map((point) => isIn(unassigned, point))).toEqual([
    false,
    true,
    false,
  ]);
  expect([0x40, 0x41, 0x5a, 0x5b].map((point) => isIn(leftToRight, point))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([0x5bd, 0x5be, 0xfefc, 0xfefd].map((point) => isIn(rightToLeft, point))).toEqual([
    false,
    true,
    true,
    false,
  ]);
  expect([0, 0x1f, 0x20, 0x7f, 0x10ffff].map((point) => isIn(prohibited, point))).toEqual([
    true,
    true,
    false,
    true,
    true,
  ]);
});
