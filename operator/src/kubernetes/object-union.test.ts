import { error } from '@chaperone/core/resources/problem.ts';
import { describe, expect, test } from '@jest/globals';
import type { Change } from './cache.ts';
import { ObjectUnion } from './object-union.ts';
import type { StoredEntry } from './stored-object.ts';

function entry(
  resourceVersion: string,
  { uid = 'one', valid = true }: { uid?: string; valid?: boolean } = {},
): StoredEntry {
  const metadata = { name: 's', namespace: 'ns', uid, resourceVersion };
  const object = { apiVersion: 'v1', kind: 'Secret', metadata };
  return valid
    ? { metadata, stored: object as never }
    : {
        metadata,
        invalid: { kind: 'Secret', object: object as never, problems: [error('', 'x')] },
      };
}

const added = (object: StoredEntry): Change<StoredEntry> => ({ type: 'Added', object });
const modified = (object: StoredEntry): Change<StoredEntry> => ({ type: 'Modified', object });
const deleted = (object: StoredEntry): Change<StoredEntry> => ({ type: 'Deleted', object });

/** Each step: which watch says what; the result: what is told. */
function play(steps: readonly (readonly [number, Change<StoredEntry>])[]): string[][] {
  const union = new ObjectUnion();
  return steps.map(([watch, change]) =>
    union
      .apply(watch, { changes: [change], resourceVersion: '0' })
      .events.map(
        ({ type, object: { metadata } }) => `${type} ${metadata.uid}@${metadata.resourceVersion}`,
      ),
  );
}

describe('ObjectUnion', () => {
  test('an object that two watches show is told once', () => {
    expect(
      play([
        [0, added(entry('5'))],
        [1, added(entry('5'))],
        [0, modified(entry('6'))],
        [1, modified(entry('6'))],
        [1, deleted(entry('7'))],
        [0, deleted(entry('7'))],
      ]),
    ).toEqual([['Added one@5'], [], ['Modified one@6'], [], [], ['Deleted one@7']]);
  });

  test('one that leaves a watch and is still in the other is there', () => {
    expect(
      play([
        [0, added(entry('5'))],
        [0, deleted(entry('6'))], // its label moved
        [1, added(entry('6'))],
      ]),
    ).toEqual([['Added one@5'], ['Deleted one@6'], ['Added one@6']]);
    expect(
      play([
        [0, added(entry('5'))],
        [1, added(entry('6'))],
        [0, deleted(entry('6'))],
      ]),
    ).toEqual([['Added one@5'], ['Modified one@6'], []]);
  });

  test('a watch that is behind does not bring back what was', () => {
    expect(
      play([
        [0, added(entry('9'))],
        [1, added(entry('5'))],
        [1, modified(entry('9'))],
      ]),
    ).toEqual([['Added one@9'], [], []]);
  });

  test('another object of the same name: the first is deleted', () => {
    expect(
      play([
        [0, added(entry('5'))],
        [1, added(entry('8', { uid: 'two' }))],
        [0, deleted(entry('7'))],
      ]),
    ).toEqual([['Added one@5'], ['Deleted one@8', 'Added two@8'], []]);
  });

  test('one that becomes invalid is deleted, at that version, and added when it is valid again', () => {
    expect(
      play([
        [0, added(entry('5'))],
        [0, modified(entry('6', { valid: false }))],
        [0, modified(entry('7', { valid: false }))],
        [0, modified(entry('8'))],
      ]),
    ).toEqual([['Added one@5'], ['Deleted one@6'], [], ['Added one@8']]);
  });

  test('invalid ones are listed, and told at each version', () => {
    const union = new ObjectUnion();
    const apply = (change: Change<StoredEntry>) =>
      union.apply(0, { changes: [change], resourceVersion: '0' });
    expect(apply(added(entry('5', { valid: false })))).toMatchObject({
      events: [],
      invalid: [{ problems: [{ message: 'x' }] }],
    });
    expect(union.all()).toEqual([]);
    expect(union.invalid()).toHaveLength(1);
    expect(apply(deleted(entry('6', { valid: false })))).toEqual({ events: [], invalid: [] });
    expect(union.invalid()).toEqual([]);
  });
});
