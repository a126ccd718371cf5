/**
 * The policy API. Every replica serves, from caches of its own; one at a time, by a Lease, also writes the status of
 * Targets and MaskingRules, which nobody else can tell: they speak of Secrets.
 *
 * What it may do at the API server:
 *
 * | resource | verbs | scope |
 * |---|---|---|
 * | chaperone.dev machineidentities, targets, accesspolicies, maskingrules | get list watch | cluster |
 * | chaperone.dev targets/status, maskingrules/status | get patch | cluster |
 * | namespaces | get list watch | cluster |
 * | pods | get list watch | cluster |
 * | authentication.k8s.io tokenreviews | create | cluster |
 * | events.k8s.io events | create patch | cluster |
 * | secrets, configmaps | get list watch | each of targetNamespaces |
 * | coordination.k8s.io leases named as leaseName | get update | own namespace |
 * | coordination.k8s.io leases | create | own namespace |
 */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import { governanceRules } from '@chaperone/control/controllers/host-rules.ts';
import { watchedKinds } from '@chaperone/control/controllers/snapshot.ts';
import { startPolicyApi } from '@chaperone/control/policy-api/server.ts';
import type { RelayConfig } from '@chaperone/control/relay/relay.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { attestMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import { KubernetesAttestor } from '../attest/kubernetes-attestor.ts';
import { LivePods, podLife } from '../attest/live-pods.ts';
import { ownNames } from '../certificates/own-names.ts';
import type { PolicyApiConfig } from '../config.ts';
import { Reflector } from '../kubernetes/reflector.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { Part } from '../runtime/lifecycle.ts';
import { RecurringLead } from '../runtime/recurring-lead.ts';
import type { Program } from './program.ts';
import { addStatuses } from './statuses.ts';

const listenHost = '0.0.0.0';
/** A replica that has not heard of its caches for longer may be wrong about a suspension. */
const maxStaleMs = 5000;
const minKeyBytes = 32;

/** Resolves when it listens, which is when the caches are synced. Throws ChaperoneError. */
export async function startPolicyApiRole(
  program: Program,
  config: PolicyApiConfig,
): Promise<{ close(): Promise<void> }> {
  const { api, manager, readiness, clock, logger, registry } = program;
  const rules = governanceRules(config);
  const installationKey = readInstallationKey(config.installationKeyFile);
  const backends = new BackendReports(() => clock.nowMs());
  const statuses = addStatuses(program, {
    watched: watchedKinds,
    targetNamespaces: config.targetNamespaces,
    kinds: ['Target', 'MaskingRule'],
    statuses: { rules, backends },
  });
  const { store } = statuses;
  /** Reports go to who leads, as it alone has to have all of them. */
  const takeReports: Part = {
    start: () => backends.start(() => statuses.touch()),
    stop: () => backends.stop(),
  };
  const parts = (): readonly Part[] => [...statuses.parts(), takeReports];
  const { leaseName: name, namespace } = config;
  const { identity, random, metrics } = program;
  // Who loses the lead goes on serving: sidecars hang on it, and an API server that is away loses it for all.
  manager.add(
    new RecurringLead({ api, namespace, name, identity, parts, clock, random, logger, metrics }),
  );
  const { tokenReviews } = registerMetrics(registry, attestMetrics);
  const pods = new Reflector({
    api,
    type: resourceTypes.Pod,
    transform: podLife,
    clock,
    random,
    logger,
    metrics,
  });
  program.addCache(pods, [pods]);
  const fresh = (): boolean =>
    [store.ageMs(), pods.health().ageMs].every(
      (ageMs) => ageMs !== undefined && ageMs <= maxStaleMs,
    );
  readiness.check('policy', () => (fresh() ? undefined : 'the caches may be out of date'));
  const serving = readiness.gate('server');
  await manager.start();
  const server = await startPolicyApi({
    host: listenHost,
    port: config.listenPort,
    tlsDirectory: config.tlsDirectory,
    issuerDirectory: config.issuerDirectory,
    signingKeysDirectory: config.signingKeysDirectory,
    installationKey,
    store,
    attestor: new KubernetesAttestor({
      api,
      pods: new LivePods({
        cached: (podNamespace, podName) => pods.get(podNamespace, podName),
        find: (podNamespace, podName) => api.find(resourceTypes.Pod, podNamespace, podName),
        clock,
      }),
      expected: {
        sidecarImage: config.sidecarImage,
        ...(config.policyApiUrl !== undefined && { policyApiUrl: config.policyApiUrl }),
        ...(config.collectorUrl !== undefined && { collectorUrl: config.collectorUrl }),
        clusterDomain: config.clusterDomain,
      },
      gatewayServiceAccounts: config.gatewayServiceAccounts,
      verifySourceAddress: config.verifySourceAddress,
      clock,
      onReview: (call, outcome) => tokenReviews.inc({ call, outcome }),
    }),
    sharedAddresses: !config.verifySourceAddress,
    backends,
    rules,
    clusterDomain: config.clusterDomain,
    gatewayNames: config.gatewayNames,
    reservedNames: ownNames(config.namespace, config.clusterDomain),
    maxPolicyAgeMs: config.maxPolicyAge,
    ...relayOf(config),
    fresh,
    clock,
    logger,
    registry,
  });
  serving.ready();
  logger.info({ port: server.port }, 'the policy API listens');
  return server;
}

function relayOf({ relayDirectory, relayMaxBytes, collectorUrl, tlsDirectory }: PolicyApiConfig): {
  readonly relay?: RelayConfig;
} {
  if (relayDirectory === undefined) return {};
  if (collectorUrl === undefined) {
    throw new ChaperoneError('CHP-1003', 'relayDirectory needs collectorUrl: whom it is for');
  }
  const caFile = join(tlsDirectory, 'ca.crt');
  return { relay: { directory: relayDirectory, maxBytes: relayMaxBytes, collectorUrl, caFile } };
}

function readInstallationKey(path: string): Buffer {
  let key: Buffer;
  try {
    key = readFileSync(path);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ChaperoneError('CHP-1004', `the installation's key cannot be read: ${reason}`, {
      cause,
      hint: 'Mount the Secret chaperone-installation-key, which the controllers make.',
    });
  }
  if (key.length >= minKeyBytes) return key;
  throw new ChaperoneError('CHP-1004', `${path} has fewer than ${minKeyBytes} bytes`, {
    hint: 'Restore the Secret chaperone-installation-key from a backup: pseudonyms and digests hang on it.',
  });
}
