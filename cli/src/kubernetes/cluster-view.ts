/** Everything that is asked of the cluster, at one time: no Secret is among it. */

import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import type { RawPod } from '@chaperone/control/governance/pod-view.ts';
import type { Stored, StoredKind } from '@chaperone/control/store/resource-store.ts';
import { hasErrors } from '@chaperone/core/resources/problem.ts';
import { validate } from '@chaperone/core/resources/validate.ts';
import { type Components, componentsSelector, controllers, readComponents } from './components.ts';
import { type Installation, readInstallation } from './installation.ts';
import type { Kubectl, Listed, RawObject } from './kubectl.ts';
import {
  type RefusalSources,
  type RefusedPods,
  refusedPods,
  toldByEvents,
} from './refused-pods.ts';

export interface ServiceView {
  readonly namespace: string;
  readonly name: string;
  readonly selector: Readonly<Record<string, string>>;
}

/** An object of ours that does not fit its schema: it counts as absent. */
export interface InvalidView {
  readonly kind: string;
  readonly namespace: string;
  readonly name: string;
  readonly message: string;
}

export interface ClusterView {
  /** Undefined: all namespaces. */
  readonly namespace: string | undefined;
  readonly snapshot: Snapshot;
  readonly invalid: readonly InvalidView[];
  readonly pods: readonly RawPod[];
  /** Whose pods admission refuses. */
  readonly refused: readonly RefusedPods[];
  readonly services: readonly ServiceView[];
  /** Undefined: not there, or not ours to see. */
  readonly installation: Installation | undefined;
  /** Those of all namespaces were listed. */
  readonly seesAllTargets: boolean;
  /** Chaperone's own. */
  readonly components: Components;
  /** What we may not see, as sentences. */
  readonly unseen: readonly string[];
}

const resources: readonly (readonly [StoredKind, string])[] = [
  ['MachineIdentity', 'machineidentities.chaperone.dev'],
  ['Target', 'targets.chaperone.dev'],
  ['AccessPolicy', 'accesspolicies.chaperone.dev'],
  ['MaskingRule', 'maskingrules.chaperone.dev'],
  ['Namespace', 'namespaces'],
];

/** Reads what concerns `namespace`, or everything. `now`: epoch ms. Throws CHP-1022. */
export async function readCluster(
  kubectl: Kubectl,
  namespace: string | undefined,
  nowMs: number,
): Promise<ClusterView> {
  const unseen: string[] = [];
  const partial = new Set<string>();
  const list = async (kind: string, selector?: string): Promise<readonly RawObject[]> => {
    const everywhere = await kubectl.list(kind, undefined, selector);
    if (everywhere.allowed) return everywhere.items;
    const plain = kind.replace('.chaperone.dev', '');
    partial.add(plain);
    const here: Listed =
      namespace === undefined || kind === 'namespaces'
        ? { allowed: false }
        : await kubectl.list(kind, namespace, selector);
    unseen.push(
      here.allowed
        ? `${plain} of other namespaces: you may list those of ${namespace} alone`
        : `${plain}: you may not list them`,
    );
    return here.allowed ? here.items : [];
  };
  const podsOf = async (): Promise<readonly RawObject[]> => {
    const pods = await kubectl.list('pods', namespace);
    if (pods.allowed) return pods.items;
    unseen.push('pods: you may not list them');
    return [];
  };
  const failures = async (): Promise<Omit<RefusalSources, 'pods'>> => {
    const [replicaSets, events] = await Promise.all([
      kubectl.list('replicasets.apps', namespace),
      kubectl.list('events', namespace, undefined, 'reason=FailedCreate'),
    ]);
    const some = events.allowed && events.items.length > 0;
    const owners: Listed = some
      ? await kubectl.list(toldByEvents, namespace)
      : { allowed: true, items: [] };
    const found = [replicaSets, events, owners];
    if (found.some(({ allowed }) => !allowed)) {
      unseen.push('replicasets and events: whose pods are refused at admission is not known');
    }
    const itemsOf = (listed: Listed) => (listed.allowed ? listed.items : []);
    return {
      replicaSets: itemsOf(replicaSets),
      events: itemsOf(events),
      owners: itemsOf(owners),
    };
  };
  const ownOf = async (
    kind: string,
    without: string,
  ): Promise<readonly RawObject[] | undefined> => {
    const found = await kubectl.list(`${kind.toLowerCase()}.apps`, undefined, componentsSelector);
    if (found.allowed) return found.items;
    unseen.push(`Chaperone's own ${kind}: ${without}`);
    return undefined;
  };
  const [deployments, statefulSets, pods, failed, services, ...objects] = await Promise.all([
    ownOf('Deployments', 'what the administrator settled, and what of it is away, is not known'),
    ownOf('StatefulSets', 'whether the collector is away is not known'),
    podsOf(),
    failures(),
    list('services'),
    ...resources.map(([, name]) => list(name)),
  ]);
  const { snapshot, invalid } = toSnapshot(objects.flat(), nowMs);
  return {
    namespace,
    snapshot,
    invalid,
    pods: pods as readonly RawPod[],
    refused: refusedPods({ ...failed, pods }, nowMs),
    services: services.map(serviceView),
    installation: readInstallation(
      deployments?.find(({ metadata }) => metadata.name === controllers),
    ),
    seesAllTargets: !partial.has('targets'),
    components: {
      ...(deployments !== undefined && { Deployment: readComponents(deployments) }),
      ...(statefulSets !== undefined && { StatefulSet: readComponents(statefulSets) }),
    },
    unseen: unseen.sort(),
  };
}

function serviceView(raw: RawObject): ServiceView {
  const { metadata, spec } = raw as RawObject & {
    readonly spec?: { readonly selector?: Record<string, string> };
  };
  return {
    namespace: metadata.namespace ?? '',
    name: metadata.name,
    selector: spec?.selector ?? {},
  };
}

/** Objects as the controllers would take them. */
export function toSnapshot(
  objects: readonly RawObject[],
  nowMs: number,
): { readonly snapshot: Snapshot; readonly invalid: readonly InvalidView[] } {
  const stored: Stored[] = [];
  const invalid: InvalidView[] = [];
  for (const raw of objects) {
    const { apiVersion, kind, metadata } = raw;
    const input = kind === 'Namespace' ? { apiVersion, kind, metadata } : raw;
    const { object, problems } = validate(input, nowMs);
    const { name, namespace = '', uid = '', resourceVersion = '0' } = metadata;
    if (object === undefined) {
      const message = problems
        .filter((problem) => hasErrors([problem]))
        .map((problem) => `${problem.path} ${problem.message}`.trim())
        .join('; ');
      invalid.push({ kind, namespace, name, message });
      continue;
    }
    const { status } = raw as { readonly status?: unknown };
    stored.push({
      ...object,
      metadata: {
        ...object.metadata,
        uid,
        resourceVersion,
        generation: metadata.generation ?? Number(resourceVersion),
        creationTimestamp: metadata.creationTimestamp ?? '',
      },
      ...(status !== undefined && { status }),
    } as Stored);
  }
  const snapshot = new Snapshot();
  snapshot.apply({
    events: stored.map((object) => ({ type: 'Added', object })),
    resourceVersion: '1',
  });
  return { snapshot, invalid };
}
