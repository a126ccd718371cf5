import { kubernetesMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { type MetricSet, registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import type { Registry } from 'prom-client';
import type { OnRequest } from './client.ts';

export interface KubernetesMetrics extends MetricSet<typeof kubernetesMetrics> {
  /** Calls `read` before the metrics are shown, for figures that are worth reading only then; returns how to stop that. */
  onCollect(read: () => void): () => void;
}

/** Registers the metrics of caches, queues and requests. Once a registry. */
export function kubernetesMetricsFor(registry: Registry): KubernetesMetrics {
  const metrics = registerMetrics(registry, kubernetesMetrics);
  const readers = new Set<() => void>();
  // prom-client collects in the order of registration, and this metric stands first in the catalogue.
  Object.assign(metrics.queueDepth, {
    collect() {
      for (const read of readers) read();
    },
  });
  return {
    ...metrics,
    onCollect(read) {
      readers.add(read);
      return () => void readers.delete(read);
    },
  };
}

const knownCodes = new Set([
  200, 201, 202, 400, 401, 403, 404, 405, 409, 410, 415, 422, 429, 500, 502, 503, 504,
]);

/** Counts requests. `host`: of the API server, as configured. */
export function requestMetrics(metrics: KubernetesMetrics, host: string): OnRequest {
  return (method, status, seconds) => {
    const known = method as 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
    const code = status === 0 ? '<error>' : knownCodes.has(status) ? String(status) : 'other';
    metrics.requests.inc({ code, method: known, host });
    metrics.requestSeconds.observe({ verb: known, host }, seconds);
  };
}
