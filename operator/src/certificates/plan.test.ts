import { beforeAll, describe, expect, test } from '@jest/globals';
import { issueRoot, type KeyedCertificate } from './issue.ts';
import { drainMs, type Existing, plan, publishMs, type Root, rootLifetimeMs } from './plan.ts';
import { rootOf } from './secrets.ts';

const dayMs = 24 * 60 * 60 * 1000;
const startMs = Date.UTC(2026, 0, 1);
const age = (days: number): number => startMs + days * dayMs;

let one: Root;
let two: Root;
let stranger: KeyedCertificate;
beforeAll(async () => {
  const make = (nowMs: number) => issueRoot({ nowMs, lifetimeMs: rootLifetimeMs });
  one = rootOf(await make(startMs));
  two = rootOf(await make(age(250)));
  stranger = await make(startMs);
});

type RootState = NonNullable<Existing['root']>;
const planned = (root: RootState | undefined, nowMs: number, bundlePublished = true): string[] =>
  plan({ ...(root && { root }), issued: new Map(), bundlePublished }, nowMs).map(
    ({ type }) => type,
  );

/** [what, roots, time, whether the bundle is with everybody, actions] */
const table: [string, () => RootState | undefined, number, boolean, string[]][] = [
  ['nothing', () => undefined, age(0), true, ['CreateRoot']],
  ['an empty Secret', () => ({}), age(0), true, ['CreateRoot']],
  ['a fresh root', () => ({ current: one }), age(1), true, []],
  ['a root short of two thirds', () => ({ current: one }), age(243), true, []],
  ['a root past two thirds', () => ({ current: one }), age(244), true, ['AddNextRoot']],
  ['an expired root', () => ({ current: one }), age(365), true, ['CreateRoot']],
  [
    'an expired root with a successor',
    () => ({ current: one, next: two }),
    age(365),
    true,
    ['PromoteRoot'],
  ],
  [
    'a root with the key of another',
    () => ({ current: { ...one, key: stranger.key } }),
    age(1),
    true,
    ['CreateRoot'],
  ],
  ['no root but a successor', () => ({ next: two }), age(251), true, ['PromoteRoot']],
  ['a successor that some do not know', () => ({ current: one, next: two }), age(251), false, []],
  [
    'a successor that all know by now',
    () => ({ current: one, next: two }),
    age(251),
    true,
    ['MarkNextPublished'],
  ],
  [
    'a successor too new',
    () => ({ current: one, next: two, nextPublishedMs: age(251) }),
    age(252) - 1,
    true,
    [],
  ],
  [
    'a successor long enough known',
    () => ({ current: one, next: two, nextPublishedMs: age(251) }),
    age(251) + publishMs,
    false,
    ['PromoteRoot'],
  ],
  [
    'a successor unknown to some as time runs out',
    () => ({ current: one, next: two }),
    age(365) - drainMs + 1,
    false,
    ['PromoteRoot'],
  ],
  [
    'a successor with the key of another',
    () => ({ current: one, next: { ...two, key: one.key } }),
    age(251),
    true,
    ['AddNextRoot'],
  ],
  [
    'a predecessor with leaves',
    () => ({ current: two, previous: one.facts, promotedMs: age(252) }),
    age(252) + drainMs - 1,
    true,
    [],
  ],
  [
    'a predecessor without leaves',
    () => ({ current: two, previous: one.facts, promotedMs: age(252) }),
    age(252) + drainMs,
    true,
    ['DropPreviousRoot'],
  ],
  [
    'an expired predecessor',
    () => ({ current: two, previous: one.facts, promotedMs: age(364) }),
    age(366),
    true,
    ['DropPreviousRoot'],
  ],
];

describe('plan: roots', () => {
  test.each(table)('%s', (_, root, nowMs, published, expected) => {
    expect(planned(root(), nowMs, published)).toEqual(expected);
  });
});
