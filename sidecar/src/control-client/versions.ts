import type { VersionVector } from '@chaperone/core/control/wire.ts';

/** Whether nothing that `held` knows of is older in `offered`. */
export function dominates(offered: VersionVector, held: VersionVector): boolean {
  return Object.entries(held).every(([kind, version]) => (offered[kind] ?? -1) >= version);
}

/** Whether a value from outside is a vector. */
export function isVersionVector(value: unknown): value is VersionVector {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.values(value).every((version) => Number.isSafeInteger(version) && version >= 0)
  );
}
