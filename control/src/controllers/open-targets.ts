/** Which targets a namespace has: offered by their owners, accepted by the namespace, each host once. */
import {
  type AcceptanceMarks,
  acceptsFrom,
  type ForeignAcceptance,
  foreignAcceptance,
} from '@chaperone/core/injection/foreign-targets.ts';
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

/** A target that a namespace does not get because another one has its host and port. */
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
  /** Those of other namespaces that it would have if it accepted them. */
  readonly notAccepted: readonly Target[];
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
 * with one host and port the namespace's own, else the oldest. `marks`: the namespace's, where the snapshot may
 * not have it yet.
 */
export function targetsOf(
  namespace: string,
  snapshot: Snapshot,
  rules: GovernanceRules | undefined,
  marks?: AcceptanceMarks,
): NamespaceTargets {
  const offered = snapshot
    .all('Target')
    .filter((target) => isOfferedTo(target, namespace, snapshot));
  if (rules === undefined) return { open: offered, displaced: [], notAccepted: [] };
  const acceptance = acceptanceOf(namespace, snapshot, rules, marks);
  const claimed = offered.filter((target) => claimRefusal(target, rules) === undefined);
  const isAccepted = ({ metadata }: Target): boolean =>
    metadata.namespace === namespace || acceptsFrom(acceptance, metadata.namespace);
  const accepted = claimed.filter(isAccepted);
  const displaced = displacedTargets(accepted, namespace, rules);
  const out = new Set(displaced.map(({ target }) => target));
  return {
    open: accepted.filter((target) => !out.has(target)),
    displaced,
    notAccepted: claimed.filter((target) => !isAccepted(target)),
  };
}

/** Which Targets of others the namespace accepts; without rules, all. */
export function acceptanceOf(
  namespace: string,
  snapshot: Snapshot,
  rules: GovernanceRules | undefined,
  marks: AcceptanceMarks | undefined = snapshot.get('Namespace', '', namespace)?.metadata,
): ForeignAcceptance {
  if (rules === undefined) return 'All';
  return foreignAcceptance(marks, rules.foreignTargets);
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
  return openKeys(namespace, snapshot, rules).has(objectKey(target));
}

interface KnownKeys {
  readonly revision: number;
  readonly rules: GovernanceRules;
  readonly byNamespace: Map<string, ReadonlySet<string>>;
}

const knownKeys = new WeakMap<Snapshot, KnownKeys>();

/** `namespace/name` of targetsOf's, found once per namespace until something but status changes. */
function openKeys(
  namespace: string,
  snapshot: Snapshot,
  rules: GovernanceRules,
): ReadonlySet<string> {
  const { revision } = snapshot;
  let known = knownKeys.get(snapshot);
  if (known?.revision !== revision || known.rules !== rules) {
    known = { revision, rules, byNamespace: new Map() };
    knownKeys.set(snapshot, known);
  }
  let keys = known.byNamespace.get(namespace);
  if (keys === undefined) {
    keys = new Set(targetsOf(namespace, snapshot, rules).open.map(objectKey));
    known.byNamespace.set(namespace, keys);
  }
  return keys;
}

/**
 * Of targets that share a name and a port, all but one: the namespace's own stands before others', the older
 * before the younger; of one age, the first by name stays.
 */
function displacedTargets(
  targets: readonly Target[],
  namespace: string,
  rules: GovernanceRules,
): DisplacedTarget[] {
  const isForeign = ({ metadata }: Target): number => Number(metadata.namespace !== namespace);
  const inOrder = [...targets].sort((a, b) => {
    const age = Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp);
    return isForeign(a) - isForeign(b) || age || (objectKey(a) < objectKey(b) ? -1 : 1);
  });
  const held = new Map<string, Target>();
  const displaced: DisplacedTarget[] = [];
  for (const target of inOrder) {
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
 * For every Target that is displaced anywhere: by which one, and in which namespaces, among those that
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
