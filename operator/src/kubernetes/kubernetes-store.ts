import type {
  MergePatch,
  NewObject,
  Preconditions,
  ResourceStore,
  Stored,
  StoredKind,
  WatchBatch,
} from '@chaperone/control/store/resource-store.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { KubernetesApi } from './client.ts';
import type { KubernetesMetrics } from './metrics.ts';
import type { Reflector } from './reflector.ts';
import { StoreCache } from './store-cache.ts';
import { StoreObjects } from './store-objects.ts';
import type { InvalidObject, StoredEntry } from './stored-object.ts';

export interface KubernetesStoreOptions {
  readonly api: KubernetesApi;
  /** Those that are watched; of the others a watch shows nothing. */
  readonly kinds: readonly StoredKind[];
  /** Where Secrets and ConfigMaps are watched. */
  readonly targetNamespaces: readonly string[];
  /** Whom the API server names as the writer: one for each program. */
  readonly fieldManager: string;
  /** An object is there that is not valid, and so counts as absent; called for each version of it. Must not throw. */
  readonly onInvalid?: (invalid: InvalidObject) => void;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

/**
 * A ResourceStore over an API server. Watches are served from caches; `get` and `list` ask the API server,
 * so that they show what was just written. What the contract has no code for is thrown as ApiError.
 *
 * An object that is not valid, such as one stored before a rule of its schema existed, counts as absent:
 * `get` does not find it, and a watch that showed it shows it as Deleted. An absent object allows nothing;
 * but what it forbade or masked is for the reader of `invalid` to close.
 */
export class KubernetesStore implements ResourceStore {
  readonly #cache: StoreCache;
  readonly #objects: StoreObjects;

  constructor(options: KubernetesStoreOptions) {
    this.#cache = new StoreCache(options);
    this.#objects = new StoreObjects(options);
  }

  /** What feeds the watches: for a Contact to follow. */
  get reflectors(): readonly Reflector<StoredEntry>[] {
    return this.#cache.reflectors;
  }

  start(): void {
    for (const reflector of this.reflectors) reflector.start();
  }

  /** Ends the watches; resolves when none will be called any more. */
  async stop(): Promise<void> {
    await Promise.all(this.reflectors.map((reflector) => reflector.stop()));
  }

  get hasSynced(): boolean {
    return this.reflectors.every(({ hasSynced }) => hasSynced);
  }

  /** Resolves when everything is known: a watch begun then gives its first batch before it returns. */
  async synced(): Promise<void> {
    await Promise.all(this.reflectors.map((reflector) => reflector.synced()));
  }

  /** Since everything was last known to be up to date, in milliseconds; undefined before the first lists. */
  ageMs(): number | undefined {
    const ages = this.reflectors.map((reflector) => reflector.health().ageMs);
    return ages.includes(undefined) ? undefined : Math.max(0, ...(ages as number[]));
  }

  /** Objects that count as absent because they are not valid. */
  invalid(): InvalidObject[] {
    return this.#cache.invalid();
  }

  watch(kinds: readonly StoredKind[], onBatch: (batch: WatchBatch) => void): () => void {
    return this.#cache.watch(kinds, onBatch);
  }

  get<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Promise<Stored<K> | undefined> {
    return this.#objects.get(kind, namespace, name);
  }

  list<K extends StoredKind>(
    kind: K,
    namespace?: string,
  ): Promise<{ readonly items: readonly Stored<K>[]; readonly resourceVersion: string }> {
    return this.#objects.list(kind, namespace);
  }

  create(object: NewObject): Promise<Stored> {
    return this.#objects.create(object);
  }

  patch<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions = {},
  ): Promise<Stored<K>> {
    return this.#objects.patch(kind, namespace, name, patch, preconditions);
  }

  patchStatus<K extends ResourceKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions = {},
  ): Promise<Stored<K>> {
    return this.#objects.patchStatus(kind, namespace, name, patch, preconditions);
  }

  delete(
    kind: StoredKind,
    namespace: string,
    name: string,
    preconditions: Preconditions = {},
  ): Promise<void> {
    return this.#objects.delete(kind, namespace, name, preconditions);
  }
}
