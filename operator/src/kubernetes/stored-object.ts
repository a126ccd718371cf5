import type { Stored, StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { StoredMeta } from '@chaperone/core/resources/object.ts';
import { error, hasErrors, type Problem } from '@chaperone/core/resources/problem.ts';
import { type ResourceKind, resourceKinds } from '@chaperone/core/resources/types.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import type { Cached } from './cache.ts';
import type { KubernetesObject } from './object.ts';

/** An object that the API server has and we cannot go by. */
export interface InvalidObject {
  readonly kind: StoredKind;
  readonly object: KubernetesObject & { readonly status?: unknown };
  /** Never values of Secrets. */
  readonly problems: readonly Problem[];
}

/** What the store keeps of an object. */
export interface StoredEntry extends Cached {
  /** Absent if the object is not valid. */
  readonly stored?: Stored;
  readonly invalid?: InvalidObject;
}

export const isResourceKind = (kind: StoredKind): kind is ResourceKind =>
  resourceKinds.includes(kind as ResourceKind);

/** `nowMs`: epoch milliseconds. Never throws. */
export function storedEntry(raw: KubernetesObject, nowMs: number): StoredEntry {
  const { name, namespace, uid, resourceVersion } = raw.metadata;
  const metadata = {
    name,
    ...(namespace !== undefined && { namespace }),
    uid: String(uid),
    resourceVersion,
  };
  const kind = raw.kind as StoredKind;
  const { object, problems } = validate(relevant(kind, raw), nowMs);
  const errors = object === undefined ? problems.filter((problem) => hasErrors([problem])) : [];
  if (object === undefined) {
    const told = errors.length > 0 ? errors : [error('', 'is not valid')];
    return { metadata, invalid: { kind, object: raw, problems: told } };
  }
  const meta: StoredMeta = {
    ...object.metadata,
    uid: metadata.uid,
    resourceVersion,
    // Kinds that do not count their changes: every change counts.
    generation: raw.metadata.generation ?? Number(resourceVersion),
    creationTimestamp: raw.metadata.creationTimestamp,
  };
  const { status } = raw as { readonly status?: unknown };
  const hasStatus = isResourceKind(kind) && status !== undefined && status !== null;
  const stored = { ...object, metadata: meta, ...(hasStatus && { status }) } as Stored;
  return { metadata, stored };
}

/** Of a Namespace only its metadata counts; its spec is the API server's own. */
function relevant(kind: StoredKind, raw: KubernetesObject): object {
  if (kind !== 'Namespace') return raw;
  const { apiVersion, metadata } = raw;
  return { apiVersion, kind, metadata };
}
