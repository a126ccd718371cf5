import { Counter, Histogram, type Registry } from 'prom-client';
import type { IngestObserver } from './ingest/ingest.ts';
import type { Alert, AppendResult, RetentionClass } from './store/types.ts';

/** What the collector counts. No label has values that a client chooses. */
export class CollectorMetrics implements IngestObserver {
  readonly #events: Counter<'result'>;
  readonly #alerts: Counter<'kind'>;
  readonly #recordings: Counter;
  readonly #recordingBytes: Counter;
  readonly #purged: Counter<'class'>;
  readonly #refused: Counter<'code'>;
  readonly #commit: Histogram;

  constructor(registry: Registry) {
    const registers = [registry];
    this.#events = new Counter({
      name: 'chaperone_collector_events_total',
      help: 'Events received, by what became of them',
      labelNames: ['result'],
      registers,
    });
    this.#alerts = new Counter({
      name: 'chaperone_collector_integrity_alerts_total',
      help: 'Contradictions, gaps and other signs that the record is not whole',
      labelNames: ['kind'],
      registers,
    });
    this.#recordings = new Counter({
      name: 'chaperone_collector_recordings_total',
      help: 'Chunks of recorded results stored',
      registers,
    });
    this.#recordingBytes = new Counter({
      name: 'chaperone_collector_recording_bytes_total',
      help: 'Compressed bytes of recorded results stored',
      registers,
    });
    this.#purged = new Counter({
      name: 'chaperone_collector_purged_total',
      help: 'Events, parts and recordings deleted by retention',
      labelNames: ['class'],
      registers,
    });
    this.#refused = new Counter({
      name: 'chaperone_collector_refused_requests_total',
      help: 'Requests refused, by error code',
      labelNames: ['code'],
      registers,
    });
    this.#commit = new Histogram({
      name: 'chaperone_collector_commit_seconds',
      help: 'From a checked batch to its durable commit',
      buckets: [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1],
      registers,
    });
  }

  appended({ stored, duplicates }: AppendResult, seconds: number): void {
    this.#events.inc({ result: 'stored' }, stored);
    this.#events.inc({ result: 'duplicate' }, duplicates);
    this.#commit.observe(seconds);
  }

  alerted(alerts: readonly Alert[]): void {
    for (const { kind } of alerts) this.#alerts.inc({ kind });
  }

  recordingStored(bytes: number): void {
    this.#recordings.inc();
    this.#recordingBytes.inc(bytes);
  }

  purged(counts: Readonly<Record<RetentionClass, number>>): void {
    for (const [name, count] of Object.entries(counts)) this.#purged.inc({ class: name }, count);
  }

  refused(code: string): void {
    this.#refused.inc({ code });
  }
}
