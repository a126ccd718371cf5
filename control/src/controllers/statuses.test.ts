import { manualClock } from '@chaperone/runtime/clock.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { Stored } from '../store/resource-store.ts';
import { type TestDirectory, testDirectory } from '../store/testing.ts';
import { governanceRules } from './host-rules.ts';
import { startStatusController } from './status-controller.ts';
import { wantedStatuses } from './statuses.ts';
import { snapshotOf, stored } from './testing.ts';

const nowMs = Date.UTC(2026, 5, 1);
const refs = (namespace?: string) => ({
  targetRefs: [{ name: 't', ...(namespace && { namespace }) }],
});
const target = (spec = {}): Stored => stored('Target', 'data/t', spec);
const secret = (labels: Record<string, string> = { 'chaperone.dev/target': 't' }): Stored =>
  stored('Secret', 'data/s', { stringData: { username: 'u', password: 'p' } }, labels);
const allow = [{ name: 'r', action: 'Allow', classes: ['Read'], resources: ['**'] }];
const deny = [{ name: 'r', action: 'Deny', classes: ['Read'], resources: ['**'] }];

/** `Ready: False SecretNotFound` for each condition of the first object. */
function conditions(object: Stored, ...others: Stored[]): string[] {
  const found = wantedStatuses(snapshotOf(object, ...others), nowMs).find(
    (wanted) => wanted.object === object,
  );
  const list = found?.patch.conditions as { type: string; status: string; reason: string }[];
  return list.map(({ type, status, reason }) => `${type}: ${status} ${reason}`);
}

describe('wantedStatuses', () => {
  const calm = [
    'Expiring: False NoExpiry',
    'ReviewDue: False NoReview',
    'Conflict: False NoConflict',
  ];
  const identity = (spec = {}, meta = {}): Stored =>
    stored('MachineIdentity', 'pay/a', spec, {}, meta);

  test.each<[string, Stored, Stored[], string[]]>([
    ['a plain identity', identity(), [], ['Ready: True Ready', ...calm]],
    ['a suspended one', identity({ suspended: true }), [], ['Ready: False Suspended', ...calm]],
    [
      'one that expires in 14 days',
      identity({ expiresAt: '2026-06-15T00:00:00Z' }),
      [],
      ['Ready: True Ready', 'Expiring: True ExpiresSoon', ...calm.slice(1)],
    ],
    [
      'one that expires later',
      identity({ expiresAt: '2026-06-15T00:00:01Z' }),
      [],
      ['Ready: True Ready', 'Expiring: False NotSoon', ...calm.slice(1)],
    ],
    [
      'one that has expired',
      identity({ expiresAt: '2026-06-01T00:00:00Z' }),
      [],
      ['Ready: False Expired', 'Expiring: True Expired', ...calm.slice(1)],
    ],
    [
      'one to be reviewed',
      identity({ review: { every: '2160h' } }),
      [],
      ['Ready: True Ready', calm[0]!, 'ReviewDue: True Overdue', calm[2]!],
    ],
    [
      'one just reviewed',
      identity(
        { review: { every: '2160h' } },
        { annotations: { 'chaperone.dev/reviewed-at': '2026-05-01T00:00:00Z' } },
      ),
      [],
      ['Ready: True Ready', calm[0]!, 'ReviewDue: False NotDue', calm[2]!],
    ],
    [
      'one reviewed ahead of time',
      identity(
        { review: { every: '2160h' } },
        { annotations: { 'chaperone.dev/reviewed-at': '2999-01-01T00:00:00Z' } },
      ),
      [],
      ['Ready: True Ready', calm[0]!, 'ReviewDue: True Overdue', calm[2]!],
    ],
    [
      'one whose subject an older one has',
      identity(),
      [stored('MachineIdentity', 'pay/z', {}, {}, { creationTimestamp: '2025-01-01T00:00:00Z' })],
      ['Ready: False SubjectConflict', calm[0]!, calm[1]!, 'Conflict: True SubjectTaken'],
    ],
    [
      'one whose subject a younger one claims',
      identity(),
      [stored('MachineIdentity', 'pay/z', {}, {}, { creationTimestamp: '2026-02-01T00:00:00Z' })],
      ['Ready: True Ready', ...calm],
    ],

    [
      'a target with its credential',
      target(),
      [secret()],
      ['Ready: True Ready', 'CredentialsResolved: True Resolved'],
    ],
    [
      'a target that observes',
      target({ enforcement: 'Observe' }),
      [secret()],
      ['Ready: True Observing', 'CredentialsResolved: True Resolved'],
    ],
    [
      'a target without Secret',
      target(),
      [],
      ['Ready: False SecretNotFound', 'CredentialsResolved: False SecretNotFound'],
    ],
    [
      'a target with another one’s Secret',
      target(),
      [secret({ 'chaperone.dev/target': 'other' })],
      ['Ready: False SecretTaken', 'CredentialsResolved: False SecretTaken'],
    ],
    [
      'a target with a Secret for no target',
      target(),
      [secret({})],
      ['Ready: False SecretNotMarked', 'CredentialsResolved: False SecretNotMarked'],
    ],
    [
      'a target without its CA',
      target({ tls: { caRef: { name: 'ca' } } }),
      [secret()],
      ['Ready: False CANotFound', 'CredentialsResolved: True Resolved'],
    ],

    [
      'a policy',
      stored('AccessPolicy', 'data/p', { ...refs(), rules: allow }),
      [target()],
      ['Ready: True Ready', 'Accepted: True Accepted'],
    ],
    [
      'a policy without target',
      stored('AccessPolicy', 'data/p', { ...refs(), rules: allow }),
      [],
      ['Ready: False TargetNotFound', 'Accepted: False TargetNotFound'],
    ],
    [
      'a policy whose selector matches nothing',
      stored('AccessPolicy', 'data/p', {
        targetRefs: undefined,
        selector: { matchLabels: { a: 'b' } },
      }),
      [target()],
      ['Ready: False TargetNotFound', 'Accepted: False TargetNotFound'],
    ],
    [
      'a policy that may not grant',
      stored('AccessPolicy', 'pay/p', { ...refs('data'), rules: allow }),
      [target()],
      ['Ready: False NotPermitted', 'Accepted: False NotPermitted'],
    ],
    [
      'a policy that only denies elsewhere',
      stored('AccessPolicy', 'pay/p', { ...refs('data'), rules: deny }),
      [target()],
      ['Ready: True Ready', 'Accepted: True Accepted'],
    ],
    [
      'a policy that denies identities of others elsewhere',
      stored('AccessPolicy', 'pay/p', {
        ...refs('data'),
        subjects: { identities: [{ namespace: 'other', name: 'report' }] },
        rules: deny,
      }),
      [target()],
      ['Ready: False NotPermitted', 'Accepted: False NotPermitted'],
    ],
    [
      'a policy whose condition does not compile',
      stored('AccessPolicy', 'data/p', { ...refs(), rules: [{ ...allow[0], when: 'nonsense(' }] }),
      [target()],
      ['Ready: False InvalidCondition', 'Accepted: False InvalidCondition'],
    ],

    [
      'a mask',
      stored('MaskingRule', 'data/m', refs()),
      [target()],
      ['Ready: True Ready', 'Accepted: True Accepted'],
    ],
    [
      'a mask that does not count',
      stored('MaskingRule', 'pay/m', refs('data')),
      [target()],
      ['Ready: False NotPermitted', 'Accepted: False NotPermitted'],
    ],
    [
      'a mask without its key',
      stored('MaskingRule', 'data/m', {
        ...refs(),
        transform: { type: 'Hash' },
        keyRef: { name: 'k' },
      }),
      [target()],
      ['Ready: False KeyNotFound', 'Accepted: False KeyNotFound'],
    ],
  ])('%s', (_, object, others, expected) => {
    expect(conditions(object, ...others)).toEqual(expected);
  });

  test('the time of a transition stays while the status does', () => {
    const first = wantedStatuses(snapshotOf(target()), nowMs)[0]!;
    const before = { ...target(), status: first.patch } as Stored;
    expect(wantedStatuses(snapshotOf(before), nowMs + 1000)).toEqual([]);
    const [after] = wantedStatuses(snapshotOf(before, secret({})), nowMs + 1000);
    const transitions = (after!.patch.conditions as { lastTransitionTime: string }[]).map(
      ({ lastTransitionTime }) => lastTransitionTime,
    );
    expect(transitions).toEqual([new Date(nowMs).toISOString(), new Date(nowMs).toISOString()]);
  });
});

describe('wantedStatuses with rules', () => {
  const rules = governanceRules({
    clusterDomain: 'cluster.local',
    allowedHosts: [],
    oidcIssuers: ['pay=https://bound.example.com'],
    foreignTargets: 'ByLabel',
  });
  const ready = (object: Stored, ...others: Stored[]): string => {
    const wanted = wantedStatuses(snapshotOf(object, ...others), nowMs, { rules });
    const list = wanted.find((one) => one.object === object)?.patch.conditions;
    const found = (list as { type: string; status: string; reason: string; message: string }[])[0]!;
    return `${found.status} ${found.reason}: ${found.message}`;
  };
  const host = 'db.data.svc.cluster.local';

  test('a target says whose its host is', () => {
    expect(ready(target({ host }), secret())).toMatch(/^True Ready/);
    expect(ready(target({ host: 'db.pay.svc' }), secret())).toMatch(
      /^False HostNotAllowed: db\.pay/,
    );
    expect(ready(target({ host, aliases: ['kubernetes'] }), secret())).toMatch(
      /^False HostNotAllowed: kubernetes is the API server/,
    );
    const older = stored(
      'Target',
      'data/old',
      { host },
      {},
      { creationTimestamp: '2020-01-01T00:00:00Z' },
    );
    expect(ready(target({ host }), secret(), older)).toMatch(
      /^False HostTaken: Target data\/old has db\.data\.svc\.cluster\.local:5432 in namespaces data \(/,
    );
    expect(ready(older, secret(), target({ host }))).toMatch(
      /^False SecretTaken: Secret s is marked for Target t: make a Secret of its own for old/,
    );
  });

  const token = (issuer: string) => ({ oidc: { issuer, audience: 'a', match: { ref: 'm' } } });
  const bound = token('https://bound.example.com');
  const unbound = token('https://other.example.com');

  test.each<[string, object[], RegExp]>([
    ['its issuer bound', [bound], /^True Ready: it can be used$/],
    [
      'no issuer bound',
      [unbound],
      /^False IssuerNotBound: spec\.subjects\[0\].*pay=https:\/\/other/,
    ],
    ['one of two bound', [bound, unbound], /^True Ready: it can be used, but spec\.subjects\[1\]/],
  ])('an identity with %s', (_, subjects, expected) => {
    expect(ready(stored('MachineIdentity', 'pay/a', { subjects }))).toMatch(expected);
  });

  test('a claim that is not bound takes nothing from one that is', () => {
    const older = { creationTimestamp: '2020-01-01T00:00:00Z' };
    const thief = stored('MachineIdentity', 'evil/a', { subjects: [bound] }, {}, older);
    expect(ready(stored('MachineIdentity', 'pay/a', { subjects: [bound] }), thief)).toMatch(
      /^True/,
    );
  });

  test('one kind alone is written, and bound pods are counted where they are known', () => {
    const identity = stored('MachineIdentity', 'pay/a');
    const snapshot = snapshotOf(identity, target({ host }));
    const wanted = wantedStatuses(snapshot, nowMs, {
      kinds: ['MachineIdentity'],
      boundPods: () => 3,
    });
    expect(wanted.map(({ object }) => object.kind)).toEqual(['MachineIdentity']);
    expect(wanted[0]!.patch.boundPods).toBe(3);
  });
});

describe('startStatusController', () => {
  let directory: TestDirectory;
  afterEach(async () => directory.close());

  test('writes once, does not chase its own writes, and notices what comes due', async () => {
    directory = testDirectory({
      'a.yaml': `apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: a, namespace: pay }
spec:
  owner: { team: t }
  purpose: p
  subjects: [ { serviceAccount: { name: a } } ]
  expiresAt: 2026-01-01T00:00:30Z
`,
    });
    const store = await directory.open();
    const clock = manualClock();
    const controller = startStatusController({
      store,
      clock,
      onError(error) {
        throw error;
      },
    });
    await controller.settled();
    const get = async () => (await store.get('MachineIdentity', 'pay', 'a'))!;
    const first = await get();
    expect(first.status?.conditions?.[0]).toMatchObject({ type: 'Ready', status: 'True' });
    expect(first.status?.observedGeneration).toBe(1);
    clock.advance(60_000);
    await controller.settled();
    const second = await get();
    expect(second.status?.conditions?.[0]).toMatchObject({ status: 'False', reason: 'Expired' });
    clock.advance(60_000);
    await controller.settled();
    expect((await get()).metadata.resourceVersion).toBe(second.metadata.resourceVersion);
    controller.stop();
    expect(clock.pendingTimers()).toBe(0);
  });
});
