import { stored } from '@chaperone/control/controllers/testing.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { manualClock } from '@chaperone/runtime/clock.ts';
import { expect, test } from '@jest/globals';
import type { EventDetails, EventSubject } from '../kubernetes/event-recorder.ts';
import { StatusEvents } from './status-events.ts';

const condition = (type: string, status: string, reason: string) => ({
  type,
  status,
  reason,
  message: `${reason} it is`,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
type Condition = ReturnType<typeof condition>;

const target = stored('Target', 'data/t');

type Moment = readonly Condition[] | number | 'stop';

function eventsIn(...moments: readonly Moment[]): {
  readonly subjects: EventSubject[];
  readonly told: string[];
} {
  const clock = manualClock();
  const subjects: EventSubject[] = [];
  const told: string[] = [];
  const record = (subject: EventSubject, { type, reason, action }: EventDetails): void => {
    subjects.push(subject);
    told.push(`${type} ${reason} ${action}`);
  };
  const events = new StatusEvents({ record, clock });
  let before: readonly Condition[] | undefined;
  for (const moment of moments) {
    if (moment === 'stop') events.stop();
    else if (typeof moment === 'number') clock.advance(moment);
    else {
      const object = { ...target, status: { conditions: before ?? moment } } as Stored<'Target'>;
      if (before !== undefined) events.written({ object, patch: { conditions: moment } });
      before = moment;
    }
  }
  return { subjects, told };
}

/** Long enough for everything. */
const aWhile = 60_000;

test.each<[string, Condition[], Condition[], string[]]>([
  ['all is well from the start', [], [condition('Ready', 'True', 'Ready')], []],
  [
    'something is wrong from the start',
    [],
    [condition('Ready', 'False', 'SecretNotFound')],
    ['Warning SecretNotFound SetReady'],
  ],
  [
    'it was mended',
    [condition('Ready', 'False', 'SecretNotFound')],
    [condition('Ready', 'True', 'Ready')],
    ['Normal Ready SetReady'],
  ],
  [
    'another thing is wrong',
    [condition('Ready', 'False', 'SecretNotFound')],
    [condition('Ready', 'False', 'HostTaken')],
    ['Warning HostTaken SetReady'],
  ],
  [
    'nothing changed but words',
    [condition('Ready', 'False', 'HostTaken')],
    [{ ...condition('Ready', 'False', 'HostTaken'), message: 'other words' }],
    [],
  ],
  [
    'a backend is reached for the first time',
    [],
    [condition('BackendReachable', 'True', 'Reachable')],
    [],
  ],
  [
    'a backend is not reached any more',
    [condition('BackendReachable', 'True', 'Reachable')],
    [condition('BackendReachable', 'False', 'Unreachable')],
    ['Warning Unreachable SetBackendReachable'],
  ],
  [
    'a backend is not reached by some',
    [condition('BackendReachable', 'True', 'Reachable')],
    [condition('BackendReachable', 'True', 'PartlyReachable')],
    ['Warning PartlyReachable SetBackendReachable'],
  ],
  [
    'it is not known any more whether a backend is reached',
    [condition('BackendReachable', 'False', 'Unreachable')],
    [condition('BackendReachable', 'Unknown', 'NotTried')],
    [],
  ],
  [
    'a backend is reached again',
    [condition('BackendReachable', 'Unknown', 'NotTried')],
    [condition('BackendReachable', 'True', 'Reachable')],
    ['Normal Reachable SetBackendReachable'],
  ],
  ['no review is due', [], [condition('ReviewDue', 'False', 'NotDue')], []],
  [
    'a review is due',
    [condition('ReviewDue', 'False', 'NotDue')],
    [condition('ReviewDue', 'True', 'Overdue')],
    ['Warning Overdue SetReviewDue'],
  ],
  [
    'what Ready says already',
    [],
    [
      condition('Ready', 'False', 'TargetNotFound'),
      condition('Accepted', 'False', 'TargetNotFound'),
    ],
    ['Warning TargetNotFound SetReady'],
  ],
])('%s', (_, before, after, expected) =>
  expect(eventsIn(before, after, aWhile).told).toEqual(expected),
);

const ready = [condition('Ready', 'True', 'Ready')];
const missing = [condition('Ready', 'False', 'TargetNotFound')];
const taken = [condition('Ready', 'False', 'HostTaken')];

test.each<[string, Moment[], string[]]>([
  ['comes a moment later is no news', [[], missing, 5000, ready, aWhile], []],
  [
    'comes too late is',
    [[], missing, 10_000, ready],
    ['Warning TargetNotFound SetReady', 'Normal Ready SetReady'],
  ],
  ['has not come yet is not told of', [[], missing, 9999], []],
  ['went and came back is no news', [ready, missing, 5000, ready, aWhile], []],
  [
    'goes on missing is told of once',
    [[], missing, 5000, missing, aWhile],
    ['Warning TargetNotFound SetReady'],
  ],
  [
    'came, while something else is wrong',
    [[], missing, 5000, taken, aWhile],
    ['Warning HostTaken SetReady'],
  ],
  [
    'was missing after something that was told of: that all is well is news',
    [[], taken, missing, 5000, ready, aWhile],
    ['Warning HostTaken SetReady', 'Normal Ready SetReady'],
  ],
  [
    'is missing when this ends is told of',
    [[], missing, 'stop', aWhile],
    ['Warning TargetNotFound SetReady'],
  ],
])('what is referred to and %s', (_, moments, expected) =>
  expect(eventsIn(...moments).told).toEqual(expected),
);

test('an Event is about the object', () => {
  expect(eventsIn([], taken).subjects).toEqual([
    {
      apiVersion: 'chaperone.dev/v1alpha1',
      kind: 'Target',
      namespace: 'data',
      name: 't',
      uid: target.metadata.uid,
    },
  ]);
});
