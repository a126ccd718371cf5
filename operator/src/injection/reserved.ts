/** What is ours alone, in a pod that brings it along. */
import {
  lockdownContainer,
  reservedPrefix,
  rootsVolume,
  sidecarContainer,
  sidecarUid,
  spoolVolume,
  tokenAudience,
  tokenVolume,
} from './names.ts';
import { type Refused, refused } from './outcome.ts';
import type { CheckedPod, Container, PodSpec, Volume } from './pod.ts';

const isReserved = (name: string): boolean => name.startsWith(reservedPrefix);

/** Init containers that a rendering replaces, wherever they came from. */
export const isOurContainer = ({ name }: Container): boolean =>
  name === sidecarContainer || name === lockdownContainer;

/** Volumes that a rendering replaces. */
export const isOurVolume = ({ name }: Volume): boolean =>
  name === tokenVolume || name === rootsVolume || name === spoolVolume;

/** The pod's own containers: all but init containers of ours. */
export function ownContainers(spec: PodSpec): readonly Container[] {
  const init = spec.initContainers ?? [];
  return [...init.filter((container) => !isOurContainer(container)), ...spec.containers];
}

const nameHint = `Names that begin with ${reservedPrefix} are Chaperone's: choose another.`;

/** Why a pod that is to be injected cannot be. */
export function reservedProblem({ spec }: CheckedPod): Refused | undefined {
  return nameProblem(spec) ?? userProblem(spec) ?? audienceProblem(spec);
}

/** Why a pod that is left as it is cannot be: it would look like an injected one. */
export function imitationProblem({ spec }: CheckedPod): Refused | undefined {
  const container = spec.initContainers?.find(isOurContainer);
  const volume = spec.volumes?.find(isOurVolume);
  if (container === undefined && volume === undefined) return nameProblem(spec);
  const part = container !== undefined ? `container ${container.name}` : `volume ${volume?.name}`;
  return refused(
    'ReservedName',
    `the pod brings ${part} along and is not to be injected`,
    'Remove it: what is injected comes from admission alone.',
  );
}

function nameProblem(spec: PodSpec): Refused | undefined {
  const own = ownContainers(spec);
  const container = own.find(({ name }) => isReserved(name));
  if (container !== undefined) {
    return refused('ReservedName', `container ${container.name} has a reserved name`, nameHint);
  }
  const volume = spec.volumes?.find((one) => isReserved(one.name) && !isOurVolume(one));
  if (volume !== undefined) {
    return refused('ReservedName', `volume ${volume.name} has a reserved name`, nameHint);
  }
  for (const { name, volumeMounts = [], volumeDevices = [] } of own) {
    const mount = [...volumeMounts, ...volumeDevices].find(
      // The roots are no secret, and chaperone.dev/trust mounts them.
      (one) => isReserved(one.name) && one.name !== rootsVolume,
    );
    if (mount !== undefined) {
      return refused(
        'ReservedName',
        `container ${name} mounts volume ${mount.name}, which is the sidecar's alone`,
        'Remove the mount.',
      );
    }
  }
  return undefined;
}

function userProblem(spec: PodSpec): Refused | undefined {
  const hint = `Choose another than ${sidecarUid}, which is the sidecar's.`;
  const { runAsUser, runAsGroup, fsGroup, supplementalGroups = [] } = spec.securityContext ?? {};
  if ([runAsUser, runAsGroup, fsGroup, ...supplementalGroups].includes(sidecarUid)) {
    return refused('ReservedUser', `the pod's securityContext names ${sidecarUid}`, hint);
  }
  const container = ownContainers(spec).find(({ securityContext }) =>
    [securityContext?.runAsUser, securityContext?.runAsGroup].includes(sidecarUid),
  );
  if (container === undefined) return undefined;
  return refused('ReservedUser', `container ${container.name} runs as ${sidecarUid}`, hint);
}

function audienceProblem(spec: PodSpec): Refused | undefined {
  const volume = spec.volumes?.find(
    (one) =>
      !isOurVolume(one) &&
      one.projected?.sources?.some(
        (source) => source.serviceAccountToken?.audience === tokenAudience,
      ),
  );
  if (volume === undefined) return undefined;
  return refused(
    'ReservedAudience',
    `volume ${volume.name} holds a ServiceAccount token for ${tokenAudience}`,
    'Remove it: in an injected pod the sidecar alone has such a token.',
  );
}
