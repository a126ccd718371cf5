import type { OperationDecided, SessionClosed } from '@chaperone/core/events/types.ts';
import { proxyMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import { TalliedHistogram } from '@chaperone/runtime/metrics/tallied-histogram.ts';
import type { Registry } from 'prom-client';

const { decisionSeconds, ...registered } = proxyMetrics;

type Verdict = OperationDecided['verdict'];

/**
 * What a proxy counts; every method is cheap enough for the data path: what comes with each statement is
 * added up here and given to the registry when it is asked, since a labelled increment costs a microsecond.
 */
export class ProxyMetrics {
  readonly #set: ReturnType<typeof registerMetrics<typeof registered>>;
  readonly #decisionSeconds: TalliedHistogram<'hit' | 'miss'>;
  #bytesIn = 0;
  #bytesOut = 0;
  #rows = 0;
  /** By verdict, then by class. */
  readonly #decisions: Readonly<Record<Verdict, Map<string, number>>> = {
    Allow: new Map(),
    Deny: new Map(),
    RequireApproval: new Map(),
  };
  readonly #outcomes = new Map<string, number>();
  readonly #maskedCells = new Map<string, number>();

  constructor(registry: Registry) {
    const set = registerMetrics(registry, registered);
    this.#set = set;
    this.#decisionSeconds = new TalliedHistogram(registry, decisionSeconds);
    // Rows stand before bytes in the catalogue, and so bring both up to date.
    Object.assign(set.rows, { collect: () => this.#collectFlow() });
    Object.assign(set.decisions, { collect: () => this.#collectDecisions() });
    Object.assign(set.statements, { collect: () => this.#collectOutcomes() });
    Object.assign(set.maskedCells, { collect: () => this.#collectMaskedCells() });
  }

  #collectFlow(): void {
    this.#set.bytes.inc({ direction: 'in' }, this.#bytesIn);
    this.#set.bytes.inc({ direction: 'out' }, this.#bytesOut);
    this.#set.rows.inc(this.#rows);
    this.#bytesIn = 0;
    this.#bytesOut = 0;
    this.#rows = 0;
  }

  #collectDecisions(): void {
    for (const [verdict, byClass] of Object.entries(this.#decisions)) {
      for (const [of, count] of byClass) this.#set.decisions.inc({ verdict, class: of }, count);
      byClass.clear();
    }
  }

  #collectOutcomes(): void {
    for (const [outcome, count] of this.#outcomes) this.#set.statements.inc({ outcome }, count);
    this.#outcomes.clear();
  }

  #collectMaskedCells(): void {
    for (const [transform, cells] of this.#maskedCells) {
      this.#set.maskedCells.inc({ transform }, cells);
    }
    this.#maskedCells.clear();
  }

  bytesIn(count: number): void {
    this.#bytesIn += count;
  }

  bytesOut(count: number): void {
    this.#bytesOut += count;
  }

  decided(event: OperationDecided): void {
    const byClass = this.#decisions[event.verdict];
    for (const operation of event.operations) count(byClass, operation.class);
    if (event.verdict !== 'Allow' && !event.enforced) this.#set.wouldDeny.inc({ mode: 'Observe' });
    else if (event.wouldDeny.length > 0) this.#set.wouldDeny.inc({ mode: 'DryRun' });
  }

  refused(reason: string): void {
    this.#set.refusals.inc({ reason });
    count(this.#outcomes, 'Refused');
  }

  decisionSeconds(cache: 'hit' | 'miss', seconds: number): void {
    this.#decisionSeconds.observe(cache, seconds);
  }

  completed(outcome: string, rows: number): void {
    count(this.#outcomes, outcome);
    this.#rows += rows;
  }

  maskedCells(transform: string, cells: number): void {
    count(this.#maskedCells, transform, cells);
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

  /** `code`: of a BackendError. */
  backendFailed(code: string): void {
    this.#set.backendFailures.inc({ code });
  }

  violation(side: 'Client' | 'Backend'): void {
    this.#set.violations.inc({ side });
  }

  policyApplied(): void {
    this.#set.policyUpdates.inc({ result: 'Applied' });
  }

  policyRejected(): void {
    this.#set.policyUpdates.inc({ result: 'Rejected' });
  }

  /** A connection was ended because too many callers are at their login. */
  turnedAway(how: 'Refused' | 'Evicted'): void {
    this.#set.turnedAway.inc({ how });
  }

  /** `count`: callers who have not proven who they are; read when someone asks. */
  followUnfinishedLogins(count: () => number): void {
    const { unfinishedLogins } = this.#set;
    Object.assign(unfinishedLogins, { collect: () => unfinishedLogins.set(count()) });
  }

  /** `ageMs`: time since the policy source was last heard of; read when someone asks. */
  followPolicyAge(ageMs: () => number): void {
    const { policyAge } = this.#set;
    Object.assign(policyAge, { collect: () => policyAge.set(ageMs() / 1000) });
  }
}

function count(counts: Map<string, number>, key: string, by = 1): void {
  counts.set(key, (counts.get(key) ?? 0) + by);
}
