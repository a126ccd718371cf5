import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, expect, test } from '@jest/globals';
import { SessionCancel } from './session-cancel.ts';

let clock: ManualClock;
let cancel: SessionCancel;
let forwarded: number;
let isSent: boolean;
let answered: number;
let sentLast: number | undefined;

beforeEach(() => {
  clock = manualClock();
  forwarded = 0;
  isSent = false;
  answered = -1;
  sentLast = undefined;
  cancel = new SessionCancel({
    clock,
    cancelBackend: () => {
      forwarded += 1;
      return Promise.resolve();
    },
    sentLast: () => sentLast,
    isSent: () => isSent,
    isAnswered: (number) => answered >= number,
    ended: () => {},
    failed: () => {},
  });
});

test('one that waited is sent with its statement, and again until the last message of that is answered', async () => {
  await cancel.request();
  cancel.sendWaiting();
  expect(forwarded).toBe(0);
  isSent = true;
  // Parse, Bind, Execute and Sync.
  sentLast = 3;
  cancel.sendWaiting();
  expect(forwarded).toBe(1);
  // The first of them is not what is to be cancelled.
  answered = 1;
  clock.advance(50);
  expect(forwarded).toBe(2);
  answered = 3;
  clock.advance(10_000);
  expect(forwarded).toBe(2);
});

test('one for a statement that never came is for nothing', async () => {
  await cancel.request();
  isSent = true;
  cancel.sendWaiting();
  sentLast = 0;
  cancel.sendWaiting();
  expect(forwarded).toBe(0);
});

test('a backend that takes no notice is not asked for ever, nor after the end of the session', async () => {
  await cancel.request();
  isSent = true;
  sentLast = 0;
  cancel.sendWaiting();
  clock.advance(100_000);
  const often = forwarded;
  expect(often).toBeGreaterThan(2);
  clock.advance(100_000);
  expect(forwarded).toBe(often);
  await cancel.request();
  isSent = false;
  await cancel.request();
  isSent = true;
  cancel.sendWaiting();
  cancel.stop();
  const before = forwarded;
  clock.advance(100_000);
  expect(forwarded).toBe(before);
});
