/** Governance's verdict on pods, by what kubectl shows. */
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { objectKey, type Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import {
  type GovernanceContext,
  isOptedIn,
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
import {
  foreignTargetsAccepted,
  foreignTargetsLabel,
  lockdownContainer,
} from '@chaperone/core/injection/names.ts';
import { subjectConflicts } from '@chaperone/core/resources/subjects.ts';
import { targetNames } from '@chaperone/core/resources/target-names.ts';
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
        isTarget: context.isTarget(view),
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
  const labels = snapshot.get('Namespace', '', namespace)?.metadata.labels;
  const foreign = labels?.[foreignTargetsLabel] === foreignTargetsAccepted;
  return open.filter(({ metadata, status }) => {
    const ready = status?.conditions?.find(({ type }) => type === 'Ready');
    const claimed = ready?.reason !== 'HostNotAllowed' && ready?.reason !== 'HostTaken';
    return claimed && (foreign || metadata.namespace === namespace);
  });
}

function contextOf(namespace: string, cluster: ClusterView): GovernanceContext {
  const { snapshot, installation, services } = cluster;
  const domain = installation?.rules.clusterDomain ?? 'cluster.local';
  const own = snapshot.all('Target').filter(({ metadata }) => metadata.namespace === namespace);
  const names = new Set(
    own.flatMap(({ spec }) => targetNames(spec.host, spec.aliases ?? [], domain, namespace)),
  );
  const selectors = services
    .filter(
      (service) => service.namespace === namespace && names.has(`${service.name}.${namespace}.svc`),
    )
    .map(({ selector }) => Object.entries(selector))
    .filter((selector) => selector.length > 0);
  const sidecarImage = installation?.sidecarImage;
  return {
    namespaceLabels: snapshot.get('Namespace', '', namespace)?.metadata.labels ?? {},
    excluded: installation?.excludedNamespaces.includes(namespace) ?? false,
    ...(sidecarImage !== undefined && { sidecarImage }),
    targets: new Set(openTargets(namespace, cluster).map(objectKey)),
    targetSecrets: new Map(
      own.map(({ metadata, spec }) => [spec.credentials.secretRef.name, metadata.name]),
    ),
    isTarget: ({ metadata: { labels } }) =>
      selectors.some((selector) => selector.every(([key, value]) => labels[key] === value)),
  };
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
