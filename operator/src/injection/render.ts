/** The pod as it is to be, from the pod as it is. Pure, and the same when applied to its own outcome. */
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import { type PodSettings, podSettings } from './annotations.ts';
import {
  type InjectionNamespace,
  type InjectionService,
  ineligibility,
  isRequired,
  protectingTargets,
} from './eligibility.ts';
import { listenEntries } from './listen.ts';
import { lockdownOf, lockdownProblem } from './lockdown.ts';
import { hasOwnNameServers } from './name-servers.ts';
import { governedLabel, lockdownContainer, sidecarContainer, statusAnnotation } from './names.ts';
import { type InjectionOutcome, type Refused, refused } from './outcome.ts';
import type { CheckedPod, Container, PodSpec, Volume } from './pod.ts';
import { imitationProblem, isOurContainer, ownContainers, reservedProblem } from './reserved.ts';
import type { InjectionSettings } from './settings.ts';
import { sidecarOf, sidecarVolumes } from './sidecar.ts';
import { mapTargets, type TargetMap } from './target-map.ts';
import { withRoots } from './trust.ts';

export interface InjectionContext {
  /** The pod's. */
  readonly namespace: InjectionNamespace;
  /** The Targets that the namespace has: offered, accepted, and theirs to claim. */
  readonly targets: readonly Stored<'Target'>[];
  /** All Targets that stand in the namespace. */
  readonly localTargets: readonly Stored<'Target'>[];
  /** The Services of a namespace. */
  readonly services: (namespace: string) => readonly InjectionService[];
  readonly settings: InjectionSettings;
}

/**
 * What is ours is made anew each time, whatever the pod brings along: nothing in it is believed. The rest of
 * the pod stays as it is.
 */
export function renderPod(pod: CheckedPod, context: InjectionContext): InjectionOutcome {
  const ineligible = ineligibility(pod, context);
  if (ineligible?.outcome === 'Skipped') {
    const excluded =
      ineligible.reason === 'OwnNamespace' || ineligible.reason === 'ExcludedNamespace';
    return (excluded ? undefined : imitationProblem(pod)) ?? ineligible;
  }
  const reserved = ineligible ?? reservedProblem(pod);
  if (reserved !== undefined) return reserved;
  const pods = podSettings(pod.metadata?.annotations ?? {});
  if ('outcome' in pods) return pods;

  const { spec } = pod;
  const { namespace, settings } = context;
  const itself = new Set(protectingTargets(pod, context).map(keyOf));
  const targets = context.targets.filter((target) => !itself.has(keyOf(target)));
  const map = mapTargets({
    namespace: namespace.name,
    targets,
    hostAliases: spec.hostAliases ?? [],
    ownNameServers: hasOwnNameServers(spec),
    clusterDomain: settings.clusterDomain,
    hasService: (space, service) => context.services(space).some(({ name }) => name === service),
  });
  const around = map.warnings.find(({ reason }) => reason === 'HostAliasConflict');
  if (around !== undefined && isRequired(namespace)) {
    return refused(
      'HostAliasConflict',
      `${around.message}, and namespace ${namespace.name} requires the sidecar in between`,
      "Remove that name from the pod's hostAliases.",
    );
  }
  const sysctls = sysctlsFor(spec, map);
  if ('outcome' in sysctls) return sysctls;
  const containers = ourContainers(spec, settings, targets, pods, map);
  if ('outcome' in containers) return containers;
  return {
    outcome: 'Injected',
    pod: {
      ...pod,
      metadata: withStatus(pod.metadata ?? {}, settings, pods, map),
      spec: {
        ...withOurs(spec, containers, settings, pods.trust),
        ...(map.hostAliases.length > 0 || spec.hostAliases !== undefined
          ? { hostAliases: map.hostAliases }
          : {}),
        ...(sysctls.length > 0 && {
          securityContext: { ...spec.securityContext, sysctls },
        }),
      },
    },
    targets: map.targets,
    warnings: map.warnings,
  };
}

const keyOf = ({ metadata }: Stored<'Target'>): string => `${metadata.namespace}/${metadata.name}`;

/** First of all containers, so that the pod's init containers are governed too; the lockdown before the sidecar. */
function ourContainers(
  spec: PodSpec,
  settings: InjectionSettings,
  targets: readonly Stored<'Target'>[],
  { lockdown, logLevel, resources = settings.sidecarResources }: PodSettings,
  map: TargetMap,
): readonly Container[] | Refused {
  const present = (wanted: string): Container | undefined =>
    spec.initContainers?.find(({ name }) => name === wanted);
  const sidecar = sidecarOf({
    settings,
    listen: listenEntries(map.targets),
    resources,
    logLevel,
    present: present(sidecarContainer),
  });
  if (!lockdown) return [sidecar];
  const { lockdownImage } = settings;
  if (lockdownImage === undefined) {
    return refused(
      'LockdownUnavailable',
      'the pod asks for lockdown, and no image for it is configured',
      "Have an administrator set the chart's lockdown image, or remove the annotation.",
    );
  }
  const problem = lockdownProblem(spec, ownContainers(spec));
  if (problem !== undefined) return problem;
  // Without a target there is nothing to close.
  if (targets.length === 0) return [sidecar];
  return [lockdownOf(settings, lockdownImage, targets, present(lockdownContainer)), sidecar];
}

function withOurs(
  spec: PodSpec,
  ours: readonly Container[],
  settings: InjectionSettings,
  trust: boolean,
): PodSpec {
  const own = (container: Container): Container => (trust ? withRoots(container) : container);
  const init = (spec.initContainers ?? []).filter((container) => !isOurContainer(container));
  const volumes = spec.volumes ?? [];
  return {
    ...spec,
    initContainers: [...ours, ...init.map(own)],
    containers: spec.containers.map(own),
    volumes: replaceByName(volumes, sidecarVolumes(settings, volumes)),
  };
}

/** Each in the place that it has, so that what others added behind does not move; new ones at the end. */
function replaceByName(present: readonly Volume[], ours: readonly Volume[]): readonly Volume[] {
  const byName = new Map(ours.map((volume) => [volume.name, volume]));
  const kept = present.map((volume) => {
    const replacement = byName.get(volume.name);
    byName.delete(volume.name);
    return replacement ?? volume;
  });
  return [...kept, ...byName.values()];
}

type Sysctls = NonNullable<NonNullable<PodSpec['securityContext']>['sysctls']>;

const portSysctl = 'net.ipv4.ip_unprivileged_port_start';

/** The sidecar has no capability that would let it listen below 1024; the sysctl, which is safe, does. */
function sysctlsFor({ securityContext }: PodSpec, { targets }: TargetMap): Sysctls | Refused {
  const sysctls = securityContext?.sysctls ?? [];
  const lowest = Math.min(...targets.map(({ port }) => port));
  if (lowest >= 1024) return sysctls;
  const present = sysctls.find(({ name }) => name === portSysctl);
  if (present === undefined) return [...sysctls, { name: portSysctl, value: '0' }];
  if (Number(present.value) <= lowest) return sysctls;
  return refused(
    'SysctlConflict',
    `the pod sets ${portSysctl} to ${present.value}, and a target's port is ${lowest}`,
    `Remove the sysctl, or set it to ${lowest} or less.`,
  );
}

/** What an object's annotations may hold is bounded, and so is whoever reads them. */
export const maxToldWarnings = 20;

/** For people and for controllers, which look at the pod itself before they believe it. */
function withStatus(
  metadata: NonNullable<CheckedPod['metadata']>,
  { sidecarImage }: InjectionSettings,
  { lockdown }: PodSettings,
  { targets, warnings }: TargetMap,
): NonNullable<CheckedPod['metadata']> {
  const status = {
    image: sidecarImage,
    targets: targets.map(({ namespace, name }) => `${namespace}/${name}`),
    egress: lockdown ? 'Lockdown' : 'Open',
    ...(warnings.length > 0 && {
      warnings: warnings.slice(0, maxToldWarnings).map(({ message }) => message),
    }),
  };
  return {
    ...metadata,
    labels: { ...metadata.labels, [governedLabel]: 'true' },
    annotations: { ...metadata.annotations, [statusAnnotation]: JSON.stringify(status) },
  };
}
