import { expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { policyIndexOf } from './policy-index.ts';
import { snapshotOf, stored } from './testing.ts';

const target = stored('Target', 'data/t');
const identities = [stored('MachineIdentity', 'pay/a'), stored('MachineIdentity', 'other/b')];
const policy = (namespace: string) =>
  stored('AccessPolicy', `${namespace}/p`, {
    targetRefs: [{ name: 't', namespace: 'data' }],
    subjects: { namespaces: ['pay', 'other'] },
  });

test.each<[string, string, Stored[], number]>([
  ['in the namespace of its target: for all that it picks', 'data', [target], 2],
  ['elsewhere, where it can only deny: for those of its own namespace', 'pay', [target], 1],
  ['elsewhere, without identities of its own', 'third', [target], 0],
  ['without a target: all that it picks', 'pay', [], 2],
])('a policy counts %s', (_, namespace, targets, expected) => {
  const one = policy(namespace);
  const index = policyIndexOf(snapshotOf(...identities, ...targets, one));
  expect(index.identityCount(one)).toBe(expected);
  // Who it picks is another question: bundles ask it together with where it counts.
  expect(index.policiesFor(identities[0]!).size).toBe(1);
});
