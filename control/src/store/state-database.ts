/**
 * What standalone keeps besides the directory of resources, in one SQLite file: uids, versions and status of
 * objects, tickets, listening addresses. Several processes may have it open (WAL).
 */
import { randomBytes } from 'node:crypto';
import {
  chmodSync,
  closeSync,
  existsSync,
  linkSync,
  mkdirSync,
  openSync,
  readFileSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

const busyTimeoutMs = 5000;
const keyBytes = 32;

/** Each entry brings the schema from its index to the next version. */
const migrations = [
  `CREATE TABLE version (resource_version INTEGER NOT NULL) STRICT;
   INSERT INTO version VALUES (0);
   CREATE TABLE objects (
     kind TEXT NOT NULL,
     namespace TEXT NOT NULL,
     name TEXT NOT NULL,
     uid TEXT NOT NULL UNIQUE,
     generation INTEGER NOT NULL,
     resource_version INTEGER NOT NULL,
     created TEXT NOT NULL,
     digest TEXT NOT NULL,
     spec_digest TEXT NOT NULL,
     file TEXT NOT NULL,
     body TEXT,
     status TEXT,
     PRIMARY KEY (kind, namespace, name)
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE tickets (
     id TEXT PRIMARY KEY,
     secret_sha256 BLOB NOT NULL,
     identity_uid TEXT NOT NULL,
     identity TEXT NOT NULL,
     target_uid TEXT NOT NULL,
     target TEXT NOT NULL,
     created_ms INTEGER NOT NULL,
     expires_ms INTEGER NOT NULL,
     revoked_ms INTEGER,
     last_used_ms INTEGER
   ) STRICT, WITHOUT ROWID;
   CREATE TABLE listeners (
     target_uid TEXT PRIMARY KEY,
     host TEXT NOT NULL,
     port INTEGER NOT NULL
   ) STRICT, WITHOUT ROWID;`,
];

/**
 * Opens the state of a standalone Chaperone in `directory`, and makes it where there is none: the directory
 * with mode 0700, its files 0600. Throws when it cannot be written or was made by a newer version.
 */
export function openStateDatabase(directory: string): DatabaseSync {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'state.db');
  // SQLite's companions (-wal, -shm) take the mode of the file itself.
  closeSync(openSync(file, 'a', 0o600));
  chmodSync(file, 0o600);
  const database = new DatabaseSync(file, { timeout: busyTimeoutMs });
  try {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL;');
    inTransaction(database, () => migrate(database));
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

function migrate(database: DatabaseSync): void {
  const { user_version: version } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (version > migrations.length) {
    throw new Error(`the state database has version ${version}, made by a newer Chaperone`);
  }
  for (const step of migrations.slice(version)) database.exec(step);
  database.exec(`PRAGMA user_version = ${migrations.length}`);
}

/** Runs `work` in one write transaction; other processes wait. Rolled back when it throws. */
export function inTransaction<T>(database: DatabaseSync, work: () => T): T {
  database.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
    database.exec('COMMIT');
    return result;
  } catch (error) {
    database.exec('ROLLBACK');
    throw error;
  }
}

/**
 * The installation's own random key of 32 bytes, made on first use (mode 0600). Masking keys and digests of
 * what can be guessed hang on it: who loses it gets other pseudonyms.
 */
export function installationKey(directory: string): Buffer {
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  const file = join(directory, 'installation.key');
  if (!existsSync(file)) {
    // Written aside and linked, so that of several processes one wins and none reads half a key.
    const draft = join(directory, `installation.key.${process.pid}`);
    writeFileSync(draft, randomBytes(keyBytes), { mode: 0o600 });
    try {
      linkSync(draft, file);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      unlinkSync(draft);
    }
  }
  const key = readFileSync(file);
  if (key.length !== keyBytes) throw new Error(`${file} does not hold a key of ${keyBytes} bytes`);
  return key;
}
