import type { OperationDecided, SessionClosed } from '@chaperone/core/events/types.ts';
import { proxyMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import type { Registry } from 'prom-client';

/** What a proxy counts; every method is cheap enough for the data path. */
export class ProxyMetrics {
  readonly #set: ReturnType<typeof registerMetrics<typeof proxyMetrics>>;
  /** Added up here and given to the registry when it is asked: a labelled increment costs a microsecond. */
  #bytesIn = 0;
  #bytesOut = 0;
  #rows = 0;

  constructor(registry: Registry) {
    const set = registerMetrics(registry, proxyMetrics);
    this.#set = set;
    // Rows stand before bytes in the catalogue, and so bring both up to date.
    Object.assign(set.rows, { collect: () => this.#collect() });
  }

  #collect(): void {
    this.#set.bytes.inc({ direction: 'in' }, this.#bytesIn);
    this.#set.bytes.inc({ direction: 'out' }, this.#bytesOut);
    this.#set.rows.inc(this.#rows);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.#rows = 0;
  }

  bytesIn(count: number): void {
    this.#bytesIn += count;
  }

  bytesOut(count: number): void {
    this.#bytesOut += count;
  }

  decided(event: OperationDecided): void {
    const { verdict } = event;
    for (const operation of event.operations) {
      this.#set.decisions.inc({ verdict, class: operation.class });
    }
    if (event.verdict !== 'Allow' && !event.enforced) this.#set.wouldDeny.inc({ mode: 'Observe' });
    else if (event.wouldDeny.length > 0) this.#set.wouldDeny.inc({ mode: 'DryRun' });
  }

  refused(reason: string): void {
    this.#set.refusals.inc({ reason });
    this.#set.statements.inc({ outcome: 'Refused' });
  }

  decisionSeconds(cache: 'hit' | 'miss', seconds: number): void {
    this.#set.decisionSeconds.observe({ cache }, seconds);
  }

  completed(outcome: string, rows: number): void {
    this.#set.statements.inc({ outcome });
    this.#rows += rows;
  }

  maskedCells(transform: string, cells: number): void {
    this.#set.maskedCells.inc({ transform }, cells);
  }

  opened(): void {
    this.#set.sessions.inc();
    this.#set.sessionsOpened.inc();
  }

  closed(reason: SessionClosed['reason']): void {
    this.#set.sessions.dec();
    this.#set.sessionsClosed.inc({ reason });
  }

  authenticated(result: 'Accepted' | 'Refused'): void {
    this.#set.authentications.inc({ result });
  }

  violation(side: 'Client' | 'Backend'): void {
    this.#set.violations.inc({ side });
  }

  policyApplied(): void {
    this.#set.policyUpdates.inc({ result: 'Applied' });
  }
}
