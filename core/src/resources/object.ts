/** What objects of every kind have in common. */

/** The part of Kubernetes' ObjectMeta that Chaperone reads. */
export interface ObjectMeta {
  readonly name: string;
  readonly namespace: string;
  readonly labels?: Readonly<Record<string, string>>;
  readonly annotations?: Readonly<Record<string, string>>;
}

/** What a store adds: stable identity, and versions for preconditions. */
export interface StoredMeta extends ObjectMeta {
  readonly uid: string;
  /** Grows by one with every change of the spec. */
  readonly generation: number;
  /** Opaque; changes with every change of the object, its status included. */
  readonly resourceVersion: string;
  /** RFC 3339. */
  readonly creationTimestamp: string;
}

/** The core v1 kinds that stand beside ours in a directory. */
export interface Secret {
  readonly apiVersion: 'v1';
  readonly kind: 'Secret';
  readonly metadata: ObjectMeta;
  readonly type?: string;
  /** Base64. */
  readonly data?: Readonly<Record<string, string>>;
}

export interface ConfigMap {
  readonly apiVersion: 'v1';
  readonly kind: 'ConfigMap';
  readonly metadata: ObjectMeta;
  readonly data?: Readonly<Record<string, string>>;
}

/** Gives a namespace its labels, for `allowedNamespaces.selector`. Its own namespace field is empty. */
export interface Namespace {
  readonly apiVersion: 'v1';
  readonly kind: 'Namespace';
  readonly metadata: ObjectMeta;
}

/** How messages name an object: `AccessPolicy payments/reports`. */
export function objectName(object: {
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace: string };
}): string {
  const { name, namespace } = object.metadata;
  return `${object.kind} ${namespace === '' ? name : `${namespace}/${name}`}`;
}
