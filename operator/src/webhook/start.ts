/** The role `webhook`: caches, admission, its server. */
import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { Snapshot } from '@chaperone/control/controllers/snapshot.ts';
import type { StoredKind } from '@chaperone/control/store/resource-store.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Readiness } from '@chaperone/runtime/http/readiness.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { admissionMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import type { Registry } from 'prom-client';
import type { WebhookConfig } from '../config.ts';
import { injectionSettings } from '../injection/settings.ts';
import type { KubernetesApi } from '../kubernetes/client.ts';
import type { Follower } from '../kubernetes/contact.ts';
import type { EventRecorder } from '../kubernetes/event-recorder.ts';
import { KubernetesStore } from '../kubernetes/kubernetes-store.ts';
import type { KubernetesMetrics } from '../kubernetes/metrics.ts';
import type { KubernetesObject } from '../kubernetes/object.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { CachePart } from '../runtime/lifecycle.ts';
import { PodAdmission } from './pods.ts';
import { startWebhookServer, type WebhookServer } from './server.ts';
import { type ServiceEntry, ServiceIndex, serviceEntry } from './service-index.ts';
import { type AdmissionState, injectionNamespace } from './state.ts';

/** What the program of the role gives. */
export interface WebhookDependencies {
  readonly api: KubernetesApi;
  readonly metrics: KubernetesMetrics;
  readonly registry: Registry;
  readonly readiness: Readiness;
  readonly events: EventRecorder;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  /** Takes a cache that is started later, and told by its reflectors how up to date it is. */
  addCache(cache: CachePart, reflectors: readonly Follower[]): void;
}

const kinds: readonly StoredKind[] = [
  'MachineIdentity',
  'Target',
  'AccessPolicy',
  'MaskingRule',
  'Namespace',
];
/** Within the API server's patience for a review. */
const namespaceTimeoutMs = 3000;
const listenHost = '0.0.0.0';

/**
 * Serves admission; resolves as soon as it listens. Until the caches that it adds are filled it is not ready,
 * and refuses what it is asked. Throws ChaperoneError CHP-1002, CHP-1004 or CHP-1020.
 */
export async function startWebhook(
  config: WebhookConfig,
  dependencies: WebhookDependencies,
): Promise<WebhookServer> {
  const { api, registry, readiness, events, clock, random, logger } = dependencies;
  const rules = governanceRules(config);
  const settings = injectionSettings(config);
  const metrics = registerMetrics(registry, admissionMetrics);
  const common = { api, clock, random, logger, metrics: dependencies.metrics };
  const store = new KubernetesStore({
    ...common,
    kinds,
    targetNamespaces: [],
    fieldManager: 'chaperone-webhook',
  });
  const services = new Reflector<ServiceEntry>({
    ...common,
    type: resourceTypes.Service,
    transform: serviceEntry,
  });
  const snapshot = new Snapshot();
  const index = new ServiceIndex();
  services.subscribe((batch) => index.apply(batch));
  store.watch(kinds, (batch) => void snapshot.apply(batch));
  dependencies.addCache(store, store.reflectors);
  dependencies.addCache(services, [services]);

  const unready = (): string | undefined =>
    store.hasSynced && services.hasSynced ? undefined : 'the caches are not filled yet';
  readiness.check('admission', unready);
  const state: AdmissionState = {
    snapshot,
    rules,
    maxTargetsPerNamespace: config.maxTargetsPerNamespace,
    unready,
    services: (namespace) => index.of(namespace),
    async namespaceNow(name) {
      const found = await api.find<KubernetesObject>(resourceTypes.Namespace, '', name, {
        timeoutMs: namespaceTimeoutMs,
      });
      return found === undefined ? undefined : injectionNamespace(found);
    },
  };
  const server = await startWebhookServer({
    host: listenHost,
    port: config.listenPort,
    tlsDirectory: config.tlsDirectory,
    state,
    pods: new PodAdmission({
      state,
      settings,
      recordEvent: (subject, details) => events.record(subject, details),
      metrics,
      logger,
    }),
    metrics,
    clock,
    logger,
  });
  logger.info({ port: server.port }, 'admission webhooks listen');
  return server;
}
