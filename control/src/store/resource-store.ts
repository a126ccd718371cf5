import type { VersionVector } from '@chaperone/core/control/wire.ts';
import type { CoreKind } from '@chaperone/core/resources/core-kinds.ts';
import type { ConfigMap, Namespace, Secret, StoredMeta } from '@chaperone/core/resources/object.ts';
import type {
  AccessPolicy,
  MachineIdentity,
  MaskingRule,
  ResourceKind,
  Target,
} from '@chaperone/core/resources/types.ts';

interface ObjectsByKind {
  readonly MachineIdentity: MachineIdentity;
  readonly Target: Target;
  readonly AccessPolicy: AccessPolicy;
  readonly MaskingRule: MaskingRule;
  readonly Secret: Secret;
  readonly ConfigMap: ConfigMap;
  readonly Namespace: Namespace;
}

export type StoredKind = ResourceKind | CoreKind;

/** An object as a store gives it: validated, with its defaults and its stored metadata. Immutable. */
export type Stored<K extends StoredKind = StoredKind> = K extends StoredKind
  ? ObjectsByKind[K] & { readonly metadata: StoredMeta }
  : never;

/** What a create takes: no stored metadata, and no status. */
export interface NewObject {
  readonly apiVersion: string;
  readonly kind: StoredKind;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

/** A write happens only on the object with this uid and this version, where they are given. */
export interface Preconditions {
  readonly uid?: string;
  readonly resourceVersion?: string;
}

export interface WatchEvent {
  readonly type: 'Added' | 'Modified' | 'Deleted';
  /** The object as it is now; for Deleted, as it was last. */
  readonly object: Stored;
}

/** An object that is there and not valid, and so counts as absent. */
export interface InvalidReference {
  readonly kind: ResourceKind;
  readonly namespace: string;
  readonly name: string;
  /** As somebody wrote it. */
  readonly spec: unknown;
}

/** Changes that came into force together; none where only what is known to be complete has grown. */
export interface WatchBatch {
  readonly events: readonly WatchEvent[];
  /** The store's version after them: a whole number that only grows. */
  readonly resourceVersion: string;
  /**
   * Per kind, up to which resourceVersion everything of it has been told: of a list its own version, then of
   * each event and bookmark. Absent where `resourceVersion` holds for every kind.
   */
  readonly versions?: VersionVector;
  /** All objects of ours that are not valid now; absent: those told of before, at first none. */
  readonly invalid?: readonly InvalidReference[];
}

/** An RFC 7386 merge patch. */
export type MergePatch = Readonly<Record<string, unknown>>;

/**
 * Where resources live. Standalone keeps them in a directory, a cluster in its API server; controllers and
 * the policy API know this contract alone.
 *
 * Writes throw ChaperoneError: CHP-1010 the object does not validate, CHP-1012 it exists already, CHP-1013 a
 * precondition does not hold, CHP-1014 it does not exist.
 */
export interface ResourceStore {
  get<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
  ): Promise<Stored<K> | undefined>;
  /** All of a kind, or those of one namespace; sorted by namespace and name. */
  list<K extends StoredKind>(
    kind: K,
    namespace?: string,
  ): Promise<{ readonly items: readonly Stored<K>[]; readonly resourceVersion: string }>;
  /**
   * Calls back with everything that exists as one batch of Added, then with every change, in order and each
   * once, until the returned function is called. `onBatch` must not throw.
   */
  watch(kinds: readonly StoredKind[], onBatch: (batch: WatchBatch) => void): () => void;
  create(object: NewObject): Promise<Stored>;
  /** Patches labels, annotations and what the object's author wrote (spec, data); never status. */
  patch<K extends StoredKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions?: Preconditions,
  ): Promise<Stored<K>>;
  /** Patches `status` alone; `patch` is what stands below it. Writes nothing when nothing changes. */
  patchStatus<K extends ResourceKind>(
    kind: K,
    namespace: string,
    name: string,
    patch: MergePatch,
    preconditions?: Preconditions,
  ): Promise<Stored<K>>;
  delete(
    kind: StoredKind,
    namespace: string,
    name: string,
    preconditions?: Preconditions,
  ): Promise<void>;
}
