/** Where kinds live in the API. */
export interface ResourceType {
  /** Empty for the core group. */
  readonly group: string;
  readonly version: string;
  readonly kind: string;
  readonly plural: string;
  readonly namespaced: boolean;
}

const namespaced = (
  group: string,
  version: string,
  kind: string,
  plural: string,
): ResourceType => ({ group, version, kind, plural, namespaced: true });

const clusterWide = (
  group: string,
  version: string,
  kind: string,
  plural: string,
): ResourceType => ({ group, version, kind, plural, namespaced: false });

const ours = (kind: string, plural: string): ResourceType =>
  namespaced('chaperone.dev', 'v1alpha1', kind, plural);

const admission = 'admissionregistration.k8s.io';

/** The kinds that the operator reads or writes. */
export const resourceTypes = {
  AccessPolicy: ours('AccessPolicy', 'accesspolicies'),
  MachineIdentity: ours('MachineIdentity', 'machineidentities'),
  MaskingRule: ours('MaskingRule', 'maskingrules'),
  Target: ours('Target', 'targets'),

  ConfigMap: namespaced('', 'v1', 'ConfigMap', 'configmaps'),
  Namespace: clusterWide('', 'v1', 'Namespace', 'namespaces'),
  Pod: namespaced('', 'v1', 'Pod', 'pods'),
  Secret: namespaced('', 'v1', 'Secret', 'secrets'),
  Service: namespaced('', 'v1', 'Service', 'services'),
  ServiceAccount: namespaced('', 'v1', 'ServiceAccount', 'serviceaccounts'),
  EndpointSlice: namespaced('discovery.k8s.io', 'v1', 'EndpointSlice', 'endpointslices'),

  Deployment: namespaced('apps', 'v1', 'Deployment', 'deployments'),
  ReplicaSet: namespaced('apps', 'v1', 'ReplicaSet', 'replicasets'),
  StatefulSet: namespaced('apps', 'v1', 'StatefulSet', 'statefulsets'),
  DaemonSet: namespaced('apps', 'v1', 'DaemonSet', 'daemonsets'),
  Job: namespaced('batch', 'v1', 'Job', 'jobs'),
  CronJob: namespaced('batch', 'v1', 'CronJob', 'cronjobs'),

  NetworkPolicy: namespaced('networking.k8s.io', 'v1', 'NetworkPolicy', 'networkpolicies'),
  Lease: namespaced('coordination.k8s.io', 'v1', 'Lease', 'leases'),
  Event: namespaced('events.k8s.io', 'v1', 'Event', 'events'),
  TokenReview: clusterWide('authentication.k8s.io', 'v1', 'TokenReview', 'tokenreviews'),
  SubjectAccessReview: clusterWide(
    'authorization.k8s.io',
    'v1',
    'SubjectAccessReview',
    'subjectaccessreviews',
  ),
  MutatingWebhookConfiguration: clusterWide(
    admission,
    'v1',
    'MutatingWebhookConfiguration',
    'mutatingwebhookconfigurations',
  ),
  ValidatingWebhookConfiguration: clusterWide(
    admission,
    'v1',
    'ValidatingWebhookConfiguration',
    'validatingwebhookconfigurations',
  ),
  CustomResourceDefinition: clusterWide(
    'apiextensions.k8s.io',
    'v1',
    'CustomResourceDefinition',
    'customresourcedefinitions',
  ),
} as const satisfies Record<string, ResourceType>;

export function apiVersionOf({ group, version }: ResourceType): string {
  return group === '' ? version : `${group}/${version}`;
}

export interface ResourcePath {
  /** Empty or absent: all namespaces, or a kind that has none. */
  readonly namespace?: string;
  readonly name?: string;
  readonly subresource?: string;
}

/** The path of a collection, an object or a subresource. Names are escaped: they may come from a peer. */
export function pathOf(type: ResourceType, { namespace, name, subresource }: ResourcePath): string {
  const parts = type.group === '' ? ['api', type.version] : ['apis', type.group, type.version];
  if (type.namespaced && namespace !== undefined && namespace !== '') {
    parts.push('namespaces', namespace);
  }
  parts.push(type.plural);
  if (name !== undefined) parts.push(name);
  if (subresource !== undefined) parts.push(subresource);
  for (const part of parts) {
    if (part === '' || part === '.' || part === '..') {
      throw new TypeError(`${JSON.stringify(part)} is no name of a Kubernetes object`);
    }
  }
  return `/${parts.map(encodeURIComponent).join('/')}`;
}
