import type { ProtocolViolation } from '@chaperone/core/events/types.ts';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, expect, test } from '@jest/globals';
import { ViolationRecords } from './violation-records.ts';

let clock: ManualClock;
let records: ViolationRecords;
/** `address code count`, and `closed` for the end of each record. */
let told: string[];

beforeEach(() => {
  clock = manualClock();
  told = [];
  records = new ViolationRecords({
    recorder: {
      openSession: () =>
        ({
          append: ({ address, code, count }: ProtocolViolation) =>
            told.push([address, code, ...(count === undefined ? [] : [count])].join(' ')),
          close: () => told.push('closed'),
        }) as never,
    },
    clock,
    onRecorded: () => {},
  });
});

const add = (address: string, code: string): void => records.add(address, { code, message: 'm' });
const recorded = (): string[] => told.splice(0).filter((one) => one !== 'closed');

test('the first is recorded as it is, the others once a minute by their number', () => {
  for (const code of ['A', 'B', 'C']) add('a', code);
  expect(told).toEqual(['a A', 'closed']);
  expect(recorded()).toEqual(['a A']);
  clock.advance(59_999);
  expect(recorded()).toEqual([]);
  clock.advance(1);
  expect(recorded()).toEqual(['a C 2']);
  for (let more = 0; more < 1000; more += 1) add('a', 'D');
  clock.advance(60_000);
  expect(recorded()).toEqual(['a D 1000']);
});

test('after a quiet minute the next is a first again, and nothing is kept', () => {
  add('a', 'A');
  clock.advance(60_000);
  expect(clock.pendingTimers()).toBe(0);
  add('a', 'B');
  expect(recorded()).toEqual(['a A', 'a B']);
});

test('one address does not hide another, until there are too many to be told apart', () => {
  for (let address = 0; address < 100; address += 1) add(`${address}`, 'A');
  expect(recorded()).toEqual([...Array(64).keys()].map((one) => `${one} A`).concat('others A'));
  clock.advance(60_000);
  expect(recorded()).toEqual(['others A 35']);
});

test('what was counted is recorded in the end', () => {
  for (const address of ['a', 'a', 'a', 'b']) add(address, 'A');
  records.close();
  expect(recorded()).toEqual(['a A', 'b A', 'a A 2']);
  expect(clock.pendingTimers()).toBe(0);
});
