/** What the three roles have alike: the client of the API server, caches, Events, probes and metrics. */
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { type Clock, systemClock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type OpsServer, startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import { createLogger, type Logger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import type { Registry } from 'prom-client';
import manifest from '../../package.json' with { type: 'json' };
import type { CommonConfig } from '../config.ts';
import { KubernetesApi } from '../kubernetes/client.ts';
import { loadKubeConfig } from '../kubernetes/config.ts';
import { Contact, type Follower } from '../kubernetes/contact.ts';
import { EventRecorder } from '../kubernetes/event-recorder.ts';
import {
  type KubernetesMetrics,
  kubernetesMetricsFor,
  requestMetrics,
} from '../kubernetes/metrics.ts';
import { resourceTypes } from '../kubernetes/resource-types.ts';
import type { CachePart } from '../runtime/lifecycle.ts';
import { Manager } from '../runtime/manager.ts';

export type RoleName = 'controllers' | 'webhook' | 'policy-api';

export interface Program {
  readonly role: RoleName;
  readonly version: string;
  /** This replica's name: the pod's. */
  readonly instance: string;
  /** Of this run of the program: for Leases. */
  readonly identity: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly registry: Registry;
  readonly readiness: Readiness;
  readonly api: KubernetesApi;
  readonly metrics: KubernetesMetrics;
  readonly manager: Manager;
  readonly events: EventRecorder;
  /** Adds a cache to the manager; its reflectors then know to seconds whether they are up to date. */
  addCache(cache: CachePart, reflectors: readonly Follower[]): void;
  /** Where probes and metrics answer. */
  readonly opsPort: number;
  /** Resolves with the reason when the lead is lost; then the program has to end. */
  readonly lost: Promise<string>;
  /** Stops what runs, writes the Events that are left, and ends the connections. Never throws. */
  close(): Promise<void>;
}

/**
 * Makes a role's program; nothing but probes and metrics runs before `manager.start`. `leaseName`: who loses
 * that Lease has to end; without it every replica does everything. Throws ChaperoneError CHP-1004 or CHP-1020.
 */
export async function openProgram(
  role: RoleName,
  config: CommonConfig,
  leaseName?: string,
): Promise<Program> {
  const clock = systemClock();
  const instance = config.instance ?? hostname();
  // A container may restart within its pod, and must not take its predecessor's lead for its own.
  const identity = `${instance}_${randomUUID()}`;
  const logger = createLogger({ program: `operator ${role}`, level: config.logLevel, clock });
  const registry = createRegistry('operator', manifest.version);
  const metrics = kubernetesMetricsFor(registry);
  const kubeConfig = kubeConfigOf(config.kubeconfig);
  const server = kubeConfig.getCurrentCluster()?.server ?? '';
  const api = new KubernetesApi(kubeConfig, clock, requestMetrics(metrics, hostOf(server)));
  const lost = Promise.withResolvers<string>();
  const manager = new Manager({
    api,
    name: `chaperone-${role}`,
    ...(leaseName !== undefined && {
      election: {
        namespace: config.namespace,
        name: leaseName,
        identity,
        onLost: lost.resolve,
      },
    }),
    clock,
    random: Math.random,
    logger,
    metrics,
  });
  const controller = `chaperone.dev/${role}`;
  const events = new EventRecorder({ api, controller, instance, clock, logger, metrics });
  const contact = new Contact(api, resourceTypes.MachineIdentity, clock);
  manager.add(contact);
  const readiness = new Readiness();
  readiness.check('caches', () => (manager.hasSynced ? undefined : 'not all are synced'));
  const { opsHost: host, opsPort: port } = config;
  const ops: OpsServer = await startOpsServer({ host, port, registry, readiness });
  const close = async (): Promise<void> => {
    await manager.stop();
    await events.stop();
    await ops.close();
    await kubeConfig.close();
  };
  let closing: Promise<void> | undefined;
  return {
    role,
    version: manifest.version,
    instance,
    identity,
    clock,
    random: Math.random,
    logger,
    registry,
    readiness,
    api,
    metrics,
    manager,
    events,
    addCache(cache, reflectors) {
      manager.addCache(cache);
      for (const reflector of reflectors) contact.follow(reflector);
    },
    opsPort: ops.port,
    lost: lost.promise,
    close: () => (closing ??= close()),
  };
}

function kubeConfigOf(file: string | undefined): ReturnType<typeof loadKubeConfig> {
  try {
    const config = loadKubeConfig(file);
    if (config.getCurrentCluster() === null) throw new Error('it names no cluster');
    return config;
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const what = file === undefined ? 'the configuration of the cluster' : file;
    throw new ChaperoneError('CHP-1004', `${what} cannot be used: ${reason}`, {
      cause,
      hint: 'Within a cluster, mount the token of the ServiceAccount; outside, name a kubeconfig.',
    });
  }
}

function hostOf(server: string): string {
  try {
    return new URL(server).host;
  } catch {
    return '';
  }
}
