import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import { describe, expect, test } from '@jest/globals';
import { governanceRules } from '../controllers/host-rules.ts';
import { snapshotOf, stored } from '../controllers/testing.ts';
import type { Stored } from '../store/resource-store.ts';
import { bundleFor } from './bundle.ts';

const key = Buffer.alloc(32, 1);
const identity = stored('MachineIdentity', 'pay/report', { groups: ['g'] });
const target = stored('Target', 'data/t', {
  allowedNamespaces: { from: 'All' },
  policyNamespaces: ['sec'],
});
const rule = (name: string, action: string, extra: Record<string, unknown> = {}) => ({
  name,
  action,
  classes: ['Read'],
  resources: ['**'],
  ...extra,
});
const approval = { approval: { approvers: { groups: ['dba'] } } };
const refs = { targetRefs: [{ name: 't', namespace: 'data' }] };
const bundle = (...objects: Stored[]): PolicyBundle =>
  bundleFor(identity, snapshotOf(identity, target, ...objects), key, undefined);
const secret = (name: string, data: Record<string, string>, labels = {}): Stored<'Secret'> =>
  stored('Secret', name, { stringData: data }, labels);

describe('bundleFor', () => {
  test('holds the targets open to the identity and nothing of the others', () => {
    const closed = stored('Target', 'data/closed', { host: 'secret-host' });
    const made = bundle(closed, stored('MachineIdentity', 'pay/other', { purpose: 'else' }));
    expect(made.targets.map((one) => one.target.name)).toEqual(['t']);
    expect(JSON.stringify(made)).not.toMatch(/secret-host|else/);
    expect(made).toMatchObject({
      bundleVersion: 1,
      version: 7,
      digest: expect.stringMatching(/^[0-9a-f]{64}$/),
      identity: { uid: identity.metadata.uid, suspended: false, groups: ['g'] },
    });
  });

  test('holds all rules of who may grant, and of others the Denies alone', () => {
    const rules = [rule('a', 'Allow'), rule('d', 'Deny'), rule('r', 'RequireApproval', approval)];
    const made = bundle(
      stored('AccessPolicy', 'data/own', { ...refs, rules }),
      stored('AccessPolicy', 'sec/named', { ...refs, rules }),
      stored('AccessPolicy', 'pay/foreign', { ...refs, rules }),
      stored('AccessPolicy', 'data/elsewhere', { targetRefs: [{ name: 'x' }], rules }),
      stored('AccessPolicy', 'data/nobody', { ...refs, subjects: undefined, rules }),
    );
    expect(
      made.targets[0]!.rules.map(({ ref }) => `${ref.namespace}/${ref.object}/${ref.rule}`),
    ).toEqual([
      'data/own/a',
      'data/own/d',
      'data/own/r',
      'pay/foreign/d',
      'sec/named/a',
      'sec/named/d',
      'sec/named/r',
    ]);
  });

  test('holds Denies from elsewhere for identities of their own namespace alone', () => {
    const rules = [rule('d', 'Deny')];
    const subjects = { identities: [{ namespace: 'pay', name: 'report' }], namespaces: ['pay'] };
    const made = bundle(
      stored('AccessPolicy', 'other/hostile', { ...refs, subjects, rules }),
      stored('AccessPolicy', 'pay/careful', { ...refs, subjects, rules }),
    );
    expect(made.targets[0]!.rules.map(({ ref }) => `${ref.namespace}/${ref.object}`)).toEqual([
      'pay/careful',
    ]);
  });

  test('carries a rule whole', () => {
    const made = bundle(
      stored(
        'AccessPolicy',
        'data/own',
        {
          ...refs,
          mode: 'DryRun',
          rules: [
            rule('a', 'Allow', {
              verbs: ['CopyOut'],
              columns: { except: ['c'] },
              when: 'statement.hasWhere',
              limits: { rowsPerHour: 5 },
            }),
            rule('b', 'Allow', { limits: { rowsPerStatement: 5 } }),
          ],
        },
        {},
        { generation: 4 },
      ),
    );
    expect(made.targets[0]!.rules).toEqual([
      {
        ref: { kind: 'AccessPolicy', namespace: 'data', object: 'own', rule: 'a', generation: 4 },
        mode: 'DryRun',
        action: 'Allow',
        classes: ['Read'],
        verbs: ['CopyOut'],
        resources: ['**'],
        columns: { except: ['c'] },
        when: 'statement.hasWhere',
        limits: { rowsPerHour: 5, onExceed: 'Deny', scope: 'Identity' },
      },
      expect.objectContaining({ limits: { rowsPerStatement: 5, onExceed: 'Deny', scope: 'Pod' } }),
    ]);
  });

  test('masks and exemptions count from who may grant alone', () => {
    const exemptions = [
      {
        identities: [{ name: 'report', namespace: 'pay' }],
        reason: 'r',
        ticket: 'T-1',
        expiresAt: '2030-01-01T00:00:00Z',
      },
      {
        identities: [{ name: 'report', namespace: 'other' }],
        reason: 'not ours',
        expiresAt: '2030-01-01T00:00:00Z',
      },
    ];
    const made = bundle(
      stored('MaskingRule', 'data/own', { ...refs, exemptions }),
      stored('MaskingRule', 'sec/named', refs),
      stored('MaskingRule', 'pay/foreign', { ...refs, exemptions }),
    );
    expect(made.targets[0]!.masks.map(({ ref, exemptions: own }) => [ref.object, own])).toEqual([
      ['own', [{ reason: 'r', ticket: 'T-1', expiresAt: '2030-01-01T00:00:00Z' }]],
      ['named', []],
    ]);
  });

  describe('keys of Hash and Pseudonym', () => {
    const hash = (spec: Record<string, unknown> = {}): Stored<'MaskingRule'> =>
      stored('MaskingRule', 'data/m', { ...refs, transform: { type: 'Hash' }, ...spec });
    const keyOf = (made: PolicyBundle): string | undefined => made.targets[0]!.masks[0]!.key;
    const good = secret(
      'data/k',
      { key: 'sixteen bytes or more' },
      { 'chaperone.dev/use': 'MaskingKey' },
    );

    test('come from the installation’s key, one for each target', () => {
      const other = stored('Target', 'data/t2', { allowedNamespaces: { from: 'All' } });
      const both = hash({ targetRefs: [{ name: 't' }, { name: 't2' }] });
      const made = bundle(other, both);
      const keys = made.targets.map(({ masks }) => masks[0]!.key);
      expect(new Set(keys).size).toBe(2);
      for (const one of keys) expect(Buffer.from(one!, 'base64')).toHaveLength(32);
      expect(
        bundleFor(identity, snapshotOf(identity, target, both), Buffer.alloc(32, 2), undefined)
          .targets[0]!.masks[0]!.key,
      ).not.toBe(keys[0]);
    });

    test('come from keyRef where it is given, and stay when the target is made anew', () => {
      const made = bundle(hash({ keyRef: { name: 'k' } }), good);
      expect(keyOf(made)).toBeDefined();
      expect(keyOf(made)).not.toBe(keyOf(bundle(hash())));
      const anew = { ...target, metadata: { ...target.metadata, uid: 'another' } };
      const again = bundleFor(
        identity,
        snapshotOf(identity, anew, hash({ keyRef: { name: 'k' } }), good),
        key,
        undefined,
      );
      expect(keyOf(again)).toBe(keyOf(made));
    });

    test.each<[string, Stored[]]>([
      ['does not exist', []],
      ['is not marked', [secret('data/k', { key: 'sixteen bytes or more' })]],
      ['is too short', [secret('data/k', { key: 'short' }, { 'chaperone.dev/use': 'MaskingKey' })]],
      [
        'lies in another namespace',
        [secret('sec/k', { key: 'sixteen bytes or more' }, { 'chaperone.dev/use': 'MaskingKey' })],
      ],
    ])('values are redacted where the key %s', (_, secrets) => {
      const made = bundle(hash({ keyRef: { name: 'k' } }), ...secrets);
      expect(made.targets[0]!.masks[0]).toMatchObject({ transform: { type: 'Redact' } });
      expect(keyOf(made)).toBeUndefined();
    });
  });

  test('authorities that do not resolve verify nothing, rather than the system’s', () => {
    const of = (objects: Stored[]): string | undefined => {
      const own = stored('Target', 'data/t', {
        tls: { caRef: { name: 'ca' } },
        allowedNamespaces: { from: 'All' },
      });
      return bundleFor(identity, snapshotOf(identity, own, ...objects), key, undefined).targets[0]!
        .target.tls.ca;
    };
    const pem = '-----BEGIN CERTIFICATE-----\nAA==\n-----END CERTIFICATE-----\n';
    expect(of([stored('ConfigMap', 'data/ca', { data: { 'ca.crt': pem } })])).toBe(pem);
    for (const objects of [[], [stored('ConfigMap', 'data/ca', { data: { 'ca.crt': '' } })]]) {
      expect(of(objects)).toMatch(/./);
      expect(of(objects)).not.toContain('BEGIN');
    }
    const both = `-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n${pem}${pem}`;
    expect(of([stored('ConfigMap', 'data/ca', { data: { 'ca.crt': both } })])).toBe(pem + pem);
    const huge = pem.repeat(5000);
    expect(of([stored('ConfigMap', 'data/ca', { data: { 'ca.crt': huge } })])).not.toContain('--');
  });

  test('of several session settings the strictest hold, those of DryRun and of strangers not', () => {
    const policy = (path: string, session: Record<string, unknown>, mode = 'Enforce'): Stored =>
      stored('AccessPolicy', path, { ...refs, mode, session });
    expect(bundle().targets[0]!.session).toEqual({
      recording: 'Statements',
      durability: 'Process',
    });
    expect(bundle(policy('data/a', { recording: 'Metadata' })).targets[0]!.session).toEqual({
      recording: 'Metadata',
      durability: 'Process',
    });
    expect(
      bundle(
        policy('data/a', { recording: 'Metadata', maxDuration: '8h', durability: 'Disk' }),
        policy('data/b', { recording: 'Full', maxDuration: '1h30m', idleTimeout: '90s' }),
        policy('data/c', { maxDuration: '1s', durability: 'Collector' }, 'DryRun'),
        policy('pay/d', { maxDuration: '2s' }),
      ).targets[0]!.session,
    ).toEqual({
      recording: 'Full',
      durability: 'Disk',
      maxDurationMs: 5_400_000,
      idleTimeoutMs: 90_000,
    });
  });

  test('the digest changes with what the identity may do, and with nothing else', () => {
    const before = bundle().digest;
    expect(
      bundle(stored('MaskingRule', 'pay/foreign', refs), secret('data/x', { a: 'b' })).digest,
    ).toBe(before);
    expect(bundle(stored('MaskingRule', 'data/own', refs)).digest).not.toBe(before);
  });
});

describe('bundleFor with rules', () => {
  const rules = governanceRules({
    clusterDomain: 'cluster.local',
    allowedHosts: [],
    oidcIssuers: [],
    foreignTargets: 'ByLabel',
  });
  const accepting = stored('Namespace', 'pay', {}, { 'chaperone.dev/foreign-targets': 'accept' });
  const names = (spec: object, ...others: Stored[]): string[] => {
    const own = stored('Target', 'data/t', { allowedNamespaces: { from: 'All' }, ...spec });
    const snapshot = snapshotOf(identity, own, ...others);
    return bundleFor(identity, snapshot, key, rules).targets.map((one) => one.target.name);
  };

  test('leaves out a target that claims what is not its own, and one that is not accepted', () => {
    expect(names({ host: 'db.data.svc.cluster.local' }, accepting)).toEqual(['t']);
    expect(names({ host: 'db.data.svc.cluster.local' })).toEqual([]);
    expect(names({ host: 'db.pay.svc.cluster.local' }, accepting)).toEqual([]);
    expect(names({ host: 'kubernetes.default.svc' }, accepting)).toEqual([]);
  });
});
