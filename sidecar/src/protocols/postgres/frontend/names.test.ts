import { describe, expect, test } from '@jest/globals';
import { NameTable } from './names.ts';

const mebibyte = 1024 * 1024;

function table() {
  const numbers = { firstNumber: 0, nextNumber: 0, mayFailAlone: () => false };
  return { numbers, names: new NameTable<string>(numbers, (text) => text) };
}

describe('room for names', () => {
  test('10,000 names, those that it has and the unnamed aside', () => {
    const { names } = table();
    for (let index = 0; index < 10_000; index += 1) {
      expect(names.isFull(`s${index}`)).toBe(false);
      names.set(`s${index}`, 'SELECT 1');
    }
    expect(['s10000', 's1', ''].map((name) => names.isFull(name))).toEqual([true, false, false]);
  });

  test('a name that is gone makes room once that is answered', () => {
    const { names, numbers } = table();
    for (let index = 0; index < 10_000; index += 1) names.set(`s${index}`, 'SELECT 1');
    names.delete('s5');
    expect(names.isFull('more')).toBe(true);
    numbers.firstNumber = numbers.nextNumber = 1;
    expect(names.isFull('more')).toBe(false);
  });

  test('16 MiB of text, with that which may be taken back', () => {
    const { names, numbers } = table();
    for (let sent = 0; sent < 16; sent += 1) {
      numbers.nextNumber = sent;
      expect(names.isFull('')).toBe(false);
      names.set('', 'x'.repeat(mebibyte));
    }
    numbers.nextNumber = 16;
    expect(names.isFull('')).toBe(true);
    numbers.firstNumber = 16;
    expect(names.isFull('')).toBe(false);
  });
});
