import { describe, expect, test } from '@jest/globals';
import { overlappingSubjects, subjectConflicts } from './subjects.ts';
import type { MachineIdentity } from './types.ts';

type Subject = MachineIdentity['spec']['subjects'][number];

const account = (name: string): Subject => ({ serviceAccount: { name } });
const token = (match: Record<string, string>, audience = 'x'): Subject => ({
  oidc: { issuer: 'https://ci', audience, match },
});
const identity = (name: string, created: string, subjects: Subject[], namespace = 'a') => ({
  metadata: { namespace, name, creationTimestamp: created },
  spec: { owner: { team: 't' }, purpose: 'p', suspended: false, subjects },
});

describe('overlappingSubjects', () => {
  test.each<[string, Subject, string, Subject, string, boolean]>([
    ['one account', account('s'), 'a', account('s'), 'a', true],
    ['accounts of one name in two namespaces', account('s'), 'a', account('s'), 'b', false],
    ['account and token', account('s'), 'a', token({ ref: 'm' }), 'a', false],
    [
      'equal tokens, whatever the namespace',
      token({ ref: 'm' }),
      'a',
      token({ ref: 'm' }),
      'b',
      true,
    ],
    ['a claim that tells apart', token({ ref: 'm' }), 'a', token({ ref: 'n' }), 'a', false],
    [
      'one narrower than the other',
      token({ ref: 'm' }),
      'a',
      token({ ref: 'm', job: 'j' }),
      'a',
      true,
    ],
    [
      'different claims that one token may have',
      token({ ref: 'm' }),
      'a',
      token({ job: 'j' }),
      'a',
      true,
    ],
    ['audiences', token({ ref: 'm' }, 'x'), 'a', token({ ref: 'm' }, 'y'), 'a', false],
  ])('%s', (_, one, oneNamespace, other, otherNamespace, expected) => {
    const a = { namespace: oneNamespace, subject: one };
    const b = { namespace: otherNamespace, subject: other };
    expect(overlappingSubjects(a, b)).toBe(expected);
    expect(overlappingSubjects(b, a)).toBe(expected);
  });
});

describe('subjectConflicts', () => {
  const old = '2026-01-01T00:00:00Z';
  const young = '2026-02-01T00:00:00Z';

  test('the older keeps the subject, the younger only that which is its own', () => {
    const conflicts = subjectConflicts([
      identity('b', young, [account('own'), account('s')]),
      identity('a', old, [account('s')]),
    ]);
    expect([...conflicts]).toEqual([['a/b', [{ subject: 1, namespace: 'a', name: 'a' }]]]);
  });

  test('of the same age, the one that sorts first', () => {
    const conflicts = subjectConflicts([
      identity('b', old, [account('s')]),
      identity('a', old, [account('s')]),
    ]);
    expect([...conflicts.keys()]).toEqual(['a/b']);
  });

  test('a subject that was refused to one does not keep out the next', () => {
    const conflicts = subjectConflicts([
      identity('a', old, [token({ ref: 'm' })]),
      identity('b', young, [token({ job: 'j' })]), // overlaps a's
      identity('c', '2026-03-01T00:00:00Z', [token({ job: 'j', ref: 'n' })]), // overlaps b's alone
    ]);
    expect([...conflicts.keys()]).toEqual(['a/b']);
  });

  test('a subject that does not count takes nothing, however old', () => {
    const identities = [
      identity('a', old, [token({ ref: 'm' })], 'one'),
      identity('b', young, [token({ ref: 'm' })], 'two'),
    ];
    expect([...subjectConflicts(identities).keys()]).toEqual(['two/b']);
    expect(subjectConflicts(identities, ({ namespace }) => namespace === 'two').size).toBe(0);
  });

  test('those that overlap conflict, and no others', () => {
    let state = 7;
    const below = (bound: number): number => {
      state = (state * 1_103_515_245 + 12_345) % 2_147_483_648;
      return Math.floor((state / 2_147_483_648) * bound);
    };
    const claims = ['sub', 'ref', 'job'];
    for (let round = 0; round < 50; round += 1) {
      const identities = Array.from({ length: 30 }, (_, at) => {
        const named = claims.filter(() => below(3) > 0);
        const match = Object.fromEntries(named.map((claim) => [claim, String(below(4))]));
        return identity(`i${String(at).padStart(2, '0')}`, '2026-01-01', [token(match)]);
      });
      const holders: typeof identities = [];
      const expected = identities.flatMap((one) => {
        const [subject] = one.spec.subjects;
        const owner = holders.find(({ spec }) =>
          overlappingSubjects(
            { namespace: 'a', subject: spec.subjects[0]! },
            { namespace: 'a', subject: subject! },
          ),
        );
        if (owner === undefined) holders.push(one);
        return owner === undefined ? [] : [[one.metadata.name, owner.metadata.name]];
      });
      const found = [...subjectConflicts(identities)].map(([key, [conflict]]) => [
        key.slice(2),
        conflict!.name,
      ]);
      expect(found).toEqual(expected);
    }
  });

  test('thousands of tokens of one issuer take a moment', () => {
    const identities = Array.from({ length: 500 }, (_, at) =>
      identity(
        `i${at}`,
        '2026-01-01',
        Array.from({ length: 16 }, (_, each) => token({ sub: `${at} ${each}` })),
      ),
    );
    const startMs = performance.now();
    expect(subjectConflicts(identities).size).toBe(0);
    // One by one they took half a minute.
    expect(performance.now() - startMs).toBeLessThan(5000);
  });
});
