import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { RecorderMetrics, SpoolRecorder } from '../recorder/options.ts';
import { type MetricEntry, recorderMetrics } from './catalogue.ts';

type LabelOf<Entry extends MetricEntry> = keyof Entry['labels'] & string;

type MetricOf<Entry extends MetricEntry> = Entry['type'] extends 'counter'
  ? Counter<LabelOf<Entry>>
  : Entry['type'] extends 'gauge'
    ? Gauge<LabelOf<Entry>>
    : Histogram<LabelOf<Entry>>;

/** The metrics of a part of the catalogue, under the catalogue's keys. */
export type MetricSet<Entries extends Record<string, MetricEntry>> = {
  readonly [Key in keyof Entries]: MetricOf<Entries[Key]>;
};

/** Every combination of a metric's label values. */
export function labelSets(entry: MetricEntry): Record<string, string>[] {
  let sets: Record<string, string>[] = [{}];
  for (const [label, values] of Object.entries(entry.labels)) {
    sets = sets.flatMap((set) => values.map((value) => ({ ...set, [label]: value })));
  }
  return sets;
}

/** A registry with the metrics of the process itself and `chaperone_build_info`. */
export function createRegistry(program: string, version: string): Registry {
  const registry = new Registry();
  collectDefaultMetrics({ register: registry });
  new Gauge({
    name: 'chaperone_build_info',
    help: 'Always 1; which program and version this is.',
    labelNames: ['program', 'version', 'node'],
    registers: [registry],
  }).set({ program, version, node: process.version }, 1);
  return registry;
}

/** Registers a part of the catalogue; every series is there, at 0, before anything is counted. */
export function registerMetrics<Entries extends Record<string, MetricEntry>>(
  registry: Registry,
  entries: Entries,
): MetricSet<Entries> {
  const set: Record<string, Counter | Gauge | Histogram> = {};
  for (const [key, entry] of Object.entries(entries)) {
    const { name, help, type } = entry;
    const labelNames = Object.keys(entry.labels);
    const common = { name, help, labelNames, registers: [registry] };
    if (type === 'counter') {
      const counter = new Counter(common);
      for (const labels of labelSets(entry)) counter.inc(labels, 0);
      set[key] = counter;
    } else if (type === 'gauge') {
      const gauge = new Gauge(common);
      for (const labels of labelSets(entry)) gauge.set(labels, 0);
      set[key] = gauge;
    } else {
      const histogram = new Histogram({ ...common, buckets: [...(entry.buckets ?? [])] });
      for (const labels of labelSets(entry)) histogram.zero(labels);
      set[key] = histogram;
    }
  }
  return set as MetricSet<Entries>;
}

/**
 * What a recorder counts, and `follow` for the figures that are read when someone asks for them.
 */
export function recorderMetricsFor(
  registry: Registry,
): RecorderMetrics & { follow(recorder: SpoolRecorder): void } {
  const metrics = registerMetrics(registry, recorderMetrics);
  // Several a statement: added up here, and given to the registry when it is asked.
  const recorded = new Map<string, number>();
  Object.assign(metrics.recorded, {
    collect() {
      for (const [type, count] of recorded) metrics.recorded.inc({ type }, count);
      recorded.clear();
    },
  });
  return {
    recorded: (type) => void recorded.set(type, (recorded.get(type) ?? 0) + 1),
    shipped: (events) => metrics.shipped.inc(events),
    lost: (events) => metrics.lost.inc(events),
    shipFailed: () => metrics.shipFailures.inc(),
    follow(recorder) {
      // prom-client collects one metric after the other in the order of registration, and this one
      // stands before the others in the catalogue: it reads the state for all of them.
      Object.assign(metrics.spoolBytes, {
        collect() {
          const { spoolBytes, spoolMaxBytes, spoolAgeMs, failure } = recorder.state();
          metrics.spoolBytes.set(spoolBytes);
          metrics.spoolMaxBytes.set(spoolMaxBytes);
          metrics.spoolAge.set(spoolAgeMs / 1000);
          metrics.recorderFailed.set(failure === undefined ? 0 : 1);
        },
      });
    },
  };
}
