/** A pod in plain JSON, as the API server hands it over. */
import type { V1Container, V1HostAlias, V1Pod, V1PodSpec, V1Volume } from '@kubernetes/client-node';
import type { Plain } from '../kubernetes/object.ts';

export type Pod = Plain<V1Pod>;
export type PodSpec = Plain<V1PodSpec>;
export type Container = Plain<V1Container>;
export type Volume = Plain<V1Volume>;
export type HostAlias = Plain<V1HostAlias>;

/** A pod of which everything that is read here has been looked at. */
export type CheckedPod = Pod & { readonly spec: PodSpec };

/** Init containers (native sidecars among them), containers and ephemeral containers, in that order. */
export function allContainers(spec: PodSpec): readonly Container[] {
  // An ephemeral container has all fields of a container that are read here.
  const ephemeral = (spec.ephemeralContainers ?? []) as readonly Container[];
  return [...(spec.initContainers ?? []), ...spec.containers, ...ephemeral];
}

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/**
 * Whether an object has a pod's shape as far as this program relies on it. The API server sends no other;
 * whoever else does learns the first field that is wrong.
 */
export function podProblem(object: unknown): string | undefined {
  if (!isObject(object) || object.kind !== 'Pod' || object.apiVersion !== 'v1') {
    return 'object is no Pod of v1';
  }
  const { metadata, spec } = object;
  if (!isObject(metadata)) return 'metadata is no object';
  for (const field of ['labels', 'annotations'] as const) {
    const texts = metadata[field] ?? {};
    if (!isObject(texts) || !Object.values(texts).every((text) => typeof text === 'string')) {
      return `metadata.${field} does not map texts to texts`;
    }
  }
  if (!isList(metadata.ownerReferences ?? []))
    return 'metadata.ownerReferences is no list of objects';
  if (!isObject(spec)) return 'spec is no object';
  if (!Array.isArray(spec.containers)) return 'spec.containers is no list';
  for (const field of ['containers', 'initContainers', 'ephemeralContainers'] as const) {
    const problem = containersProblem(spec[field] ?? []);
    if (problem !== undefined) return `spec.${field} ${problem}`;
  }
  if (!isList(spec.volumes ?? [], 'name')) return 'spec.volumes is no list of objects with names';
  for (const { projected } of (spec.volumes ?? []) as readonly Record<string, unknown>[]) {
    const sources = isObject(projected) ? (projected.sources ?? []) : [];
    if (!isList(sources)) return 'spec.volumes: projected.sources is no list of objects';
  }
  const aliases = spec.hostAliases ?? [];
  if (!isList(aliases, 'ip')) return 'spec.hostAliases is no list of objects with addresses';
  for (const { hostnames = [] } of aliases as readonly Record<string, unknown>[]) {
    if (!isTexts(hostnames)) return 'spec.hostAliases: hostnames is no list of texts';
  }
  if (!isObject(spec.securityContext ?? {})) return 'spec.securityContext is no object';
  const { sysctls = [] } = (spec.securityContext ?? {}) as Record<string, unknown>;
  if (!isList(sysctls, 'name')) return 'spec.securityContext.sysctls is no list of objects';
  return undefined;
}

function containersProblem(containers: unknown): string | undefined {
  if (!isList(containers, 'name')) return 'is no list of objects with names';
  for (const container of containers) {
    const { name, env = [], volumeMounts = [], securityContext = {} } = container;
    if (!isList(env, 'name')) return `${name}: env is no list of objects with names`;
    if (!isList(volumeMounts, 'name'))
      return `${name}: volumeMounts is no list of objects with names`;
    if (!isObject(securityContext)) return `${name}: securityContext is no object`;
    const { capabilities = {} } = securityContext;
    if (!isObject(capabilities)) return `${name}: capabilities is no object`;
    if (!isTexts(capabilities.add ?? []) || !isTexts(capabilities.drop ?? [])) {
      return `${name}: capabilities does not list texts`;
    }
  }
  return undefined;
}

function isList(
  value: unknown,
  textField?: string,
): value is readonly Readonly<Record<string, unknown>>[] {
  return (
    Array.isArray(value) &&
    value.every(
      (item) => isObject(item) && (textField === undefined || typeof item[textField] === 'string'),
    )
  );
}

const isTexts = (value: unknown): boolean =>
  Array.isArray(value) && value.every((text) => typeof text === 'string');
