import { describe, expect, test } from '@jest/globals';
import { Snapshot } from './snapshot.ts';
import { stored } from './testing.ts';

const identity = (resourceVersion: string) =>
  stored('MachineIdentity', 'pay/a', {}, {}, { resourceVersion });

describe('what a snapshot says it has seen', () => {
  test('is the version of the last change of each kind', () => {
    const snapshot = new Snapshot();
    snapshot.apply({
      events: [
        { type: 'Added', object: identity('3') },
        { type: 'Added', object: stored('Target', 'data/t', {}, {}, { resourceVersion: '5' }) },
      ],
      resourceVersion: '7',
    });
    expect(snapshot.versions).toEqual({ MachineIdentity: 3, Target: 5 });
    snapshot.apply({ events: [{ type: 'Modified', object: identity('8') }], resourceVersion: '8' });
    expect(snapshot.versions).toEqual({ MachineIdentity: 8, Target: 5 });
  });

  test('counts a deletion by its own version, or by what is complete where it has none', () => {
    for (const [version, seen] of [
      ['9', 9],
      ['3', 12],
    ] as const) {
      const snapshot = new Snapshot();
      snapshot.apply({ events: [{ type: 'Added', object: identity('3') }], resourceVersion: '3' });
      snapshot.apply({
        events: [{ type: 'Deleted', object: identity(version) }],
        resourceVersion: '12',
      });
      expect(snapshot.versions.MachineIdentity).toBe(seen);
    }
  });

  test('is complete for every kind up to the store’s version, or up to that of each', () => {
    const snapshot = new Snapshot();
    snapshot.apply({ events: [], resourceVersion: '4' });
    expect(snapshot.complete).toMatchObject({ MachineIdentity: 4, Secret: 4, Namespace: 4 });
    snapshot.apply({ events: [], resourceVersion: '9', versions: { Secret: 9, Target: 2 } });
    expect(snapshot.complete).toMatchObject({ MachineIdentity: 4, Secret: 9, Target: 4 });
    // A kind that comes in parts is complete up to its last change at the least.
    snapshot.apply({
      events: [{ type: 'Added', object: identity('11') }],
      resourceVersion: '11',
      versions: { MachineIdentity: 5 },
    });
    expect(snapshot.complete.MachineIdentity).toBe(11);
  });
});
