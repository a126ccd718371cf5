import { closeSync, fdatasync, fsyncSync, openSync } from 'node:fs';
import { dirname } from 'node:path';

/** fdatasync(2) of a descriptor. */
export type DataSync = (fd: number, done: (error: Error | null) => void) => void;

/**
 * Flushes SQLite's write-ahead log to disk without holding up the event loop, once for all who wait.
 *
 * With synchronous=NORMAL a commit writes its frames to the log and returns; SQLite flushes the log itself
 * only before it copies frames into the database. A flush that begins after the commit thus makes it durable:
 * its frames are in the log still, or in the database, which SQLite has flushed. Closing a descriptor of the
 * log releases no locks: they are on the shared-memory file.
 *
 * After a flush failed nobody knows what is on disk, and a later one may succeed without having written it:
 * from then on every wait fails, until the program starts again and reads what is there.
 */
export class WalSync {
  readonly #fd: number;
  readonly #datasync: DataSync;
  #running: Promise<void> | undefined;
  #next: Promise<void> | undefined;
  #failure: Error | undefined;

  /** `path`: the database's; its log must exist. */
  constructor(path: string, datasync: DataSync = fdatasync) {
    this.#datasync = datasync;
    const directory = openSync(dirname(path), 'r');
    try {
      fsyncSync(directory); // the log's name must be on disk, too
    } finally {
      closeSync(directory);
    }
    this.#fd = openSync(`${path}-wal`, 'r+');
  }

  /** Resolves once a flush that began after this call is over. Rejects when that or an earlier one failed. */
  flushed(): Promise<void> {
    if (this.#running === undefined) return this.#flush();
    this.#next ??= this.#running
      .catch(() => {})
      .then(() => {
        this.#next = undefined;
        return this.#flush();
      });
    return this.#next;
  }

  #flush(): Promise<void> {
    if (this.#failure) return Promise.reject(this.#failure);
    this.#running = new Promise<void>((resolve, reject) => {
      this.#datasync(this.#fd, (error) => {
        if (this.#next === undefined) this.#running = undefined;
        if (error === null) return resolve();
        this.#failure = error;
        reject(error);
      });
    });
    return this.#running;
  }

  /** Waits for the flush under way. */
  async close(): Promise<void> {
    await this.#next?.catch(() => {});
    await this.#running?.catch(() => {});
    closeSync(this.#fd);
  }
}
