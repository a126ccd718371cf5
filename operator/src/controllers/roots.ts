/**
 * Keeps ConfigMap `chaperone-ca` with our roots wherever programs of ours run: in our own namespace, in
 * opted-in ones, and where a pod has opted in by itself.
 */
import {
  injectEnabled,
  injectLabel,
  rootsConfigMap,
  rootsKey,
} from '@chaperone/core/injection/names.ts';
import { ApiError } from '../kubernetes/api-error.ts';
import type { Applier } from '../kubernetes/apply.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import { Controller } from '../kubernetes/controller.ts';
import type { KubernetesObject, OwnerReference } from '../kubernetes/object.ts';
import { Reflector, type ReflectorOptions, slim } from '../kubernetes/reflector.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { PodCache } from './pod-cache.ts';

type Common = Omit<ReflectorOptions<never>, 'type' | 'transform' | 'selection' | 'name'>;

interface ConfigMap extends KubernetesObject {
  readonly data?: Readonly<Record<string, string>>;
}

interface Namespace extends KubernetesObject {
  readonly status?: { readonly phase?: string };
}

export interface RootsOptions extends Common {
  readonly api: KubernetesApi;
  readonly applier: Applier;
  readonly pods: PodCache;
  /** Our own. */
  readonly namespace: string;
  /** Of the ConfigMaps in our own namespace, and of those elsewhere. */
  readonly owners: {
    readonly own: () => Promise<OwnerReference>;
    readonly foreign: () => Promise<OwnerReference>;
  };
}

const managedLabel = 'app.kubernetes.io/part-of';
const managedBy = 'chaperone';

export class RootsController {
  /** To be run by every replica; nothing is written before `controller` starts. */
  readonly reflectors: readonly Reflector<never>[];
  readonly controller: Controller;
  readonly #options: RootsOptions;
  readonly #namespaces: Reflector<Namespace>;
  readonly #configMaps: Reflector<ConfigMap>;
  #bundle = '';

  constructor(options: RootsOptions) {
    this.#options = options;
    const { applier: _, pods, namespace: __, owners: ___, ...common } = options;
    this.#namespaces = new Reflector<Namespace>({
      ...common,
      type: resourceTypes.Namespace,
      transform: slim,
      name: 'namespaces roots',
    });
    this.#configMaps = new Reflector<ConfigMap>({
      ...common,
      type: resourceTypes.ConfigMap,
      selection: { fieldSelector: `metadata.name=${rootsConfigMap}` },
      transform: slim,
      name: 'configmaps roots',
    });
    this.reflectors = [
      this.#namespaces,
      this.#configMaps,
    ] as unknown as readonly Reflector<never>[];
    this.controller = new Controller({
      name: 'roots',
      reconcile: async (key) => {
        await this.#reconcile(key);
        return undefined;
      },
      clock: options.clock,
      logger: options.logger,
      metrics: options.metrics,
    });
    this.#namespaces.subscribe(({ changes }) => {
      for (const { object } of changes) this.controller.add(object.metadata.name);
    });
    this.#configMaps.subscribe(({ changes }) => {
      for (const { object } of changes) this.controller.add(object.metadata.namespace ?? '');
    });
    pods.onChange((changes) => {
      for (const namespace of new Set(changes.map(({ pod }) => pod.metadata.namespace))) {
        if (this.#isWanted(namespace) !== this.#exists(namespace)) this.controller.add(namespace);
      }
    });
  }

  /** The roots that everybody is to have, as PEM. */
  setBundle(bundle: string): void {
    if (bundle === this.#bundle) return;
    this.#bundle = bundle;
    for (const { metadata } of this.#namespaces.list()) this.controller.add(metadata.name);
  }

  /** Whether every namespace that is to have the roots has these. */
  isPublished(bundle: string): boolean {
    return this.#namespaces.list().every(({ metadata: { name } }) => {
      if (!this.#isWanted(name)) return true;
      return this.#configMaps.get(name, rootsConfigMap)?.data?.[rootsKey] === bundle;
    });
  }

  #exists(namespace: string): boolean {
    return this.#configMaps.get(namespace, rootsConfigMap) !== undefined;
  }

  /** A namespace that is going takes nothing new, and what is in it goes with it. */
  #isWanted(name: string): boolean {
    const namespace = this.#namespaces.get('', name);
    if (namespace === undefined || isGoing(namespace)) return false;
    const optedIn = namespace.metadata.labels?.[injectLabel] === injectEnabled;
    return name === this.#options.namespace || optedIn || this.#options.pods.needsRoots(name);
  }

  async #reconcile(namespace: string): Promise<void> {
    if (this.#bundle === '') return;
    const current = this.#configMaps.get(namespace, rootsConfigMap);
    if (this.#isWanted(namespace)) {
      if (current?.data?.[rootsKey] !== this.#bundle) await this.#write(namespace);
    } else if (current?.metadata.labels?.[managedLabel] === managedBy) {
      const known = this.#namespaces.get('', namespace);
      if (known !== undefined && !isGoing(known)) await this.#remove(namespace, current);
    }
  }

  async #write(namespace: string): Promise<void> {
    const { applier, owners } = this.#options;
    const own = namespace === this.#options.namespace;
    const owner = await (own ? owners.own() : owners.foreign());
    const object = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: {
        namespace,
        name: rootsConfigMap,
        labels: { [managedLabel]: managedBy },
        ownerReferences: [owner],
      },
      data: { [rootsKey]: this.#bundle },
    };
    try {
      await applier.apply(resourceTypes.ConfigMap, object);
    } catch (error) {
      // Between the cache's word and ours the namespace may have begun to go.
      const gone = error instanceof ApiError && (error.isNotFound || error.code === 403);
      const known = gone && (await this.#isGone(namespace));
      if (!known) throw error;
    }
  }

  async #isGone(name: string): Promise<boolean> {
    const namespace = await this.#options.api.find<Namespace>(resourceTypes.Namespace, '', name);
    return namespace === undefined || isGoing(namespace);
  }

  async #remove(namespace: string, { metadata }: ConfigMap): Promise<void> {
    const { uid, resourceVersion } = metadata;
    try {
      const options = { preconditions: { uid, resourceVersion } };
      await this.#options.api.delete(resourceTypes.ConfigMap, namespace, rootsConfigMap, options);
    } catch (error) {
      if (!(error instanceof ApiError && error.isNotFound)) throw error;
    }
  }
}

const isGoing = ({ metadata, status }: Namespace): boolean =>
  metadata.deletionTimestamp !== undefined || status?.phase === 'Terminating';
