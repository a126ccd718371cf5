/**
 * Keeps what names resolve by up to date: search path, role and catalog, read in-band on the session's own
 * connection (decisions 2 and 4). Nothing is decided while it reads.
 */

import type { Catalog } from '@chaperone/core/sql/postgres/catalog.ts';
import {
  decodeField,
  type SessionState as NameState,
  readSessionState,
} from '@chaperone/core/sql/postgres/catalog-document.ts';
import {
  catalogFingerprintQuery,
  catalogQuery,
  savepointStatements,
  sessionStateQuery,
} from '@chaperone/core/sql/postgres/catalog-query.ts';
import { compileCatalog } from '@chaperone/core/sql/postgres/compile-catalog.ts';
import { namePath } from '@chaperone/core/sql/postgres/search-path.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { TransactionStatus } from '../messages/types.ts';
import type { SessionState } from '../session-state.ts';
import type { Catalogs, KnownCatalog } from './catalogs.ts';
import type { InBandExpectation } from './expectation.ts';
import { isAskedAgain } from './failures.ts';
import { inBand } from './in-band.ts';

/** A client's cancel request may come late and hit a question of ours: so often it is asked in all. */
const maxAttempts = 4;

/** Before a question that was interrupted, until the Sync behind it: the client's timeouts are for its own statements. */
const withoutTimeouts =
  "SELECT pg_catalog.set_config('statement_timeout', '0', true), pg_catalog.set_config('lock_timeout', '0', true)";

/**
 * So long a question may take in all, then it is cancelled: it may wait for somebody's lock, and until it is answered
 * its client can neither go on nor be heard.
 */
export const maxQuestionMs = 30_000;
/** After this a backend that takes no notice of being cancelled is left. */
const cancelPatienceMs = 5000;

type Results = readonly (readonly (string | null)[])[];

export interface ResolutionOptions {
  readonly targetUid: string;
  readonly database: string;
  readonly catalogs: Catalogs;
  readonly clock: Clock;
  /** A shared catalog older than this is checked before a statement is decided (decisions 4). */
  readonly catalogMaxAgeMs: number;
  /** Sends bytes of ours to the backend. */
  readonly send: (bytes: Buffer) => void;
  /** Makes the backend stop what it does. */
  readonly cancel: () => void;
  /** Something changed: decisions are made by this from now on. */
  readonly changed: (
    catalog: Catalog,
    currentUser: string,
    searchPath: readonly string[],
    pathSetting: readonly string[] | undefined,
  ) => void;
  /** Reading failed: nothing can be decided, so the session ends. */
  readonly failed: (error: Error) => void;
}

export class Resolution {
  readonly #options: ResolutionOptions;
  #session: SessionState | undefined;
  #state: NameState | undefined;
  #catalog: Catalog | undefined;
  /** A catalog of this session alone: its temporary objects, or its own DDL before it is committed. */
  #own: KnownCatalog | undefined;
  #reading = false;
  /** The question that was asked last, and the end of its time. */
  #asked: InBandExpectation | undefined;
  #overdue: Timer | undefined;

  constructor(options: ResolutionOptions) {
    this.#options = options;
  }

  /** The session has ended. */
  stop(): void {
    this.#overdue?.cancel();
  }

  /** Reads everything for the first time, right after login; `changed` is called before `done`. */
  start(session: SessionState, done: () => void): void {
    this.#session = session;
    const known = this.#options.catalogs.get(this.#options.targetUid, this.#options.database);
    const ready = (): void => {
      this.#checked = false;
      done();
    };
    if (known !== undefined && !this.#isOld(known)) {
      this.#catalog = known.catalog;
      this.#readNames(ready);
    } else this.#readAll(ready);
  }

  /**
   * False when something has to be read first; the caller then tries again when answers have been taken.
   * `everyStatement`: the catalog is checked before each one (`catalogCheck: Statement`).
   */
  isCurrent(everyStatement: boolean): boolean {
    const session = this.#session!;
    if (this.#reading) return false;
    // In a failed transaction nothing but its end is carried out, and nothing can be read.
    if (session.status === TransactionStatus.Failed) return true;
    const checked = this.#checked;
    this.#checked = false;
    const dirty = session.resolutionDirty || session.catalogDirty;
    if (dirty) {
      const { inflight } = session;
      if (inflight.length > 0 && (inflight.endsFlushed || inflight.onlyPrepares)) return false;
      this.#refresh();
      return false;
    }
    if (!session.idle) return true;
    const known =
      this.#own ?? this.#options.catalogs.get(this.#options.targetUid, this.#options.database);
    if (known !== undefined && known.catalog === this.#catalog) {
      if (!this.#isOld(known) && !(everyStatement && !checked)) return true;
    } else if (known !== undefined && this.#own === undefined && !this.#isOld(known)) {
      // Another session has read it anew; where this one's names lead may have changed with it.
      this.#catalog = known.catalog;
      this.#readNames(() => {});
      return false;
    }
    this.#revalidate();
    return false;
  }

  /** The catalog was checked for the statement that is about to be decided: for that alone, and not at login. */
  #checked = false;

  #isOld(known: KnownCatalog): boolean {
    return (
      this.#options.clock.monotonicUs() - known.checkedUs > this.#options.catalogMaxAgeMs * 1000
    );
  }

  #refresh(): void {
    const session = this.#session!;
    // Where nothing is carried out yet a Sync ends nothing. Ours must not be the first in the client's pipeline:
    // some statements are told apart by whether others stand before them in it.
    const midPipeline = session.inflight.unsynced && !session.inflight.onlyPrepares;
    const inBlock = session.status === TransactionStatus.InBlock;
    const { resolutionDirty, catalogDirty } = session;
    session.resolutionDirty = false;
    session.catalogDirty = false;
    if (!midPipeline && !inBlock) {
      // The session's own catalog stays as long as the catalog did: its temporary objects hide others.
      if (catalogDirty) this.#readAll(() => {});
      else this.#readNames(() => {});
      return;
    }
    const ending = midPipeline ? 'Flush' : 'Sync';
    const readCatalog = (): void => {
      if (!catalogDirty) this.#changed();
      else this.#readOwnCatalog(ending, inBlock);
    };
    if (resolutionDirty) this.#show(ending, readCatalog);
    else readCatalog();
  }

  /**
   * Search path and role within a transaction: SHOW takes no snapshot, so that a later SET TRANSACTION
   * still comes before any query. Only a new role makes the longer question necessary.
   */
  #show(ending: 'Sync' | 'Flush', done: () => void): void {
    const statements = ['SHOW search_path', 'SHOW role', 'SHOW session_authorization'];
    this.#read(statements, ending, ([path, role, session]) => {
      const currentUser = text(role) === 'none' ? text(session) : text(role);
      const state = this.#state!;
      if (currentUser !== state.currentUser) {
        this.#readState(done, ending);
        return;
      }
      this.#state = { ...state, searchPath: text(path) };
      done();
    });
  }

  #readState(done: () => void, ending: 'Sync' | 'Flush' = 'Sync'): void {
    this.#read([sessionStateQuery], ending, ([state]) => {
      this.#state = readSessionState(text(state));
      done();
    });
  }

  /** The session's state, and the catalog where that does not hold a schema of the path that is there by now. */
  #readNames(done: () => void): void {
    this.#readState(() => {
      if (namePath(this.#state!, this.#catalog!).isStale) {
        this.#readAll(done);
        return;
      }
      this.#changed();
      done();
    });
  }

  /** Checks the fingerprint, and reads the catalog again when it is another. */
  #revalidate(): void {
    this.#read([catalogFingerprintQuery, sessionStateQuery], 'Sync', ([fingerprint, state]) => {
      // Which schemas the role may use hangs on more than the catalog: on its memberships, too.
      const before = JSON.stringify(this.#state);
      this.#state = readSessionState(text(state));
      const { catalogs, targetUid, database, clock } = this.#options;
      const known = this.#own ?? catalogs.get(targetUid, database);
      if (known !== undefined && known.fingerprint === text(fingerprint)) {
        known.checkedUs = clock.monotonicUs();
        this.#checked = true;
        if (known.catalog !== this.#catalog || before !== JSON.stringify(this.#state)) {
          this.#catalog = known.catalog;
          this.#changed();
        }
        return;
      }
      this.#own = undefined;
      this.#readAll(() => {});
    });
  }

  /** Fingerprint first: a change in between makes the next check fail, never pass. */
  #readAll(done: () => void): void {
    const statements = [catalogFingerprintQuery, catalogQuery, sessionStateQuery];
    this.#read(statements, 'Sync', ([fingerprint, document, state]) => {
      const { catalogs, targetUid, database, clock } = this.#options;
      const catalog = compileCatalog(decodeField(text(document)));
      const known = { catalog, fingerprint: text(fingerprint), checkedUs: clock.monotonicUs() };
      if (catalog.isPrivate) this.#own = known;
      else {
        this.#own = undefined;
        catalogs.set(targetUid, database, known);
      }
      this.#state = readSessionState(text(state));
      this.#catalog = catalog;
      this.#checked = true;
      this.#changed();
      done();
    });
  }

  /** The catalog as the session's own uncommitted DDL leaves it; good until the transaction ends. */
  #readOwnCatalog(ending: 'Sync' | 'Flush', inBlock: boolean): void {
    const statements = inBlock
      ? [savepointStatements.before, catalogQuery, ...savepointStatements.after]
      : [catalogQuery];
    this.#read(statements, ending, (results) => {
      const document = results.find((row) => row.length === 1);
      this.#catalog = compileCatalog(decodeField(text(document)));
      this.#readState(() => this.#changed(), ending);
    });
  }

  #changed(): void {
    const state = this.#state!;
    const { searchPath, pathSetting } = namePath(state, this.#catalog!);
    this.#options.changed(this.#catalog!, state.currentUser, searchPath, pathSetting);
  }

  #read(
    statements: readonly string[],
    ending: 'Sync' | 'Flush',
    use: (results: Results) => void,
    attempt = 1,
  ): void {
    const session = this.#session!;
    const again = attempt > 1;
    if (!again) this.#begun();
    // Within a transaction it cannot be asked again: the failure has ended that.
    const retriable =
      ending === 'Sync' && session.status === TransactionStatus.Idle && attempt < maxAttempts;
    const answered: InBandExpectation['done'] = (failure, results) => {
      if (failure !== undefined && isAskedAgain(expectation, failure.sqlstate)) {
        this.#read(statements, ending, use, attempt + 1);
        return;
      }
      this.#ended();
      if (failure !== undefined) {
        this.#options.failed(new Error(`SQLSTATE ${failure.sqlstate}`));
        return;
      }
      try {
        use(again ? results.slice(1) : results);
      } catch (error) {
        this.#options.failed(error instanceof Error ? error : new Error(String(error)));
      }
    };
    const skipped = (): void => {
      this.#ended();
      session.resolutionDirty = true;
      session.catalogDirty = true;
    };
    const asked = again ? [withoutTimeouts, ...statements] : statements;
    const { bytes, expectation } = inBand(asked, { ending, retriable, again, answered, skipped });
    this.#asked = expectation;
    session.inflight.push(expectation);
    if (ending === 'Sync') session.inflight.push({ kind: 'InBandSync', barrier: true });
    this.#options.send(bytes);
  }

  #begun(): void {
    this.#reading = true;
    this.#overdue = this.#options.clock.setTimer(maxQuestionMs, () => this.#giveUp());
  }

  #ended(): void {
    this.#reading = false;
    this.#overdue?.cancel();
  }

  #giveUp(): void {
    this.#asked!.retriable = false;
    this.#options.cancel();
    this.#overdue = this.#options.clock.setTimer(cancelPatienceMs, () =>
      this.#options.failed(new Error('a question of ours was not answered, and not cancelled')),
    );
  }
}

function text(row: readonly (string | null)[] | undefined): string {
  const value = row?.[0];
  if (value === undefined || value === null)
    throw new Error('the database did not answer a question of ours');
  return value;
}
