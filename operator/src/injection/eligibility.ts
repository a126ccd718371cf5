/** Whether a pod is to have a sidecar, and whether it can. */
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { targetNames } from '@chaperone/core/resources/target-names.ts';
import { injectDisabled, injectEnabled, injectLabel, requiredLabel } from './names.ts';
import { type Refused, refused, type Skipped, type SkipReason } from './outcome.ts';
import type { CheckedPod } from './pod.ts';
import type { InjectionContext } from './render.ts';

type Labels = Readonly<Record<string, string>>;

export interface InjectionNamespace {
  readonly name: string;
  readonly labels: Labels;
  /** Absent: none. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/** A Service, as far as injection looks at it. */
export interface InjectionService {
  readonly name: string;
  /** Absent or empty: it selects no pods. */
  readonly selector?: Labels;
}

export const isOptedIn = ({ labels }: InjectionNamespace): boolean =>
  labels[injectLabel] === injectEnabled;

/** Whether the namespace's pods cannot do without. */
export const isRequired = (namespace: InjectionNamespace): boolean =>
  isOptedIn(namespace) && namespace.labels[requiredLabel] === 'true';

/** Why the pod is not injected; undefined: it is to be. */
export function ineligibility(
  pod: CheckedPod,
  context: InjectionContext,
): Skipped | Refused | undefined {
  const { namespace, settings } = context;
  if (namespace.name === settings.namespace) {
    return skipped('OwnNamespace', "the namespace is Chaperone's own");
  }
  if (settings.excludedNamespaces.includes(namespace.name)) {
    return skipped('ExcludedNamespace', `namespace ${namespace.name} is never injected`);
  }
  const asked = pod.metadata?.labels?.[injectLabel];
  if (!isOptedIn(namespace) && asked !== injectEnabled) {
    return skipped('NotRequested', 'neither the pod nor its namespace asks for injection');
  }
  if (asked === injectDisabled && !isRequired(namespace)) {
    return skipped('OptedOut', `the pod has the label ${injectLabel}: ${injectDisabled}`);
  }
  const [target] = protectingTargets(pod, context);
  if (target !== undefined && !isRequired(namespace)) {
    return skipped('IsTarget', `a Service of Target ${target.metadata.name} selects the pod`);
  }
  const [reason, message] = obstacle(pod) ?? [];
  if (reason === undefined || message === undefined) return undefined;
  return isRequired(namespace)
    ? refused(
        reason,
        `${message}, and namespace ${namespace.name} requires a sidecar`,
        hints[reason],
      )
    : skipped(reason, message);
}

/** For whoever asks that a pod be left out where none is. Of a pod that is injected. */
export function vainOptOut(pod: CheckedPod, namespace: InjectionNamespace): string | undefined {
  if (pod.metadata?.labels?.[injectLabel] !== injectDisabled) return undefined;
  return `the label ${injectLabel}: ${injectDisabled} has no effect: namespace ${namespace.name} requires a sidecar (${requiredLabel}); the pod is governed. Remove the label, or run the pod in another namespace`;
}

const skipped = (reason: SkipReason, message: string): Skipped => ({
  outcome: 'Skipped',
  reason,
  message,
});

type Obstacle = 'HostNetwork' | 'SharedProcessNamespace' | 'HostIPC' | 'UnsupportedOS';

const hints: Readonly<Record<Obstacle, string>> = {
  HostNetwork: 'Remove hostNetwork, or run the pod in another namespace.',
  SharedProcessNamespace:
    'Remove shareProcessNamespace and hostPID, or run the pod in another namespace.',
  HostIPC: 'Remove hostIPC, or run the pod in another namespace.',
  UnsupportedOS: 'Run the pod in another namespace.',
};

function obstacle({ spec }: CheckedPod): readonly [Obstacle, string] | undefined {
  if (spec.hostNetwork === true) return ['HostNetwork', "the pod uses the node's network"];
  if (spec.shareProcessNamespace === true || spec.hostPID === true) {
    return [
      'SharedProcessNamespace',
      "the pod's containers see each other's processes, the sidecar's memory with them",
    ];
  }
  if (spec.hostIPC === true) {
    return ['HostIPC', 'the pod shares memory and message queues with its node'];
  }
  return spec.os?.name === 'windows' ? ['UnsupportedOS', 'the pod is for Windows'] : undefined;
}

/**
 * The Targets of the pod's namespace whose Service leads to the pod. Where a sidecar is required this excuses
 * from none, or whoever may make a Service and a Target could let pods out; but those Targets are not mapped,
 * so that the pod still finds itself and its likes.
 */
export function protectingTargets(
  pod: CheckedPod,
  { namespace, localTargets, services, settings }: InjectionContext,
): readonly Stored<'Target'>[] {
  const selecting = new Set(
    services(namespace.name)
      .filter(({ selector }) => selects(selector, pod.metadata?.labels))
      .map(({ name }) => name),
  );
  if (selecting.size === 0) return [];
  return localTargets.filter((target) => {
    const service = serviceOf(target, settings.clusterDomain);
    return service !== undefined && selecting.has(service);
  });
}

/** The Service of the Target's own namespace that its host names; of `pod.service.namespace.svc`, the Service. */
function serviceOf(
  { metadata, spec }: Stored<'Target'>,
  clusterDomain: string,
): string | undefined {
  const [host] = targetNames(spec.host, [], clusterDomain, metadata.namespace);
  const ending = `.${clusterDomain.toLowerCase()}`;
  const short = host?.endsWith(ending) ? host.slice(0, -ending.length) : host;
  const labels = short?.split('.') ?? [];
  const own = labels.at(-1) === 'svc' && labels.at(-2) === metadata.namespace;
  return own && (labels.length === 3 || labels.length === 4) ? labels.at(-3) : undefined;
}

/** An empty selector selects nothing: the endpoints of such a Service are someone's own. */
function selects(selector: Labels = {}, labels: Labels = {}): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}
