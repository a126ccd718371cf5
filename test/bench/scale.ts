/**
 * What the control plane's work costs as resources grow: statuses of all, bundles of all identities, and what
 * one change asks for. No cluster: the API server's part is measured by the cluster tests.
 *
 *     node test/bench/scale.ts
 */
import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { wantedStatuses } from '@chaperone/control/controllers/statuses.ts';
import { stored } from '@chaperone/control/controllers/testing.ts';
import { bundleFor, bundleInputs } from '@chaperone/control/policy-api/bundle.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import {
  type Manifest,
  manyIdentity,
  manyPolicy,
  manyResources,
  manyTarget,
  range,
} from '../support/many-resources.ts';

const rules = governanceRules({
  clusterDomain: 'cluster.local',
  allowedHosts: [],
  oidcIssuers: [],
  foreignTargets: 'Accepted',
});
const key = Buffer.alloc(32, 1);
const nowMs = Date.UTC(2026, 5, 1);

interface Size {
  readonly policies: number;
  readonly identities: number;
  readonly targets: number;
}

/** Beside limits and a Deny, some name one identity, and some select their targets. */
function policyAt(at: number, { targets, identities }: Size): Stored<'AccessPolicy'> {
  const tenant = tenantsOf(identities)[at % tenantsOf(identities).length]!;
  const made = manyPolicy(at, data, targets, tenant);
  const [read, write] = made.spec.rules as readonly object[];
  return storedOf({
    ...made,
    spec: {
      ...made.spec,
      ...(at % 3 === 0 && {
        subjects: { identities: [{ namespace: tenant, name: `identity-${at % identities}` }] },
      }),
      ...(at % 5 === 0 && {
        targetRefs: undefined,
        selector: { matchLabels: tierOf(at % targets) },
      }),
      rules: [
        read,
        { ...write, limits: { rowsPerStatement: 1000 } },
        { name: 'never', action: 'Deny', verbs: ['Drop', 'Truncate'], resources: ['**'] },
      ],
    },
  });
}

const data = range(0, 10).map((at) => `data-${at}`);
/** Ten identities in each. */
const tenantsOf = (identities: number): readonly string[] =>
  range(0, Math.ceil(identities / 10)).map((at) => `pay-${at}`);
const tierOf = (target: number): { readonly tier: string } => ({ tier: `tier-${target % 7}` });

function storedOf<Kind extends 'Target' | 'MachineIdentity' | 'AccessPolicy'>(
  { kind, metadata, spec }: Manifest<Kind>,
  labels?: Readonly<Record<string, string>>,
): Stored<Kind> {
  return stored(kind, `${metadata.namespace}/${metadata.name}`, spec, labels);
}

function objects(size: Size): Stored[] {
  return [
    ...range(0, size.targets).map((at) => storedOf(manyTarget(at, data), tierOf(at))),
    ...range(0, size.targets).map((at) =>
      stored(
        'Secret',
        `data-${at % 10}/secret-${at}`,
        { stringData: { username: 'u', password: 'p' } },
        { 'chaperone.dev/target': `target-${at}` },
      ),
    ),
    ...range(0, size.identities).map((at) =>
      storedOf(manyIdentity(at, tenantsOf(size.identities))),
    ),
    ...range(0, size.policies).map((at) => policyAt(at, size)),
    ...range(0, size.targets * 2).map((at) =>
      stored('MaskingRule', `data-${(at % size.targets) % 10}/mask-${at}`, {
        targetRefs: [{ name: `target-${at % size.targets}` }],
        transform: { type: at % 2 === 0 ? 'Hash' : 'Redact' },
      }),
    ),
  ];
}

function timed<Result>(work: () => Result): readonly [ms: number, result: Result] {
  const startMs = performance.now();
  const result = work();
  return [performance.now() - startMs, result];
}

function measure(size: Size): Record<string, string | number> {
  const all = objects(size);
  const snapshot = new Snapshot();
  const apply = (changed: readonly Stored[], type: 'Added' | 'Modified', version: number): void =>
    void snapshot.apply({
      events: changed.map((object) => ({ type, object })),
      resourceVersion: String(version),
    });
  apply(all, 'Added', 1);
  const [firstMs, wanted] = timed(() => wantedStatuses(snapshot, nowMs, { rules }));
  const written = wanted.map(
    ({ object, patch }) => ({ ...object, status: patch }) as unknown as Stored,
  );
  apply(written, 'Modified', 2);
  const [idleMs, again] = timed(() => wantedStatuses(snapshot, nowMs, { rules }));
  if (again.length > 0) throw new Error(`${again.length} statuses would be written again`);

  const identities = snapshot.all('MachineIdentity');
  const makeAll = () => identities.map((identity) => bundleFor(identity, snapshot, key, rules));
  const inputsOfAll = () =>
    identities.map((identity) => bundleInputs(identity, snapshot, key, rules));
  const [bundlesMs, bundles] = timed(makeAll);
  const before = inputsOfAll();
  const edited = policyAt(0, size);
  apply([{ ...edited, metadata: { ...edited.metadata, generation: 2 } }], 'Modified', 3);
  // As the policy API does: only where something of it changed is a bundle made.
  const [changeMs, remade] = timed(() =>
    inputsOfAll().flatMap((inputs, at) =>
      inputs === before[at] ? [] : [bundleFor(identities[at]!, snapshot, key, rules)],
    ),
  );
  const sizes = bundles.map((bundle) => JSON.stringify(bundle).length).sort((a, b) => a - b);
  const [, heap] = [globalThis.gc?.(), process.memoryUsage().heapUsed];
  return {
    policies: size.policies,
    identities: size.identities,
    targets: size.targets,
    'statuses, ms': Math.round(firstMs),
    'none changed, ms': Math.round(idleMs),
    'all bundles, ms': Math.round(bundlesMs),
    'after an edit, ms': Math.round(changeMs),
    'bundles made then': remade.length,
    'bundle median, KiB': Math.round(sizes[Math.floor(sizes.length / 2)]! / 1024),
    'heap, MiB': Math.round(heap / 2 ** 20),
  };
}

measure({ policies: 50, identities: 20, targets: 10 }); // warms up
const rows = [0.25, 0.5, 1, 2, 4].map((factor) =>
  measure({
    policies: manyResources.policies * factor,
    identities: manyResources.identities * factor,
    targets: Math.round(manyResources.targets * factor),
  }),
);
console.table(rows);
