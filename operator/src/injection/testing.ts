/** For tests: what pods are rendered with. */
import { stored } from '@chaperone/control/controllers/testing.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import type { InjectionNamespace, InjectionService } from './eligibility.ts';
import type { CheckedPod } from './pod.ts';
import type { InjectionContext } from './render.ts';
import type { InjectionSettings } from './settings.ts';

export const settings: InjectionSettings = {
  namespace: 'chaperone-system',
  sidecarImage: 'registry.example/chaperone-sidecar:1.2.3',
  sidecarImagePullPolicy: 'IfNotPresent',
  lockdownImage: 'registry.example/chaperone-lockdown:1.2.3',
  policyApiUrl: 'https://chaperone-policy-api.chaperone-system.svc.cluster.local:443',
  collectorUrl: 'https://chaperone-collector.chaperone-system.svc.cluster.local:443',
  sidecarOpsPort: 15790,
  sidecarResources: {
    requests: { cpu: '10m', memory: '128Mi' },
    limits: { memory: '256Mi' },
  },
  spoolSizeLimit: '300Mi',
  spoolMaxBytes: '256Mi',
  clusterDomain: 'cluster.local',
  excludedNamespaces: ['kube-system'],
  logLevel: 'info',
};

export const payments: InjectionNamespace = {
  name: 'payments',
  labels: { 'chaperone.dev/inject': 'enabled' },
};

/** A Target `namespace/name` whose host is the Service of that name. */
export function target(
  path: string,
  spec: Readonly<Record<string, unknown>> = {},
  creationTimestamp = '2026-01-01T00:00:00Z',
): Stored<'Target'> {
  const [namespace, name] = path.split('/');
  return stored(
    'Target',
    path,
    { host: `${name}.${namespace}.svc.cluster.local`, ...spec },
    {},
    { creationTimestamp },
  );
}

export interface ContextParts {
  readonly namespace?: InjectionNamespace;
  readonly targets?: readonly Stored<'Target'>[];
  readonly localTargets?: readonly Stored<'Target'>[];
  /** By namespace. */
  readonly services?: Readonly<Record<string, readonly InjectionService[]>>;
  readonly settings?: Partial<InjectionSettings>;
}

/** By default: an opted-in namespace to which Target data/orders-db is open. */
export function contextOf(parts: ContextParts = {}): InjectionContext {
  const { namespace = payments, targets = [target('data/orders-db')], services = {} } = parts;
  return {
    namespace,
    targets,
    localTargets:
      parts.localTargets ?? targets.filter((one) => one.metadata.namespace === namespace.name),
    services: (name) => services[name] ?? [],
    settings: { ...settings, ...parts.settings },
  };
}

/** A pod as a controller makes it, with `spec` over one container's. */
export function podOf(
  spec: Readonly<Record<string, unknown>> = {},
  metadata: Readonly<Record<string, unknown>> = {},
): CheckedPod {
  return {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { generateName: 'report-', namespace: 'payments', ...metadata },
    spec: { containers: [{ name: 'app', image: 'app:1' }], ...spec },
  } as CheckedPod;
}
