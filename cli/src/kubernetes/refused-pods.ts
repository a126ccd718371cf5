/**
 * Pods that admission refused: there is no pod to look at, only what whoever was to make it says of it. A
 * ReplicaSet says so in a condition, for as long as it holds; others in Events alone.
 */
import type { Broken, OwnReason } from './breakage.ts';
import type { ClusterView } from './cluster-view.ts';
import type { RawObject } from './kubectl.ts';

/** A workload whose pods are refused. */
export interface RefusedPods {
  readonly namespace: string;
  /** As people know it: the Deployment rather than its ReplicaSet. */
  readonly kind: string;
  readonly name: string;
  /** As the API server told it. */
  readonly message: string;
}

interface ReplicaSet extends RawObject {
  readonly metadata: RawObject['metadata'] & {
    readonly ownerReferences?: readonly {
      readonly kind?: string;
      readonly name?: string;
      readonly controller?: boolean;
    }[];
  };
  readonly status?: {
    readonly conditions?: readonly {
      readonly type?: string;
      readonly status?: string;
      readonly message?: string;
    }[];
  };
}

interface FailedCreate extends RawObject {
  readonly involvedObject?: {
    readonly kind?: string;
    readonly namespace?: string;
    readonly name?: string;
    readonly uid?: string;
  };
  readonly message?: string;
  readonly lastTimestamp?: string | null;
  readonly eventTime?: string | null;
  readonly series?: { readonly lastObservedTime?: string };
}

/** Webhooks and rules of ours have it in their names; rules name themselves by a code. */
const oursPattern = /chaperone\.dev"|CHP-8\d{3}/;
/** Controllers try again within that time, however often it failed: what is older is over. */
const retriedWithinMs = 20 * 60_000;

/** Whose failures Events alone tell, as kubectl lists them. */
export const toldByEvents = 'statefulsets.apps,daemonsets.apps,jobs.batch';

/** As kubectl lists them. */
export interface RefusalSources {
  readonly replicaSets: readonly RawObject[];
  /** Those of the reason FailedCreate. */
  readonly events: readonly RawObject[];
  /** See toldByEvents: an Event outlives what it is about. */
  readonly owners: readonly RawObject[];
  readonly pods: readonly RawObject[];
}

/** `nowMs`: epoch ms. */
export function refusedPods(sources: RefusalSources, nowMs: number): readonly RefusedPods[] {
  const { replicaSets, events, owners, pods } = sources;
  const found = new Map<string, RefusedPods>();
  const add = (refused: RefusedPods): void => {
    if (!oursPattern.test(refused.message)) return;
    found.set([refused.namespace, refused.kind, refused.name].join('/'), refused);
  };
  for (const { metadata, status } of replicaSets as readonly ReplicaSet[]) {
    const failure = status?.conditions?.find(
      ({ type, status: holds }) => type === 'ReplicaFailure' && holds === 'True',
    );
    if (failure === undefined) continue;
    const owner = metadata.ownerReferences?.find(({ controller }) => controller === true);
    add({
      namespace: metadata.namespace ?? '',
      kind: owner?.kind ?? 'ReplicaSet',
      name: owner?.name ?? metadata.name,
      message: failure.message ?? '',
    });
  }
  const present = new Set(owners.map(({ metadata }) => metadata.uid));
  const madeMs = newestPodByOwner(pods);
  const inOrder = [...(events as readonly FailedCreate[])].sort((a, b) => lastMs(a) - lastMs(b));
  for (const event of inOrder) {
    const { involvedObject: object, message = '' } = event;
    const { kind, name, namespace = '', uid = '' } = object ?? {};
    if (kind === undefined || name === undefined || !present.has(uid)) continue;
    const atMs = lastMs(event);
    if (nowMs - atMs > retriedWithinMs || (madeMs.get(uid) ?? 0) > atMs) continue;
    add({ namespace, kind, name, message });
  }
  return [...found.values()];
}

/** Epoch ms, by the owner's uid. */
function newestPodByOwner(pods: readonly RawObject[]): ReadonlyMap<string, number> {
  const newest = new Map<string, number>();
  for (const { metadata } of pods) {
    const { ownerReferences = [] } = metadata as { ownerReferences?: readonly { uid?: string }[] };
    const madeMs = Date.parse(metadata.creationTimestamp ?? '');
    for (const { uid = '' } of ownerReferences) {
      newest.set(uid, Math.max(newest.get(uid) ?? 0, madeMs));
    }
  }
  return newest;
}

function lastMs({ series, lastTimestamp, eventTime, metadata }: FailedCreate): number {
  const time = series?.lastObservedTime ?? lastTimestamp ?? eventTime;
  return Date.parse(time ?? metadata.creationTimestamp ?? '');
}

/** What is wrong with each, and what mends it. */
export function brokenRefusals({ refused, installation }: ClusterView): readonly Broken[] {
  return refused.map(({ namespace, kind, name, message }) => {
    // What comes before is the API server's way of saying who said it.
    const verdict = /CHP-8\d{3} .*/s.exec(message)?.[0].trim();
    const decided = verdict !== undefined && !verdict.startsWith('CHP-8003');
    const own = installation?.namespace ?? 'chaperone-system';
    return {
      what: `${kind} ${namespace}/${name}`,
      reason: 'NotAdmitted' satisfies OwnReason,
      message: `its pods are not admitted: ${verdict ?? message}`,
      mend: decided
        ? editOf(namespace, kind, name)
        : `kubectl -n ${own} get pods   # docs/runbooks/webhook-down.md`,
    };
  });
}

function editOf(namespace: string, kind: string, name: string): string {
  // The API server takes no change of its pods.
  if (kind === 'Job') return `create Job ${name} of namespace ${namespace} anew, changed so`;
  return `kubectl -n ${namespace} edit ${kind.toLowerCase()} ${name}`;
}
