import type { DatabaseSync } from 'node:sqlite';

/**
 * Lines, parts and recordings stand apart, each in its retention class. Ids are never reused (AUTOINCREMENT):
 * a cursor or a search entry must not come to mean something else. `sessions` holds what its events say,
 * as they come in any order.
 */
const first = `
CREATE TABLE sessions (
  id TEXT PRIMARY KEY, source TEXT NOT NULL,
  contiguous INTEGER NOT NULL DEFAULT 0, highest INTEGER NOT NULL DEFAULT 0,
  announced INTEGER NOT NULL DEFAULT 0, purged_through INTEGER NOT NULL DEFAULT 0,
  gap_since_ms INTEGER, started_us INTEGER, last_us INTEGER, heartbeat_us INTEGER,
  identity_uid TEXT, identity_namespace TEXT, identity_name TEXT, owner TEXT, purpose TEXT,
  target_uid TEXT, target_namespace TEXT, target_name TEXT, database TEXT, program TEXT,
  closed_us INTEGER, close_reason TEXT, last_seq INTEGER,
  statements INTEGER, refused INTEGER, rows INTEGER, bytes INTEGER,
  hold INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX sessions_identity ON sessions (identity_name, identity_namespace);
CREATE INDEX sessions_owner ON sessions (owner);
CREATE INDEX sessions_target ON sessions (target_name, target_namespace);
CREATE INDEX sessions_gap ON sessions (gap_since_ms) WHERE gap_since_ms IS NOT NULL;

CREATE TABLE events (
  position INTEGER PRIMARY KEY AUTOINCREMENT,
  session TEXT NOT NULL, seq INTEGER NOT NULL, time_us INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  type TEXT NOT NULL, verdict TEXT, statement_digest TEXT, parameters_digest TEXT, line TEXT NOT NULL,
  UNIQUE (session, seq)
) STRICT;
CREATE INDEX events_time ON events (time_us, position);
CREATE INDEX events_received ON events (received_ms);
CREATE INDEX events_verdict ON events (verdict, time_us) WHERE verdict IS NOT NULL;

CREATE TABLE resources (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE) STRICT;
CREATE TABLE operations (
  position INTEGER NOT NULL, verb TEXT NOT NULL, resource INTEGER NOT NULL,
  PRIMARY KEY (position, verb, resource)
) STRICT, WITHOUT ROWID;
CREATE INDEX operations_resource ON operations (resource, verb, position);

CREATE TABLE rules (
  id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, object TEXT NOT NULL, rule TEXT NOT NULL,
  UNIQUE (object, namespace, rule)
) STRICT;
CREATE TABLE event_rules (
  position INTEGER NOT NULL, rule INTEGER NOT NULL, PRIMARY KEY (position, rule)
) STRICT, WITHOUT ROWID;
CREATE INDEX event_rules_rule ON event_rules (rule, position);

CREATE TABLE part_statement (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, seq INTEGER NOT NULL,
  digest TEXT NOT NULL, salt BLOB NOT NULL, content TEXT NOT NULL, received_ms INTEGER NOT NULL,
  UNIQUE (session, seq, digest)
) STRICT;
CREATE INDEX part_statement_received ON part_statement (received_ms);
CREATE TABLE part_parameters (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, seq INTEGER NOT NULL,
  digest TEXT NOT NULL, salt BLOB NOT NULL, content TEXT NOT NULL, received_ms INTEGER NOT NULL,
  UNIQUE (session, seq, digest)
) STRICT;
CREATE INDEX part_parameters_received ON part_parameters (received_ms);
CREATE VIRTUAL TABLE statement_search USING fts5(content, content='', tokenize='unicode61');
INSERT INTO statement_search (statement_search, rank) VALUES ('secure-delete', 1);

CREATE TABLE recordings (
  sha256 TEXT PRIMARY KEY, bytes INTEGER NOT NULL, received_ms INTEGER NOT NULL,
  purged INTEGER NOT NULL DEFAULT 0
) STRICT, WITHOUT ROWID;
CREATE INDEX recordings_received ON recordings (received_ms) WHERE purged = 0;
CREATE TABLE recording_refs (
  sha256 TEXT NOT NULL, session TEXT NOT NULL, seq INTEGER NOT NULL,
  PRIMARY KEY (sha256, session, seq)
) STRICT, WITHOUT ROWID;
CREATE INDEX recording_refs_session ON recording_refs (session, seq);
CREATE TABLE recording_index (
  sha256 TEXT NOT NULL, index_sha256 TEXT NOT NULL, PRIMARY KEY (sha256, index_sha256)
) STRICT, WITHOUT ROWID;
CREATE INDEX recording_index_index ON recording_index (index_sha256, sha256);

CREATE TABLE gaps (
  session TEXT NOT NULL, from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, state TEXT NOT NULL,
  PRIMARY KEY (session, from_seq, to_seq, state)
) STRICT, WITHOUT ROWID;
CREATE TABLE alerts (
  id INTEGER PRIMARY KEY AUTOINCREMENT, kind TEXT NOT NULL, source TEXT NOT NULL, session TEXT NOT NULL,
  from_seq INTEGER NOT NULL, to_seq INTEGER NOT NULL, line TEXT NOT NULL, line_sha256 BLOB NOT NULL,
  raised_ms INTEGER NOT NULL,
  UNIQUE (session, kind, from_seq, source, line_sha256)
) STRICT;
CREATE TABLE snapshots (
  digest TEXT PRIMARY KEY, content TEXT NOT NULL, received_ms INTEGER NOT NULL
) STRICT;
`;

/** A small recorded result is a part of its event; its content stands decoded. No earlier event has one. */
const resultParts = `
ALTER TABLE events ADD COLUMN result_digest TEXT;
CREATE TABLE part_result (
  id INTEGER PRIMARY KEY AUTOINCREMENT, session TEXT NOT NULL, seq INTEGER NOT NULL,
  digest TEXT NOT NULL, salt BLOB NOT NULL, content BLOB NOT NULL, received_ms INTEGER NOT NULL,
  UNIQUE (session, seq, digest)
) STRICT;
CREATE INDEX part_result_received ON part_result (received_ms);
`;

/** What makes each version out of the one before; the first one out of nothing. Never changed once released. */
export const schemaSteps: readonly string[] = [first, resultParts];
const version = schemaSteps.length;

/**
 * Opens the tables: makes them in an empty database, and brings those of an earlier version up to date. A
 * write-ahead log with synchronous=NORMAL: see WalSync for when a commit is on disk. secure_delete: what is
 * purged is overwritten. Throws on a database of a newer version.
 */
export function prepareSchema(database: DatabaseSync): void {
  database.exec(
    'PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA secure_delete = ON; PRAGMA trusted_schema = OFF',
  );
  const { user_version: found } = database.prepare('PRAGMA user_version').get() as {
    user_version: number;
  };
  if (found === version) return;
  if (found > version) {
    throw new Error(
      `the record is of version ${found}, this program knows ${version}: run the program that wrote it, or a newer one`,
    );
  }
  const missing = schemaSteps.slice(found).join('');
  database.exec(`BEGIN IMMEDIATE; ${missing} PRAGMA user_version = ${version}; COMMIT`);
}
