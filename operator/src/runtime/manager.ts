/** The one file that knows @dot-i/k8s-operator; docs/adr/0005 says what comes from it and what does not. */
import { readFileSync } from 'node:fs';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import operator, { type ResourceEvent, type ResourceMeta } from '@dot-i/k8s-operator';
import {
  CoreV1Api,
  KubernetesObjectApi,
  loadYaml,
  PatchStrategy,
  type V1CustomResourceDefinition,
  type V1CustomResourceDefinitionVersion,
} from '@kubernetes/client-node';
import { toApiError } from '../kubernetes/api-error.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import { Controller } from '../kubernetes/controller.ts';
import { LeaderElection } from '../kubernetes/leader-election.ts';
import type { KubernetesMetrics } from '../kubernetes/metrics.ts';
import { type KubernetesObject, objectKey } from '../kubernetes/object.ts';
import { Reflector, slim } from '../kubernetes/reflector.ts';
import { apiVersionOf, type ResourceType } from '../kubernetes/resource-types.ts';
import { type CachePart, type Part, PartGroup } from './lifecycle.ts';

export interface ManagerOptions {
  readonly api: KubernetesApi;
  /** Names the program: as field manager, in metrics and logs. */
  readonly name: string;
  /** Absent: every replica does everything. */
  readonly election?: {
    /** Of the Lease. */
    readonly namespace: string;
    readonly name: string;
    /** Unique for each run of the program. */
    readonly identity: string;
    /** The lead is lost, and what the leader did is being stopped: the program should end. */
    readonly onLost: (reason: string) => void;
  };
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

/**
 * Runs the parts of a program on Kubernetes: servers at once, caches, and, when those know everything and
 * this replica leads, the controllers. Never ends the process by itself.
 */
export class Manager extends operator.default {
  readonly #options: ManagerOptions;
  readonly #parts: PartGroup;
  readonly #leading: PartGroup;
  readonly #caches: CachePart[] = [];
  readonly #watched: (Reflector | Controller)[] = [];
  readonly #types = new Map<string, ResourceType>();
  readonly #election: LeaderElection | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #stopping: Promise<void> | undefined;

  constructor(options: ManagerOptions) {
    const { api, election, name, clock, random, metrics } = options;
    const logger = options.logger.child({ manager: name });
    super({
      debug: (message) => logger.debug(message),
      info: (message) => logger.info(message),
      warn: (message) => logger.warn(message),
      error: (message) => logger.error(message),
    });
    // The base class has loaded a configuration of its own, with a connection for each call.
    this.kubeConfig = api.config;
    this.k8sApi = api.config.makeApiClient(CoreV1Api);
    this.#options = options;
    this.#parts = new PartGroup(logger);
    this.#leading = new PartGroup(logger);
    this.#election =
      election &&
      new LeaderElection({
        api,
        namespace: election.namespace,
        name: election.name,
        identity: election.identity,
        onStarted: () => void this.#lead(),
        onLost: (reason) => {
          void this.#leading.stop();
          election.onLost(reason);
        },
        clock,
        random,
        logger,
        metrics,
      });
  }

  /** Runs on every replica, from the start. */
  add(part: Part): void {
    this.#parts.add(part);
  }

  /** Runs on every replica; what leads waits until it has synced. */
  addCache(cache: CachePart): void {
    this.#caches.push(cache);
    this.#parts.add(cache);
  }

  /** Runs while this replica leads, or on every one if there is no election. */
  addLeading(part: Part): void {
    this.#leading.add(part);
  }

  /** All caches know everything: a part of readiness. */
  get hasSynced(): boolean {
    return this.#caches.every(({ hasSynced }) => hasSynced);
  }

  get isLeader(): boolean {
    return this.#election === undefined || this.#election.isLeader;
  }

  /** Resolves when everything has been started that does not wait for the lead, and all caches have synced; or on stop. */
  override async start(): Promise<void> {
    await super.start();
  }

  /** Lets the leader's work end, gives the lead back, then stops the rest. Never throws. */
  override stop(): Promise<void> {
    this.#stopping ??= this.#stop();
    return this.#stopping;
  }

  /** Called by the base class's `start`. */
  protected override async init(): Promise<void> {
    await this.#parts.start();
    const synced = Promise.all(this.#caches.map((cache) => cache.synced()));
    await Promise.race([synced, this.#ended.promise]);
    if (this.#stopping !== undefined) return;
    if (this.#election === undefined) await this.#leading.start();
    else this.#election.start();
  }

  /**
   * Calls back with the newest state of each object of a kind; again after a while where that failed.
   * Between two calls for an object several changes may have happened. The base class's version loses
   * deletions and ends the process.
   */
  protected override async watchResource(
    group: string,
    version: string,
    plural: string,
    onEvent: (event: ResourceEvent) => Promise<void>,
    namespace?: string,
  ): Promise<void> {
    const { api, clock, logger, metrics, name } = this.#options;
    const type = await api.resourceType(group, version, plural);
    const id = `${plural}.${apiVersionOf(type)}`;
    this.#types.set(id, type);
    const pending = new Map<string, ResourceEvent>();
    const selection = namespace === undefined ? {} : { namespace };
    const cache = new Reflector<KubernetesObject>({
      ...this.#options,
      type,
      selection,
      transform: slim,
      name: `${name} ${id}`,
    });
    const controller = new Controller({
      name: `${name} ${id}`,
      reconcile: async (key) => {
        const event = pending.get(key);
        if (event === undefined) return undefined;
        await onEvent(event);
        if (pending.get(key) === event) pending.delete(key);
        return undefined;
      },
      clock,
      logger,
      metrics,
    });
    cache.subscribe(({ changes }) => {
      for (const { type: change, object } of changes) {
        const key = objectKey(object);
        pending.set(key, {
          meta: operator.ResourceMetaImpl.createWithId(id, object as never),
          type: operator.ResourceEventType[change],
          object: object as never,
        });
        controller.add(key);
      }
    });
    this.#watched.push(cache, controller);
    if (this.#stopping !== undefined) return;
    controller.start();
    cache.start();
  }

  /** Creates or updates it by server-side apply, through the one class of client-node that keeps its `x-kubernetes-*`. */
  protected override async registerCustomResourceDefinition(crdFile: string): Promise<{
    group: string;
    versions: V1CustomResourceDefinitionVersion[];
    plural: string;
  }> {
    const crd = loadYaml<V1CustomResourceDefinition>(readFileSync(crdFile, 'utf8'));
    if (crd.kind !== 'CustomResourceDefinition') {
      throw new Error(`${crdFile} holds no CustomResourceDefinition`);
    }
    const objects = KubernetesObjectApi.makeApiClient(this.kubeConfig);
    const { name } = this.#options;
    const strategy = PatchStrategy.ServerSideApply;
    try {
      await objects.patch(crd, undefined, undefined, name, true, strategy);
    } catch (error) {
      throw toApiError(error, `apply ${crd.metadata?.name}`);
    }
    const { group, versions, names } = crd.spec;
    return { group, versions, plural: names.plural };
  }

  /** As in the base class, but throws what fails. */
  protected override async setResourceStatus(
    meta: ResourceMeta,
    status: unknown,
  ): Promise<ResourceMeta | null> {
    const { api, name: fieldManager } = this.#options;
    const { name, namespace, resourceVersion, apiVersion, kind } = meta;
    const metadata = { name, resourceVersion, ...(namespace !== undefined && { namespace }) };
    const object = { apiVersion, kind, metadata, status } as unknown as KubernetesObject;
    const options = { fieldManager, subresource: 'status' };
    const written = await api.replace<KubernetesObject>(this.#typeOf(meta), object, options);
    return operator.ResourceMetaImpl.createWithId(meta.id, written as never);
  }

  /** As in the base class, but throws what fails. */
  protected override async patchResourceStatus(
    meta: ResourceMeta,
    status: unknown,
  ): Promise<ResourceMeta | null> {
    const { api, name: fieldManager } = this.#options;
    const { name, namespace = '', resourceVersion } = meta;
    const written = await api.mergePatch<KubernetesObject>(
      this.#typeOf(meta),
      { namespace, name, subresource: 'status' },
      { metadata: { resourceVersion }, status },
      { fieldManager },
    );
    return operator.ResourceMetaImpl.createWithId(meta.id, written as never);
  }

  /** As in the base class, but throws what fails, so that `handleResourceFinalizer` does not claim what did not happen. */
  protected override async setResourceFinalizers(
    meta: ResourceMeta,
    finalizers: string[],
  ): Promise<void> {
    const { api, name: fieldManager } = this.#options;
    const { name, namespace = '', resourceVersion } = meta;
    await api.mergePatch(
      this.#typeOf(meta),
      { namespace, name },
      { metadata: { finalizers, resourceVersion } },
      { fieldManager },
    );
  }

  #typeOf({ id }: ResourceMeta): ResourceType {
    const type = this.#types.get(id);
    if (type === undefined) throw new Error(`${id} is not watched`);
    return type;
  }

  async #lead(): Promise<void> {
    try {
      await this.#leading.start();
    } catch (error) {
      this.#options.logger.error({ err: error }, 'what the leader does could not be started');
      this.#options.election?.onLost('what the leader does could not be started');
    }
  }

  async #stop(): Promise<void> {
    this.#ended.resolve();
    await this.#leading.stop();
    await Promise.all(this.#watched.map((part) => part.stop()));
    await this.#election?.stop();
    await this.#parts.stop();
  }
}
