/** Why a pod may do what it may: `chaperone why POD`, as data. Pure. */
import { objectKey, type Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { bundleFor } from '@chaperone/control/policy-api/bundle.ts';
import { sidecarContainer } from '@chaperone/core/injection/names.ts';
import type {
  BundleMask,
  BundleRule,
  BundleSession,
  RuleRef,
  TransformSpec,
} from '@chaperone/core/policy/types.ts';
import { type Broken, backendOf, brokenPods, brokenResource, readyOf } from './breakage.ts';
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

export interface WhyRule {
  /** `namespace/policy/rule`. */
  readonly rule: string;
  readonly action: BundleRule['action'];
  readonly mode: BundleRule['mode'];
  readonly classes: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  readonly columns?: BundleRule['columns'];
  readonly when?: string;
  readonly limits?: BundleRule['limits'];
}

export interface WhyMask {
  /** `namespace/name` of the MaskingRule. */
  readonly rule: string;
  readonly columns: readonly string[];
  readonly detectors: readonly string[];
  readonly resources: readonly string[];
  readonly transform: TransformSpec;
  readonly usage: BundleMask['usage'];
  readonly strictness: BundleMask['strictness'];
  /** Of this identity, those that have not ended. */
  readonly exemptions: BundleMask['exemptions'];
}

export interface WhyTarget {
  /** `namespace/name`. */
  readonly target: string;
  readonly enforcement: 'Enforce' | 'Observe';
  readonly ready: string;
  readonly message: string;
  /** What became of connecting to it; absent before anybody has tried. */
  readonly backend?: { readonly reason: string; readonly message: string };
  /** Where the pod reaches it through the sidecar; absent: this pod is not mapped to it. */
  readonly reached?: {
    readonly names: readonly string[];
    readonly address: string;
    readonly port: number;
  };
  /** Absent without an identity. */
  readonly session?: BundleSession;
  /** In the order in which they decide: Deny, RequireApproval, Allow. */
  readonly rules: readonly WhyRule[];
  readonly masks: readonly WhyMask[];
}

export interface WhyReport {
  readonly pod: string;
  readonly workload: string;
  readonly serviceAccount: string;
  readonly governed: boolean;
  /** A label of its own or of its namespace asks for it. */
  readonly optedIn: boolean;
  /** It is what a Target stands for, and so left alone. */
  readonly isTarget: boolean;
  readonly sidecarImage?: string;
  readonly egress: 'Open' | 'Lockdown';
  readonly identity?: {
    readonly name: string;
    readonly team: string;
    readonly contact?: string;
    readonly purpose: string;
    readonly groups: readonly string[];
    readonly ready: string;
    readonly message: string;
    readonly expiresAt?: string;
  };
  readonly targets: readonly WhyTarget[];
  readonly broken: readonly Broken[];
  /** What is as configured, and worth knowing. */
  readonly notes: readonly string[];
  readonly unseen: readonly string[];
}

/** `cluster.pods` holds the pod; undefined where it does not, or where the pod has ended. */
export function whyReport(
  cluster: ClusterView,
  name: string,
  nowMs: number,
): WhyReport | undefined {
  const pod = judgePods(cluster).find(({ view }) => view.metadata.name === name);
  if (pod === undefined) return undefined;
  const { view, identity, governed } = pod;
  const { namespace } = view.metadata;
  const sidecar = view.containers.find((container) => container.name === sidecarContainer);
  const targets = whyTargets(pod, cluster, nowMs);
  const objects = [
    ...(identity === undefined ? [] : [identity]),
    ...targets.flatMap(({ target }) => find(cluster.snapshot, 'Target', target) ?? []),
  ];
  return {
    pod: `${namespace}/${name}`,
    workload: workloadOf(view),
    serviceAccount: view.serviceAccount,
    governed,
    optedIn: pod.optedIn,
    isTarget: pod.isTarget,
    ...(governed && sidecar !== undefined && { sidecarImage: sidecar.image }),
    egress: pod.lockdown ? 'Lockdown' : 'Open',
    ...(identity !== undefined && { identity: whyIdentity(identity) }),
    targets,
    broken: [
      ...brokenComponents(cluster),
      ...objects.flatMap((object) => brokenResource(object, cluster) ?? []),
      ...brokenNamespaces([pod], cluster),
      ...brokenPods([pod]),
    ],
    notes: pod.findings.filter(({ severity }) => severity === 'Note').map(({ message }) => message),
    unseen: cluster.unseen,
  };
}

function find<K extends 'Target' | 'MaskingRule'>(snapshot: Snapshot, kind: K, key: string) {
  const [namespace = '', name = ''] = key.split('/');
  return snapshot.get(kind, namespace, name);
}

function whyIdentity(identity: Identity): NonNullable<WhyReport['identity']> {
  const { owner, purpose, groups = [], expiresAt } = identity.spec;
  const ready = readyOf(identity);
  return {
    name: objectKey(identity),
    team: owner.team,
    ...(owner.contact !== undefined && { contact: owner.contact }),
    purpose,
    groups,
    ready: ready?.reason ?? 'Unknown',
    message: ready?.message ?? 'no controller has looked at it yet',
    ...(expiresAt !== undefined && { expiresAt }),
  };
}

/** Those that the pod is mapped to, and those that are open to it and not mapped. */
function whyTargets(pod: JudgedPod, cluster: ClusterView, nowMs: number): readonly WhyTarget[] {
  const { namespace } = pod.view.metadata;
  const places = mappedPlaces(pod);
  const open = openTargets(namespace, cluster);
  const mapped = cluster.snapshot.all('Target').filter((target) => places.has(objectKey(target)));
  const shown = [...new Set([...mapped, ...open])].sort((a, b) =>
    objectKey(a) < objectKey(b) ? -1 : 1,
  );
  return shown.map((target) =>
    whyTarget(target, pod, cluster, places.get(objectKey(target)), nowMs),
  );
}

function whyTarget(
  target: Target,
  { identity }: JudgedPod,
  cluster: ClusterView,
  reached: WhyTarget['reached'],
  nowMs: number,
): WhyTarget {
  const key = objectKey(target);
  const ready = readyOf(target);
  const backend = backendOf(target);
  const { snapshot, installation } = cluster;
  const bundle =
    identity === undefined
      ? undefined
      : // Without Secrets there are no keys, and none are shown.
        bundleFor(identity, snapshot, Buffer.alloc(32), installation?.rules);
  const part = bundle?.targets.find((one) => `${one.target.namespace}/${one.target.name}` === key);
  return {
    target: key,
    enforcement: target.spec.enforcement,
    ready: ready?.reason ?? 'Unknown',
    message: ready?.message ?? 'no controller has looked at it yet',
    ...(backend !== undefined && {
      backend: { reason: backend.reason, message: backend.message },
    }),
    ...(reached !== undefined && { reached }),
    ...(part !== undefined && { session: part.session }),
    rules: inOrder(part?.rules ?? []).map(whyRule),
    masks: (part?.masks ?? []).map((mask) => whyMask(mask, snapshot, nowMs)),
  };
}

const precedence: readonly BundleRule['action'][] = ['Deny', 'RequireApproval', 'Allow'];

const inOrder = (rules: readonly BundleRule[]): readonly BundleRule[] =>
  [...rules].sort((a, b) => precedence.indexOf(a.action) - precedence.indexOf(b.action));

const nameOf = ({ namespace, object, rule }: RuleRef): string =>
  [namespace, object, rule].filter((part) => part !== '').join('/');

function whyRule({ ref, ...rule }: BundleRule): WhyRule {
  const { action, mode, classes, verbs, resources, columns, when, limits } = rule;
  return {
    rule: nameOf(ref),
    action,
    mode,
    classes,
    verbs,
    resources,
    ...(columns !== undefined && { columns }),
    ...(when !== undefined && { when }),
    ...(limits !== undefined && { limits }),
  };
}

function whyMask(mask: BundleMask, snapshot: Snapshot, nowMs: number): WhyMask {
  const { columns, detectors, resources, usage, strictness } = mask;
  const rule = nameOf(mask.ref);
  return {
    rule,
    columns,
    detectors,
    resources,
    // The bundle that is made here lacks the key, so it would say Redact.
    transform: find(snapshot, 'MaskingRule', rule)?.spec.transform ?? mask.transform,
    usage,
    strictness,
    exemptions: mask.exemptions.filter(({ expiresAt }) => Date.parse(expiresAt) > nowMs),
  };
}

/** Where the sidecar listens, by target; from the pod itself. */
function mappedPlaces({ raw }: JudgedPod): ReadonlyMap<string, NonNullable<WhyTarget['reached']>> {
  const { initContainers = [], hostAliases = [] } = (raw.spec ?? {}) as {
    readonly initContainers?: readonly {
      readonly name?: string;
      readonly env?: readonly { readonly name?: string; readonly value?: string }[];
    }[];
    readonly hostAliases?: readonly {
      readonly ip?: string;
      readonly hostnames?: readonly string[];
    }[];
  };
  const sidecar = initContainers.find(({ name }) => name === sidecarContainer);
  const text = sidecar?.env?.find(({ name }) => name === 'CHAPERONE_LISTEN')?.value ?? '[]';
  let entries: readonly { target?: unknown; address?: unknown; port?: unknown }[];
  try {
    entries = JSON.parse(text);
  } catch {
    entries = [];
  }
  return new Map(
    entries.map(({ target, address, port }) => [
      String(target),
      {
        names: hostAliases
          .filter(({ ip }) => ip === address)
          .flatMap(({ hostnames }) => hostnames ?? []),
        address: String(address),
        port: Number(port),
      },
    ]),
  );
}
