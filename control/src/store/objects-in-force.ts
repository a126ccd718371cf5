/** The objects that are in force, by name, and who is told of their changes. In memory. */
import { objectName } from '@chaperone/core/resources/object.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Stored, StoredKind, WatchBatch, WatchEvent } from './resource-store.ts';

interface Watcher {
  readonly kinds: ReadonlySet<StoredKind>;
  readonly onBatch: (batch: WatchBatch) => void;
}

export class ObjectsInForce {
  readonly #watchers = new Set<Watcher>();
  #objects: ReadonlyMap<string, Stored> = new Map();
  #version = 0;

  /** By `objectName`. */
  get all(): ReadonlyMap<string, Stored> {
    return this.#objects;
  }

  find<K extends StoredKind>(kind: K, namespace: string, name: string): Stored<K> | undefined {
    return this.#objects.get(objectName({ kind, metadata: { namespace, name } })) as
      | Stored<K>
      | undefined;
  }

  /** Throws CHP-1014 where it is not there. */
  require<K extends StoredKind>(kind: K, namespace: string, name: string): Stored<K> {
    const object = this.find(kind, namespace, name);
    if (object !== undefined) return object;
    const label = objectName({ kind, metadata: { namespace, name } });
    throw new ChaperoneError('CHP-1014', `${label} does not exist.`);
  }

  /** Sorted by name. */
  list<K extends StoredKind>(
    kind: K,
    namespace: string | undefined,
  ): { items: readonly Stored<K>[]; resourceVersion: string } {
    const items = [...this.#objects.values()]
      .filter(
        (object): object is Stored<K> =>
          object.kind === kind &&
          (namespace === undefined || object.metadata.namespace === namespace),
      )
      .sort((a, b) => (objectName(a) < objectName(b) ? -1 : 1));
    return { items, resourceVersion: String(this.#version) };
  }

  /** Tells of all there are at once, and of changes until the returned function is called. */
  watch(kinds: readonly StoredKind[], onBatch: (batch: WatchBatch) => void): () => void {
    const watcher: Watcher = { kinds: new Set(kinds), onBatch };
    this.#watchers.add(watcher);
    const events = [...this.#objects.values()]
      .filter(({ kind }) => watcher.kinds.has(kind))
      .map((object): WatchEvent => ({ type: 'Added', object }));
    onBatch({ events, resourceVersion: String(this.#version) });
    return () => void this.#watchers.delete(watcher);
  }

  /** Puts `next` in their place, and tells each watcher what of it is new, changed or gone. */
  replace(next: ReadonlyMap<string, Stored>, version: number): void {
    const events = differences(this.#objects, next);
    this.#objects = next;
    this.#version = version;
    for (const { kinds, onBatch } of [...this.#watchers]) {
      const own = events.filter(({ object }) => kinds.has(object.kind));
      if (own.length > 0) onBatch({ events: own, resourceVersion: String(version) });
    }
  }

  /** Nobody is told of anything any more. */
  close(): void {
    this.#watchers.clear();
  }
}

/** An object of the same name and another uid is another object. */
function differences(
  earlier: ReadonlyMap<string, Stored>,
  next: ReadonlyMap<string, Stored>,
): readonly WatchEvent[] {
  const events: WatchEvent[] = [];
  for (const [name, object] of earlier) {
    if (next.get(name)?.metadata.uid !== object.metadata.uid) {
      events.push({ type: 'Deleted', object });
    }
  }
  for (const [name, object] of next) {
    const before = earlier.get(name);
    if (before?.metadata.uid !== object.metadata.uid) events.push({ type: 'Added', object });
    else if (before.metadata.resourceVersion !== object.metadata.resourceVersion) {
      events.push({ type: 'Modified', object });
    }
  }
  return events;
}
