import { collectorMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import {
  type createRegistry,
  type MetricSet,
  registerMetrics,
} from '@chaperone/runtime/metrics/metrics.ts';
import type { IngestObserver } from './ingest/ingest.ts';
import type { Alert, AppendResult, RetentionClass } from './store/types.ts';

export type MetricRegistry = ReturnType<typeof createRegistry>;

/** What the collector counts, under the names of the catalogue. */
export class CollectorMetrics implements IngestObserver {
  readonly #metrics: MetricSet<typeof collectorMetrics>;

  constructor(registry: MetricRegistry) {
    this.#metrics = registerMetrics(registry, collectorMetrics);
  }

  appended({ stored, duplicates }: AppendResult, seconds: number): void {
    this.#metrics.ingestEvents.inc({ result: 'Stored' }, stored);
    this.#metrics.ingestEvents.inc({ result: 'Duplicate' }, duplicates);
    this.#metrics.commitSeconds.observe(seconds);
  }

  alerted(alerts: readonly Alert[]): void {
    for (const { kind } of alerts) this.#metrics.ingestAlerts.inc({ kind });
  }

  recordingStored(bytes: number): void {
    this.#metrics.ingestRecordings.inc();
    this.#metrics.ingestRecordingBytes.inc(bytes);
  }

  purged(counts: Readonly<Record<RetentionClass, number>>): void {
    for (const [name, count] of Object.entries(counts)) {
      this.#metrics.purged.inc({ class: name as RetentionClass }, count);
    }
  }

  /** `status`: of the answer to a batch, as HTTP has it. */
  batch(status: number): void {
    const result = status < 400 ? 'Acknowledged' : status < 500 ? 'Refused' : 'Failed';
    this.#metrics.ingestBatches.inc({ result });
  }

  /** `status`: of the answer to a question. */
  query(status: number): void {
    const result = status < 400 ? 'Answered' : status < 500 ? 'Refused' : 'Failed';
    this.#metrics.queries.inc({ result });
  }
}
