import { describe, expect, test } from '@jest/globals';
import { TextBudget, TextCache } from './text-cache.ts';

/** Weighs 8 × 1024 + 2048 bytes. */
const text = (name: number): string => String(name).padEnd(1024);
const weight = 10 * 1024;

describe('the budget that caches share', () => {
  test('many caches together stay within it, and the oldest are emptied', () => {
    const budget = new TextBudget(10 * weight);
    const caches = Array.from({ length: 256 }, () => new TextCache<number>(budget));
    for (const cache of caches) {
      for (let name = 0; name < 3; name += 1) cache.set(text(name), name);
      expect(budget.bytes).toBeLessThanOrEqual(10 * weight);
    }
    expect(caches.map((cache) => cache.size).filter((size) => size > 0)).toEqual([3, 3, 3]);
    expect(caches.at(-1)!.get(text(0))).toBe(0);
    expect(caches[0]!.get(text(0))).toBeUndefined();
  });

  test('one cache alone forgets its own oldest texts', () => {
    const budget = new TextBudget(2 * weight);
    const cache = new TextCache<number>(budget);
    for (let name = 0; name < 5; name += 1) cache.set(text(name), name);
    expect([0, 1, 2, 3, 4].map((name) => cache.get(text(name)))).toEqual([
      undefined,
      undefined,
      undefined,
      3,
      4,
    ]);
  });

  test('what is set anew is counted once, and an emptied cache counts nothing and fills again', () => {
    const budget = new TextBudget(10 * weight);
    const cache = new TextCache<number>(budget);
    cache.set(text(1), 1);
    cache.set(text(1), 2);
    expect(budget.bytes).toBe(weight);
    cache.clear();
    expect(budget.bytes).toBe(0);
    cache.set(text(1), 3);
    expect([budget.bytes, cache.get(text(1))]).toEqual([weight, 3]);
  });

  test('a text beyond the whole budget is not kept', () => {
    const budget = new TextBudget(weight);
    const cache = new TextCache<number>(budget);
    cache.set('x'.repeat(weight), 1);
    expect([budget.bytes, cache.size]).toEqual([0, 0]);
  });
});
