/** Keeps the NetworkPolicies of namespaces that ask for them. */
import type { GovernanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { targetPolicies } from '@chaperone/control/governance/network-policy.ts';
import type { ResourceStore } from '@chaperone/control/store/resource-store.ts';
import { networkPolicyAnnotation, networkPolicyGenerate } from '@chaperone/core/injection/names.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { ApiError } from '../../kubernetes/api-error.ts';
import type { Cached } from '../../kubernetes/cache.ts';
import type { KubernetesApi } from '../../kubernetes/client.ts';
import { Controller } from '../../kubernetes/controller.ts';
import type { EventRecorder } from '../../kubernetes/event-recorder.ts';
import type { KubernetesMetrics } from '../../kubernetes/metrics.ts';
import type { KubernetesObject, OwnerReference } from '../../kubernetes/object.ts';
import { Reflector } from '../../kubernetes/reflector.ts';
import { apiVersionOf, resourceTypes } from '../../kubernetes/resource-types.ts';
import type { Part } from '../../runtime/lifecycle.ts';
import { closedTarget, type ResolveName, resolveName } from './addresses.ts';

export const policyName = 'chaperone-targets';
/** On what was made here: what has not got it is never touched. */
export const generatedLabel = 'chaperone.dev/generated-policy';
/** Addresses change without any object of ours changing. */
const refreshMs = 30_000;
const fieldManager = 'chaperone-network-policies';
const type = resourceTypes.NetworkPolicy;

export interface NetworkPoliciesOptions {
  readonly api: KubernetesApi;
  /** Of Targets and Namespaces. */
  readonly store: ResourceStore;
  readonly rules: GovernanceRules;
  /** Whose end is the end of the policies too; undefined while there is none. */
  readonly owner: () => Promise<OwnerReference | undefined>;
  readonly events: EventRecorder;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
  readonly resolve?: ResolveName;
}

/** What is kept of a NetworkPolicy. */
interface PolicyEntry extends Cached {
  readonly generated: boolean;
  readonly egress: boolean;
}

/** Runs while this replica leads. */
export function networkPolicies(options: NetworkPoliciesOptions): Part {
  const { api, store, clock, random, logger, metrics } = options;
  const name = 'networkpolicies';
  const snapshot = new Snapshot();
  const policies = new Reflector<PolicyEntry>({
    api,
    type,
    transform: policyEntry,
    name,
    clock,
    random,
    logger,
    metrics,
  });
  const reconcile = (namespace: string) =>
    reconcileNamespace(namespace, snapshot, policies, options);
  const controller = new Controller({ name, reconcile, clock, logger, metrics });
  let unwatch = (): void => {};
  return {
    async start() {
      policies.subscribe(({ changes }) => {
        for (const { object } of changes) controller.add(object.metadata.namespace ?? '');
      });
      policies.start();
      unwatch = store.watch(['Target', 'Namespace'], (batch) => {
        if (!snapshot.apply(batch)) return;
        for (const { metadata } of snapshot.all('Namespace')) {
          if (asks(snapshot, metadata.name)) controller.add(metadata.name);
        }
        for (const { object } of batch.events) {
          if (object.kind === 'Namespace') controller.add(object.metadata.name);
        }
      });
      // Before they are known, those of others could be overlooked.
      void policies.synced().then(() => controller.start());
    },
    async stop() {
      unwatch();
      await policies.stop();
      await controller.stop();
    },
  };
}

async function reconcileNamespace(
  namespace: string,
  snapshot: Snapshot,
  policies: Reflector<PolicyEntry>,
  options: NetworkPoliciesOptions,
): Promise<{ readonly requeueAfterMs: number } | undefined> {
  const { api, rules, owner, resolve = resolveName } = options;
  const present = policies.list(namespace);
  const ours = present.filter(({ generated }) => generated);
  const remove = async (entries: readonly PolicyEntry[]): Promise<void> => {
    for (const { metadata } of entries) {
      const { uid } = metadata;
      try {
        await api.delete(type, namespace, metadata.name, { preconditions: { uid } });
      } catch (error) {
        if (!(error instanceof ApiError && error.isNotFound)) throw error;
      }
    }
  };
  if (!asks(snapshot, namespace)) {
    await remove(ours);
    return undefined;
  }
  const foreign = present.find(
    ({ generated, egress, metadata }) =>
      !generated && (egress || metadata.name.startsWith(policyName)),
  );
  if (foreign !== undefined) {
    await remove(ours);
    tell(namespace, foreign.metadata.name, options);
    return undefined;
  }
  const targets = await Promise.all(
    targetsOf(namespace, snapshot, rules).open.map((target) =>
      closedTarget(target, api, rules.clusterDomain, resolve),
    ),
  );
  const wanted = targetPolicies(namespace, targets).map((spec, at) => ({
    name: at === 0 ? policyName : `${policyName}-${at + 1}`,
    spec,
  }));
  const owning = wanted.length === 0 ? undefined : await owner();
  for (const { name, spec } of wanted) {
    const metadata = {
      name,
      namespace,
      labels: { [generatedLabel]: 'true' },
      ...(owning !== undefined && { ownerReferences: [owning] }),
    };
    const object = { apiVersion: apiVersionOf(type), kind: type.kind, metadata, spec };
    await api.apply(type, object, { fieldManager });
  }
  await remove(ours.filter((entry) => !wanted.some(({ name }) => name === entry.metadata.name)));
  return { requeueAfterMs: refreshMs };
}

function asks(snapshot: Snapshot, namespace: string): boolean {
  const annotations = snapshot.get('Namespace', '', namespace)?.metadata.annotations;
  return annotations?.[networkPolicyAnnotation] === networkPolicyGenerate;
}

/** A policy of ours allows all but the targets, and would add that to what others allow. */
function tell(
  namespace: string,
  foreign: string,
  { events, logger }: NetworkPoliciesOptions,
): void {
  const note =
    `NetworkPolicy ${foreign} governs egress here already, and a generated one would only add to what it ` +
    `allows. Keep the targets out of it by hand, or remove it; else remove the annotation ${networkPolicyAnnotation}.`;
  logger.warn(
    { namespace, networkPolicy: foreign },
    'No NetworkPolicy is generated beside another',
  );
  events.record(
    { apiVersion: 'v1', kind: 'Namespace', name: namespace },
    { type: 'Warning', reason: 'NetworkPolicyNotGenerated', action: 'Generate', note },
  );
}

function policyEntry(raw: KubernetesObject): PolicyEntry {
  const { spec } = raw as { readonly spec?: { policyTypes?: readonly string[]; egress?: unknown } };
  const { name, namespace, uid, resourceVersion, labels } = raw.metadata;
  return {
    metadata: { name, ...(namespace !== undefined && { namespace }), uid, resourceVersion },
    generated: labels?.[generatedLabel] === 'true',
    egress: spec?.policyTypes?.includes('Egress') ?? spec?.egress !== undefined,
  };
}
