/**
 * What bundles have in common, made once for all identities: which targets a namespace has, and a target's
 * own part with its masks. Each part has a version that changes whenever it does.
 */
import type { BundleMask, TargetBundle } from '@chaperone/core/policy/types.ts';
import { closedBy } from '../controllers/closed-targets.ts';
import type { GovernanceRules } from '../controllers/host-rules.ts';
import { targetsOf } from '../controllers/open-targets.ts';
import { policyIndexOf } from '../controllers/policy-index.ts';
import { resolveAuthorities, resolveMaskingKey } from '../controllers/secrets.ts';
import { objectKey, type Snapshot } from '../controllers/snapshot.ts';
import type { Stored } from '../store/resource-store.ts';
import { maskingKey } from './masking-key.ts';

type Target = Stored<'Target'>;
type Mask = Stored<'MaskingRule'>;

/** A mask as it is for those who are not exempt, and the rule that says who is. */
export interface MaskPart {
  readonly rule: Mask;
  readonly mask: Omit<BundleMask, 'exemptions'>;
}

export interface TargetPart {
  readonly version: string;
  readonly target: TargetBundle['target'];
  readonly masks: readonly MaskPart[];
}

export interface BundleParts {
  /** Those of targetsOf that nothing closes. */
  open(namespace: string): readonly Target[];
  of(target: Target): TargetPart;
}

interface Cached {
  readonly revision: number;
  readonly installationKey: Buffer;
  readonly rules: GovernanceRules | undefined;
  readonly parts: BundleParts;
}

const cache = new WeakMap<Snapshot, Cached>();

/** The parts of what the snapshot holds now; made anew only after something but status changed. */
export function bundlePartsOf(
  snapshot: Snapshot,
  installationKey: Buffer,
  rules: GovernanceRules | undefined,
): BundleParts {
  const known = cache.get(snapshot);
  const { revision } = snapshot;
  const same = known?.installationKey === installationKey && known.rules === rules;
  if (same && known.revision === revision) return known.parts;
  const openBy = new Map<string, readonly Target[]>();
  const byTarget = new Map<string, TargetPart>();
  const parts: BundleParts = {
    open: (namespace) =>
      remembered(openBy, namespace, () =>
        targetsOf(namespace, snapshot, rules).open.filter(
          (target) => closedBy(target, snapshot, namespace) === undefined,
        ),
      ),
    of: (target) =>
      remembered(byTarget, objectKey(target), () => targetPart(target, snapshot, installationKey)),
  };
  cache.set(snapshot, { revision, installationKey, rules, parts });
  return parts;
}

function remembered<Value>(map: Map<string, Value>, key: string, make: () => Value): Value {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

function targetPart(target: Target, snapshot: Snapshot, installationKey: Buffer): TargetPart {
  const { metadata, spec } = target;
  const authorities = resolveAuthorities(target, snapshot);
  // What does not resolve must not turn into trust in the system's authorities: this is no certificate, so
  // nothing verifies against it.
  const ca = authorities.ok ? authorities.value : authorities.message;
  const masks = policyIndexOf(snapshot)
    .masksOn(target)
    .map((rule) => maskPart(rule, target, snapshot, installationKey));
  const versions = masks.map(({ rule, mask }) => [versionOf(rule), mask.transform.type, mask.key]);
  return {
    version: JSON.stringify([versionOf(target), ca, versions]),
    target: {
      uid: metadata.uid,
      namespace: metadata.namespace,
      name: metadata.name,
      generation: metadata.generation,
      protocol: spec.protocol,
      host: spec.host,
      port: spec.port,
      aliases: spec.aliases ?? [],
      tls: { mode: spec.tls.mode, ...(ca !== undefined && { ca }) },
      enforcement: spec.enforcement,
      classification: spec.classification ?? [],
      catalogCheck: spec.catalogCheck,
      untestedVersions: spec.untestedVersions,
    },
    masks,
  };
}

function maskPart(
  rule: Mask,
  target: Target,
  snapshot: Snapshot,
  installationKey: Buffer,
): MaskPart {
  const { spec } = rule;
  const { namespace, name, generation } = rule.metadata;
  const keyed = spec.transform.type === 'Hash' || spec.transform.type === 'Pseudonym';
  const key = resolveMaskingKey(rule, snapshot);
  return {
    rule,
    mask: {
      ref: { kind: rule.kind, namespace, object: name, rule: '', generation },
      columns: spec.columns ?? [],
      detectors: spec.detectors ?? [],
      resources: spec.resources ?? [],
      // Without its key a value cannot be hashed, and nothing of it may be shown either.
      transform: keyed && !key.ok ? { type: 'Redact' } : spec.transform,
      usage: spec.usage,
      strictness: spec.strictness,
      ...(keyed && key.ok && { key: maskingKey(key.value ?? installationKey, target.metadata) }),
    },
  };
}

/** Changes with every change of the spec. */
export function versionOf({ metadata }: Stored): string {
  return `${metadata.uid} ${metadata.generation}`;
}
