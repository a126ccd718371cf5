/** Subjects prove who calls; each may prove one identity only. */
import type { MachineIdentity } from './types.ts';

type Subject = MachineIdentity['spec']['subjects'][number];

export interface PlacedSubject {
  /** The identity's namespace: ServiceAccounts are those of this namespace. */
  readonly namespace: string;
  readonly subject: Subject;
}

/** Whether one and the same caller could show both. */
export function overlappingSubjects(a: PlacedSubject, b: PlacedSubject): boolean {
  const accountA = a.subject.serviceAccount;
  const accountB = b.subject.serviceAccount;
  if (accountA && accountB) return a.namespace === b.namespace && accountA.name === accountB.name;
  const tokenA = a.subject.oidc;
  const tokenB = b.subject.oidc;
  if (!tokenA || !tokenB) return false;
  if (tokenA.issuer !== tokenB.issuer || tokenA.audience !== tokenB.audience) return false;
  // A claim that both name with different values tells the callers apart; without one, a token may fit both.
  return Object.entries(tokenA.match).every(
    ([claim, value]) => !Object.hasOwn(tokenB.match, claim) || tokenB.match[claim] === value,
  );
}

/** A subject that its identity does not have, because an older identity claims it. */
export interface SubjectConflict {
  readonly subject: number;
  /** The older identity. */
  readonly namespace: string;
  readonly name: string;
}

interface Claimant {
  readonly metadata: {
    readonly namespace: string;
    readonly name: string;
    readonly creationTimestamp: string;
  };
  readonly spec: MachineIdentity['spec'];
}

/**
 * The conflicts of each identity that has any, by `namespace/name`. Of two claimants the older keeps the
 * subject; of the same age, the one whose name sorts first. A subject for which `counts` is false proves
 * nothing, and so takes nothing from others.
 */
export function subjectConflicts(
  identities: readonly Claimant[],
  counts: (placed: PlacedSubject) => boolean = () => true,
): ReadonlyMap<string, readonly SubjectConflict[]> {
  const oldestFirst = [...identities].sort((a, b) => {
    const age = Date.parse(a.metadata.creationTimestamp) - Date.parse(b.metadata.creationTimestamp);
    return age !== 0 ? age : keyOf(a) < keyOf(b) ? -1 : 1;
  });
  const conflicts = new Map<string, SubjectConflict[]>();
  /** Subjects held so far, by what any two that overlap have in common. */
  const held = new Map<string, HeldSubjects>();
  for (const identity of oldestFirst) {
    const { namespace } = identity.metadata;
    const gained: [string, PlacedSubject][] = [];
    identity.spec.subjects.forEach((subject, index) => {
      const placed = { namespace, subject };
      if (!counts(placed)) return;
      const bucket = bucketOf(placed);
      const owner = held.get(bucket)?.ownerOf(subject);
      if (owner === undefined) {
        gained.push([bucket, placed]);
        return;
      }
      const list = conflicts.get(keyOf(identity)) ?? [];
      const { namespace: ownerNamespace, name } = owner.metadata;
      list.push({ subject: index, namespace: ownerNamespace, name });
      conflicts.set(keyOf(identity), list);
    });
    for (const [bucket, placed] of gained) {
      const subjects = held.get(bucket) ?? new HeldSubjects();
      subjects.add(placed.subject, identity);
      held.set(bucket, subjects);
    }
  }
  return conflicts;
}

interface Held {
  readonly match: Claims;
  readonly owner: Claimant;
  readonly order: number;
}

type Claims = Readonly<Record<string, string>>;

/** By what they say of certain claims, the oldest each. */
interface ClaimIndex {
  readonly claims: readonly string[];
  readonly oldest: Map<string, Held>;
}

interface Group {
  readonly members: Held[];
  readonly indexes: Map<string, ClaimIndex>;
}

/**
 * Subjects of one bucket: two of them overlap where they say the same of all claims that both name. Not compared
 * one by one: of thousands, that would take minutes.
 */
class HeldSubjects {
  /** Those that name the same claims, and indexes over these by what others have in common with them. */
  readonly #groups = new Map<string, Group>();
  #count = 0;

  add({ oidc }: Subject, owner: Claimant): void {
    const match = oidc?.match ?? {};
    const one = { match, owner, order: this.#count++ };
    const key = JSON.stringify(Object.keys(match).sort());
    const group: Group = this.#groups.get(key) ?? { members: [], indexes: new Map() };
    this.#groups.set(key, group);
    group.members.push(one);
    for (const index of group.indexes.values()) take(index, one);
  }

  /** Of the oldest that overlaps. */
  ownerOf({ oidc }: Subject): Claimant | undefined {
    const match = oidc?.match ?? {};
    let found: Held | undefined;
    for (const { members, indexes } of this.#groups.values()) {
      const claims = Object.keys(members[0]!.match)
        .filter((claim) => Object.hasOwn(match, claim))
        .sort();
      const key = JSON.stringify(claims);
      let index = indexes.get(key);
      if (index === undefined) {
        index = { claims, oldest: new Map() };
        for (const member of members) take(index, member);
        indexes.set(key, index);
      }
      const one = index.oldest.get(valuesOf(claims, match));
      if (one !== undefined && (found === undefined || one.order < found.order)) found = one;
    }
    return found?.owner;
  }
}

function take({ claims, oldest }: ClaimIndex, one: Held): void {
  const values = valuesOf(claims, one.match);
  if (!oldest.has(values)) oldest.set(values, one);
}

const valuesOf = (claims: readonly string[], match: Claims): string =>
  JSON.stringify(claims.map((claim) => match[claim]));

const keyOf = ({ metadata }: Claimant): string => `${metadata.namespace}/${metadata.name}`;

function bucketOf({ namespace, subject }: PlacedSubject): string {
  return subject.serviceAccount
    ? JSON.stringify(['serviceAccount', namespace, subject.serviceAccount.name])
    : JSON.stringify(['oidc', subject.oidc?.issuer, subject.oidc?.audience]);
}
