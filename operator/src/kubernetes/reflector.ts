import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import { ApiError, protocolReason, toApiError } from './api-error.ts';
import { type Cached, type Change, type ChangeBatch, ObjectCache } from './cache.ts';
import type { KubernetesApi, Selection } from './client.ts';
import type { KubernetesMetrics } from './metrics.ts';
import type { KubernetesObject } from './object.ts';
import { apiVersionOf, type ResourceType } from './resource-types.ts';
import { pause } from './time.ts';

const pageSize = 500;
const firstBackoffMs = 200;
const maxBackoffMs = 30_000;
/** A watch that lived so long was accepted in earnest. */
const earnestMs = 1000;
/** Answers in a row that are no watch: the version that it is asked from may mean nothing to the server (any more). */
const maxRefusals = 3;

export interface ReflectorOptions<T extends Cached> {
  readonly api: KubernetesApi;
  readonly type: ResourceType;
  readonly selection?: Selection;
  /** What is kept of an object: see `slim`. What it throws leaves the object out. */
  readonly transform: (object: KubernetesObject) => T;
  /** For metrics and logs, unique within the program; by default the plural. */
  readonly name?: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

export interface ReflectorHealth {
  /** The first list is in. */
  readonly synced: boolean;
  /** Since the cache was last known to be up to date, in milliseconds; undefined before the first list. */
  readonly ageMs: number | undefined;
  /** Why there is no watch at the moment. */
  readonly problem: string | undefined;
}

/**
 * Keeps a copy of all objects of a kind: a paginated list, then a watch from there, for ever. Whatever goes
 * wrong, it goes on; what was missed meanwhile, deletions included, comes with the next list.
 */
export class Reflector<T extends Cached = KubernetesObject> {
  readonly name: string;
  readonly type: ResourceType;
  readonly #options: ReflectorOptions<T>;
  readonly #cache = new ObjectCache<T>();
  readonly #handlers = new Set<(batch: ChangeBatch<T>) => void>();
  readonly #backoff: Backoff;
  readonly #stopping = new AbortController();
  #attempt = new AbortController();
  #running: Promise<void> | undefined;
  #synced = Promise.withResolvers<void>();
  #hasSynced = false;
  /** Where to watch from; undefined: list first. */
  #from: string | undefined;
  #pageSize = pageSize;
  #listing = false;
  #openSinceUs: number | undefined;
  #contactUs: number | undefined;
  #progress = false;
  #refusals = 0;
  #problem: string | undefined;
  #unfollow: (() => void) | undefined;

  constructor(options: ReflectorOptions<T>) {
    this.#options = options;
    this.type = options.type;
    this.name = options.name ?? options.type.plural;
    this.#backoff = new Backoff(options.random, firstBackoffMs, maxBackoffMs);
  }

  /** Begins; does nothing if it has begun. */
  start(): void {
    if (this.#running !== undefined || this.#stopping.signal.aborted) return;
    const { metrics } = this.#options;
    this.#unfollow = metrics.onCollect(() => {
      const { ageMs } = this.health();
      metrics.cacheAge.set({ name: this.name }, ageMs === undefined ? -1 : ageMs / 1000);
      metrics.cacheObjects.set({ name: this.name }, this.#cache.size);
    });
    this.#running = this.#run();
  }

  /** Ends the watch; resolves when no handler will be called any more. It cannot be started again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#attempt.abort();
    this.#unfollow?.();
    await this.#running;
  }

  /** The first list is in, and every handler has seen it. */
  get hasSynced(): boolean {
    return this.#hasSynced;
  }

  /** Resolves with the first list; never, if stopped before. */
  synced(): Promise<void> {
    return this.#synced.promise;
  }

  /** The version up to which everything is known; undefined before the first list. */
  get resourceVersion(): string | undefined {
    return this.#cache.resourceVersion;
  }

  get size(): number {
    return this.#cache.size;
  }

  get(namespace: string, name: string): T | undefined {
    return this.#cache.get(`${namespace}/${name}`);
  }

  /** In no order. */
  list(namespace?: string): T[] {
    return this.#cache.list(namespace);
  }

  /**
   * Calls back for everything that is there, as one batch, once that is known: at once if it is known
   * already. Then for every change, and where it is only known that there was none up to some version, with
   * an empty batch. What the handler throws is logged and counted, and nothing else.
   * Returns how to stop that.
   */
  subscribe(handler: (batch: ChangeBatch<T>) => void): () => void {
    // A function subscribed twice is two subscriptions.
    const own = (batch: ChangeBatch<T>): void => handler(batch);
    this.#handlers.add(own);
    if (this.#cache.resourceVersion !== undefined) this.#call(own, this.#cache.everything());
    return () => void this.#handlers.delete(own);
  }

  health(): ReflectorHealth {
    const nowUs = this.#options.clock.monotonicUs();
    return {
      synced: this.#hasSynced,
      ageMs: this.#contactUs === undefined ? undefined : (nowUs - this.#contactUs) / 1000,
      problem: this.#problem,
    };
  }

  /**
   * A quiet watch does not say whether it still lives. To be told that a consistent read, sent at `sentUs`
   * (monotonic), was answered by the server that this watch is connected to.
   */
  confirm(sentUs: number): void {
    if (this.#openSinceUs === undefined || this.#openSinceUs > sentUs) return;
    this.#contactUs = Math.max(this.#contactUs ?? sentUs, sentUs);
  }

  /**
   * Opens the watch anew from where it is, at once if it was about to be tried again: for when the server
   * was away, and the watch may hang. A list under way goes on.
   */
  reconnect(): void {
    if (!this.#listing) this.#attempt.abort();
  }

  async #run(): Promise<void> {
    const stopping = this.#stopping.signal;
    while (!stopping.aborted) {
      this.#attempt = new AbortController();
      const { signal } = this.#attempt;
      try {
        if (this.#from === undefined) await this.#list(signal);
        await this.#watch(signal);
      } catch (error) {
        // Whoever aborted it wants it to begin anew at once.
        if (signal.aborted) continue;
        await this.#recover(toApiError(error));
      }
    }
  }

  async #list(signal: AbortSignal): Promise<void> {
    const { api, type, selection, clock, metrics } = this.#options;
    const startUs = clock.monotonicUs();
    metrics.lists.inc({ name: this.name });
    this.#listing = true;
    try {
      const objects: T[] = [];
      let resourceVersion = '';
      for await (const page of api.pages<KubernetesObject>(type, selection, this.#pageSize, {
        signal,
      })) {
        // Page by page, so that no more than one is held in full.
        for (const item of page.items) {
          const object = this.#transform(item);
          if (object !== undefined) objects.push(object);
        }
        resourceVersion = page.metadata.resourceVersion;
      }
      if (signal.aborted) return;
      this.#pageSize = pageSize;
      this.#contactUs = startUs;
      this.#from = resourceVersion;
      this.#deliver(this.#cache.replace(objects, resourceVersion));
    } catch (error) {
      // The pages ended with the version they were of; one page cannot.
      if (error instanceof ApiError && error.isExpired) this.#pageSize = 0;
      throw error;
    } finally {
      this.#listing = false;
    }
    if (!this.#hasSynced) {
      this.#hasSynced = true;
      this.#synced.resolve();
    }
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { api, type, selection, clock, random, metrics, logger } = this.#options;
    const startUs = clock.monotonicUs();
    this.#progress = false;
    try {
      await api.watch<KubernetesObject>(
        type,
        {
          ...selection,
          resourceVersion: this.#from!,
          timeoutSeconds: 300 + Math.floor(random() * 301),
          onOpen: () => {
            metrics.watches.inc({ name: this.name });
            this.#openSinceUs = clock.monotonicUs();
            if (this.#problem !== undefined) logger.info({ cache: this.name }, 'watching again');
            this.#problem = undefined;
          },
        },
        ({ type: change, object }) => {
          if (signal.aborted) return;
          this.#progress = true;
          this.#refusals = 0;
          this.#contactUs = clock.monotonicUs();
          this.#from = object.metadata.resourceVersion;
          this.#see(change, object);
        },
        signal,
      );
    } finally {
      this.#openSinceUs = undefined;
    }
    if (clock.monotonicUs() - startUs >= earnestMs * 1000) this.#progress = true;
    // Closing is how every watch ends; one that ends at once must not be asked for in a loop.
    if (this.#progress) this.#backoff.reset();
    else await pause(clock, this.#backoff.next(), signal);
  }

  #see(type: 'ADDED' | 'MODIFIED' | 'DELETED' | 'BOOKMARK', raw: KubernetesObject): void {
    const { resourceVersion } = raw.metadata;
    if (type === 'BOOKMARK') {
      this.#deliver(this.#cache.advance(resourceVersion));
      return;
    }
    const object = this.#transform(raw);
    this.#deliver(
      type === 'DELETED' || object === undefined
        ? this.#cache.remove(raw.metadata, object, resourceVersion)
        : this.#cache.put(object, resourceVersion),
    );
  }

  #transform(raw: KubernetesObject): T | undefined {
    const { type, transform, logger, metrics } = this.#options;
    try {
      // Items of lists lack both.
      return transform({ ...raw, apiVersion: apiVersionOf(type), kind: type.kind });
    } catch (error) {
      metrics.handlerErrors.inc({ name: this.name });
      logger.error({ err: error, cache: this.name, object: raw.metadata.name }, 'object left out');
      return undefined;
    }
  }

  #deliver(batch: ChangeBatch<T>): void {
    for (const handler of [...this.#handlers]) {
      if (this.#handlers.has(handler)) this.#call(handler, batch);
    }
  }

  #call(handler: (batch: ChangeBatch<T>) => void, batch: ChangeBatch<T>): void {
    try {
      handler(batch);
    } catch (error) {
      const { logger, metrics } = this.#options;
      metrics.handlerErrors.inc({ name: this.name });
      logger.error({ err: error, cache: this.name }, 'a handler of changes failed');
    }
  }

  async #recover(error: ApiError): Promise<void> {
    const { clock, logger, metrics } = this.#options;
    metrics.watchFailures.inc({ name: this.name });
    this.#problem = error.message;
    if (this.#progress) this.#backoff.reset();
    if (error.isExpired && this.#from !== undefined) {
      this.#from = undefined;
      logger.info({ cache: this.name }, 'the watch is too old to be resumed; listing anew');
      // At once, unless the server finds its own newest list too old.
      if (this.#progress || this.#refusals++ === 0) return;
    } else if (error.reason === protocolReason) {
      // What the line would have said is not known.
      this.#from = undefined;
    } else if (!error.isNetwork && error.code !== 429 && ++this.#refusals >= maxRefusals) {
      this.#refusals = 0;
      this.#from = undefined;
    }
    const waitMs = Math.max(this.#backoff.next(), error.retryAfterMs ?? 0);
    logger.warn({ err: error, cache: this.name, waitMs }, 'no watch; trying again');
    await pause(clock, waitMs, this.#attempt.signal);
  }
}

/** For `transform`: the object without what only the API server and kubectl need, which is often half of it. */
export function slim<T extends KubernetesObject>(object: KubernetesObject): T {
  const {
    managedFields: _,
    annotations,
    ...metadata
  } = object.metadata as unknown as Record<string, unknown>;
  const applied = 'kubectl.kubernetes.io/last-applied-configuration';
  const { [applied]: __, ...kept } = (annotations ?? {}) as Record<string, string>;
  return {
    ...object,
    metadata: { ...metadata, ...(annotations !== undefined && { annotations: kept }) },
  } as unknown as T;
}

export type { Cached, Change, ChangeBatch };
