import { DatabaseSync } from 'node:sqlite';
import { appender } from './append.ts';
import { gapAlerter } from './gaps.ts';
import { alerts, integrity } from './integrity.ts';
import { matchesResource } from './pattern.ts';
import { purge } from './purge.ts';
import { prepareSchema } from './schema.ts';
import {
  recordingInScope,
  selectEvents,
  selectResult,
  selectSession,
  selectSessions,
} from './select.ts';
import type {
  AppendResult,
  Batch,
  ReadScope,
  RetentionClass,
  Store,
  StoredRecording,
} from './types.ts';
import { type DataSync, WalSync } from './wal-sync.ts';

interface Pending {
  readonly batch: Batch;
  readonly resolve: (result: AppendResult) => void;
  readonly reject: (error: unknown) => void;
}

export interface SqliteStoreOptions {
  /** Bound of the file in pages of 4 KiB; beyond it appends fail as on a full disk. */
  readonly maxPages?: number;
  readonly datasync?: DataSync;
}

/**
 * The record in one SQLite file. Batches that arrive in one event-loop turn share a commit, and those that
 * commit while a flush is under way share the next one; each stands or falls by itself. Nothing that changes
 * the record resolves before it is flushed to disk.
 */
export class SqliteStore implements Store {
  readonly #database: DatabaseSync;
  readonly #append: (batch: Batch) => AppendResult;
  readonly #gaps: ReturnType<typeof gapAlerter>;
  /** Absent for a database in memory. */
  readonly #log: WalSync | undefined;
  #pending: Pending[] = [];

  /**
   * `path`: the database file, made if absent; or `:memory:`. Throws when it cannot be opened or is of a newer
   * version.
   */
  constructor(path: string, options: SqliteStoreOptions = {}) {
    this.#database = new DatabaseSync(path, { timeout: 5000 });
    prepareSchema(this.#database);
    if (path !== ':memory:') {
      // What an earlier process committed and did not flush is in the database, flushed, after this.
      this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
      this.#log = new WalSync(path, options.datasync);
    }
    if (options.maxPages !== undefined) {
      this.#database.exec(`PRAGMA max_page_count = ${options.maxPages}`);
    }
    this.#database.function('matches_resource', { deterministic: true }, (pattern, name) =>
      matchesResource(pattern as string, name as string) ? 1 : 0,
    );
    this.#append = appender(this.#database);
    this.#gaps = gapAlerter(this.#database);
  }

  append(batch: Batch): Promise<AppendResult> {
    return new Promise((resolve, reject) => {
      this.#pending.push({ batch, resolve, reject });
      if (this.#pending.length === 1) setImmediate(() => this.#commit());
    });
  }

  #commit(): void {
    const pending = this.#pending;
    this.#pending = [];
    const settled: (() => void)[] = [];
    try {
      this.#transaction(() => {
        for (const { batch, resolve, reject } of pending) {
          this.#database.exec('SAVEPOINT batch');
          try {
            const result = this.#append(batch);
            settled.push(() => resolve(result));
          } catch (error) {
            // Some errors (a full disk) end the whole transaction: then there is no savepoint to go back to.
            if (!this.#database.isTransaction) throw error;
            this.#database.exec('ROLLBACK TO batch');
            settled.push(() => reject(error));
          }
          this.#database.exec('RELEASE batch');
        }
      });
    } catch (error) {
      for (const { reject } of pending) reject(error);
      return;
    }
    this.#flushed().then(
      () => {
        for (const settle of settled) settle();
      },
      (error: unknown) => {
        for (const { reject } of pending) reject(error);
      },
    );
  }

  /** Resolves once everything committed so far is on disk. */
  #flushed(): Promise<void> {
    return this.#log?.flushed() ?? Promise.resolve();
  }

  /** A change that is on disk when this resolves. */
  async #change<Result>(work: () => Result): Promise<Result> {
    const result = this.#transaction(work);
    await this.#flushed();
    return result;
  }

  #transaction<Result>(work: () => Result): Result {
    this.#database.exec('BEGIN IMMEDIATE');
    try {
      const result = work();
      this.#database.exec('COMMIT');
      return result;
    } catch (error) {
      if (this.#database.isTransaction) this.#database.exec('ROLLBACK');
      throw error;
    }
  }

  async sessions(...[filter, scope, page]: Parameters<Store['sessions']>) {
    return selectSessions(this.#database, filter, scope, page);
  }

  async session(id: string, scope: ReadScope) {
    return selectSession(this.#database, id, scope);
  }

  async events(...[filter, scope, page]: Parameters<Store['events']>) {
    return selectEvents(this.#database, filter, scope, page);
  }

  async integrity(missingLimit: number) {
    return integrity(this.#database, missingLimit);
  }

  async alerts(limit: number) {
    return alerts(this.#database, limit);
  }

  async raiseGapAlerts(beforeMs: number, nowMs: number) {
    return this.#change(() => this.#gaps(beforeMs, nowMs));
  }

  async setHold(session: string, hold: boolean) {
    const { changes } = await this.#change(() =>
      this.#database
        .prepare('UPDATE sessions SET hold = ? WHERE id = ?')
        .run(hold ? 1 : 0, session),
    );
    return changes === 1;
  }

  async addRecording(...[sha256, bytes, receivedMs, indexed]: Parameters<Store['addRecording']>) {
    await this.#change(() => {
      this.#database
        .prepare(
          `INSERT INTO recordings (sha256, bytes, received_ms) VALUES (?, ?, ?)
           ON CONFLICT DO UPDATE SET received_ms = max(received_ms, excluded.received_ms), purged = 0`,
        )
        .run(sha256, bytes, receivedMs);
      const put = this.#database.prepare('INSERT OR IGNORE INTO recording_index VALUES (?, ?)');
      for (const member of indexed) put.run(member, sha256);
    });
  }

  async recording(sha256: string, scope: ReadScope): Promise<StoredRecording | undefined> {
    if (!scope.payloads || !recordingInScope(this.#database, sha256, scope)) return undefined;
    const row = this.#database
      .prepare('SELECT bytes, received_ms, purged FROM recordings WHERE sha256 = ?')
      .get(sha256) as { bytes: number; received_ms: number; purged: number } | undefined;
    if (row === undefined) return undefined;
    if (row.purged === 1) return { state: 'Purged' };
    return { state: 'Kept', bytes: row.bytes, receivedMs: row.received_ms };
  }

  async result(session: string, seq: number, scope: ReadScope) {
    return selectResult(this.#database, session, seq, scope);
  }

  async putSnapshot(digest: string, content: string, receivedMs: number) {
    await this.#change(() =>
      this.#database
        .prepare('INSERT OR IGNORE INTO snapshots VALUES (?, ?, ?)')
        .run(digest, content, receivedMs),
    );
  }

  async snapshot(digest: string) {
    const row = this.#database
      .prepare('SELECT content FROM snapshots WHERE digest = ?')
      .get(digest) as { content: string } | undefined;
    return row?.content;
  }

  async purge(retention: RetentionClass, beforeMs: number) {
    const result = await this.#change(() => purge(this.#database, retention, beforeMs));
    // The write-ahead log still holds the old pages: what is purged is gone once it is emptied.
    if (result.count > 0) this.#database.exec('PRAGMA wal_checkpoint(TRUNCATE)');
    return result;
  }

  async writable() {
    try {
      // As much as a large batch: room for less would let it flap.
      const probe = 'CREATE TABLE probe (x); INSERT INTO probe VALUES (zeroblob(1048576))';
      await this.#change(() => this.#database.exec(`${probe}; DROP TABLE probe`));
      return true;
    } catch {
      return false;
    }
  }

  /** Writes what is pending, then closes the file. */
  async close() {
    if (this.#pending.length > 0) this.#commit();
    await this.#log?.close();
    this.#database.close();
  }
}
