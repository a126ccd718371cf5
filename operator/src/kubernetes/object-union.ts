import type { Stored, WatchEvent } from '@chaperone/control/store/resource-store.ts';
import type { ChangeBatch } from './cache.ts';
import { objectKey } from './object.ts';
import type { InvalidObject, StoredEntry } from './stored-object.ts';

/**
 * The objects of one kind, seen through several watches that may overlap (by one label, by another, per
 * namespace). An object is there while any watch shows it, and is what the newest of them shows.
 */
export class ObjectUnion {
  readonly #views = new Map<string, Map<number, StoredEntry>>();
  readonly #effective = new Map<string, StoredEntry>();

  /** Everything that is valid. */
  all(): Stored[] {
    return [...this.#effective.values()].flatMap(({ stored }) => stored ?? []);
  }

  invalid(): InvalidObject[] {
    return [...this.#effective.values()].flatMap(({ invalid }) => invalid ?? []);
  }

  /** Takes what one watch says; returns what that changes for those who go by valid objects, and what is not valid. */
  apply(
    watch: number,
    { changes }: ChangeBatch<StoredEntry>,
  ): { readonly events: WatchEvent[]; readonly invalid: InvalidObject[] } {
    const events: WatchEvent[] = [];
    const invalid: InvalidObject[] = [];
    for (const { type, object } of changes) {
      const key = objectKey(object);
      const views = this.#views.get(key) ?? new Map<number, StoredEntry>();
      if (type === 'Deleted') views.delete(watch);
      else views.set(watch, object);
      if (views.size > 0) this.#views.set(key, views);
      else this.#views.delete(key);
      const before = this.#effective.get(key);
      const after = newest(views.values());
      if (after === undefined) this.#effective.delete(key);
      else this.#effective.set(key, after);
      // Where another watch showed it before, nothing is new.
      if (
        after !== undefined &&
        after.metadata.resourceVersion === before?.metadata.resourceVersion
      ) {
        continue;
      }
      if (after?.invalid !== undefined) invalid.push(after.invalid);
      events.push(...difference(before?.stored, after, object.metadata.resourceVersion));
    }
    return { events, invalid };
  }
}

function newest(entries: Iterable<StoredEntry>): StoredEntry | undefined {
  let result: StoredEntry | undefined;
  const version = (entry: StoredEntry): number => Number(entry.metadata.resourceVersion);
  for (const entry of entries) {
    if (result === undefined || version(entry) > version(result)) result = entry;
  }
  return result;
}

/** `resourceVersion`: of what was last said about the object, its deletion included. */
function difference(
  before: Stored | undefined,
  after: StoredEntry | undefined,
  resourceVersion: string,
): WatchEvent[] {
  const gone = (object: Stored): WatchEvent => ({
    type: 'Deleted',
    object: { ...object, metadata: { ...object.metadata, resourceVersion } } as Stored,
  });
  const stored = after?.stored;
  if (stored === undefined) return before === undefined ? [] : [gone(before)];
  if (before === undefined) return [{ type: 'Added', object: stored }];
  return before.metadata.uid === stored.metadata.uid
    ? [{ type: 'Modified', object: stored }]
    : [gone(before), { type: 'Added', object: stored }];
}
