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
  const held = new Map<string, { placed: PlacedSubject; owner: Claimant }[]>();
  for (const identity of oldestFirst) {
    const { namespace } = identity.metadata;
    const gained: [string, PlacedSubject][] = [];
    identity.spec.subjects.forEach((subject, index) => {
      const placed = { namespace, subject };
      if (!counts(placed)) return;
      const bucket = bucketOf(placed);
      const older = held.get(bucket)?.find((other) => overlappingSubjects(other.placed, placed));
      if (older === undefined) {
        gained.push([bucket, placed]);
        return;
      }
      const list = conflicts.get(keyOf(identity)) ?? [];
      const { namespace: ownerNamespace, name } = older.owner.metadata;
      list.push({ subject: index, namespace: ownerNamespace, name });
      conflicts.set(keyOf(identity), list);
    });
    for (const [bucket, placed] of gained) {
      const list = held.get(bucket) ?? [];
      list.push({ placed, owner: identity });
      held.set(bucket, list);
    }
  }
  return conflicts;
}

const keyOf = ({ metadata }: Claimant): string => `${metadata.namespace}/${metadata.name}`;

function bucketOf({ namespace, subject }: PlacedSubject): string {
  return subject.serviceAccount
    ? JSON.stringify(['serviceAccount', namespace, subject.serviceAccount.name])
    : JSON.stringify(['oidc', subject.oidc?.issuer, subject.oidc?.audience]);
}
