import { describe, expect, test } from '@jest/globals';
import { addressKey } from './address-key.ts';
import { FairSlots, type Release } from './fair-slots.ts';
import { RateLimits } from './rate-limits.ts';

/** What came of each asker, in the order of coming: its release, undefined for one turned away, or `waits`. */
function askers(slots: FairSlots) {
  const outcomes: (Release | undefined | 'waits')[] = [];
  return {
    outcomes,
    ask(...keys: string[]) {
      for (const key of keys) {
        const at = outcomes.push('waits') - 1;
        void slots.acquire(key).then((release) => {
          outcomes[at] = release;
        });
      }
    },
    async states() {
      await new Promise((resolve) => setImmediate(resolve));
      return outcomes.map((outcome) =>
        outcome === 'waits' ? 'waits' : outcome === undefined ? 'none' : 'has',
      );
    },
    release(at: number) {
      (outcomes[at] as Release)();
    },
  };
}

describe('fair slots', () => {
  test('one key takes no more than its share, and the rest is there for others', async () => {
    const all = askers(new FairSlots({ slots: 3, perKey: 2, waiting: 10 }));
    all.ask('a', 'a', 'a', 'b');
    expect(await all.states()).toEqual(['has', 'has', 'waits', 'has']);
    all.release(0);
    expect(await all.states()).toEqual(['has', 'has', 'has', 'has']);
  });

  test('who waits has its turn by key', async () => {
    const all = askers(new FairSlots({ slots: 1, perKey: 1, waiting: 10 }));
    all.ask('a', 'a', 'a', 'b');
    expect(await all.states()).toEqual(['has', 'waits', 'waits', 'waits']);
    all.release(0);
    expect(await all.states()).toEqual(['has', 'has', 'waits', 'waits']);
    all.release(1);
    expect(await all.states()).toEqual(['has', 'has', 'waits', 'has']);
    all.release(3);
    expect(await all.states()).toEqual(['has', 'has', 'has', 'has']);
  });

  test('when too many wait, whoever has the most of them loses its last', async () => {
    const all = askers(new FairSlots({ slots: 1, perKey: 1, waiting: 2 }));
    all.ask('a', 'a', 'a', 'a', 'b');
    expect(await all.states()).toEqual(['has', 'waits', 'none', 'none', 'waits']);
  });

  test('a slot is given back once, however often that is said', async () => {
    const all = askers(new FairSlots({ slots: 1, perKey: 1, waiting: 10 }));
    all.ask('a', 'b', 'c');
    await all.states();
    all.release(0);
    all.release(0);
    expect(await all.states()).toEqual(['has', 'has', 'waits']);
  });
});

describe('rates', () => {
  test('a burst, then what comes back; one key does not spend for another', () => {
    const limits = new RateLimits({ burst: 2, perSecond: 1 });
    expect([0, 0, 0, 999, 1000, 1500].map((ms) => limits.take('a', ms))).toEqual([
      ...[true, true, false, false, true, false],
    ]);
    expect(limits.take('b', 1500)).toBe(true);
  });

  test('a pause earns no more than a burst', () => {
    const limits = new RateLimits({ burst: 2, perSecond: 1 });
    limits.take('a', 0);
    expect([1, 2, 3].map(() => limits.take('a', 1_000_000))).toEqual([true, true, false]);
  });
});

test.each([
  ['10.0.0.1', '10.0.0.1'],
  ['::ffff:10.0.0.1', '10.0.0.1'],
  ['2001:db8::1', '2001:db8:0:0::/64'],
  ['2001:db8:0:0:ffff::1', '2001:db8:0:0::/64'],
  ['2001:DB8:0:1:2:3:4:5', '2001:db8:0:1::/64'],
  ['fe80::1%eth0', 'fe80:0:0:0::/64'],
  ['::1', '0:0:0:0::/64'],
  ['fd00:1:2:3::a', 'fd00:1:2:3:0:0:0:a'],
  ['FC00:1:2:3:0::B', 'fc00:1:2:3:0:0:0:b'],
  ['fc::1', 'fc:0:0:0::/64'],
  ['unix', 'unix'],
])('%s has the share of %s', (address, key) => {
  expect(addressKey(address)).toBe(key);
});
