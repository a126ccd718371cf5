/**
 * Targets that are closed because something that may forbid or mask on them is not valid, as when a rule of
 * its schema is newer than the object: that it counts as absent must not show what it was to hide.
 */
import type { InvalidReference, Stored } from '../store/resource-store.ts';
import { mayGrant } from './attachment.ts';
import type { Snapshot } from './snapshot.ts';

type Target = Stored<'Target'>;

/** What closes a target to identities of `namespace`, or, without one, to everybody; undefined: nothing does. */
export function closedBy(
  target: Target,
  snapshot: Snapshot,
  namespace?: string,
): InvalidReference | undefined {
  return snapshot.invalid.find(
    (invalid) => mayRestrict(invalid) && mayConcern(invalid, target, namespace),
  );
}

/** Allowing alone can be left out without harm. */
function mayRestrict({ kind, spec }: InvalidReference): boolean {
  if (kind === 'MaskingRule') return true;
  if (kind !== 'AccessPolicy') return false;
  const { mode, rules = [], session } = record(spec);
  if (mode === 'DryRun') return false;
  const allowing = Array.isArray(rules) && rules.every((rule) => record(rule).action === 'Allow');
  return !allowing || session !== undefined;
}

function mayConcern(
  { kind, namespace, spec }: InvalidReference,
  target: Target,
  identities: string | undefined,
): boolean {
  const granting = mayGrant(namespace, target);
  // Elsewhere a mask does not count; a policy can still deny identities of its own namespace.
  if (!granting && (kind === 'MaskingRule' || namespace !== identities)) return false;
  const { targetRefs } = record(spec);
  // Its selector, or what cannot be read, may mean any that it may govern.
  if (!Array.isArray(targetRefs)) return granting;
  return targetRefs.some((ref) => {
    const { name, namespace: of = namespace } = record(ref);
    if (typeof name !== 'string' || typeof of !== 'string') return granting;
    return name === target.metadata.name && of === target.metadata.namespace;
  });
}

function record(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
}
