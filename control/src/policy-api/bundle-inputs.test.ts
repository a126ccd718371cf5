import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { governanceRules } from '../controllers/host-rules.ts';
import { Snapshot } from '../controllers/snapshot.ts';
import { snapshotOf, stored } from '../controllers/testing.ts';
import type { Stored, WatchEvent } from '../store/resource-store.ts';
import { bundleFor, bundleInputs } from './bundle.ts';

const key = Buffer.alloc(32, 1);
const rules = governanceRules({
  clusterDomain: 'cluster.local',
  allowedHosts: [],
  oidcIssuers: [],
  foreignTargets: 'ByLabel',
});
const identity = stored('MachineIdentity', 'pay/report', { groups: ['g'] }, { env: 'x' });
const refs = { targetRefs: [{ name: 't', namespace: 'data' }] };

/** Each object in the states that it may come to have; undefined: it is not there. */
const states: readonly (readonly (Stored | undefined)[])[] = [
  [
    undefined,
    ...[{ host: 'a.data.svc' }, { host: 'a.data.svc', port: 1 }, { host: 'a.pay.svc' }].map(
      (spec) =>
        stored('Target', 'data/t', {
          allowedNamespaces: { from: 'All' },
          tls: { caRef: { name: 'ca' } },
          ...spec,
        }),
    ),
    stored('Target', 'data/t', { host: 'a.data.svc' }),
    stored('Target', 'data/t', {
      host: 'a.data.svc',
      allowedNamespaces: { from: 'Selector', selector: { matchLabels: { team: 'a' } } },
    }),
  ],
  [
    undefined,
    stored('Target', 'pay/u', { host: 'b.pay.svc' }),
    stored('Target', 'pay/u', { host: 'a.pay.svc' }, { tier: 'one' }),
  ],
  [
    undefined,
    stored('Namespace', 'pay', {}, { 'chaperone.dev/foreign-targets': 'accept' }),
    stored('Namespace', 'pay', {}, { 'chaperone.dev/foreign-targets': 'accept', team: 'a' }),
  ],
  [
    undefined,
    stored('AccessPolicy', 'data/p', { ...refs, rules: [] }),
    stored('AccessPolicy', 'data/p', { ...refs, mode: 'DryRun' }),
    stored('AccessPolicy', 'data/p', {
      ...refs,
      subjects: { namespaces: ['pay'], selector: { matchLabels: { env: 'x' } } },
    }),
  ],
  [
    undefined,
    stored('AccessPolicy', 'pay/q', {
      targetRefs: undefined,
      selector: { matchLabels: { tier: 'one' } },
    }),
  ],
  [
    undefined,
    ...[
      {},
      { transform: { type: 'Hash' } },
      { transform: { type: 'Hash' }, keyRef: { name: 'k' } },
    ].map((spec) => stored('MaskingRule', 'data/m', { ...refs, ...spec })),
  ],
  [
    undefined,
    ...['sixteen bytes or more', 'another sixteen bytes'].map((text) =>
      stored(
        'Secret',
        'data/k',
        { stringData: { key: text } },
        { 'chaperone.dev/use': 'MaskingKey' },
      ),
    ),
  ],
  [
    undefined,
    ...['AA==', 'BB=='].map((text) =>
      stored('ConfigMap', 'data/ca', {
        data: { 'ca.crt': `-----BEGIN CERTIFICATE-----\n${text}\n-----END CERTIFICATE-----\n` },
      }),
    ),
  ],
];

/** As stores do it: every change has a version of its own; a generation stands for a spec, and where there is none for a version. */
function versioned(object: Stored, at: number, version: number): Stored {
  const specOf = (one: Stored | undefined): string =>
    JSON.stringify((one as { readonly spec?: unknown } | undefined)?.spec);
  const generation =
    'spec' in object ? 1 + states[at]!.findIndex((one) => specOf(one) === specOf(object)) : version;
  const metadata = { ...object.metadata, generation, resourceVersion: String(version) };
  return { ...object, metadata } as Stored;
}

test('the same inputs, the same bundle: after any change, as if everything were made anew', () => {
  const changes = fc.array(fc.record({ object: fc.nat(states.length - 1), state: fc.nat(5) }), {
    maxLength: 12,
  });
  fc.assert(
    fc.property(changes, (steps) => {
      const snapshot = new Snapshot();
      const present = new Map<number, Stored>();
      const apply = (event: WatchEvent, version: number): void =>
        void snapshot.apply({ events: [event], resourceVersion: String(version) });
      apply({ type: 'Added', object: identity }, 1);
      const digestOf = new Map<string, string>();
      steps.forEach(({ object: at, state }, step) => {
        const version = step + 2;
        const wanted = states[at]![state % states[at]!.length];
        const before = present.get(at);
        if (wanted === undefined) {
          if (before === undefined) return;
          present.delete(at);
          apply({ type: 'Deleted', object: before }, version);
        } else {
          const object = versioned(wanted, at, version);
          present.set(at, object);
          apply({ type: before === undefined ? 'Added' : 'Modified', object }, version);
        }
        const inputs = bundleInputs(identity, snapshot, key, rules);
        const { digest } = bundleFor(identity, snapshot, key, rules);
        const fresh = snapshotOf(identity, ...present.values());
        expect(bundleFor(identity, fresh, key, rules).digest).toBe(digest);
        expect(bundleInputs(identity, fresh, key, rules)).toBe(inputs);
        expect(digestOf.get(inputs) ?? digest).toBe(digest);
        digestOf.set(inputs, digest);
      });
    }),
    { numRuns: 300 },
  );
});
