import { canonicalJson } from '@chaperone/core/canonical-json.ts';
import { ApiError } from './api-error.ts';
import type { KubernetesApi } from './client.ts';
import type { KubernetesObject, WrittenObject } from './object.ts';
import { apiVersionOf, type ResourceType } from './resource-types.ts';

const maxAttempts = 5;

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
   * if it says so already. Throws a conflict if the object was made anew meanwhile, and 404 if it is gone: a
   * status never creates an object, nor ends on another one of that name.
   */
  async applyStatus<T extends KubernetesObject & { readonly status?: unknown }>(
    type: ResourceType,
    current: T,
    status: object,
  ): Promise<T> {
    const { namespace = '', name, uid } = current.metadata;
    let object = current;
    for (let attempt = 1; ; attempt += 1) {
      if (canonicalJson(object.status ?? {}) === canonicalJson(status)) return object;
      try {
        return await this.#applyStatus(type, object, status);
      } catch (error) {
        if (!(error instanceof ApiError) || !error.isConflict || attempt >= maxAttempts)
          throw error;
        object = await this.#api.get<T>(type, namespace, name);
        if (object.metadata.uid !== uid) throw error;
      }
    }
  }

  /** Server-side apply ignores a uid, so the version stands for the object. */
  #applyStatus<T extends KubernetesObject>(
    type: ResourceType,
    { metadata: { namespace, name, resourceVersion } }: T,
    status: object,
  ): Promise<T> {
    const placed = type.namespaced && namespace !== undefined ? { namespace } : {};
    const object = {
      apiVersion: apiVersionOf(type),
      kind: type.kind,
      metadata: { ...placed, name, resourceVersion },
      status,
    };
    const fieldManager = this.#fieldManager;
    return this.#api.apply<T>(type, object, { fieldManager, subresource: 'status' });
  }
}
