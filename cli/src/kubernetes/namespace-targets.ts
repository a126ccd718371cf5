/** Namespaces whose governed pods lack targets: not accepted, or none at all. */
import { appliesTo, attachment } from '@chaperone/control/controllers/attachment.ts';
import { acceptanceOf, targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { objectKey } from '@chaperone/control/controllers/snapshot.ts';
import type { ForeignAcceptance } from '@chaperone/core/injection/foreign-targets.ts';
import {
  foreignTargetsAccepted,
  foreignTargetsFromAnnotation,
  foreignTargetsLabel,
} from '@chaperone/core/injection/names.ts';
import type { OwnBroken } from './breakage.ts';
import type { ClusterView } from './cluster-view.ts';
import type { JudgedPod, Target } from './judgement.ts';

/** Targets that one message names. */
const maxNamed = 5;

/** For the namespaces of those of the pods that are governed. */
export function brokenNamespaces(
  pods: readonly JudgedPod[],
  cluster: ClusterView,
): readonly OwnBroken[] {
  const governed = pods.filter((pod) => pod.governed).map(({ view }) => view.metadata.namespace);
  return [...new Set(governed)].sort().flatMap((namespace) => {
    return brokenNamespace(namespace, cluster) ?? [];
  });
}

function brokenNamespace(namespace: string, cluster: ClusterView): OwnBroken | undefined {
  const { snapshot, installation, seesAllTargets } = cluster;
  // Without its labels or the administrator's rules it is not known what it accepts.
  if (installation === undefined) return undefined;
  if (snapshot.get('Namespace', '', namespace) === undefined) return undefined;
  const { rules } = installation;
  const { open, notAccepted } = targetsOf(namespace, snapshot, rules);
  // Anybody may offer a Target to all namespaces. That this one is to have it, a policy shows, or that it has none.
  const granted = notAccepted.filter((one) => isGranted(one, namespace, cluster));
  const meant = granted.length > 0 || open.length > 0 ? granted : notAccepted;
  const what = `Namespace ${namespace}`;
  if (meant.length > 0) {
    return {
      what,
      reason: 'ForeignTargetsNotAccepted',
      ...acceptanceMend(
        namespace,
        meant,
        granted.length > 0,
        acceptanceOf(namespace, snapshot, rules),
      ),
    };
  }
  if (open.length > 0 || !seesAllTargets) return undefined;
  return {
    what,
    reason: 'NoTargets',
    message:
      'pods of it are governed, and no Target is open to them: their sidecars have nothing to do',
    mend: `create a Target in namespace ${namespace}, or have the allowedNamespaces of one elsewhere include ${namespace}`,
  };
}

/**
 * `meant`: what it is to accept. `granted`: a policy says so; else anybody may have offered it, and no command is
 * given that accepts all of them. `accepted`: what it accepts now.
 */
function acceptanceMend(
  namespace: string,
  meant: readonly Target[],
  granted: boolean,
  accepted: ForeignAcceptance,
): Pick<OwnBroken, 'message' | 'mend'> {
  if (typeof accepted === 'string') {
    return {
      message: `${named(meant)} open to it, but the namespace does not accept targets of other namespaces`,
      mend: `kubectl label namespace ${namespace} ${foreignTargetsLabel}=${foreignTargetsAccepted}`,
    };
  }
  const more = granted ? meant.map((target) => target.metadata.namespace) : [];
  const list = [...new Set([...accepted, ...more])].filter((name) => name !== '').sort();
  if (!granted) list.push('NAMESPACE');
  return {
    message: `${named(meant)} open to it, but the namespace's annotation ${foreignTargetsFromAnnotation} does not list where it stands`,
    mend: `kubectl annotate --overwrite namespace ${namespace} ${foreignTargetsFromAnnotation}=${list.join(',')}`,
  };
}

/** Whether a policy with a say on the target means an identity of the namespace. */
function isGranted(target: Target, namespace: string, { snapshot }: ClusterView): boolean {
  const identities = snapshot
    .all('MachineIdentity')
    .filter(({ metadata }) => metadata.namespace === namespace);
  return snapshot
    .all('AccessPolicy')
    .some(
      (policy) =>
        attachment(policy, target) === 'Granting' &&
        identities.some((identity) => appliesTo(policy, identity)),
    );
}

function named(targets: readonly Target[]): string {
  const names = targets.slice(0, maxNamed).map(objectKey).join(', ');
  if (targets.length === 1) return `Target ${names} is`;
  const more = targets.length - maxNamed;
  return `Targets ${names}${more > 0 ? ` and ${more} more` : ''} are`;
}
