import { canonicalJson } from '@chaperone/core/canonical-json.ts';
import type { KubernetesApi } from './client.ts';
import type { KubernetesObject, WrittenObject } from './object.ts';
import { apiVersionOf, type ResourceType } from './resource-types.ts';

/** Writes by server-side apply, always as the same manager: what it applied before and leaves out now goes. */
export class Applier {
  readonly #api: KubernetesApi;
  readonly #fieldManager: string;

  /** `fieldManager`: one for each program, as two with the same one would undo each other's fields. */
  constructor(api: KubernetesApi, fieldManager: string) {
    this.#api = api;
    this.#fieldManager = fieldManager;
  }

  /**
   * Creates the object or makes it have these fields; what others wrote elsewhere in it stays. One that has
   * them already keeps its resourceVersion. For every kind, CustomResourceDefinitions too.
   */
  apply<T extends KubernetesObject>(
    type: ResourceType,
    object: WrittenObject & { readonly metadata: { readonly name: string } },
  ): Promise<T> {
    return this.#api.apply<T>(type, object, { fieldManager: this.#fieldManager });
  }

  /**
   * Makes `status` the whole of what this program says of `current`, and returns the object. Sends nothing
   * if `current` says so already. Throws a conflict if the object was made anew meanwhile, and 404 if it is
   * gone: a status never creates an object.
   */
  async applyStatus<T extends KubernetesObject>(
    type: ResourceType,
    current: T & { readonly status?: unknown },
    status: object,
  ): Promise<T> {
    if (canonicalJson(current.status ?? {}) === canonicalJson(status)) return current;
    const { namespace, name, uid } = current.metadata;
    const object = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { ...(type.namespaced && namespace !== undefined && { namespace }), name, uid },
      status,
    };
    const fieldManager = this.#fieldManager;
    return this.#api.apply<T>(type, object, { fieldManager, subresource: 'status' });
  }
}
