/** A running pod's way of proving that its sidecar is ours, read from the pod as the API server has it. */
import { imageRepository } from './image.ts';
import {
  lockdownContainer,
  reservedPrefix,
  rootsConfigMap,
  rootsDirectory,
  rootsVolume,
  sidecarContainer,
  sidecarUid,
  spoolDirectory,
  spoolVolume,
  tokenAudience,
  tokenDirectory,
  tokenVolume,
} from './names.ts';
import { type Refused, refused } from './outcome.ts';
import {
  allContainers,
  type CheckedPod,
  type Container,
  type PodSpec,
  type Volume,
} from './pod.ts';
import { reservedProblem } from './reserved.ts';

export interface ExpectedSidecar {
  /** Its repository counts; pods that started before an upgrade have another tag. */
  readonly sidecarImage: string;
  /** Where sidecars have their policies from, and ship their record to; absent: it is not looked at. */
  readonly policyApiUrl?: string;
  readonly collectorUrl?: string;
  /** Where Services' names are looked up; a sidecar that is not told takes cluster.local. Absent: it is not looked at. */
  readonly clusterDomain?: string;
}

/**
 * What a rendered sidecar has; anything else could change what runs in it, or let others into it (a command,
 * a lifecycle hook, a probe that executes something, an environment from elsewhere).
 */
const sidecarFields: ReadonlySet<string> = new Set([
  ...['name', 'image', 'imagePullPolicy', 'restartPolicy', 'env', 'ports', 'resources'],
  ...['resizePolicy', 'securityContext', 'volumeMounts', 'startupProbe', 'readinessProbe'],
  ...['livenessProbe', 'terminationMessagePath', 'terminationMessagePolicy'],
]);
const probeFields = ['startupProbe', 'readinessProbe', 'livenessProbe'] as const;
const sidecarEnv: ReadonlySet<string> = new Set([
  'CHAPERONE_POLICY_API_URL',
  'CHAPERONE_COLLECTOR_URL',
  'CHAPERONE_CLUSTER_DOMAIN',
  'CHAPERONE_LISTEN',
  'CHAPERONE_SPOOL_MAX_BYTES',
  'CHAPERONE_OPS_PORT',
  'CHAPERONE_LOG_LEVEL',
]);
/** Where the API server mounts a token of its own audience into every container. */
const apiTokenDirectory = '/var/run/secrets/kubernetes.io/serviceaccount';
const apiTokenVolume = /^kube-api-access-/;

const startAnew = 'Delete the pod, so that it is made and injected anew.';

/**
 * Why a pod's token proves nothing: its sidecar is not what is injected, or another of its containers could
 * have taken the token. Undefined where it does.
 */
export function inspectPod(pod: CheckedPod, expected: ExpectedSidecar): Refused | undefined {
  const { spec } = pod;
  const sidecar = spec.initContainers?.find(({ name }) => name === sidecarContainer);
  if (sidecar === undefined) {
    return altered(
      'it has no sidecar',
      'Label it or its namespace for injection, and start it anew.',
    );
  }
  const difference =
    isolationDifference(spec) ??
    sidecarDifference(sidecar, expected) ??
    volumesDifference(spec.volumes ?? []);
  if (difference !== undefined) return altered(difference, startAnew);
  return reservedProblem(pod) ?? othersProblem(spec);
}

function isolationDifference(spec: PodSpec): string | undefined {
  if (spec.hostNetwork === true) return "its network is the node's";
  if (spec.hostPID === true) return "its processes are the node's";
  if (spec.hostIPC === true) return "its shared memory is the node's";
  if (spec.shareProcessNamespace === true) return "its containers see each other's processes";
  return undefined;
}

function sidecarDifference(sidecar: Container, expected: ExpectedSidecar): string | undefined {
  const field = Object.keys(sidecar).find(
    (key) => !sidecarFields.has(key) && !isEmpty(sidecar[key as keyof Container]),
  );
  if (field !== undefined) return `the sidecar has ${field}`;
  if (imageRepository(sidecar.image ?? '') !== imageRepository(expected.sidecarImage)) {
    return `the sidecar's image is ${sidecar.image}`;
  }
  if (sidecar.restartPolicy !== 'Always') return 'the sidecar is no native one';
  const probe = probeFields.find((name) => sidecar[name]?.exec !== undefined);
  if (probe !== undefined) return `the sidecar's ${probe} executes a command`;
  return (
    envDifference(sidecar, expected) ??
    securityDifference(sidecar) ??
    mountsDifference(sidecar.volumeMounts ?? [])
  );
}

function envDifference(sidecar: Container, expected: ExpectedSidecar): string | undefined {
  const values = new Map<string, string>();
  for (const { name, value = '', valueFrom } of sidecar.env ?? []) {
    if (!sidecarEnv.has(name)) return `the sidecar's environment has ${name}`;
    if (valueFrom !== undefined) return `the sidecar has ${name} from elsewhere`;
    if (values.has(name)) return `the sidecar has ${name} twice`;
    values.set(name, value);
  }
  const { policyApiUrl, collectorUrl, clusterDomain } = expected;
  for (const [name, url] of [
    ['CHAPERONE_POLICY_API_URL', policyApiUrl],
    ['CHAPERONE_COLLECTOR_URL', collectorUrl],
  ] as const) {
    if (url !== undefined && values.get(name) !== url) return `the sidecar's ${name} is not ${url}`;
  }
  // Pods of before it was given have none, and are none the worse.
  const domain = values.get('CHAPERONE_CLUSTER_DOMAIN') ?? clusterDomain;
  if (clusterDomain !== undefined && domain !== clusterDomain) {
    return `the sidecar's CHAPERONE_CLUSTER_DOMAIN is not ${clusterDomain}`;
  }
  return undefined;
}

function securityDifference({ securityContext }: Container): string | undefined {
  const { runAsUser, allowPrivilegeEscalation, privileged, readOnlyRootFilesystem, capabilities } =
    securityContext ?? {};
  if (runAsUser !== sidecarUid) return `the sidecar does not run as ${sidecarUid}`;
  if (allowPrivilegeEscalation !== false || privileged === true) {
    return 'the sidecar may gain privileges';
  }
  if (readOnlyRootFilesystem !== true) return "the sidecar's files can be written to";
  return (capabilities?.add ?? []).length > 0 ? 'the sidecar has capabilities' : undefined;
}

function mountsDifference(mounts: NonNullable<Container['volumeMounts']>): string | undefined {
  const expected = new Map([
    [tokenVolume, tokenDirectory],
    [rootsVolume, rootsDirectory],
    [spoolVolume, spoolDirectory],
  ]);
  for (const { name, mountPath, readOnly, subPath, subPathExpr } of mounts) {
    const fromApiServer =
      apiTokenVolume.test(name) && mountPath === apiTokenDirectory && readOnly === true;
    if (fromApiServer) continue;
    if (expected.get(name) !== mountPath) return `the sidecar mounts ${name} at ${mountPath}`;
    if (!isEmpty(subPath) || !isEmpty(subPathExpr)) return `the sidecar mounts a part of ${name}`;
    expected.delete(name);
  }
  const [missing] = expected.keys();
  return missing === undefined ? undefined : `the sidecar does not mount ${missing}`;
}

/** Sources of kinds other than ours would put other files where the sidecar looks for its own. */
function volumesDifference(volumes: readonly Volume[]): string | undefined {
  const ours = new Map(volumes.map((volume) => [volume.name, volume]));
  const only = (name: string, kind: keyof Volume): string | undefined => {
    const volume = ours.get(name);
    const kinds = Object.keys(volume ?? {}).filter((key) => key !== 'name');
    return kinds.length === 1 && kinds[0] === kind ? undefined : `volume ${name} is not ours`;
  };
  const kinds =
    only(tokenVolume, 'projected') ??
    only(rootsVolume, 'configMap') ??
    only(spoolVolume, 'emptyDir');
  if (kinds !== undefined) return kinds;
  const sources = ours.get(tokenVolume)?.projected?.sources ?? [];
  const [source] = sources;
  const token = source?.serviceAccountToken;
  const single = sources.length === 1 && Object.keys(source ?? {}).length === 1;
  if (!single || token?.audience !== tokenAudience || token.path !== 'token') {
    return `volume ${tokenVolume} is not ours`;
  }
  const roots = ours.get(rootsVolume)?.configMap?.name;
  return roots === rootsConfigMap ? undefined : `volume ${rootsVolume} is not ours`;
}

/** What reservedProblem does not see: containers that were added to the running pod, and copies of ours. */
function othersProblem(spec: PodSpec): Refused | undefined {
  const ours = new Set([sidecarContainer, lockdownContainer]);
  const seen = new Set<string>();
  for (const container of allContainers(spec)) {
    const { name, volumeMounts = [], securityContext } = container;
    if (seen.has(name)) return altered(`it has two containers ${name}`, startAnew);
    seen.add(name);
    if (name === sidecarContainer) continue;
    const mount = volumeMounts.find(
      (one) => one.name.startsWith(reservedPrefix) && one.name !== rootsVolume,
    );
    if (mount !== undefined) return altered(`container ${name} mounts ${mount.name}`, startAnew);
    if (securityContext?.runAsUser === sidecarUid || securityContext?.runAsGroup === sidecarUid) {
      return altered(`container ${name} runs as ${sidecarUid}`, startAnew);
    }
  }
  for (const { name, targetContainerName } of spec.ephemeralContainers ?? []) {
    if (ours.has(name) || name.startsWith(reservedPrefix)) {
      return altered(`ephemeral container ${name} has a reserved name`, startAnew);
    }
    if (targetContainerName?.startsWith(reservedPrefix)) {
      return altered(`ephemeral container ${name} looks into ${targetContainerName}`, startAnew);
    }
  }
  return undefined;
}

const altered = (difference: string, hint: string): Refused =>
  refused('Altered', `the pod is not as it was injected: ${difference}`, hint);

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  return Array.isArray(value) && value.length === 0;
}
