import { describe, expect, test } from '@jest/globals';
import type { SpoolRecorder } from '../recorder/options.ts';
import { collectorMetrics, type MetricEntry, proxyMetrics, recorderMetrics } from './catalogue.ts';
import { createRegistry, labelSets, recorderMetricsFor, registerMetrics } from './metrics.ts';

const all: [string, MetricEntry][] = Object.values({
  ...proxyMetrics,
  ...recorderMetrics,
  ...collectorMetrics,
}).map((entry) => [entry.name, entry]);

describe.each(all)('%s', (name, entry) => {
  test('is named and described as Prometheus asks', () => {
    expect(name).toMatch(/^chaperone_[a-z_]+$/);
    expect(name.endsWith('_total')).toBe(entry.type === 'counter');
    expect(entry.help).toMatch(/\.$/);
    expect(entry.buckets !== undefined).toBe(entry.type === 'histogram');
  });

  test('has a bounded number of series', () => {
    expect(labelSets(entry).length).toBeLessThanOrEqual(64);
  });
});

test('no name is taken twice', () => {
  expect(new Set(all.map(([name]) => name)).size).toBe(all.length);
});

test('every series is exposed at 0 before anything is counted', async () => {
  const registry = createRegistry('sidecar', '0.1.0');
  const metrics = registerMetrics(registry, proxyMetrics);
  const text = await registry.metrics();
  expect(text).toContain('chaperone_decisions_total{verdict="Deny",class="Write"} 0');
  expect(text).toContain('chaperone_decision_duration_seconds_count{cache="hit"} 0');
  expect(text).toMatch(
    /chaperone_build_info\{program="sidecar",version="0.1.0",node="v\d+[^"]*"\} 1/,
  );
  metrics.decisions.inc({ verdict: 'Deny', class: 'Write' });
  expect(await registry.metrics()).toContain(
    'chaperone_decisions_total{verdict="Deny",class="Write"} 1',
  );
});

test('the spool is read out when someone asks', async () => {
  const registry = createRegistry('sidecar', '0.1.0');
  const state = { spoolBytes: 10, spoolMaxBytes: 100, spoolAgeMs: 1500, openSessions: 0 };
  recorderMetricsFor(registry).follow({ state: () => state } as unknown as SpoolRecorder);
  for (const [bytes, age] of [
    [10, 1.5],
    [20, 2.5],
  ] as const) {
    Object.assign(state, { spoolBytes: bytes, spoolAgeMs: age * 1000 });
    const text = await registry.metrics();
    expect(text).toContain(`chaperone_spool_bytes ${bytes}\n`);
    expect(text).toContain('chaperone_spool_max_bytes 100\n');
    expect(text).toContain(`chaperone_spool_age_seconds ${age}\n`);
    expect(text).toContain('chaperone_recorder_failed 0\n');
  }
});
