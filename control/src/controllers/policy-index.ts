/**
 * Which policies and masks concern which target and which identity, found once for all of them: with hundreds
 * of each, asking every policy about every identity on every target would be most of the work.
 */
import type { Stored } from '../store/resource-store.ts';
import { appliesTo, attachment, countsFor } from './attachment.ts';
import { keyOf, objectKey, type Snapshot } from './snapshot.ts';

type Target = Stored<'Target'>;
type Identity = Stored<'MachineIdentity'>;
type Policy = Stored<'AccessPolicy'>;
type Mask = Stored<'MaskingRule'>;

/** A policy on a target; see attachment. */
export interface AttachedPolicy {
  readonly policy: Policy;
  readonly attached: 'Granting' | 'DenyOnly';
}

/** See policyIndexOf. Its objects' specs and labels are current; their status may be older. */
export interface PolicyIndex {
  /** The policies on a target, by namespace and name. */
  policiesOn(target: Target): readonly AttachedPolicy[];
  /** The masks that count on a target, by namespace and name. */
  masksOn(target: Target): readonly Mask[];
  /** How many targets a policy or mask counts on, if only with its Deny rules. */
  targetCount(object: Policy | Mask): number;
  /** Keys (`namespace/name`) of the policies whose subjects pick the identity. */
  policiesFor(identity: Identity): ReadonlySet<string>;
  /** How many identities a policy's subjects pick, without those for whom it counts on none of its targets. */
  identityCount(policy: Policy): number;
}

const cache = new WeakMap<Snapshot, { readonly revision: number; readonly index: PolicyIndex }>();

/** The index of what the snapshot holds now; made anew only after something but status changed. */
export function policyIndexOf(snapshot: Snapshot): PolicyIndex {
  const known = cache.get(snapshot);
  if (known?.revision === snapshot.revision) return known.index;
  const index = build(snapshot);
  cache.set(snapshot, { revision: snapshot.revision, index });
  return index;
}

function build(snapshot: Snapshot): PolicyIndex {
  const policiesByTarget = new Map<string, AttachedPolicy[]>();
  const masksByTarget = new Map<string, Mask[]>();
  const targetCounts = new Map<string, number>();
  const policiesByIdentity = new Map<string, Set<string>>();
  const identityCounts = new Map<string, number>();
  const candidates = candidateTargets(snapshot);
  const identities = candidateIdentities(snapshot);

  for (const policy of snapshot.all('AccessPolicy')) {
    let targets = 0;
    let granting = false;
    for (const target of candidates(policy)) {
      const attached = attachment(policy, target);
      if (attached === undefined) continue;
      targets += 1;
      granting ||= attached === 'Granting';
      append(policiesByTarget, objectKey(target), { policy, attached });
    }
    targetCounts.set(kindKey(policy), targets);
    const key = objectKey(policy);
    let picked = 0;
    for (const identity of identities(policy)) {
      if (!appliesTo(policy, identity)) continue;
      // Where it counts on no target at all, that it picks somebody is what there is to say.
      const attached = granting || targets === 0 ? 'Granting' : 'DenyOnly';
      if (countsFor(attached, policy, identity.metadata.namespace)) picked += 1;
      const identityKey = objectKey(identity);
      const set = policiesByIdentity.get(identityKey) ?? new Set();
      policiesByIdentity.set(identityKey, set.add(key));
    }
    identityCounts.set(key, picked);
  }
  for (const rule of snapshot.all('MaskingRule')) {
    let targets = 0;
    for (const target of candidates(rule)) {
      if (attachment(rule, target) !== 'Granting') continue;
      targets += 1;
      append(masksByTarget, objectKey(target), rule);
    }
    targetCounts.set(kindKey(rule), targets);
  }

  const nothing = new Set<string>();
  return {
    policiesOn: (target) => policiesByTarget.get(objectKey(target)) ?? [],
    masksOn: (target) => masksByTarget.get(objectKey(target)) ?? [],
    targetCount: (object) => targetCounts.get(kindKey(object)) ?? 0,
    policiesFor: (identity) => policiesByIdentity.get(objectKey(identity)) ?? nothing,
    identityCount: (policy) => identityCounts.get(objectKey(policy)) ?? 0,
  };
}

const kindKey = (object: Policy | Mask): string => `${object.kind} ${objectKey(object)}`;

/** The targets that an object can be attached to at all: those it names, or those its namespace may grant on. */
function candidateTargets(snapshot: Snapshot): (object: Policy | Mask) => readonly Target[] {
  const grantableBy = new Map<string, Target[]>();
  for (const target of snapshot.all('Target')) {
    const { namespace } = target.metadata;
    for (const granting of new Set([namespace, ...(target.spec.policyNamespaces ?? [])])) {
      append(grantableBy, granting, target);
    }
  }
  return ({ metadata, spec }) => {
    if (spec.selector !== undefined) return grantableBy.get(metadata.namespace) ?? [];
    const keys = new Set(
      spec.targetRefs?.map((ref) => keyOf(ref.namespace ?? metadata.namespace, ref.name)),
    );
    return [...keys].sort().flatMap((key) => {
      const slash = key.indexOf('/');
      return snapshot.get('Target', key.slice(0, slash), key.slice(slash + 1)) ?? [];
    });
  };
}

/** The identities that a policy's subjects can pick at all: those it names, and those of its namespaces. */
function candidateIdentities(snapshot: Snapshot): (policy: Policy) => Iterable<Identity> {
  const byNamespace = new Map<string, Identity[]>();
  for (const identity of snapshot.all('MachineIdentity')) {
    append(byNamespace, identity.metadata.namespace, identity);
  }
  return ({ spec: { subjects } }) => {
    const found = new Set(
      (subjects?.namespaces ?? []).flatMap((name) => byNamespace.get(name) ?? []),
    );
    for (const { namespace, name } of subjects?.identities ?? []) {
      const identity = snapshot.get('MachineIdentity', namespace, name);
      if (identity !== undefined) found.add(identity);
    }
    return found;
  };
}

function append<Value>(map: Map<string, Value[]>, key: string, value: Value): void {
  const list = map.get(key);
  if (list === undefined) map.set(key, [value]);
  else list.push(value);
}
