import { expect } from '@jest/globals';
import { isApiReady, killComponent } from '../node/cluster.ts';
import { type ComponentName, startComponent } from '../node/components.ts';
import { waitFor } from '../node/wait-for.ts';
import { ownCluster } from '../support/context.ts';
import type { Load } from './load.ts';
import { statementKinds } from './statements.ts';

/**
 * Kills a component of the control plane, keeps it away for so long by the load's clock, and starts it again; each of
 * the load's workers has to get answers to every kind of statement meanwhile.
 */
export async function outageOf(component: ComponentName, ms: number, load: Load): Promise<void> {
  const cluster = ownCluster();
  await killComponent(cluster, component);
  const from = Date.now();
  try {
    await waitFor(() => load.tally().since(from + ms).length > 0, {
      what: 'the load to go on',
      timeoutMs: 2 * ms + 30_000,
      intervalMs: 1000,
    });
  } finally {
    startComponent(cluster, component);
  }
  const until = Date.now();
  await waitFor(() => isApiReady(cluster), { what: 'the API server', intervalMs: 500 });
  const answered = load
    .tally()
    .since(from)
    .filter(({ at, outcome }) => at < until && outcome !== 'Broken');
  for (const worker of new Set(load.tally().statements.map((statement) => statement.worker))) {
    const kinds = answered.filter((statement) => statement.worker === worker);
    const seen = new Set(kinds.map(({ kind }) => kind));
    expect([worker, ...[...seen].sort()]).toEqual([worker, ...statementKinds.toSorted()]);
  }
}
