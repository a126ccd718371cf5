import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, expect, test } from '@jest/globals';
import { UnfinishedLogins } from './unfinished-logins.ts';

let clock: ManualClock;
let logins: UnfinishedLogins;
let evicted: string[];

beforeEach(() => {
  clock = manualClock();
  evicted = [];
  logins = new UnfinishedLogins({ max: 4, clock });
});

const admit = (name: string): (() => void) | undefined =>
  logins.admit(name.slice(0, 1), () => evicted.push(name));

test('as many as there may be, and others when some are finished', () => {
  const [first] = ['a1', 'a2', 'a3', 'a4'].map(admit);
  expect(admit('a5')).toBeUndefined();
  first!();
  first!();
  expect(logins.size).toBe(3);
  expect(admit('a5')).toBeDefined();
  expect(admit('a6')).toBeUndefined();
  expect(evicted).toEqual([]);
});

test('of one address the slow make room for others, the oldest first', () => {
  ['a1', 'a2', 'a3', 'a4'].map(admit);
  clock.advance(999);
  expect(admit('a5')).toBeUndefined();
  clock.advance(1);
  for (const name of ['a5', 'a6']) expect(admit(name)).toBeDefined();
  expect(evicted).toEqual(['a1', 'a2']);
  expect(logins.size).toBe(4);
});

test('whoever has the most makes room for others at once, until they have as many', () => {
  ['a1', 'a2', 'a3', 'a4', 'b1', 'b2'].map(admit);
  expect(evicted).toEqual(['a1', 'a2']);
  expect(admit('b3')).toBeUndefined();
  expect(admit('c1')).toBeDefined();
  expect(logins.size).toBe(4);
});

test('one that was evicted is not counted twice', () => {
  const [first] = ['a1', 'a2', 'a3', 'a4'].map(admit);
  admit('b1');
  expect(evicted).toEqual(['a1']);
  first!();
  expect(logins.size).toBe(4);
});
