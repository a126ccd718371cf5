import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type { Operation } from '@chaperone/core/sql/operation.ts';
import { expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { ProxyMetrics } from './metrics.ts';

function decided(verdict: OperationDecided['verdict'], ...classes: Operation['class'][]) {
  return {
    verdict,
    enforced: true,
    operations: classes.map((of) => ({ class: of })),
    wouldDeny: [],
  } as unknown as OperationDecided;
}

test('what was added up is there whenever it is asked for, and counts once', async () => {
  const registry = new Registry();
  const metrics = new ProxyMetrics(registry);
  metrics.decided(decided('Allow', 'Read', 'Read', 'Catalog'));
  metrics.decided(decided('Deny', 'Write'));
  metrics.refused('DeniedByRule');
  metrics.completed('Ok', 7);
  metrics.bytesIn(10);
  metrics.maskedCells('Partial', 3);
  for (const seconds of [1e-6, 5e-6, 6e-6, 1]) metrics.decisionSeconds('hit', seconds);
  metrics.backendFailed('CHP-2011');
  for (const more of [0, 1]) {
    if (more === 1) {
      metrics.decided(decided('Allow', 'Read'));
      metrics.completed('Ok', 1);
      metrics.bytesOut(5);
    }
    const lines = (await registry.metrics()).split('\n');
    for (const line of [
      `chaperone_decisions_total{verdict="Allow",class="Read"} ${2 + more}`,
      'chaperone_decisions_total{verdict="Allow",class="Catalog"} 1',
      'chaperone_decisions_total{verdict="Deny",class="Write"} 1',
      'chaperone_decisions_total{verdict="Deny",class="Read"} 0',
      'chaperone_statements_total{outcome="Refused"} 1',
      'chaperone_backend_failures_total{code="CHP-2011"} 1',
      'chaperone_backend_failures_total{code="CHP-5004"} 0',
      `chaperone_statements_total{outcome="Ok"} ${1 + more}`,
      `chaperone_rows_total ${7 + more}`,
      'chaperone_masked_cells_total{transform="Partial"} 3',
      'chaperone_decision_duration_seconds_bucket{le="0.000005",cache="hit"} 2',
      'chaperone_decision_duration_seconds_bucket{le="0.00001",cache="hit"} 3',
      'chaperone_decision_duration_seconds_bucket{le="0.05",cache="hit"} 3',
      'chaperone_decision_duration_seconds_bucket{le="+Inf",cache="hit"} 4',
      'chaperone_decision_duration_seconds_count{cache="hit"} 4',
      'chaperone_decision_duration_seconds_count{cache="miss"} 0',
    ]) {
      expect(lines).toContain(line);
    }
  }
});
