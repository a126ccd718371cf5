import type { KubernetesApi } from '../kubernetes/client.ts';
import type { KubernetesObject, OwnerReference } from '../kubernetes/object.ts';
import { apiVersionOf, type ResourceType } from '../kubernetes/resource-types.ts';

/**
 * Finds the reference by which an object goes when that one goes. Asked for each time: an owner that was made
 * anew has another uid, and an object with the former one would be collected at once. Throws ApiError.
 */
export function ownerFinder(
  api: KubernetesApi,
  type: ResourceType,
  namespace: string,
  name: string,
): () => Promise<OwnerReference> {
  return async () => {
    const { metadata } = await api.get<KubernetesObject>(type, namespace, name);
    return { apiVersion: apiVersionOf(type), kind: type.kind, name, uid: metadata.uid };
  };
}
