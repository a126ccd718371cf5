import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { kubernetesMetricsFor, requestMetrics } from './metrics.ts';

test('requests are counted by method and status; what no status is known for is one series', async () => {
  const registry = new Registry();
  const count = requestMetrics(kubernetesMetricsFor(registry), '10.0.0.1:443');
  for (const code of [200, 200, 409, 0, 299, 599]) count('GET', code, 0.01);
  const text = await registry.metrics();
  for (const [code, requests] of [
    ['200', 2],
    ['409', 1],
    ['<error>', 1],
    ['other', 2],
  ]) {
    expect(text).toContain(
      `rest_client_requests_total{code="${code}",method="GET",host="10.0.0.1:443"} ${requests}\n`,
    );
  }
  expect(text).toContain(
    'rest_client_request_duration_seconds_count{verb="GET",host="10.0.0.1:443"} 6\n',
  );
});

test('figures are read when someone asks, until they need not be', async () => {
  const registry = new Registry();
  const metrics = kubernetesMetricsFor(registry);
  let reads = 0;
  const stop = metrics.onCollect(() => {
    reads += 1;
  });
  await registry.metrics();
  stop();
  await registry.metrics();
  expect(reads).toBe(1);
});
