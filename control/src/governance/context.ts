/** What a namespace's pods are judged by, from the resources in force. */
import { targetNames } from '@chaperone/core/resources/target-names.ts';
import type { Snapshot } from '../controllers/snapshot.ts';
import type { Stored } from '../store/resource-store.ts';
import type { GovernanceContext } from './judge-pod.ts';

/** A Service, as far as governance looks at it. */
export interface ServiceView {
  readonly name: string;
  /** Absent or empty: it selects no pods. */
  readonly selector?: Readonly<Record<string, string>>;
}

export interface GovernanceContextOptions {
  readonly snapshot: Snapshot;
  /** Of the namespace. */
  readonly services: readonly ServiceView[];
  /** Targets that a new pod of the namespace would be mapped, `namespace/name`. */
  readonly targets: ReadonlySet<string>;
  readonly excluded: boolean;
  readonly sidecarImage?: string;
  readonly clusterDomain: string;
}

export function governanceContext(
  namespace: string,
  options: GovernanceContextOptions,
): GovernanceContext {
  const { snapshot, services, targets, excluded, sidecarImage, clusterDomain } = options;
  const own = snapshot.all('Target').filter(({ metadata }) => metadata.namespace === namespace);
  const selectors = targetSelectors(own, services, namespace, clusterDomain);
  const identities = snapshot
    .all('MachineIdentity')
    .filter(({ metadata }) => metadata.namespace === namespace);
  const accounts = identities.flatMap(({ spec }) =>
    spec.subjects.flatMap(({ serviceAccount }) => serviceAccount?.name ?? []),
  );
  return {
    namespaceLabels: snapshot.get('Namespace', '', namespace)?.metadata.labels ?? {},
    excluded,
    ...(sidecarImage !== undefined && { sidecarImage }),
    targets,
    identified: new Set(accounts),
    targetSecrets: new Map(
      own.map(({ metadata, spec }) => [spec.credentials.secretRef.name, metadata.name]),
    ),
    standsFor: ({ metadata: { labels } }) =>
      selectors
        .filter(({ selector }) => selector.every(([key, value]) => labels[key] === value))
        .map(({ target }) => target),
  };
}

interface TargetSelector {
  /** `namespace/name`. */
  readonly target: string;
  /** Never empty: an empty one selects no pods. */
  readonly selector: readonly (readonly [label: string, value: string])[];
}

/** Of the Services that a Target of their own namespace is reached by. */
function targetSelectors(
  targets: readonly Stored<'Target'>[],
  services: readonly ServiceView[],
  namespace: string,
  clusterDomain: string,
): readonly TargetSelector[] {
  const selecting = services.flatMap(({ name, selector = {} }) => {
    const entries = Object.entries(selector);
    return entries.length === 0 ? [] : [{ name: `${name}.${namespace}.svc`, entries }];
  });
  return targets.flatMap(({ metadata, spec }) => {
    const names = targetNames(spec.host, [], clusterDomain, namespace);
    return selecting
      .filter(({ name }) =>
        // A pod of a headless Service is reached under a name of its own.
        names.some((host) => host === name || host.endsWith(`.${name}`)),
      )
      .map(({ entries }) => ({ target: `${namespace}/${metadata.name}`, selector: entries }));
  });
}
