import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { Inflight } from './backend/expectation.ts';
import type { DecisionContext } from './frontend/decision-context.ts';
import { NameTable, type Portal, type PreparedStatement } from './frontend/names.ts';
import { TransactionStatus } from './messages/types.ts';

/** What both directions of one session know of it. */
export class SessionState {
  readonly inflight = new Inflight();
  readonly statements = new NameTable<PreparedStatement>(this.inflight, ({ text }) => text);
  readonly portals = new NameTable<Portal>(this.inflight, ({ statementText }) => statementText);
  /** Of the last ReadyForQuery. */
  status: number = TransactionStatus.Idle;
  /** What decisions are made by; replaced when policy, catalog, role or search path change. */
  context: DecisionContext;
  /** search_path or role may have changed: they are asked for before the next decision. */
  resolutionDirty = false;
  /** The session's own DDL: the catalog is read again before the next decision. */
  catalogDirty = false;
  /** Something in this transaction changed how names resolve: its end may change it back. */
  resolutionTouched = false;
  /** DDL in this transaction: its end may take it back, and others see it only then. */
  catalogTouched = false;
  /** An error was answered and no Sync has been sent since: the backend skips what comes (and so do we). */
  skipping = false;
  /** The backend takes COPY data. */
  copyIn = false;

  constructor(context: DecisionContext) {
    this.context = context;
  }

  /**
   * It has run, be it in part, or without success: a procedure that has committed before it failed leaves what it
   * set, and DDL that runs CONCURRENTLY what it had made.
   */
  carriedOut({ effects }: StatementAnalysis): void {
    if (effects.resolution) {
      this.resolutionDirty = true;
      this.resolutionTouched = true;
    }
    if (effects.catalog) {
      this.catalogDirty = true;
      this.catalogTouched = true;
    }
    const { transaction } = effects;
    if (transaction === 'Commit' || transaction === 'Rollback' || transaction === 'RollbackTo') {
      // SET LOCAL and what is rolled back hold no longer, even where the next transaction follows at once.
      this.resolutionDirty ||= this.resolutionTouched;
      this.catalogDirty ||= this.catalogTouched;
    }
  }

  /** Nothing is in flight, everything is synced, and no transaction block is open. */
  get idle(): boolean {
    const { inflight } = this;
    return inflight.length === 0 && !inflight.unsynced && this.status === TransactionStatus.Idle;
  }
}
