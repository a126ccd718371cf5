import { stored } from '@chaperone/control/controllers/testing.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { expect, test } from '@jest/globals';
import { eventsOfStatus, subjectOf } from './status-events.ts';

const condition = (type: string, status: string, reason: string) => ({
  type,
  status,
  reason,
  message: `${reason} it is`,
  lastTransitionTime: '2026-01-01T00:00:00Z',
});
type Condition = ReturnType<typeof condition>;

function told(before: readonly Condition[], after: readonly Condition[]): string[] {
  const target = stored('Target', 'data/t');
  const object = { ...target, status: { conditions: before } } as Stored<'Target'>;
  return eventsOfStatus({ object, patch: { conditions: after } }).map(
    ({ type, reason, action }) => `${type} ${reason} ${action}`,
  );
}

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
])('%s', (_, before, after, expected) => expect(told(before, after)).toEqual(expected));

test('an Event is about the object', () => {
  const object = stored('Target', 'data/t');
  expect(subjectOf({ object, patch: {} })).toEqual({
    apiVersion: 'chaperone.dev/v1alpha1',
    kind: 'Target',
    namespace: 'data',
    name: 't',
    uid: object.metadata.uid,
  });
});
