/** Namespaces whose governed pods lack targets: not accepted, or none at all. */
import { appliesTo, attachment } from '@chaperone/control/controllers/attachment.ts';
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { objectKey } from '@chaperone/control/controllers/snapshot.ts';
import { foreignTargetsAccepted, foreignTargetsLabel } from '@chaperone/core/injection/names.ts';
import type { Broken } from './breakage.ts';
import type { ClusterView } from './cluster-view.ts';
import type { JudgedPod, Target } from './judgement.ts';

/** Targets that one message names. */
const maxNamed = 5;

/** For the namespaces of those of the pods that are governed. */
export function brokenNamespaces(
  pods: readonly JudgedPod[],
  cluster: ClusterView,
): readonly Broken[] {
  const governed = pods.filter((pod) => pod.governed).map(({ view }) => view.metadata.namespace);
  return [...new Set(governed)].sort().flatMap((namespace) => {
    return brokenNamespace(namespace, cluster) ?? [];
  });
}

function brokenNamespace(namespace: string, cluster: ClusterView): Broken | undefined {
  const { snapshot, installation, seesAllTargets } = cluster;
  // Without its labels or the administrator's rules it is not known what it accepts.
  if (installation === undefined) return undefined;
  if (snapshot.get('Namespace', '', namespace) === undefined) return undefined;
  const { rules } = installation;
  const { open } = targetsOf(namespace, snapshot, rules);
  const accepting = targetsOf(namespace, snapshot, { ...rules, foreignTargets: 'Accepted' });
  const refused = accepting.open.filter(
    (target) => target.metadata.namespace !== namespace && !open.includes(target),
  );
  // Anybody may offer a Target to all namespaces. That this one is to have it, a policy shows, or that it has none.
  const meant =
    open.length === 0 ? refused : refused.filter((one) => isGranted(one, namespace, cluster));
  const what = `Namespace ${namespace}`;
  if (meant.length > 0) {
    return {
      what,
      reason: 'ForeignTargetsNotAccepted',
      message: `${named(meant)} open to it, but the namespace does not accept targets of other namespaces`,
      mend: `kubectl label namespace ${namespace} ${foreignTargetsLabel}=${foreignTargetsAccepted}`,
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
