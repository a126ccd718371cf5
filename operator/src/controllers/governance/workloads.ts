/** Whom people know as the maker of a pod: the Deployment rather than its ReplicaSet. */
import type { PodOwner, PodView } from '@chaperone/control/governance/pod-view.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import type { KubernetesApi } from '../../kubernetes/client.ts';
import type { EventSubject } from '../../kubernetes/event-recorder.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { type ResourceType, resourceTypes } from '../../kubernetes/resource-types.ts';

/** What stands between a pod and what people write. */
const intermediates: Readonly<Record<string, ResourceType>> = {
  'apps/v1 ReplicaSet': resourceTypes.ReplicaSet,
  'batch/v1 Job': resourceTypes.Job,
};

const maxRemembered = 10_000;

export class Workloads {
  readonly #api: KubernetesApi;
  /** By the uid of the pod's owner, which never changes hands. */
  readonly #known = new Map<string, PodOwner>();

  constructor(api: KubernetesApi) {
    this.#api = api;
  }

  /** Throws ApiError. */
  async of({ metadata, owner }: PodView): Promise<EventSubject> {
    const { namespace, name, uid } = metadata;
    if (owner === undefined) return { apiVersion: 'v1', kind: 'Pod', namespace, name, uid };
    const known = this.#known.get(owner.uid) ?? (await this.#find(owner, namespace));
    return { ...known, namespace };
  }

  async #find(owner: PodOwner, namespace: string): Promise<PodOwner> {
    const type = intermediates[`${owner.apiVersion} ${owner.kind}`];
    const found =
      type === undefined ? owner : ((await this.#above(type, owner, namespace)) ?? owner);
    const [oldest] = this.#known.keys();
    if (this.#known.size >= maxRemembered && oldest !== undefined) this.#known.delete(oldest);
    this.#known.set(owner.uid, found);
    return found;
  }

  async #above(
    type: ResourceType,
    { name, uid }: PodOwner,
    namespace: string,
  ): Promise<PodOwner | undefined> {
    try {
      const { metadata } = await this.#api.get<KubernetesObject>(type, namespace, name);
      if (metadata.uid !== uid) return undefined;
      const above = metadata.ownerReferences?.find(({ controller }) => controller === true);
      if (above === undefined) return undefined;
      const { apiVersion, kind, name: aboveName, uid: aboveUid } = above;
      return { apiVersion, kind, name: aboveName, uid: aboveUid };
    } catch (error) {
      // It went before its pods did: the pods are told of as its own.
      if (error instanceof ApiError && error.isNotFound) return undefined;
      throw error;
    }
  }
}
