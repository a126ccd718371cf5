/** Version vectors: which of two replicas has seen more. */
import type { VersionVector } from '@chaperone/core/control/wire.ts';

const maxParts = 64;

/**
 * Whether one that is complete up to `complete` has seen everything that `held` tells of. Parts that it does
 * not follow at all do not count: it can be behind only in what it follows.
 */
export function dominates(complete: VersionVector, held: VersionVector): boolean {
  return Object.entries(held).every(
    ([part, version]) => !Object.hasOwn(complete, part) || complete[part]! >= version,
  );
}

/** The least vector that dominates both. */
export function merge(a: VersionVector, b: VersionVector): VersionVector {
  const merged: Record<string, number> = { ...a };
  for (const [part, version] of Object.entries(b)) {
    merged[part] = Math.max(version, Object.hasOwn(merged, part) ? merged[part]! : 0);
  }
  return merged;
}

/** From `Last-Event-ID`; empty where there is none, undefined where it is no vector. */
export function parseVersions(text: string | undefined): VersionVector | undefined {
  if (text === undefined || text === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return undefined;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return undefined;
  const parts = Object.entries(value);
  const valid = parts.every(
    ([part, version]) => part !== '__proto__' && Number.isSafeInteger(version) && version >= 0,
  );
  return valid && parts.length <= maxParts ? (value as VersionVector) : undefined;
}
