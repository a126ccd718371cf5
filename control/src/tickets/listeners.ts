import type { DatabaseSync } from 'node:sqlite';
import { inTransaction } from '../store/state-database.ts';

/** Where callers of a target connect: host and port, or host the directory of a UNIX socket. */
export interface ListeningAddress {
  readonly host: string;
  readonly port: number;
}

/** Where a running gateway listens, told to the command line through the state database. */
export class Listeners {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  /** What is listened for now, by the target's uid; all others are forgotten. */
  replace(addresses: ReadonlyMap<string, ListeningAddress>): void {
    inTransaction(this.#database, () => {
      this.#database.exec('DELETE FROM listeners');
      const insert = this.#database.prepare(
        'INSERT INTO listeners (target_uid, host, port) VALUES (?, ?, ?)',
      );
      for (const [uid, { host, port }] of addresses) insert.run(uid, host, port);
    });
  }

  /** Undefined when nothing listens for that target now. */
  get(targetUid: string): ListeningAddress | undefined {
    return this.#database
      .prepare('SELECT host, port FROM listeners WHERE target_uid = ?')
      .get(targetUid) as ListeningAddress | undefined;
  }
}
