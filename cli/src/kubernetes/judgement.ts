/** Governance's verdict on pods, by what kubectl shows. */
import { isIP } from 'node:net';
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { objectKey, type Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { governanceContext } from '@chaperone/control/governance/context.ts';
import {
  type GovernanceContext,
  isOptedIn,
  isTarget,
  judgePod,
  type PodFinding,
  sidecarOf,
} from '@chaperone/control/governance/judge-pod.ts';
import {
  isLive,
  type PodView,
  podView,
  type RawPod,
} from '@chaperone/control/governance/pod-view.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { acceptsFrom, foreignAcceptance } from '@chaperone/core/injection/foreign-targets.ts';
import { lockdownContainer } from '@chaperone/core/injection/names.ts';
import { subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import type { ClusterView } from './cluster-view.ts';

export type Identity = Stored<'MachineIdentity'>;
export type Target = Stored<'Target'>;

export interface JudgedPod {
  readonly raw: RawPod;
  readonly view: PodView;
  readonly governed: boolean;
  /** It is to have a sidecar: a label of its own or of its namespace says so. */
  readonly optedIn: boolean;
  /** It is what a Target stands for. */
  readonly isTarget: boolean;
  readonly lockdown: boolean;
  /** Undefined: its ServiceAccount is no subject of any. */
  readonly identity: Identity | undefined;
  readonly findings: readonly PodFinding[];
}

/** The live pods. */
export function judgePods(cluster: ClusterView): readonly JudgedPod[] {
  const contexts = new Map<string, GovernanceContext>();
  const identities = identitiesByAccount(cluster.snapshot);
  return cluster.pods.flatMap((raw) => {
    const view = podView(raw);
    if (!isLive(view)) return [];
    const { namespace } = view.metadata;
    const context = contexts.get(namespace) ?? contextOf(namespace, cluster);
    contexts.set(namespace, context);
    return [
      {
        raw,
        view,
        governed: sidecarOf(view) !== undefined,
        optedIn: isOptedIn(view, context),
        isTarget: isTarget(view, context),
        lockdown: view.containers.some(({ name }) => name === lockdownContainer),
        identity: identities.get(`${namespace}/${view.serviceAccount}`),
        findings: judgePod(view, context),
      },
    ];
  });
}

/** Targets that pods of the namespace may connect to. Without the administrator's rules: as far as labels and statuses tell. */
export function openTargets(namespace: string, cluster: ClusterView): readonly Target[] {
  const { snapshot, installation } = cluster;
  const { open } = targetsOf(namespace, snapshot, installation?.rules);
  if (installation !== undefined) return open;
  const found = snapshot.get('Namespace', '', namespace);
  const acceptance = foreignAcceptance(found?.metadata, 'ByLabel');
  return open.filter(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    const claimed = ready?.reason !== 'HostNotAllowed' && ready?.reason !== 'HostTaken';
    const own = metadata.namespace === namespace;
    return claimed && (own || acceptsFrom(acceptance, metadata.namespace));
  });
}

function contextOf(namespace: string, cluster: ClusterView): GovernanceContext {
  const { snapshot, installation, services } = cluster;
  const sidecarImage = installation?.sidecarImage;
  const { identified: _, ...context } = governanceContext(namespace, {
    snapshot,
    services: services.filter((service) => service.namespace === namespace),
    // Names alone are mapped; what else keeps a target from being mapped, the injector has told.
    targets: new Set(
      openTargets(namespace, cluster)
        .filter(({ spec }) => isIP(spec.host) === 0)
        .map(objectKey),
    ),
    excluded: installation?.excludedNamespaces.includes(namespace) ?? false,
    ...(sidecarImage !== undefined && { sidecarImage }),
    clusterDomain: installation?.rules.clusterDomain ?? 'cluster.local',
  });
  // Pods without an identity are told of apart, with what creates one.
  return context;
}

/** By `namespace/name` of the ServiceAccount; of two identities with one, the older has it. */
function identitiesByAccount(snapshot: Snapshot): ReadonlyMap<string, Identity> {
  const identities = snapshot.all('MachineIdentity');
  const conflicts = subjectConflicts(identities);
  const found = new Map<string, Identity>();
  for (const identity of identities) {
    const lost = new Set(conflicts.get(objectKey(identity))?.map(({ subject }) => subject));
    identity.spec.subjects.forEach(({ serviceAccount }, at) => {
      if (serviceAccount === undefined || lost.has(at)) return;
      found.set(`${identity.metadata.namespace}/${serviceAccount.name}`, identity);
    });
  }
  return found;
}

/** Who made the pod, as people name it: `Deployment/orders-api` rather than its ReplicaSet. */
export function workloadOf({ metadata, owner }: PodView): string {
  if (owner === undefined) return `Pod/${metadata.name}`;
  const hash = metadata.labels['pod-template-hash'];
  const ending = `-${hash}`;
  return owner.kind === 'ReplicaSet' && hash !== undefined && owner.name.endsWith(ending)
    ? `Deployment/${owner.name.slice(0, -ending.length)}`
    : `${owner.kind}/${owner.name}`;
}
