/** What is broken, and what mends it: a command to run, or a field to change. */
import {
  backendCondition,
  isBackendTrouble,
} from '@chaperone/control/controllers/backend-status.ts';
import type { PodReason } from '@chaperone/control/governance/judge-pod.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import type { Condition, ResourceKind } from '@chaperone/core/resources/types.ts';
import type { ClusterView } from './cluster-view.ts';
import { type JudgedPod, workloadOf } from './judgement.ts';

export interface Broken {
  /** `Target data/orders-db`, `Deployment payments/orders-api (2 pods)`. */
  readonly what: string;
  /** One PascalCase word. */
  readonly reason: string;
  readonly message: string;
  /** Commands, or what to change where. */
  readonly mend: string;
}

/** What the command line itself finds. Other reasons are those of a resource's condition, or governance's. */
export const ownReasons = [
  'NotInstalled',
  'Missing',
  'NotReady',
  'NotObserved',
  'Invalid',
  'NoTargets',
  'ForeignTargetsNotAccepted',
  'NoIdentity',
  'ContainerFails',
  'NotAdmitted',
] as const;
export type OwnReason = (typeof ownReasons)[number];

/** One that the command line itself found. */
export interface OwnBroken extends Broken {
  readonly reason: OwnReason;
}

type Resource = Stored<ResourceKind>;

export const readyOf = ({ status }: Resource): Condition | undefined =>
  status?.conditions?.find(({ type }) => type === 'Ready');

/** What is known of connecting to a Target; undefined before anybody has tried. */
export const backendOf = ({ status }: Resource): Condition | undefined =>
  status?.conditions?.find(({ type }) => type === backendCondition);

/** Whether the newest generation was looked at. */
export const isObserved = ({ status, metadata }: Resource): boolean =>
  (status?.observedGeneration ?? 0) >= metadata.generation;

const plural: Readonly<Record<ResourceKind, string>> = {
  MachineIdentity: 'machineidentity',
  Target: 'target',
  AccessPolicy: 'accesspolicy',
  MaskingRule: 'maskingrule',
};

/** Undefined: nothing is wrong with it. */
export function brokenResource(object: Resource, cluster: ClusterView): Broken | undefined {
  const { namespace, name } = object.metadata;
  const what = `${object.kind} ${namespace}/${name}`;
  const ready = readyOf(object);
  if (ready === undefined || !isObserved(object)) {
    const own = cluster.installation?.namespace ?? 'chaperone-system';
    return {
      what,
      reason: 'NotObserved' satisfies OwnReason,
      message:
        ready === undefined
          ? 'no controller has looked at it yet'
          : 'its last change has not been looked at yet: what stands in its status is older',
      mend: `kubectl -n ${own} get pods`,
    };
  }
  const backend = backendOf(object);
  const trouble =
    ready.status !== 'True'
      ? ready
      : backend !== undefined && isBackendTrouble(backend)
        ? backend
        : undefined;
  if (trouble === undefined) return undefined;
  const { reason, message } = trouble;
  return { what, reason, message, mend: mendResource(object, trouble) };
}

function mendResource(object: Resource, { reason }: Condition): string {
  const { namespace, name } = object.metadata;
  const kubectl = `kubectl -n ${namespace}`;
  const edit = `${kubectl} edit ${plural[object.kind]} ${name}`;
  if (object.kind === 'Target') {
    const { credentials, tls } = object.spec;
    const { name: secret, usernameKey, passwordKey } = credentials.secretRef;
    switch (reason) {
      case 'SecretNotFound':
        return [
          `${kubectl} create secret generic ${secret} --from-literal=${usernameKey}=… --from-file=${passwordKey}=…`,
          `${kubectl} label secret ${secret} chaperone.dev/target=${name}`,
        ].join('\n');
      case 'SecretNotMarked':
        return `${kubectl} label secret ${secret} chaperone.dev/target=${name}`;
      case 'SecretIncomplete':
        return `${kubectl} edit secret ${secret}`;
      case 'CANotFound':
      case 'CAInvalid':
        return `${edit}   # spec.tls.caRef, or the object that it names`;
      case 'CertificateNotTrusted':
        return tls.caRef === undefined
          ? `${edit}   # spec.tls.caRef: the authority of the server's certificate`
          : `${kubectl} edit ${tls.caRef.kind.toLowerCase()} ${tls.caRef.name}   # ${tls.caRef.key}: the authority of the server's certificate`;
      case 'CredentialsRejected':
        return `${kubectl} edit secret ${secret}   # user and password of a role that may log in`;
      case 'Unreachable':
        return `${edit}   # spec.host, spec.port, if the server runs and network policies let pods reach it`;
      case 'SessionsRefused':
        return 'look into the log of the server';
      case 'ServerNotSupported':
        return `${edit}   # spec.host, or spec.untestedVersions: Allow`;
      case 'PartlyReachable':
        return 'kubectl logs POD -n NAMESPACE -c chaperone-sidecar   # of a workload that cannot connect';
      case 'HostNotAllowed':
        return `${edit}   # spec.host, spec.aliases; or the chart's value governance.allowedHosts`;
      default:
        return edit;
    }
  }
  if (object.kind === 'MaskingRule' && object.spec.keyRef !== undefined) {
    const { name: secret } = object.spec.keyRef;
    if (reason === 'KeyNotMarked')
      return `${kubectl} label secret ${secret} chaperone.dev/use=MaskingKey`;
    if (reason === 'KeyNotFound' || reason === 'KeyTooShort') {
      return `${kubectl} edit secret ${secret}   # at least 16 bytes`;
    }
  }
  if (reason === 'Suspended') return `${edit}   # spec.suspended: false, once its owner agrees`;
  if (reason === 'Expired') return `${edit}   # spec.expiresAt, once its owner agrees`;
  return edit;
}

/** Per workload and finding, what is wrong with its pods. */
export function brokenPods(pods: readonly JudgedPod[]): readonly Broken[] {
  const groups = new Map<
    string,
    { readonly first: JudgedPod; count: number; broken: PodProblem }
  >();
  for (const pod of pods) {
    for (const broken of problemsOf(pod)) {
      const workload = workloadOf(pod.view);
      const key = [pod.view.metadata.namespace, workload, broken.reason, broken.message].join(' ');
      const group = groups.get(key) ?? { first: pod, count: 0, broken };
      group.count += 1;
      groups.set(key, group);
    }
  }
  return [...groups.values()].map(({ first, count, broken }) => {
    const { namespace } = first.view.metadata;
    const [kind, name] = workloadOf(first.view).split('/');
    const pods = kind === 'Pod' ? '' : ` (${count} ${count === 1 ? 'pod' : 'pods'})`;
    return { what: `${kind} ${namespace}/${name}${pods}`, ...broken };
  });
}

export interface PodProblem extends Omit<Broken, 'what'> {
  readonly reason: PodReason | OwnReason;
}

/** What is wrong with one pod. */
export function problemsOf(pod: JudgedPod): readonly PodProblem[] {
  const { view, findings, governed, identity } = pod;
  const { namespace, name } = view.metadata;
  const problems: PodProblem[] = findings
    .filter(({ severity }) => severity !== 'Note')
    .map(({ reason, message, severity }) => ({
      reason,
      message,
      mend: severity === 'Restart' || reason === 'MadeBefore' ? restart(view) : editWorkload(view),
    }));
  for (const container of failingContainers(pod)) {
    problems.push({
      reason: 'ContainerFails',
      message: `${container.name} does not start: ${container.why}`,
      mend: `kubectl -n ${namespace} logs ${name} -c ${container.name}`,
    });
  }
  if (governed && identity === undefined) {
    problems.push({
      reason: 'NoIdentity',
      message: `no MachineIdentity of namespace ${namespace} has ServiceAccount ${view.serviceAccount}: every statement is refused`,
      mend: `create a MachineIdentity in namespace ${namespace} with subjects: [{serviceAccount: {name: ${view.serviceAccount}}}]`,
    });
  }
  return problems;
}

function restart(view: JudgedPod['view']): string {
  const { namespace, name } = view.metadata;
  const [kind = '', owner = ''] = workloadOf(view).split('/');
  if (['Deployment', 'StatefulSet', 'DaemonSet'].includes(kind)) {
    return `kubectl -n ${namespace} rollout restart ${kind.toLowerCase()} ${owner}`;
  }
  return kind === 'Pod'
    ? `delete pod ${name} of namespace ${namespace} and create it anew`
    : `kubectl -n ${namespace} delete pod ${name}`;
}

function editWorkload(view: JudgedPod['view']): string {
  const { namespace } = view.metadata;
  const [kind = '', owner = ''] = workloadOf(view).split('/');
  // The API server takes no change of these.
  if (kind === 'Pod' || kind === 'Job') {
    return `create ${kind} ${owner} of namespace ${namespace} anew, changed so`;
  }
  return `kubectl -n ${namespace} edit ${kind.toLowerCase()} ${owner}`;
}

interface ContainerStatus {
  readonly name?: string;
  readonly restartCount?: number;
  readonly state?: {
    readonly waiting?: { readonly reason?: string; readonly message?: string };
    readonly terminated?: { readonly exitCode?: number };
  };
}

/** Those of ours that keep the pod from starting. */
function failingContainers({ raw }: JudgedPod): { readonly name: string; readonly why: string }[] {
  const status = raw.status as { readonly initContainerStatuses?: readonly ContainerStatus[] };
  return (status?.initContainerStatuses ?? []).flatMap(({ name = '', state = {} }) => {
    if (!name.startsWith('chaperone-')) return [];
    const { waiting, terminated } = state;
    if (
      waiting?.reason !== undefined &&
      !['PodInitializing', 'ContainerCreating'].includes(waiting.reason)
    ) {
      return [{ name, why: waiting.reason }];
    }
    const code = terminated?.exitCode ?? 0;
    return code === 0 ? [] : [{ name, why: `it ended with code ${code}` }];
  });
}
