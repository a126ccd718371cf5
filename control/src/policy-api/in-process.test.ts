import { ControlRefusal, type LeaseTarget } from '@chaperone/core/control/types.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { afterEach, describe, expect, test } from '@jest/globals';
import type { DirectoryStore } from '../store/directory-store.ts';
import type { Stored } from '../store/resource-store.ts';
import { type TestDirectory, testDirectory } from '../store/testing.ts';
import { TicketStore } from '../tickets/ticket-store.ts';
import { createInProcessControl, type InProcessControl } from './in-process.ts';

const identities = `
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: payments }
spec:
  owner: { team: payments }
  purpose: Reports
  subjects: [ { serviceAccount: { name: report } } ]
  expiresAt: 2999-01-01T00:00:00Z
---
apiVersion: chaperone.dev/v1alpha1
kind: MachineIdentity
metadata: { name: report, namespace: closed }
spec:
  owner: { team: closed }
  purpose: Not let in
  subjects: [ { serviceAccount: { name: report } } ]
`;
const target = (extra = ''): string => `
apiVersion: chaperone.dev/v1alpha1
kind: Target
metadata: { name: orders, namespace: data }
spec:
  protocol: PostgreSQL
  host: localhost
  tls: { mode: Disable }
  credentials: { secretRef: { name: orders } }
  allowedNamespaces:
    from: Selector
    selector: { matchLabels: { kubernetes.io/metadata.name: payments } }
${extra}
---
apiVersion: v1
kind: Secret
metadata: { name: orders, namespace: data, labels: { chaperone.dev/target: orders } }
stringData: { username: app, password: "s3cret value" }
`;
const policy = (rule: string): string => `
apiVersion: chaperone.dev/v1alpha1
kind: AccessPolicy
metadata: { name: reports, namespace: data }
spec:
  subjects: { namespaces: [payments] }
  targetRefs: [ { name: orders } ]
  rules:
  - { name: ${rule}, action: Allow, classes: [Read], resources: ["shop.**"] }
`;

const leaseOf = ({ metadata, spec: { host, port } }: Stored<'Target'>): LeaseTarget => ({
  uid: metadata.uid,
  generation: metadata.generation,
  host,
  port,
  tls: { mode: 'Disable' },
});

describe('the in-process control plane', () => {
  let directory: TestDirectory;
  let control: InProcessControl;
  let tickets: TicketStore;
  let store: DirectoryStore;

  async function start(files: Record<string, string> = {}): Promise<void> {
    directory = testDirectory({
      'identities.yaml': identities,
      'target.yaml': target(),
      'policy.yaml': policy('read'),
      ...files,
    });
    store = await directory.open();
    tickets = new TicketStore(directory.database, Date.now);
    control = createInProcessControl({
      store,
      tickets,
      installationKey: directory.key,
      nowMs: Date.now,
      onError(error) {
        throw error;
      },
    });
    const identity = await store.get('MachineIdentity', 'payments', 'report');
    identityUid = identity!.metadata.uid;
    orders = control.targets()[0]!;
  }
  let identityUid: string;
  let orders: Stored<'Target'>;

  const ticketFor = (uid: string): string =>
    tickets.create(
      {
        identity: { uid, namespace: 'payments', name: 'report' },
        target: { uid: orders.metadata.uid, namespace: 'data', name: 'orders' },
      },
      60_000,
    ).secret;

  /** The next bundle that comes by subscription. */
  const nextBundle = (): Promise<PolicyBundle | undefined> =>
    new Promise((resolve) => {
      const stop = control.subscribe(identityUid, (bundle) => {
        stop();
        resolve(bundle);
      });
    });

  afterEach(async () => {
    control.close();
    await directory.close();
  });

  test('a ticket proves its identity, by name where only one is let in, or with its namespace', async () => {
    await start();
    const secret = ticketFor(identityUid);
    for (const user of ['report', 'payments/report']) {
      const caller = await control.authenticate(user, secret, orders.metadata.uid);
      expect(caller).toMatchObject({
        identityUid,
        proof: { method: 'Ticket', ticket: secret.slice(5, 21) },
      });
      expect(caller.sessionEndsMs).toBeGreaterThan(Date.now());
    }
  });

  test('every wrong proof gets the same refusal', async () => {
    await start();
    const secret = ticketFor(identityUid);
    const wrong: [string, string, string][] = [
      ['report', secret.replace(/.$/, (last) => (last === '0' ? '1' : '0')), orders.metadata.uid],
      ['report', 'chpt_0000000000000000_'.padEnd(86, '0'), orders.metadata.uid],
      ['report', '', orders.metadata.uid],
      ['nobody', secret, orders.metadata.uid],
      ['closed/report', secret, orders.metadata.uid],
      ['report', secret, identityUid],
    ];
    const refusals = await Promise.all(
      wrong.map((proof) => control.authenticate(...proof).catch((error: unknown) => error)),
    );
    for (const refusal of refusals) {
      expect(refusal).toBeInstanceOf(ControlRefusal);
      expect(refusal).toEqual(refusals[0]);
    }
  });

  test('a name that two let-in identities share needs its namespace', async () => {
    await start({ 'target.yaml': target().replace(/from: Selector\n.*\n/, 'from: All\n') });
    const other = (await store.get('MachineIdentity', 'closed', 'report'))!.metadata.uid;
    for (const [uid, user] of [
      [identityUid, 'payments/report'],
      [other, 'closed/report'],
    ] as const) {
      const secret = ticketFor(uid);
      await expect(control.authenticate('report', secret, orders.metadata.uid)).rejects.toThrow();
      await control.authenticate(user, secret, orders.metadata.uid);
    }
  });

  test('a changed policy is pushed with a higher version, an unchanged one is not', async () => {
    await start();
    const before = control.bundle(identityUid)!;
    expect(before.targets[0]!.rules.map(({ ref }) => ref.rule)).toEqual(['read']);
    const pushed: (PolicyBundle | undefined)[] = [];
    const stop = control.subscribe(identityUid, (bundle) => pushed.push(bundle));
    const next = nextBundle();
    directory.write('unrelated.yaml', identities.replaceAll('report', 'other'));
    directory.write('policy.yaml', policy('read-more'));
    const after = (await next)!;
    expect(after.targets[0]!.rules.map(({ ref }) => ref.rule)).toEqual(['read-more']);
    expect(after.version).toBeGreaterThan(before.version);
    expect(after.digest).not.toBe(before.digest);
    expect(pushed).toEqual([after]);
    expect(control.bundle(identityUid)).toBe(after);
    stop();
  });

  test('a deleted identity has no bundle, and its subscribers are told', async () => {
    await start();
    expect(control.bundle(identityUid)).toBeDefined();
    const next = nextBundle();
    directory.remove('identities.yaml');
    expect(await next).toBeUndefined();
    expect(control.bundle(identityUid)).toBeUndefined();
  });

  test('a suspended identity is told by its bundle and gets no lease', async () => {
    await start();
    const next = nextBundle();
    directory.write(
      'identities.yaml',
      identities.replace('purpose: Reports', 'purpose: Reports\n  suspended: true'),
    );
    expect((await next)?.identity.suspended).toBe(true);
    await expect(control.lease(identityUid, leaseOf(orders))).rejects.toMatchObject({
      code: 'CHP-2002',
    });
  });

  test('a lease is the Secret that the target names, with its version', async () => {
    await start();
    const lease = await control.lease(identityUid, leaseOf(orders));
    expect(lease).toMatchObject({ name: 'orders', username: 'app', password: 's3cret value' });
    expect(Number(lease.version)).toBeGreaterThan(0);
  });

  test.each([
    [
      'a Secret not marked for the target',
      (text: string) => text.replace('chaperone.dev/target: orders', 'a: b'),
      'CHP-2010',
    ],
    [
      'a Secret without the key',
      (text: string) => text.replace('password:', 'passwort:'),
      'CHP-2010',
    ],
    [
      'a Secret that does not exist',
      (text: string) =>
        text.replace(
          'name: orders, namespace: data, labels',
          'name: orders2, namespace: data, labels',
        ),
      'CHP-2010',
    ],
    [
      'authorities that do not resolve',
      (text: string) => text.replace('{ mode: Disable }', '{ caRef: { name: missing } }'),
      'CHP-2013',
    ],
    [
      'a target closed to the namespace',
      (text: string) => text.replace('name: payments', 'name: elsewhere'),
      'CHP-2012',
    ],
  ])('no lease with %s', async (_, change, code) => {
    await start({ 'target.yaml': change(target()) });
    const refusal = await control
      .lease(identityUid, leaseOf(orders))
      .catch((error: unknown) => error as Error);
    expect(refusal).toMatchObject({ code });
    expect(JSON.stringify(refusal)).not.toContain('s3cret');
  });

  test('a credential is lent for the Target of now, not for the one that a session heard of before', async () => {
    await start();
    const target = leaseOf(orders);
    await expect(control.lease(identityUid, target)).resolves.toMatchObject({ name: 'orders' });
    const before = { ...target, generation: target.generation - 1 };
    await expect(control.lease(identityUid, before)).rejects.toMatchObject({ code: 'CHP-2014' });
  });

  test('a rotated Secret is lent at once, under a new version', async () => {
    await start();
    const before = await control.lease(identityUid, leaseOf(orders));
    const changed = new Promise<void>((resolve) => {
      const poll = (): void => {
        void control.lease(identityUid, leaseOf(orders)).then(({ password }) => {
          if (password === 'new') resolve();
          else setImmediate(poll);
        });
      };
      poll();
    });
    directory.write('target.yaml', target().replace('"s3cret value"', 'new'));
    await changed;
    const after = await control.lease(identityUid, leaseOf(orders));
    expect(after.version).not.toBe(before.version);
  });
});
