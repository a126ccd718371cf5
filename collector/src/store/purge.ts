import type { DatabaseSync } from 'node:sqlite';
import type { PurgeResult, RetentionClass } from './types.ts';

const notHeld = 'session NOT IN (SELECT id FROM sessions WHERE hold = 1)';

function purgeStatements(database: DatabaseSync, beforeMs: number): PurgeResult {
  // The search index holds no text of its own: an entry is removed by the text that made it.
  database
    .prepare(
      `INSERT INTO statement_search (statement_search, rowid, content)
       SELECT 'delete', id, content FROM part_statement WHERE received_ms < ? AND ${notHeld}`,
    )
    .run(beforeMs);
  const count =
    purgeParts(database, 'part_statement', beforeMs) +
    purgeParts(database, 'part_parameters', beforeMs);
  return { count, recordings: [] };
}

/** How many parts were deleted. */
function purgeParts(database: DatabaseSync, table: string, beforeMs: number): number {
  const { changes } = database
    .prepare(`DELETE FROM ${table} WHERE received_ms < ? AND ${notHeld}`)
    .run(beforeMs);
  return Number(changes);
}

/** A recording and the index chunks, at most two deep, that lead to it. */
const namedBy = `WITH RECURSIVE named_by (sha256, depth) AS (
  VALUES (recordings.sha256, 0) UNION
  SELECT i.index_sha256, n.depth + 1 FROM recording_index i JOIN named_by n ON i.sha256 = n.sha256
  WHERE n.depth < 2)`;

function purgeRecordings(database: DatabaseSync, beforeMs: number): PurgeResult {
  const rows = database
    .prepare(
      `UPDATE recordings SET purged = 1 WHERE purged = 0 AND received_ms < ? AND NOT EXISTS (
         ${namedBy} SELECT 1 FROM recording_refs f JOIN sessions s ON s.id = f.session
         WHERE f.sha256 IN (SELECT sha256 FROM named_by) AND s.hold = 1) RETURNING sha256`,
    )
    .all(beforeMs) as { sha256: string }[];
  const parts = purgeParts(database, 'part_result', beforeMs);
  return { count: rows.length + parts, recordings: rows.map(({ sha256 }) => sha256) };
}

/** Lines last: what hangs on them goes first, whatever its own class says. */
function purgeMetadata(database: DatabaseSync, beforeMs: number): PurgeResult {
  const statements = purgeStatements(database, beforeMs);
  const results = purgeParts(database, 'part_result', beforeMs);
  database
    .prepare(
      `UPDATE sessions SET purged_through = max(purged_through, coalesce(
         (SELECT max(seq) FROM events WHERE session = id AND received_ms < ?1), 0))
       WHERE hold = 0 AND id IN (SELECT DISTINCT session FROM events WHERE received_ms < ?1)`,
    )
    .run(beforeMs);
  const old = `SELECT position FROM events WHERE received_ms < ? AND ${notHeld}`;
  database.prepare(`DELETE FROM operations WHERE position IN (${old})`).run(beforeMs);
  database.prepare(`DELETE FROM event_rules WHERE position IN (${old})`).run(beforeMs);
  database
    .prepare(
      `DELETE FROM recording_refs WHERE (session, seq) IN
         (SELECT session, seq FROM events WHERE received_ms < ? AND ${notHeld})`,
    )
    .run(beforeMs);
  const { changes } = database
    .prepare(`DELETE FROM events WHERE received_ms < ? AND ${notHeld}`)
    .run(beforeMs);
  database.prepare(`DELETE FROM alerts WHERE raised_ms < ? AND ${notHeld}`).run(beforeMs);
  database.exec(
    `DELETE FROM gaps WHERE (SELECT purged_through FROM sessions WHERE id = session) >= to_seq`,
  );
  return { count: Number(changes) + statements.count + results, recordings: [] };
}

/** Deletes what was received before `beforeMs` and is not held; runs inside a transaction. */
export function purge(
  database: DatabaseSync,
  retention: RetentionClass,
  beforeMs: number,
): PurgeResult {
  switch (retention) {
    case 'Metadata':
      return purgeMetadata(database, beforeMs);
    case 'Statements':
      return purgeStatements(database, beforeMs);
    case 'Recordings':
      return purgeRecordings(database, beforeMs);
  }
}
