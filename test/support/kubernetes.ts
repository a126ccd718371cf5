/** For tests of what speaks to an API server. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { loadKubeConfig } from '@chaperone/operator/kubernetes/config.ts';
import {
  type KubernetesMetrics,
  kubernetesMetricsFor,
} from '@chaperone/operator/kubernetes/metrics.ts';
import type { KubernetesObject } from '@chaperone/operator/kubernetes/object.ts';
import { resourceTypes } from '@chaperone/operator/kubernetes/resource-types.ts';
import { type Clock, systemClock } from '@chaperone/runtime/clock.ts';
import { createLogger, type Logger } from '@chaperone/runtime/logging/logger.ts';
import { Registry } from 'prom-client';
import { parse } from 'yaml';
import { waitFor } from '../cluster/node/wait-for.ts';

export interface TestSurroundings {
  readonly clock: Clock;
  readonly random: () => number;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
  /** Log lines, parsed. */
  readonly logged: Record<string, unknown>[];
  readonly registry: Registry;
}

/** What the parts under test are given: a log and metrics that can be read. */
export function surroundings(clock: Clock = systemClock()): TestSurroundings {
  const logged: Record<string, unknown>[] = [];
  const registry = new Registry();
  return {
    clock,
    random: () => 0.5,
    logger: createLogger({
      program: 'test',
      level: 'debug',
      clock,
      destination: { write: (line) => void logged.push(JSON.parse(line)) },
    }),
    metrics: kubernetesMetricsFor(registry),
    logged,
    registry,
  };
}

export const apiOf = (kubeconfig: string, clock: Clock = systemClock()): KubernetesApi =>
  new KubernetesApi(loadKubeConfig(kubeconfig), clock);

/** Puts our CRDs onto an API server and waits until they are served. */
export async function applyCrds(api: KubernetesApi): Promise<void> {
  const directory = join(import.meta.dirname, '../../crds');
  const type = resourceTypes.CustomResourceDefinition;
  for (const file of readdirSync(directory)) {
    const crd = parse(readFileSync(join(directory, file), 'utf8')) as KubernetesObject;
    await api.apply(type, crd, { fieldManager: 'test' });
    await waitFor(async () => {
      const { status } = await api.get<
        KubernetesObject & {
          status?: { conditions?: readonly { type: string; status: string }[] };
        }
      >(type, '', crd.metadata.name);
      return status?.conditions?.some(
        (each) => each.type === 'Established' && each.status === 'True',
      );
    });
  }
}

export async function createNamespace(
  api: KubernetesApi,
  name: string,
  labels: Readonly<Record<string, string>> = {},
): Promise<void> {
  await api.create(resourceTypes.Namespace, {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name, labels } as { readonly name: string },
  });
}
