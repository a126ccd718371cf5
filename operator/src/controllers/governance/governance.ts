/**
 * Looks at every pod: is it governed, is it as new pods would be, could it go around? What it finds is in
 * metrics, and in Events on the workload that people know. `kubectl chaperone status` judges by the same rules.
 */
import type { GovernanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { targetsOf } from '@chaperone/control/controllers/open-targets.ts';
import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import { governanceContext, type ServiceView } from '@chaperone/control/governance/context.ts';
import {
  judgePod,
  type PodFinding,
  type PodFindingKind,
  podFindings,
  sidecarOf,
} from '@chaperone/control/governance/judge-pod.ts';
import { isLive, type PodView } from '@chaperone/control/governance/pod-view.ts';
import type { ResourceStore, StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { governanceMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import type { MetricSet } from '@chaperone/runtime/metrics/metrics.ts';
import { mapTargets } from '../../injection/target-map.ts';
import type { Cached } from '../../kubernetes/cache.ts';
import { Controller } from '../../kubernetes/controller.ts';
import type { EventRecorder } from '../../kubernetes/event-recorder.ts';
import type { KubernetesObject } from '../../kubernetes/object.ts';
import { Reflector, type ReflectorOptions } from '../../kubernetes/reflector.ts';
import { resourceTypes } from '../../kubernetes/resource-types.ts';
import type { Part } from '../../runtime/lifecycle.ts';
import type { PodCache } from '../pod-cache.ts';
import { FindingEvents } from './finding-events.ts';
import { Workloads } from './workloads.ts';

type Common = Omit<
  ReflectorOptions<never>,
  'type' | 'transform' | 'selection' | 'name' | 'metrics'
> &
  Pick<ReflectorOptions<never>, 'metrics'>;

export interface GovernanceOptions extends Common {
  readonly store: ResourceStore;
  readonly pods: PodCache;
  readonly events: EventRecorder;
  readonly rules: GovernanceRules;
  /** What new pods get. */
  readonly sidecarImage: string;
  /** Never injected, our own namespace among them. */
  readonly excludedNamespaces: readonly string[];
  readonly gauges: MetricSet<typeof governanceMetrics>;
}

interface ServiceEntry extends Cached, ServiceView {}

const watched: readonly StoredKind[] = ['MachineIdentity', 'Target', 'Namespace'];
/** A rollout changes many pods of a namespace within a moment. */
const gatherMs = 500;
/** Events are kept for an hour: what lasts is told again. */
const againMs = 30 * 60 * 1000;
/** Conditions of identities that are counted. */
const identityConditions = ['Expiring', 'ReviewDue', 'Conflict'] as const;

export class Governance implements Part {
  /** For every replica to run. */
  readonly services: Reflector<ServiceEntry>;
  readonly #options: GovernanceOptions;
  readonly #controller: Controller;
  readonly #events: FindingEvents;
  readonly #snapshot = new Snapshot();
  /** By namespace. */
  readonly #counts = new Map<string, Readonly<Record<PodFindingKind | 'governed', number>>>();
  #unwatch: (() => void)[] = [];

  constructor(options: GovernanceOptions) {
    const { api, clock, random, logger, metrics, events } = options;
    this.#options = options;
    this.services = new Reflector<ServiceEntry>({
      api,
      clock,
      random,
      logger,
      metrics,
      type: resourceTypes.Service,
      transform: serviceEntry,
    });
    this.#events = new FindingEvents(events, new Workloads(api), clock);
    const reconcile = (namespace: string) => this.#reconcile(namespace);
    this.#controller = new Controller({ name: 'governance', reconcile, clock, logger, metrics });
    Object.assign(options.gauges.governedPods, { collect: () => this.#measure() });
  }

  start(): void {
    const { store, pods } = this.#options;
    const add = (namespace: string): void => this.#controller.addAfter(namespace, gatherMs);
    const addAll = (): void => {
      for (const namespace of pods.namespaces()) add(namespace);
    };
    this.#unwatch = [
      store.watch(watched, (batch) => {
        if (!this.#snapshot.apply(batch)) return;
        const others = batch.events.filter(({ object }) => object.kind !== 'MachineIdentity');
        for (const { object } of batch.events)
          add(object.metadata.namespace || object.metadata.name);
        if (others.some(({ object }) => object.kind === 'Target')) addAll();
      }),
      pods.onChange((changes) => {
        for (const { pod } of changes) add(pod.metadata.namespace);
      }),
      this.services.subscribe(({ changes }) => {
        for (const { object } of changes) add(object.metadata.namespace ?? '');
      }),
    ];
    this.#controller.start();
  }

  async stop(): Promise<void> {
    for (const unwatch of this.#unwatch) unwatch();
    await this.#controller.stop();
  }

  async #reconcile(namespace: string): Promise<{ readonly requeueAfterMs: number } | undefined> {
    const judged = this.#judge(namespace);
    if (judged === undefined) {
      this.#counts.delete(namespace);
      this.#events.forget(namespace);
      return undefined;
    }
    this.#counts.set(namespace, countsOf(judged));
    await this.#events.tell(namespace, judged);
    return { requeueAfterMs: againMs };
  }

  /** Undefined where no pods are left. */
  #judge(namespace: string): readonly (readonly [PodView, readonly PodFinding[]])[] | undefined {
    const { pods, rules, sidecarImage, excludedNamespaces } = this.#options;
    const live = [...pods.of(namespace)].filter(isLive);
    if (live.length === 0) return undefined;
    const { clusterDomain } = rules;
    const { targets } = mapTargets({
      namespace,
      targets: targetsOf(namespace, this.#snapshot, rules).open,
      hostAliases: [],
      ownNameServers: false,
      clusterDomain,
      hasService: (space, name) => this.services.get(space, name) !== undefined,
    });
    const context = governanceContext(namespace, {
      snapshot: this.#snapshot,
      services: this.services.list(namespace),
      targets: new Set(targets.map((target) => `${target.namespace}/${target.name}`)),
      excluded: excludedNamespaces.includes(namespace),
      sidecarImage,
      clusterDomain,
    });
    return live.map((pod) => [pod, judgePod(pod, context)] as const);
  }

  #measure(): void {
    const { governedPods, podFindings: findings, identityFindings } = this.#options.gauges;
    const sum = (kind: PodFindingKind | 'governed'): number =>
      [...this.#counts.values()].reduce((total, counts) => total + counts[kind], 0);
    governedPods.set(sum('governed'));
    for (const finding of podFindings) findings.set({ finding }, sum(finding));
    const identities = this.#snapshot.all('MachineIdentity');
    const count = (type: string, status: 'True' | 'False'): number =>
      identities.filter((identity) =>
        identity.status?.conditions?.some((one) => one.type === type && one.status === status),
      ).length;
    identityFindings.set({ finding: 'NotReady' }, count('Ready', 'False'));
    for (const finding of identityConditions) {
      identityFindings.set({ finding }, count(finding, 'True'));
    }
  }
}

function countsOf(
  judged: readonly (readonly [PodView, readonly PodFinding[]])[],
): Readonly<Record<PodFindingKind | 'governed', number>> {
  const counts = Object.fromEntries(
    [...podFindings, 'governed' as const].map((kind) => [kind, 0]),
  ) as Record<PodFindingKind | 'governed', number>;
  for (const [pod, findings] of judged) {
    if (sidecarOf(pod) !== undefined) counts.governed += 1;
    for (const kind of new Set(findings.map(({ finding }) => finding))) counts[kind] += 1;
  }
  return counts;
}

function serviceEntry(raw: KubernetesObject): ServiceEntry {
  const { name, namespace, uid, resourceVersion } = raw.metadata;
  const { spec } = raw as { readonly spec?: { readonly selector?: Record<string, string> } };
  return {
    metadata: { name, uid, resourceVersion, ...(namespace !== undefined && { namespace }) },
    name,
    ...(spec?.selector !== undefined && { selector: spec.selector }),
  };
}
