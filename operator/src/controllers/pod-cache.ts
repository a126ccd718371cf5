/** Every pod of the cluster, as far as governance looks at it, counted by ServiceAccount and by namespace. */

import { sidecarOf } from '@chaperone/control/governance/judge-pod.ts';
import {
  isLive,
  type PodView,
  podView,
  type RawPod,
} from '@chaperone/control/governance/pod-view.ts';
import { injectEnabled, injectLabel } from '@chaperone/core/injection/names.ts';
import { Reflector, type ReflectorOptions } from '../kubernetes/reflector.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';

type Options = Omit<ReflectorOptions<PodView>, 'type' | 'transform'>;

/** A pod that came, changed or went. */
export interface PodChange {
  readonly pod: PodView;
  readonly gone: boolean;
}

export class PodCache {
  readonly reflector: Reflector<PodView>;
  readonly #byNamespace = new Map<string, Map<string, PodView>>();

  constructor(options: Options) {
    this.reflector = new Reflector<PodView>({
      ...options,
      type: resourceTypes.Pod,
      transform: (pod) => podView(pod as unknown as RawPod),
    });
    this.reflector.subscribe(({ changes }) => {
      for (const { type, object } of changes) this.#take(object, type === 'Deleted');
    });
  }

  /** Calls back with what changed, after the cache has it; returns the unsubscriber. */
  onChange(listener: (changes: readonly PodChange[]) => void): () => void {
    return this.reflector.subscribe(({ changes }) =>
      listener(changes.map(({ type, object }) => ({ pod: object, gone: type === 'Deleted' }))),
    );
  }

  /** Those of a namespace, in no order. */
  of(namespace: string): Iterable<PodView> {
    return this.#byNamespace.get(namespace)?.values() ?? [];
  }

  namespaces(): Iterable<string> {
    return this.#byNamespace.keys();
  }

  /** Pods that run under a ServiceAccount and have a sidecar: those that are recognised as its identity. */
  boundPods(namespace: string, serviceAccounts: ReadonlySet<string>): number {
    let count = 0;
    for (const pod of this.of(namespace)) {
      if (pod.phase === 'Running' && serviceAccounts.has(pod.serviceAccount) && isBound(pod)) {
        count += 1;
      }
    }
    return count;
  }

  /** Whether pods there need our roots: they ask for a sidecar, or have one. */
  needsRoots(namespace: string): boolean {
    for (const pod of this.of(namespace)) {
      if (!isLive(pod)) continue;
      if (pod.metadata.labels[injectLabel] === injectEnabled || isBound(pod)) return true;
    }
    return false;
  }

  #take(pod: PodView, gone: boolean): void {
    const { namespace, name } = pod.metadata;
    const pods = this.#byNamespace.get(namespace) ?? new Map<string, PodView>();
    if (gone) pods.delete(name);
    else pods.set(name, pod);
    if (pods.size > 0) this.#byNamespace.set(namespace, pods);
    else this.#byNamespace.delete(namespace);
  }
}

const isBound = (pod: PodView): boolean => sidecarOf(pod) !== undefined;
