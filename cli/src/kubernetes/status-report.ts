/** What is governed, by what, and what is broken: `chaperone status`, as data. Pure. */
import { appliesTo, attachment, countsFor } from '@chaperone/control/controllers/attachment.ts';
import { objectKey, type Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import type { Stored } from '@chaperone/control/store/resource-store.ts';
import {
  type Broken,
  backendOf,
  brokenPods,
  brokenResource,
  isObserved,
  type OwnReason,
  problemsOf,
  readyOf,
} from './breakage.ts';
import type { ClusterView } from './cluster-view.ts';
import { brokenComponents } from './components.ts';
import {
  type Identity,
  type JudgedPod,
  judgePods,
  openTargets,
  type Target,
  workloadOf,
} from './judgement.ts';
import { brokenNamespaces } from './namespace-targets.ts';
import { brokenRefusals } from './refused-pods.ts';

export interface WorkloadRow {
  readonly namespace: string;
  /** `Deployment/orders-api`. */
  readonly workload: string;
  readonly pods: number;
  readonly governed: number;
  /** Of those, the ones that a restart would bring up to date. */
  readonly outdated: number;
  /** `namespace/name`; absent: none. */
  readonly identity?: string;
  /** `Mixed`: some of its pods. */
  readonly egress: 'Open' | 'Lockdown' | 'Mixed';
  /** `Governed`, or the reasons why that is not all. */
  readonly state: string;
}

export interface TargetRow {
  readonly target: string;
  readonly ready: Ready;
  /** Whether those who tried lately could connect and log in; absent before anybody has. */
  readonly reachable?: Ready;
  readonly enforcement: 'Enforce' | 'Observe';
  /** `host:port`. */
  readonly where: string;
  readonly policies: number;
  readonly masks: number;
}

export interface PolicyRow {
  readonly policy: string;
  readonly ready: Ready;
  readonly mode: 'Enforce' | 'DryRun';
  readonly rules: number;
  /** `namespace/name` of those for which it counts. */
  readonly targets: readonly string[];
  readonly identities: readonly string[];
}

export interface MaskRow {
  readonly rule: string;
  readonly ready: Ready;
  readonly transform: string;
  readonly targets: readonly string[];
  /** Identities that see the values in clear now. */
  readonly exempt: readonly string[];
}

export interface IdentityRow {
  readonly identity: string;
  readonly ready: Ready;
  readonly team: string;
  readonly pods: number;
  readonly expiresAt?: string;
}

/** `Unknown`: no controller has looked at it as it is now. */
export type Ready = 'True' | 'False' | 'Unknown';

export interface StatusReport {
  /** `*`: all. */
  readonly namespace: string;
  readonly workloads: readonly WorkloadRow[];
  /** Live pods that nobody asked to govern. */
  readonly notOptedIn: number;
  readonly identities: readonly IdentityRow[];
  readonly targets: readonly TargetRow[];
  readonly policies: readonly PolicyRow[];
  readonly masks: readonly MaskRow[];
  readonly broken: readonly Broken[];
  /** What could not be seen, as sentences. */
  readonly unseen: readonly string[];
}

/** `nowMs`: epoch ms. */
export function statusReport(cluster: ClusterView, nowMs: number): StatusReport {
  const { snapshot, namespace, invalid, unseen } = cluster;
  const pods = judgePods(cluster);
  const concerned = pods.filter(
    (pod) => pod.governed || (pod.optedIn && !pod.isTarget) || pod.findings.length > 0,
  );
  const here = (object: { readonly metadata: { readonly namespace: string } }): boolean =>
    namespace === undefined || object.metadata.namespace === namespace;

  const identities = snapshot.all('MachineIdentity').filter(here);
  const targets = targetsInSight(cluster);
  const policies = snapshot
    .all('AccessPolicy')
    .filter((policy) => here(policy) || identities.some(concernedBy(policy, snapshot)));
  const masks = snapshot
    .all('MaskingRule')
    .filter(
      (rule) => here(rule) || targets.some((target) => attachment(rule, target) === 'Granting'),
    );
  const counting = (object: Parameters<typeof attachment>[0]): Target[] =>
    snapshot.all('Target').filter((target) => attachment(object, target) !== undefined);

  const resources = [...identities, ...targets, ...policies, ...masks];
  return {
    namespace: namespace ?? '*',
    workloads: workloadRows(concerned),
    notOptedIn: pods.filter((pod) => !pod.governed && !pod.optedIn && !pod.isTarget).length,
    identities: identities.map((identity) => {
      const { expiresAt, owner } = identity.spec;
      return {
        identity: objectKey(identity),
        ready: readiness(identity),
        team: owner.team,
        pods: concerned.filter((pod) => pod.governed && pod.identity === identity).length,
        ...(expiresAt !== undefined && { expiresAt }),
      };
    }),
    targets: targets.map((target) => {
      const backend = backendOf(target);
      return {
        target: objectKey(target),
        ready: readiness(target),
        ...(backend !== undefined && { reachable: backend.status }),
        enforcement: target.spec.enforcement,
        where: `${target.spec.host}:${target.spec.port}`,
        policies: snapshot.all('AccessPolicy').filter((policy) => attachment(policy, target))
          .length,
        masks: snapshot.all('MaskingRule').filter((rule) => attachment(rule, target) === 'Granting')
          .length,
      };
    }),
    policies: policies.map((policy) => ({
      policy: objectKey(policy),
      ready: readiness(policy),
      mode: policy.spec.mode,
      rules: policy.spec.rules?.length ?? 0,
      targets: counting(policy).map(objectKey),
      identities: snapshot
        .all('MachineIdentity')
        .filter(concernedBy(policy, snapshot))
        .map(objectKey),
    })),
    masks: masks.map((rule) => ({
      rule: objectKey(rule),
      ready: readiness(rule),
      transform: rule.spec.transform.type,
      targets: counting(rule).map(objectKey),
      exempt: (rule.spec.exemptions ?? [])
        .filter(({ expiresAt }) => Date.parse(expiresAt) > nowMs)
        .flatMap((exemption) => exemption.identities.map((one) => `${one.namespace}/${one.name}`)),
    })),
    broken: [
      ...brokenComponents(cluster),
      // Wherever they are: a mask that counts as absent masks nothing.
      ...invalid.map((one) => ({
        what: `${one.kind} ${one.namespace}/${one.name}`,
        reason: 'Invalid' satisfies OwnReason,
        message: `it counts as absent: ${one.message}`,
        mend: `kubectl -n ${one.namespace} edit ${one.kind.toLowerCase()} ${one.name}`,
      })),
      ...resources.flatMap((object) => brokenResource(object, cluster) ?? []),
      ...brokenNamespaces(concerned, cluster),
      ...brokenRefusals(cluster),
      ...brokenPods(concerned),
    ],
    unseen,
  };
}

/** Whether the policy picks an identity, and counts for it on one of its targets, where it has any. */
function concernedBy(
  policy: Stored<'AccessPolicy'>,
  snapshot: Snapshot,
): (identity: Identity) => boolean {
  const ways = new Set(
    snapshot.all('Target').flatMap((target) => attachment(policy, target) ?? []),
  );
  return (identity) =>
    appliesTo(policy, identity) &&
    (ways.size === 0 ||
      [...ways].some((attached) => countsFor(attached, policy, identity.metadata.namespace)));
}

/** Those of the namespace, and those that are open to it. */
function targetsInSight(cluster: ClusterView): readonly Target[] {
  const { snapshot, namespace } = cluster;
  if (namespace === undefined) return snapshot.all('Target');
  const open = new Set(openTargets(namespace, cluster));
  return snapshot
    .all('Target')
    .filter((target) => target.metadata.namespace === namespace || open.has(target));
}

function readiness(object: Parameters<typeof readyOf>[0]): Ready {
  return isObserved(object) ? (readyOf(object)?.status ?? 'Unknown') : 'Unknown';
}

function workloadRows(pods: readonly JudgedPod[]): readonly WorkloadRow[] {
  const groups = new Map<string, JudgedPod[]>();
  for (const pod of pods) {
    const key = `${pod.view.metadata.namespace}/${workloadOf(pod.view)}`;
    groups.set(key, [...(groups.get(key) ?? []), pod]);
  }
  return [...groups.entries()]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([, members]) => workloadRow(members));
}

function workloadRow(pods: readonly JudgedPod[]): WorkloadRow {
  const [first] = pods as readonly [JudgedPod];
  const governed = pods.filter((pod) => pod.governed);
  const locked = governed.filter((pod) => pod.lockdown).length;
  const problems = pods.flatMap(problemsOf).map(({ reason }) => reason);
  const { identity, view } = first;
  return {
    namespace: view.metadata.namespace,
    workload: workloadOf(view),
    pods: pods.length,
    governed: governed.length,
    outdated: governed.filter((pod) => pod.findings.some(({ severity }) => severity === 'Restart'))
      .length,
    ...(identity !== undefined && { identity: objectKey(identity) }),
    egress: locked === 0 ? 'Open' : locked === governed.length ? 'Lockdown' : 'Mixed',
    state: problems.length > 0 ? [...new Set(problems)].join(', ') : 'Governed',
  };
}
