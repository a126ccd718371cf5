/** What governance has to say of a pod: pure, and the same for the controllers and the command line. */
import {
  egressAnnotation,
  egressLockdown,
  injectDisabled,
  injectEnabled,
  injectLabel,
  lockdownContainer,
  requiredLabel,
  sidecarContainer,
} from '@chaperone/core/injection/names.ts';
import { isLive, type PodView } from './pod-view.ts';

export const podFindings = [
  /** It is to have a sidecar, and has none. */
  'Ungoverned',
  /** Its sidecar is of another image than pods get now. */
  'OldSidecar',
  /** A target that is open to it is not mapped into it. */
  'MissingTarget',
  /** No MachineIdentity has its ServiceAccount: every statement is refused. */
  'NoIdentity',
  /** It can read a Secret that a Target uses, and so log in by itself. */
  'CredentialAccess',
  /** The workload can read the sidecar's memory, or has memory in common with its node. */
  'SharedProcesses',
  /** Its network is the node's, where nothing stands in between. */
  'HostNetwork',
  /** Nothing but the missing credential keeps it from its targets: egress is not locked down. */
  'OpenEgress',
] as const;
export type PodFindingKind = (typeof podFindings)[number];

/** Why: what exactly was found. The guide of kubectl chaperone says what mends each. */
export const podReasons = [
  'SecretMounted',
  'SecretInEnvironment',
  'HostNetwork',
  'SharedProcessNamespace',
  'HostIPC',
  'MadeBefore',
  'OldSidecar',
  'MadeBeforeTarget',
  'MadeBeforeLockdown',
  'NoLockdown',
  'ServiceAccountUnknown',
] as const;
export type PodReason = (typeof podReasons)[number];

export interface PodFinding {
  readonly finding: PodFindingKind;
  readonly reason: PodReason;
  /** What is wrong and what mends it. */
  readonly message: string;
  /** `Problem`: it undoes what governance is for. `Restart`: a new pod mends it. `Note`: as configured. */
  readonly severity: 'Problem' | 'Restart' | 'Note';
}

export interface GovernanceContext {
  /** Of the pod's namespace. */
  readonly namespaceLabels: Readonly<Record<string, string>>;
  /** Whether pods of that namespace are never injected. */
  readonly excluded: boolean;
  /** What new pods get; absent: not known, and not judged. */
  readonly sidecarImage?: string;
  /** Targets that a new pod of that namespace would be mapped, `namespace/name`. */
  readonly targets: ReadonlySet<string>;
  /** ServiceAccounts of the pod's namespace that a MachineIdentity has; absent: not judged. */
  readonly identified?: ReadonlySet<string>;
  /** Secrets of the pod's namespace that Targets use, each with that Target's name. */
  readonly targetSecrets: ReadonlyMap<string, string>;
  /** The Targets of its namespace, `namespace/name`, that the pod is itself behind. */
  readonly standsFor: (pod: PodView) => readonly string[];
}

/** Whether the pod is to have a sidecar, by label of its own or of its namespace. */
export function isOptedIn(pod: PodView, context: GovernanceContext): boolean {
  if (context.excluded) return false;
  const { namespaceLabels } = context;
  const asked = pod.metadata.labels[injectLabel];
  if (namespaceLabels[injectLabel] !== injectEnabled) return asked === injectEnabled;
  return asked !== injectDisabled || namespaceLabels[requiredLabel] === 'true';
}

/**
 * Whether the pod is what a Target protects, and so left alone. Where a sidecar is required nothing is, or
 * whoever may make a Service and a Target could let pods out.
 */
export function isTarget(pod: PodView, context: GovernanceContext): boolean {
  return context.namespaceLabels[requiredLabel] !== 'true' && context.standsFor(pod).length > 0;
}

/** Whether a container bears the sidecar's name; whether it is ours, admission has seen to. */
export function sidecarOf(pod: PodView): PodView['containers'][number] | undefined {
  return pod.containers.find(({ name, kind }) => name === sidecarContainer && kind === 'Init');
}

/** Nothing for pods that do not concern us, or have ended. */
export function judgePod(pod: PodView, context: GovernanceContext): readonly PodFinding[] {
  if (!isLive(pod)) return [];
  const sidecar = sidecarOf(pod);
  const governed = sidecar !== undefined;
  const optedIn = isOptedIn(pod, context) && !isTarget(pod, context);
  const findings: PodFinding[] = [];
  const add = (
    finding: PodFindingKind,
    severity: PodFinding['severity'],
    reason: PodReason,
    message: string,
  ): void => {
    findings.push({ finding, reason, message, severity });
  };

  for (const { secret, how } of credentials(pod, context)) {
    add(
      'CredentialAccess',
      'Problem',
      how === 'Mount' ? 'SecretMounted' : 'SecretInEnvironment',
      `it can read Secret ${secret}, the credential of Target ${context.targetSecrets.get(secret)}: take the Secret out of the pod, and change the password at the target`,
    );
  }
  if (!governed) {
    if (!optedIn) return findings;
    const [reason, message] = whyUngoverned(pod);
    add('Ungoverned', 'Problem', reason, message);
    return findings;
  }
  if (pod.sharedProcesses) {
    add(
      'SharedProcesses',
      'Problem',
      'SharedProcessNamespace',
      "its containers see each other's processes, the sidecar's memory with them: remove shareProcessNamespace and hostPID",
    );
  }
  if (pod.hostIpc) {
    add(
      'SharedProcesses',
      'Problem',
      'HostIPC',
      'it shares memory and message queues with its node, so its sidecar is given no policy: remove hostIPC',
    );
  }
  if (pod.hostNetwork) {
    add(
      'HostNetwork',
      'Problem',
      'HostNetwork',
      'it uses the network of its node: remove hostNetwork',
    );
  }
  const { sidecarImage } = context;
  if (sidecarImage !== undefined && sidecar.image !== sidecarImage) {
    const message = `its sidecar is ${sidecar.image}, and new pods get ${sidecarImage}: restart it`;
    add('OldSidecar', 'Restart', 'OldSidecar', message);
  }
  const missing = missingTargets(pod, sidecar.targets, context);
  if (missing.length > 0) {
    const shown = missing.slice(0, maxShown).join(', ');
    const more = missing.length > maxShown ? ` and ${missing.length - maxShown} more` : '';
    const message = `it was made before ${shown}${more} was open to it: restart it`;
    add('MissingTarget', 'Restart', 'MadeBeforeTarget', message);
  }
  if (context.identified?.has(pod.serviceAccount) === false) {
    add(
      'NoIdentity',
      'Problem',
      'ServiceAccountUnknown',
      `no MachineIdentity of its namespace has ServiceAccount ${pod.serviceAccount}, so all it asks is refused: create one`,
    );
  }
  if (!pod.containers.some(({ name, kind }) => name === lockdownContainer && kind === 'Init')) {
    const asked = pod.metadata.annotations[egressAnnotation] === egressLockdown;
    const message = asked
      ? `it was made before it was told ${egressAnnotation}: ${egressLockdown}: restart it`
      : `it may connect to its targets directly, though without their credential: set ${egressAnnotation}: ${egressLockdown} to stop that`;
    add(
      'OpenEgress',
      asked ? 'Restart' : 'Note',
      asked ? 'MadeBeforeLockdown' : 'NoLockdown',
      message,
    );
  }
  return findings;
}

const maxShown = 5;

function whyUngoverned(pod: PodView): readonly [reason: PodReason, message: string] {
  if (pod.hostNetwork) {
    return [
      'HostNetwork',
      'it has no sidecar, as it uses the network of its node: remove hostNetwork',
    ];
  }
  if (pod.sharedProcesses) {
    return [
      'SharedProcessNamespace',
      "it has no sidecar, as its containers see each other's processes: remove shareProcessNamespace and hostPID",
    ];
  }
  if (pod.hostIpc) {
    return [
      'HostIPC',
      'it has no sidecar, as it shares memory and message queues with its node: remove hostIPC',
    ];
  }
  return [
    'MadeBefore',
    'it has no sidecar, as it was made before it was opted in, or past admission: restart it',
  ];
}

function missingTargets(
  pod: PodView,
  mapped: readonly string[] | undefined,
  { targets, standsFor }: GovernanceContext,
): readonly string[] {
  // What it is behind itself is not mapped into it.
  const has = new Set([...(mapped ?? []), ...standsFor(pod)]);
  return [...targets].filter((target) => !has.has(target)).sort();
}

function credentials(
  pod: PodView,
  { targetSecrets, standsFor }: GovernanceContext,
): readonly { readonly secret: string; readonly how: 'Mount' | 'Environment' }[] {
  if (targetSecrets.size === 0) return [];
  const { namespace } = pod.metadata;
  // What is protected needs its own password, and no other one's.
  const own = new Set(standsFor(pod));
  const isForeign = (secret: string): boolean => {
    const target = targetSecrets.get(secret);
    return target !== undefined && !own.has(`${namespace}/${target}`);
  };
  const mounted = pod.mountedSecrets.filter(isForeign);
  const inEnvironment = new Set(pod.containers.flatMap(({ secrets }) => secrets));
  return [
    ...mounted.map((secret) => ({ secret, how: 'Mount' as const })),
    ...[...inEnvironment]
      .filter((name) => isForeign(name) && !mounted.includes(name))
      .map((secret) => ({ secret, how: 'Environment' as const })),
  ];
}
