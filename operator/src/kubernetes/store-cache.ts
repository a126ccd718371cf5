import type {
  InvalidReference,
  StoredKind,
  WatchBatch,
  WatchEvent,
} from '@chaperone/control/store/resource-store.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import type { ChangeBatch } from './cache.ts';
import type { KubernetesStoreOptions } from './kubernetes-store.ts';
import { ObjectUnion } from './object-union.ts';
import { Reflector } from './reflector.ts';
import { resourceTypes } from './resource-types.ts';
import { storeSelections } from './store-selections.ts';
import {
  type InvalidObject,
  isResourceKind,
  type StoredEntry,
  storedEntry,
} from './stored-object.ts';

interface KindCache {
  readonly union: ObjectUnion;
  readonly reflectors: readonly Reflector<StoredEntry>[];
}

interface Watcher {
  readonly kinds: ReadonlySet<StoredKind>;
  readonly onBatch: (batch: WatchBatch) => void;
  /** It has had its first batch. */
  started: boolean;
}

/** The watching half of KubernetesStore: reflectors of every kind, as one ordered stream of batches. */
export class StoreCache {
  readonly #options: KubernetesStoreOptions;
  readonly #kinds: ReadonlyMap<StoredKind, KindCache>;
  readonly #watchers = new Set<Watcher>();
  #version = 0;
  #references: readonly InvalidReference[] = [];
  /** Of what `#references` tells. */
  #invalidVersion = '';

  constructor(options: KubernetesStoreOptions) {
    this.#options = options;
    this.#kinds = new Map(options.kinds.map((kind) => [kind, this.#cacheOf(kind)]));
  }

  get reflectors(): readonly Reflector<StoredEntry>[] {
    return [...this.#kinds.values()].flatMap(({ reflectors }) => reflectors);
  }

  invalid(): InvalidObject[] {
    return [...this.#kinds.values()].flatMap(({ union }) => union.invalid());
  }

  /** See ResourceStore.watch. */
  watch(kinds: readonly StoredKind[], onBatch: (batch: WatchBatch) => void): () => void {
    const watcher: Watcher = { kinds: new Set(kinds), onBatch, started: false };
    this.#watchers.add(watcher);
    this.#begin(watcher);
    return () => void this.#watchers.delete(watcher);
  }

  #cacheOf(kind: StoredKind): KindCache {
    const { targetNamespaces, api, clock, random, logger, metrics } = this.#options;
    const type = resourceTypes[kind];
    const union = new ObjectUnion();
    const reflectors = storeSelections(kind, targetNamespaces).map((selection, index) => {
      const { namespace, labelSelector } = selection;
      const reflector = new Reflector<StoredEntry>({
        api,
        type,
        selection,
        name: [type.plural, namespace, labelSelector].filter(Boolean).join(' '),
        transform: (raw) => storedEntry(raw, clock.nowMs()),
        clock,
        random,
        logger,
        metrics,
      });
      reflector.subscribe((batch) => this.#take(kind, index, batch));
      return reflector;
    });
    return { union, reflectors };
  }

  #take(kind: StoredKind, index: number, batch: ChangeBatch<StoredEntry>): void {
    const { events, invalid } = this.#kinds.get(kind)!.union.apply(index, batch);
    this.#version = Math.max(this.#version, Number(batch.resourceVersion));
    for (const object of invalid) this.#options.onInvalid?.(object);
    const concerned = invalid.length > 0 || this.#references.length > 0;
    const references = concerned ? this.#invalidIfChanged() : undefined;
    for (const watcher of [...this.#watchers]) {
      if (!watcher.started) this.#begin(watcher);
      else if (watcher.kinds.has(kind)) this.#tell(watcher, events, [kind], references);
    }
  }

  /** All that are not valid, if that has changed since it was asked last. */
  #invalidIfChanged(): readonly InvalidReference[] | undefined {
    const found = this.invalid().filter(({ kind }) => isResourceKind(kind));
    const versions = found.map(({ kind, object: { metadata } }) =>
      [kind, metadata.uid, metadata.resourceVersion].join(' '),
    );
    const version = versions.sort().join('\n');
    if (version === this.#invalidVersion) return undefined;
    this.#invalidVersion = version;
    this.#references = found.map(({ kind, object }) => ({
      kind: kind as ResourceKind,
      namespace: object.metadata.namespace ?? '',
      name: object.metadata.name,
      spec: (object as { readonly spec?: unknown }).spec,
    }));
    return this.#references;
  }

  /** Gives the first batch, if everything that belongs into it is known. */
  #begin(watcher: Watcher): void {
    const kinds = [...watcher.kinds].filter((kind) => this.#kinds.has(kind));
    if (kinds.some((kind) => this.#completeVersion(kind) === undefined)) return;
    watcher.started = true;
    const events = kinds.flatMap((kind) =>
      this.#kinds
        .get(kind)!
        .union.all()
        .map((object): WatchEvent => ({ type: 'Added', object })),
    );
    this.#tell(watcher, events, kinds, this.#references);
  }

  #tell(
    watcher: Watcher,
    events: readonly WatchEvent[],
    kinds: readonly StoredKind[],
    invalid: readonly InvalidReference[] | undefined,
  ): void {
    const versions: Record<string, number> = {};
    for (const kind of kinds) versions[kind] = this.#completeVersion(kind) ?? 0;
    watcher.onBatch({
      events,
      resourceVersion: String(this.#version),
      versions,
      ...(invalid !== undefined && { invalid }),
    });
  }

  /** Up to which version everything of the kind is known; undefined if not everything is listed yet. */
  #completeVersion(kind: StoredKind): number | undefined {
    let least = Number.POSITIVE_INFINITY;
    for (const { resourceVersion } of this.#kinds.get(kind)!.reflectors) {
      if (resourceVersion === undefined) return undefined;
      least = Math.min(least, Number(resourceVersion));
    }
    // Without a namespace to look into, there is nothing to be known.
    return least === Number.POSITIVE_INFINITY ? 0 : least;
  }
}
