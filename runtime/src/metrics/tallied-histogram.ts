import type { Registry } from 'prom-client';
import type { MetricEntry } from './catalogue.ts';

/** Observations of one combination of labels. */
class Tally {
  /** By bucket, not cumulated; the last is of what is above every bound. */
  readonly counts: Float64Array;
  readonly #bounds: readonly number[];
  sum = 0;

  constructor(bounds: readonly number[]) {
    this.#bounds = bounds;
    this.counts = new Float64Array(bounds.length + 1);
  }

  observe(value: number): void {
    let bucket = 0;
    while (bucket < this.#bounds.length && value > this.#bounds[bucket]!) bucket += 1;
    this.counts[bucket]! += 1;
    this.sum += value;
  }
}

/**
 * A histogram for the data path, with one label whose values are known: an observation is two additions,
 * where prom-client's hashes its labels, which costs as much as a decision does.
 */
export class TalliedHistogram<Value extends string> {
  readonly #entry: MetricEntry;
  readonly #label: string;
  readonly #tallies: Readonly<Record<Value, Tally>>;

  constructor(registry: Registry, entry: MetricEntry) {
    const [[label, values]] = Object.entries(entry.labels) as [[string, readonly Value[]]];
    this.#entry = entry;
    this.#label = label;
    this.#tallies = Object.fromEntries(
      values.map((value) => [value, new Tally(entry.buckets ?? [])]),
    ) as Record<Value, Tally>;
    // What the registry asks of a metric: its name, and its values by `get`.
    const metric = { name: entry.name, get: () => Promise.resolve(this.#read()) };
    registry.registerMetric(metric as unknown as Parameters<Registry['registerMetric']>[0]);
  }

  observe(label: Value, value: number): void {
    this.#tallies[label].observe(value);
  }

  /** The values in prom-client's own form. */
  #read(): object {
    const { name, help, type, buckets = [] } = this.#entry;
    const values: object[] = [];
    for (const [of, tally] of Object.entries<Tally>(this.#tallies)) {
      const labels = { [this.#label]: of };
      let count = 0;
      for (const [index, le] of [...buckets, '+Inf'].entries()) {
        count += tally.counts[index]!;
        values.push({ metricName: `${name}_bucket`, labels: { le, ...labels }, value: count });
      }
      values.push({ metricName: `${name}_sum`, labels, value: tally.sum });
      values.push({ metricName: `${name}_count`, labels, value: count });
    }
    return { name, help, type, aggregator: 'sum', values };
  }
}
