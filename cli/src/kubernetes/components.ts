/** Chaperone's own programs on the cluster: which are away, and what that means. */
import type { OwnBroken } from './breakage.ts';
import type { ClusterView } from './cluster-view.ts';
import type { RawObject } from './kubectl.ts';

/** A Deployment or StatefulSet of the chart's. */
export interface Component {
  readonly namespace: string;
  readonly name: string;
  readonly readyReplicas: number;
}

/** By kind; absent: not ours to see. */
export interface Components {
  readonly Deployment?: readonly Component[];
  readonly StatefulSet?: readonly Component[];
}

/** What the chart puts on everything of its own. */
export const componentsSelector =
  'app.kubernetes.io/name=chaperone,app.kubernetes.io/part-of=chaperone';

interface Expected {
  readonly kind: 'Deployment' | 'StatefulSet';
  /** While no replica is ready. */
  readonly effect: string;
  /** Its page in docs/runbooks; absent: there is none. */
  readonly runbook?: string;
  /** The chart installs it only where asked to. */
  readonly optional?: true;
}

/** Their Deployment's name. */
export const controllers = 'chaperone-controllers';

/** By name: the chart's names are fixed. */
const expected: Readonly<Record<string, Expected>> = {
  'chaperone-webhook': {
    kind: 'Deployment',
    effect:
      'pods that are to be governed cannot be created, and targets, identities, policies and masking rules cannot be changed',
    runbook: 'webhook-down',
  },
  'chaperone-policy-api': {
    kind: 'Deployment',
    effect:
      'governed pods do not get ready, and running ones refuse statements once their policy is too old',
    runbook: 'policy-api-down',
  },
  'chaperone-collector': {
    kind: 'StatefulSet',
    effect:
      'what is recorded stays with the proxies, which refuse statements once their spools are full',
    runbook: 'collector-down',
  },
  [controllers]: {
    kind: 'Deployment',
    effect: 'statuses are not kept up to date, and certificates are not renewed',
    runbook: 'controllers-down',
  },
  'chaperone-gateway': {
    kind: 'Deployment',
    effect: 'nobody connects through the gateway',
    optional: true,
  },
};

/** What there is, of the objects that componentsSelector finds. */
export function readComponents(objects: readonly RawObject[]): readonly Component[] {
  return objects.map(({ metadata, ...rest }) => {
    const { status } = rest as { readonly status?: { readonly readyReplicas?: number } };
    return {
      namespace: metadata.namespace ?? '',
      name: metadata.name,
      readyReplicas: status?.readyReplicas ?? 0,
    };
  });
}

/** Those that are not there or have no replica that is ready; where the controllers are not there at all: that. */
export function brokenComponents({ components, installation }: ClusterView): readonly OwnBroken[] {
  const found = components.Deployment?.find(({ name }) => name === controllers);
  const namespace = installation?.namespace ?? found?.namespace;
  if (namespace === undefined) {
    // Their kinds are there, for they have been listed: what is left once the chart is gone.
    return components.Deployment === undefined ? [] : [notInstalled(components.Deployment)];
  }
  return Object.entries(expected).flatMap(([name, { kind, effect, runbook, optional }]) => {
    const ours = components[kind];
    if (ours === undefined) return [];
    const component = ours.find((one) => one.name === name && one.namespace === namespace);
    if (component === undefined && optional) return [];
    if (component !== undefined && component.readyReplicas > 0) return [];
    const seeAlso = runbook === undefined ? '' : `; see docs/runbooks/${runbook}.md`;
    return [
      {
        what: `${kind} ${namespace}/${name}`,
        reason: component === undefined ? 'Missing' : 'NotReady',
        message: `${component === undefined ? 'it does not exist' : 'no replica of it is ready'}: ${effect}${seeAlso}`,
        mend:
          component === undefined
            ? `run helm upgrade for the release of namespace ${namespace}: it makes what is missing anew`
            : `kubectl -n ${namespace} describe ${kind.toLowerCase()} ${name}`,
      },
    ];
  });
}

function notInstalled(rest: readonly Component[]): OwnBroken {
  const left = rest.map(({ namespace, name }) => `${namespace}/${name}`).sort();
  const message =
    'its resource definitions are there, and its controllers are not: what the statuses say is of the past, and no ' +
    'new pod is governed';
  return {
    what: 'Chaperone',
    reason: 'NotInstalled',
    message: `Chaperone is not installed: ${message}${left.length === 0 ? '' : `; left of it: ${left.join(', ')}`}`,
    mend: 'install the chart: docs/guide/installing.md',
  };
}
