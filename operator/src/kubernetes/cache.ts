import { objectKey } from './object.ts';

/** What an object needs to be cached. */
export interface Cached {
  readonly metadata: {
    readonly name: string;
    readonly namespace?: string;
    readonly uid: string;
    readonly resourceVersion: string;
  };
}

export interface Change<T> {
  readonly type: 'Added' | 'Modified' | 'Deleted';
  /**
   * As it is now. For Deleted: as it was last, with the resourceVersion of the deletion, or, where only a
   * list told that it is gone, of that list.
   */
  readonly object: T;
  /** As it was before; absent for Added. */
  readonly previous?: T;
}

/** Changes that became known together; none where only what is known has grown. */
export interface ChangeBatch<T> {
  readonly changes: readonly Change<T>[];
  /** Up to which everything is known, these changes included. */
  readonly resourceVersion: string;
}

/** The objects of a kind, and what a list or an event changes of them. */
export class ObjectCache<T extends Cached> {
  readonly #objects = new Map<string, T>();
  #resourceVersion: string | undefined;

  get resourceVersion(): string | undefined {
    return this.#resourceVersion;
  }

  get size(): number {
    return this.#objects.size;
  }

  /** `key`: see objectKey. */
  get(key: string): T | undefined {
    return this.#objects.get(key);
  }

  list(namespace?: string): T[] {
    const all = [...this.#objects.values()];
    return namespace === undefined
      ? all
      : all.filter(({ metadata }) => metadata.namespace === namespace);
  }

  /** Everything as Added. */
  everything(): ChangeBatch<T> {
    const changes = this.list().map((object): Change<T> => ({ type: 'Added', object }));
    return { changes, resourceVersion: this.#resourceVersion ?? '0' };
  }

  /** Makes the cache hold exactly `objects`. */
  replace(objects: readonly T[], resourceVersion: string): ChangeBatch<T> {
    const gone = new Map(this.#objects);
    const changes: Change<T>[] = [];
    for (const object of objects) {
      gone.delete(objectKey(object));
      changes.push(...this.#set(object, resourceVersion));
    }
    const deletions = [...gone].map(([key, previous]): Change<T> => {
      this.#objects.delete(key);
      return { type: 'Deleted', object: at(previous, resourceVersion), previous };
    });
    this.#resourceVersion = resourceVersion;
    return { changes: [...deletions, ...changes], resourceVersion };
  }

  put(object: T, resourceVersion: string): ChangeBatch<T> {
    this.#resourceVersion = resourceVersion;
    return { changes: this.#set(object, resourceVersion), resourceVersion };
  }

  /** `last`: how the deletion describes it. Nothing changes if the cache holds another object of that name. */
  remove(
    metadata: Cached['metadata'],
    last: T | undefined,
    resourceVersion: string,
  ): ChangeBatch<T> {
    this.#resourceVersion = resourceVersion;
    const key = objectKey({ metadata });
    const previous = this.#objects.get(key);
    if (previous?.metadata.uid !== metadata.uid) return { changes: [], resourceVersion };
    this.#objects.delete(key);
    const object = at(last ?? previous, resourceVersion);
    return { changes: [{ type: 'Deleted', object, previous }], resourceVersion };
  }

  /** Nothing changed up to there. */
  advance(resourceVersion: string): ChangeBatch<T> {
    this.#resourceVersion = resourceVersion;
    return { changes: [], resourceVersion };
  }

  #set(object: T, resourceVersion: string): Change<T>[] {
    const key = objectKey(object);
    const previous = this.#objects.get(key);
    if (previous?.metadata.resourceVersion === object.metadata.resourceVersion) return [];
    this.#objects.set(key, object);
    if (previous === undefined) return [{ type: 'Added', object }];
    if (previous.metadata.uid === object.metadata.uid) {
      return [{ type: 'Modified', object, previous }];
    }
    // Deleted and made anew, unseen: whoever follows uids has to know both.
    return [
      { type: 'Deleted', object: at(previous, resourceVersion), previous },
      { type: 'Added', object },
    ];
  }
}

function at<T extends Cached>(object: T, resourceVersion: string): T {
  return { ...object, metadata: { ...object.metadata, resourceVersion } };
}
