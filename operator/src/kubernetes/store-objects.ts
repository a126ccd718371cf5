import { mergePatch } from '@chaperone/control/store/merge-patch.ts';
import type {
  MergePatch,
  NewObject,
  Preconditions,
  Stored,
  StoredKind,
} from '@chaperone/control/store/resource-store.ts';
import { canonicalJson } from '@chaperone/core/canonical-json.ts';
import { objectName } from '@chaperone/core/resources/object.ts';
import { hasErrors } from '@chaperone/core/resources/problem.ts';
import { resourceSchemas } from '@chaperone/core/resources/schemas.ts';
import { applySchema } from '@chaperone/core/resources/structural.ts';
import type { ResourceKind } from '@chaperone/core/resources/types.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import { ApiError } from './api-error.ts';
import type { KubernetesStoreOptions } from './kubernetes-store.ts';
import type { KubernetesObject } from './object.ts';
import { apiVersionOf, resourceTypes } from './resource-types.ts';
import { changedError, invalidError, storeError } from './store-errors.ts';
import { storeSelections } from './store-selections.ts';
import { type StoredEntry, storedEntry } from './stored-object.ts';

const maxConflicts = 5;

/** The reading and writing half of KubernetesStore: each call asks the API server. */
export class StoreObjects {
  readonly #options: KubernetesStoreOptions;

  constructor(options: KubernetesStoreOptions) {
    this.#options = options;
  }

  async get<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Promise<Stored<K> | undefined> {
    const { api } = this.#options;
    const raw = await api.find<KubernetesObject>(resourceTypes[kind], namespace, name);
    return raw && (this.#entry(raw).stored as Stored<K> | undefined);
  }

  async list<K extends StoredKind>(
    kind: K,
    namespace?: string,
  ): Promise<{ readonly items: readonly Stored<K>[]; readonly resourceVersion: string }> {
    const { api, targetNamespaces } = this.#options;
    const type = resourceTypes[kind];
    const found = new Map<string, Stored<K>>();
    let version = 0;
    for (const selection of storeSelections(kind, targetNamespaces, namespace)) {
      const { items, metadata } = await api.list<KubernetesObject>(type, selection);
      version = Math.max(version, Number(metadata.resourceVersion));
      for (const item of items) {
        const { stored } = this.#entry({ ...item, apiVersion: apiVersionOf(type), kind });
        if (stored !== undefined) found.set(objectName(stored), stored as Stored<K>);
      }
    }
    const items = [...found].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, object]) => object);
    return { items, resourceVersion: String(version) };
  }

  async create(object: NewObject): Promise<Stored> {
    const { clock, fieldManager, api } = this.#options;
    const { status: _, ...written } = object as NewObject & { readonly status?: unknown };
    const { name, object: valid, problems } = validate(written, clock.nowMs());
    if (valid === undefined) throw invalidError(name, problems);
    const { kind, metadata } = valid;
    const type = resourceTypes[kind];
    const placed = type.namespaced ? { namespace: metadata.namespace } : {};
    const body = { ...written, metadata: { ...written.metadata, ...placed } };
    return this.#writing(name, async () =>
      this.#stored(await api.create<KubernetesObject>(type, body, { fieldManager })),
    );
  }

  async patch<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions,
  ): Promise<Stored<K>> {
    const { status: _, apiVersion: __, kind: ___, metadata, ...content } = patch;
    const { labels, annotations } = (metadata ?? {}) as Record<string, unknown>;
    const wanted = {
      ...content,
      metadata: {
        ...(labels !== undefined && { labels }),
        ...(annotations !== undefined && { annotations }),
      },
    };
    return this.#update(kind, namespace, name, preconditions, (raw) => {
      const next = mergePatch(raw, wanted) as unknown as KubernetesObject;
      const { invalid } = this.#entry(next);
      if (invalid !== undefined) throw invalidError(nameOf(raw), invalid.problems);
      return canonicalJson(next) === canonicalJson(raw) ? undefined : wanted;
    });
  }

  async patchStatus<K extends ResourceKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions: Preconditions,
  ): Promise<Stored<K>> {
    const change = (raw: KubernetesObject & { readonly status?: unknown }): object | undefined => {
      const before = raw.status ?? {};
      const after = mergePatch(before, patch);
      const { problems } = applySchema(after, resourceSchemas[kind].status, 'status');
      if (hasErrors(problems)) throw invalidError(nameOf(raw), problems);
      return canonicalJson(after) === canonicalJson(before) ? undefined : { status: patch };
    };
    return this.#update(kind, namespace, name, preconditions, change, 'status');
  }

  async delete(
    kind: StoredKind,
    namespace: string,
    name: string,
    preconditions: Preconditions,
  ): Promise<void> {
    await this.#writing(objectName({ kind, metadata: { namespace, name } }), () =>
      this.#options.api.delete(resourceTypes[kind], namespace, name, { preconditions }),
    );
  }

  /**
   * Reads, lets `change` say what to write, and writes that onto exactly what was read; again if somebody
   * else was faster, unless the caller asked for one version alone.
   */
  async #update<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
    preconditions: Preconditions,
    change: (raw: KubernetesObject) => object | undefined,
    subresource?: string,
  ): Promise<Stored<K>> {
    const { api, fieldManager } = this.#options;
    const type = resourceTypes[kind];
    const path = { namespace, name, ...(subresource !== undefined && { subresource }) };
    return this.#writing(objectName({ kind, metadata: { namespace, name } }), async () => {
      for (let conflicts = 1; ; conflicts += 1) {
        const raw = await api.get<KubernetesObject>(type, namespace, name);
        check(raw, preconditions);
        const patch: { readonly metadata?: object } | undefined = change(raw);
        if (patch === undefined) return this.#stored(raw) as Stored<K>;
        const { resourceVersion, uid } = raw.metadata;
        const body = { ...patch, metadata: { ...patch.metadata, resourceVersion, uid } };
        try {
          const options = { fieldManager };
          return this.#stored(
            await api.mergePatch<KubernetesObject>(type, path, body, options),
          ) as Stored<K>;
        } catch (error) {
          const mayTryAgain = preconditions.resourceVersion === undefined;
          const conflict = error instanceof ApiError && error.isConflict;
          if (!conflict || !mayTryAgain || conflicts >= maxConflicts) throw error;
        }
      }
    });
  }

  /** Runs a write and says its failure in the words of the contract. */
  async #writing<R>(name: string, write: () => Promise<R>): Promise<R> {
    try {
      return await write();
    } catch (error) {
      throw storeError(name, error);
    }
  }

  #entry(raw: KubernetesObject): StoredEntry {
    return storedEntry(raw, this.#options.clock.nowMs());
  }

  #stored(raw: KubernetesObject): Stored {
    const { stored, invalid } = this.#entry(raw);
    if (stored === undefined) throw invalidError(nameOf(raw), invalid?.problems ?? []);
    return stored;
  }
}

function check(raw: KubernetesObject, { uid, resourceVersion }: Preconditions): void {
  const { metadata } = raw;
  const same =
    (uid === undefined || uid === metadata.uid) &&
    (resourceVersion === undefined || resourceVersion === metadata.resourceVersion);
  if (!same) throw changedError(nameOf(raw));
}

const nameOf = ({ kind, metadata: { namespace = '', name } }: KubernetesObject): string =>
  objectName({ kind, metadata: { namespace, name } });
