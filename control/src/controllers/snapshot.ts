import type { VersionVector } from '@chaperone/core/control/wire.ts';
import type { Stored, StoredKind, WatchBatch } from '../store/resource-store.ts';

/** `namespace/name`; the namespace is empty for kinds without one. */
export const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`;

export const objectKey = (object: Stored): string =>
  keyOf(object.metadata.namespace, object.metadata.name);

/** Every kind that the controllers and the policy API look at. */
export const watchedKinds: readonly StoredKind[] = [
  'MachineIdentity',
  'Target',
  'AccessPolicy',
  'MaskingRule',
  'Secret',
  'ConfigMap',
  'Namespace',
];

/** All resources as they are in force at one version, kept up to date batch by batch. */
export class Snapshot {
  readonly #kinds = new Map<StoredKind, Map<string, Stored>>(
    watchedKinds.map((kind) => [kind, new Map()]),
  );
  #version = 0;
  readonly #versions: Record<string, number> = {};

  /** The store's version. */
  get version(): number {
    return this.#version;
  }

  /** The highest resourceVersion of an object seen, per kind: what is behind it in one part must not replace it. */
  get versions(): VersionVector {
    return { ...this.#versions };
  }

  /** Whether anything but status changed. */
  apply({ events, resourceVersion }: WatchBatch): boolean {
    let changed = false;
    for (const { type, object } of events) {
      const objects = this.#kinds.get(object.kind)!;
      const key = objectKey(object);
      changed ||= type !== 'Modified' || !isStatusOnly(objects.get(key), object);
      if (type === 'Deleted') objects.delete(key);
      else objects.set(key, object);
      const seen = Number(object.metadata.resourceVersion);
      this.#versions[object.kind] = Math.max(seen, this.#versions[object.kind] ?? 0);
    }
    this.#version = Number(resourceVersion);
    return changed;
  }

  get<K extends StoredKind>(kind: K, namespace: string, name: string): Stored<K> | undefined {
    return this.#kinds.get(kind)?.get(keyOf(namespace, name)) as Stored<K> | undefined;
  }

  /** All of a kind, sorted by namespace and name. */
  all<K extends StoredKind>(kind: K): readonly Stored<K>[] {
    const entries = [...(this.#kinds.get(kind) ?? [])];
    entries.sort(([a], [b]) => (a < b ? -1 : 1));
    return entries.map(([, object]) => object as Stored<K>);
  }
}

/** A change of status leaves the generation, the labels and the annotations. */
function isStatusOnly(before: Stored | undefined, after: Stored): boolean {
  const meta = ({ metadata }: Stored): string =>
    JSON.stringify([metadata.uid, metadata.generation, metadata.labels, metadata.annotations]);
  return before !== undefined && meta(before) === meta(after);
}
