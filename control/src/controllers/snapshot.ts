import type { VersionVector } from '@chaperone/core/control/wire.ts';
import type { InvalidReference, Stored, StoredKind, WatchBatch } from '../store/resource-store.ts';

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
  readonly #sorted = new Map<StoredKind, readonly Stored[]>();
  #invalid: readonly InvalidReference[] = [];
  #version = 0;
  #revision = 0;
  readonly #versions: Record<string, number> = {};
  readonly #complete: Record<string, number> = {};

  /** The store's version. */
  get version(): number {
    return this.#version;
  }

  /** The version of the last change seen, per kind: what is complete up to less in one part must not replace it. */
  get versions(): VersionVector {
    return { ...this.#versions };
  }

  /** Up to which version all changes have been seen, per kind: more than `versions` where nothing has changed since. */
  get complete(): VersionVector {
    return { ...this.#complete };
  }

  /** Objects that are there and count as absent, because they are not valid. */
  get invalid(): readonly InvalidReference[] {
    return this.#invalid;
  }

  /** Grows whenever anything but status changed: what is derived from specs holds for one revision. */
  get revision(): number {
    return this.#revision;
  }

  /** Whether anything but status changed. */
  apply({ events, resourceVersion, versions, invalid }: WatchBatch): boolean {
    let changed = invalid !== undefined;
    if (invalid !== undefined) this.#invalid = invalid;
    for (const kind of watchedKinds) {
      const complete = versions === undefined ? Number(resourceVersion) : versions[kind];
      this.#complete[kind] = Math.max(complete ?? 0, this.#complete[kind] ?? 0);
    }
    for (const { type, object } of events) {
      const objects = this.#kinds.get(object.kind)!;
      const key = objectKey(object);
      const before = objects.get(key);
      changed ||= type !== 'Modified' || !isStatusOnly(before, object);
      if (type === 'Deleted') objects.delete(key);
      else objects.set(key, object);
      this.#sorted.delete(object.kind);
      const known = before?.metadata.resourceVersion === object.metadata.resourceVersion;
      // A deletion that carries no version of its own happened somewhere up to what is complete.
      const seen =
        type === 'Deleted' && known
          ? this.#complete[object.kind]!
          : Number(object.metadata.resourceVersion);
      this.#versions[object.kind] = Math.max(seen, this.#versions[object.kind] ?? 0);
      this.#complete[object.kind] = Math.max(seen, this.#complete[object.kind]!);
    }
    this.#version = Number(resourceVersion);
    if (changed) this.#revision += 1;
    return changed;
  }

  get<K extends StoredKind>(kind: K, namespace: string, name: string): Stored<K> | undefined {
    return this.#kinds.get(kind)?.get(keyOf(namespace, name)) as Stored<K> | undefined;
  }

  /** All of a kind, sorted by namespace and name. */
  all<K extends StoredKind>(kind: K): readonly Stored<K>[] {
    let sorted = this.#sorted.get(kind);
    if (sorted === undefined) {
      const entries = [...(this.#kinds.get(kind) ?? [])];
      entries.sort(([a], [b]) => (a < b ? -1 : 1));
      sorted = entries.map(([, object]) => object);
      this.#sorted.set(kind, sorted);
    }
    return sorted as readonly Stored<K>[];
  }
}

/** A change of status leaves the generation, the labels and the annotations. */
function isStatusOnly(before: Stored | undefined, after: Stored): boolean {
  const meta = ({ metadata }: Stored): string =>
    JSON.stringify([metadata.uid, metadata.generation, metadata.labels, metadata.annotations]);
  return before !== undefined && meta(before) === meta(after);
}
