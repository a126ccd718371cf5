import type { BackendOutcome } from '@chaperone/core/control/types.ts';
import type { Condition, Target as TargetResource } from '@chaperone/core/resources/types.ts';
import { type ManualClock, manualClock } from '@chaperone/runtime/clock.ts';
import { beforeEach, describe, expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { BackendReports } from './backend-reports.ts';
import { backendBasis, backendCondition } from './backend-status.ts';
import { wantedStatuses } from './statuses.ts';
import { snapshotOf, stored } from './testing.ts';

type Target = Stored<'Target'>;

const minuteMs = 60_000;
const secret = (resourceVersion = '1', password = 'p'): Stored =>
  stored(
    'Secret',
    'data/s',
    { stringData: { username: 'u', password } },
    { 'chaperone.dev/target': 't' },
    { resourceVersion },
  );
const withAuthorities = { tls: { mode: 'VerifyFull', caRef: { kind: 'ConfigMap', name: 'ca' } } };
const authorities = (name: string): Stored =>
  stored('ConfigMap', 'data/ca', {
    data: { 'ca.crt': `-----BEGIN CERTIFICATE-----\n${name}\n-----END CERTIFICATE-----` },
  });

let clock: ManualClock;
let reports: BackendReports;
let changes: number;
let target: Target;
let others: Stored[];

beforeEach(() => {
  clock = manualClock(Date.UTC(2026, 5, 1));
  reports = new BackendReports(() => clock.nowMs());
  changes = 0;
  reports.start(() => {
    changes += 1;
  });
  target = stored('Target', 'data/t', withAuthorities);
  others = [secret(), authorities('one')];
});

function say(source: string, outcome: BackendOutcome): void {
  reports.add(
    target.metadata.uid,
    backendBasis(target, snapshotOf(...others)).key,
    source,
    outcome,
  );
}

/** Writes what is wanted, as the status controller does, and returns the condition. */
function look(): Condition | undefined {
  const [wanted] = wantedStatuses(snapshotOf(target, ...others), clock.nowMs(), {
    kinds: ['Target'],
    backends: reports,
  });
  if (wanted !== undefined) {
    target = { ...target, status: wanted.patch as NonNullable<TargetResource['status']> };
  }
  return target.status?.conditions?.find(({ type }) => type === backendCondition);
}

const told = (): string | undefined => {
  const condition = look();
  return condition && `${condition.status} ${condition.reason}`;
};

describe('a Target', () => {
  test.each<[string, [string, BackendOutcome][], string | undefined, string]>([
    ['that nobody has tried', [], undefined, ''],
    ['that somebody connects to', [['a', 'Connected']], 'True Reachable', ''],
    [
      'whose certificate nobody trusts',
      [['a', 'CertificateNotTrusted']],
      'False CertificateNotTrusted',
      'the one sidecar or gateway that tried in the last 10 minutes could not connect: the server offers no TLS, or its certificate is not trusted: have ConfigMap ca hold the authority that it comes from, and the certificate be for spec.host',
    ],
    [
      'that takes no login',
      [
        ['a', 'CredentialsRejected'],
        ['b', 'CredentialsRejected'],
      ],
      'False CredentialsRejected',
      'all 2 sidecars and gateways that tried in the last 10 minutes could not connect: the server does not take the login in Secret s: put the user and password',
    ],
    [
      'that some reach',
      [
        ['a', 'Unreachable'],
        ['b', 'Connected'],
        ['c', 'Connected'],
      ],
      'True PartlyReachable',
      '1 of the 3 sidecars and gateways that tried in the last 10 minutes could not connect: nothing answers at db:5432',
    ],
    [
      'of which most say the same',
      [
        ['a', 'Unreachable'],
        ['b', 'SessionsRefused'],
        ['c', 'SessionsRefused'],
      ],
      'False SessionsRefused',
      'max_connections',
    ],
    [
      'that somebody could not reach before',
      [
        ['a', 'Unreachable'],
        ['a', 'Connected'],
      ],
      'True Reachable',
      '',
    ],
    [
      'that somebody could reach before',
      [
        ['a', 'Connected'],
        ['a', 'ServerNotSupported'],
      ],
      'False ServerNotSupported',
      'spec.untestedVersions: Allow',
    ],
  ])('%s', (_, said, expected, message) => {
    for (const [source, outcome] of said) say(source, outcome);
    expect(told()).toBe(expected);
    expect(look()?.message ?? '').toContain(message);
  });

  test('is looked at when somebody says something new, and not when it goes on', () => {
    say('a', 'Unreachable');
    say('a', 'Unreachable');
    expect(changes).toBe(1);
    say('b', 'Unreachable');
    say('a', 'Connected');
    expect(changes).toBe(3);
  });

  test('of which nobody speaks any more is not known after ten minutes, if it was bad', () => {
    say('a', 'CredentialsRejected');
    expect(told()).toBe('False CredentialsRejected');
    clock.advance(10 * minuteMs - 1);
    expect(told()).toBe('False CredentialsRejected');
    clock.advance(1);
    expect(told()).toBe('Unknown NotTriedLately');
    expect(look()?.message).toMatch(/^nobody has connected in the last 10 minutes; before that: /);
    const { message } = look()!;
    clock.advance(60 * minuteMs);
    expect(look()?.message).toBe(message);
    say('a', 'Connected');
    expect(told()).toBe('True Reachable');
  });

  test('that was well is so until somebody says otherwise', () => {
    say('a', 'Connected');
    expect(told()).toBe('True Reachable');
    clock.advance(24 * 60 * minuteMs);
    expect(told()).toBe('True Reachable');
  });

  test.each<[string, () => void]>([
    [
      'a new Secret',
      () => {
        others[0] = secret('2', 'q');
      },
    ],
    [
      'other authorities',
      () => {
        others[1] = authorities('two');
      },
    ],
    [
      'another spec',
      () => {
        target = { ...target, metadata: { ...target.metadata, generation: 2 } };
      },
    ],
  ])('with %s begins anew', (_, change) => {
    say('a', 'CertificateNotTrusted');
    say('b', 'CertificateNotTrusted');
    expect(told()).toBe('False CertificateNotTrusted');
    change();
    expect(told()).toBe('Unknown NotTried');
    expect(told()).toBe('Unknown NotTried');
    say('a', 'Connected');
    expect(told()).toBe('True Reachable');
  });

  test('keeps what another replica found until that is due to be heard again', () => {
    say('a', 'Unreachable');
    expect(told()).toBe('False Unreachable');
    reports.stop();
    expect(told()).toBe('False Unreachable');
    clock.advance(60 * minuteMs);
    expect(told()).toBe('False Unreachable');
    reports = new BackendReports(() => clock.nowMs());
    reports.start(() => {});
    expect(told()).toBe('False Unreachable');
    clock.advance(10 * minuteMs);
    expect(told()).toBe('Unknown NotTriedLately');
  });

  test('whose Secret or spec changed while nobody took reports begins anew', () => {
    say('a', 'CredentialsRejected');
    expect(told()).toBe('False CredentialsRejected');
    reports = new BackendReports(() => clock.nowMs());
    reports.start(() => {});
    others[0] = secret('2', 'q');
    expect(told()).toBe('Unknown NotTried');
  });

  test('is written again for numbers alone twice a minute at most', () => {
    say('a', 'Unreachable');
    const first = look()!.message;
    say('b', 'Unreachable');
    expect(look()!.message).toBe(first);
    clock.advance(30_000);
    expect(look()!.message).toContain('all 2 sidecars');
    // What changes more than numbers is written at once.
    say('c', 'Connected');
    expect(told()).toBe('True PartlyReachable');
  });

  test('costs as much memory as two hundred reports, whoever reports', () => {
    for (let at = 0; at < 1000; at += 1) say(`pod-${at}`, 'Unreachable');
    expect(look()!.message).toContain('all 200 sidecars');
  });

  test('that is gone is forgotten', () => {
    say('a', 'Unreachable');
    const { key } = backendBasis(target, snapshotOf(...others));
    wantedStatuses(snapshotOf(...others), clock.nowMs(), { backends: reports });
    expect(reports.tally(target.metadata.uid, key)).toBeUndefined();
  });
});

test('where nobody takes reports, nothing is said', () => {
  const [wanted] = wantedStatuses(snapshotOf(target, ...others), clock.nowMs(), {});
  const types = (wanted!.patch.conditions as Condition[]).map(({ type }) => type);
  expect(types).toEqual(['Ready', 'CredentialsResolved']);
});
