/** The shapes that everything here shares: objects as the API server writes them, in plain JSON. */

/** The parts of ObjectMeta that are read. Times are RFC 3339 texts. */
export interface KubernetesMeta {
  readonly name: string;
  /** Absent for kinds without namespaces. */
  readonly namespace?: string;
  readonly uid: string;
  readonly resourceVersion: string;
  /** Absent for kinds that do not count their changes (Secret, ConfigMap, Namespace, …). */
  readonly generation?: number;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly ownerReferences?: readonly OwnerReference[];
  readonly generateName?: string;
}

export interface OwnerReference {
  readonly apiVersion: string;
  readonly kind: string;
  readonly name: string;
  readonly uid: string;
  readonly controller?: boolean;
  readonly blockOwnerDeletion?: boolean;
}

/** Anything that the API server stores. */
export interface KubernetesObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: KubernetesMeta;
}

/** What a write takes: no metadata that is the server's to set. */
export interface WrittenObject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: {
    readonly name?: string;
    readonly generateName?: string;
    readonly namespace?: string;
  };
}

/**
 * The JSON form of a type of client-node: times are texts. Fields that client-node renames because of
 * TypeScript's keywords (`_from`, `_continue`, `_default`, `_enum`) keep the wrong name here; write a type
 * of your own for those.
 */
export type Plain<T> = T extends Date
  ? string
  : T extends object
    ? { readonly [Key in keyof T]: Plain<T[Key]> }
    : T;

/** `namespace/name`; `/name` for kinds without namespaces. */
export function objectKey(object: {
  readonly metadata: { readonly namespace?: string; readonly name: string };
}): string {
  return `${object.metadata.namespace ?? ''}/${object.metadata.name}`;
}

/** The reverse of objectKey. */
export function splitKey(key: string): { readonly namespace: string; readonly name: string } {
  const slash = key.indexOf('/');
  return { namespace: key.slice(0, slash), name: key.slice(slash + 1) };
}
