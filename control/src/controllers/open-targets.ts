/** Which targets a namespace has: offered by their owners, accepted by the namespace, each host once. */
import { foreignTargetsAccepted, foreignTargetsLabel } from '@chaperone/core/injection/names.ts';
import type { Stored } from '../store/resource-store.ts';
import { isOfferedTo } from './attachment.ts';
import { closedBy } from './closed-targets.ts';
import {
  aliasRefusal,
  fullName,
  type GovernanceRules,
  type HostRefusal,
  hostRefusal,
} from './host-rules.ts';
import { objectKey, type Snapshot } from './snapshot.ts';

type Target = Stored<'Target'>;

/** A target that a namespace does not get because an older one has its host and port. */
export interface DisplacedTarget {
  readonly target: Target;
  readonly by: Target;
  /** Which of its names the other has. */
  readonly host: string;
}

export interface NamespaceTargets {
  /** Sorted by namespace and name. */
  readonly open: readonly Target[];
  readonly displaced: readonly DisplacedTarget[];
}

/** Where a target is displaced. */
export interface Displacement {
  /** In the first of the namespaces. */
  readonly by: Target;
  readonly host: string;
  /** Sorted. */
  readonly namespaces: readonly string[];
}

/** Why a Target may not stand for what it names; undefined where it may. */
export function claimRefusal(target: Target, rules: GovernanceRules): HostRefusal | undefined {
  const { namespace } = target.metadata;
  const { host, aliases = [] } = target.spec;
  let refusal = hostRefusal(host, namespace, rules);
  for (const alias of aliases) refusal ??= aliasRefusal(alias, namespace, rules);
  return refusal;
}

/**
 * The targets that identities and pods of a namespace may connect to. Without rules: all that are offered.
 * With them: of those, the ones whose names are theirs to claim and that the namespace accepts; of several
 * with one host and port the oldest.
 */
export function targetsOf(
  namespace: string,
  snapshot: Snapshot,
  rules: GovernanceRules | undefined,
): NamespaceTargets {
  const offered = snapshot
    .all('Target')
    .filter((target) => isOfferedTo(target, namespace, snapshot));
  if (rules === undefined) return { open: offered, displaced: [] };
  const foreign = acceptsForeign(namespace, snapshot, rules);
  const permitted = offered.filter(
    (target) =>
      (foreign || target.metadata.namespace === namespace) &&
      claimRefusal(target, rules) === undefined,
  );
  const displaced = displacedTargets(permitted, rules);
  const out = new Set(displaced.map(({ target }) => target));
  return { open: permitted.filter((target) => !out.has(target)), displaced };
}

/** Whether identities of that namespace may connect to the target now; see targetsOf and closedBy. */
export function isOpenTo(
  target: Target,
  namespace: string,
  snapshot: Snapshot,
  rules: GovernanceRules | undefined,
): boolean {
  if (!isOfferedTo(target, namespace, snapshot)) return false;
  if (closedBy(target, snapshot, namespace) !== undefined) return false;
  if (rules === undefined) return true;
  const key = objectKey(target);
  return targetsOf(namespace, snapshot, rules).open.some((open) => objectKey(open) === key);
}

/** Whether Targets of other namespaces may be mapped into the pods of this one. */
function acceptsForeign(namespace: string, snapshot: Snapshot, rules: GovernanceRules): boolean {
  if (rules.foreignTargets === 'Accepted') return true;
  const labels = snapshot.get('Namespace', '', namespace)?.metadata.labels;
  return labels?.[foreignTargetsLabel] === foreignTargetsAccepted;
}

/** Of targets that share a name and a port, all but the oldest; of one age, the first by name stays. */
function displacedTargets(targets: readonly Target[], rules: GovernanceRules): DisplacedTarget[] {
  const oldestFirst = [...targets].sort((a, b) => {
    const age = Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp);
    return age !== 0 ? age : objectKey(a) < objectKey(b) ? -1 : 1;
  });
  const held = new Map<string, Target>();
  const displaced: DisplacedTarget[] = [];
  for (const target of oldestFirst) {
    const names = [target.spec.host, ...(target.spec.aliases ?? [])];
    const taken = names.find((name) => held.has(placeOf(target, name, rules)));
    if (taken !== undefined) {
      displaced.push({ target, by: held.get(placeOf(target, taken, rules))!, host: taken });
      continue;
    }
    for (const name of names) held.set(placeOf(target, name, rules), target);
  }
  return displaced;
}

/** One text for all ways of writing one name. */
function placeOf({ metadata, spec }: Target, name: string, rules: GovernanceRules): string {
  return `${fullName(name, metadata.namespace, rules)}:${spec.port}`;
}

/**
 * For every Target that is displaced anywhere: by which older one, and in which namespaces, among those that
 * `namespaces` lists and that of the Target itself. By `namespace/name`.
 */
export function displacements(
  snapshot: Snapshot,
  rules: GovernanceRules,
): ReadonlyMap<string, Displacement> {
  const found = new Map<string, { by: Target; host: string; namespaces: string[] }>();
  for (const namespace of contestedNamespaces(snapshot, rules)) {
    for (const { target, by, host } of targetsOf(namespace, snapshot, rules).displaced) {
      const key = objectKey(target);
      const entry = found.get(key) ?? { by, host, namespaces: [] };
      entry.namespaces.push(namespace);
      found.set(key, entry);
    }
  }
  return found;
}

/** Namespaces that are looked at for conflicts: none, unless two Targets share a name and a port at all. */
function contestedNamespaces(snapshot: Snapshot, rules: GovernanceRules): readonly string[] {
  const seen = new Set<string>();
  const targets = snapshot.all('Target');
  let shared = false;
  for (const target of targets) {
    const names = [target.spec.host, ...(target.spec.aliases ?? [])];
    const places = new Set(names.map((name) => placeOf(target, name, rules)));
    for (const place of places) {
      shared ||= seen.has(place);
      seen.add(place);
    }
  }
  if (!shared) return [];
  const names = new Set([
    ...targets.map(({ metadata }) => metadata.namespace),
    ...snapshot.all('Namespace').map(({ metadata }) => metadata.name),
  ]);
  return [...names].sort();
}
