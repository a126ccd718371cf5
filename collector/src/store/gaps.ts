import type { DatabaseSync } from 'node:sqlite';
import type { Alert } from './types.ts';

export interface Range {
  readonly from_seq: number;
  readonly to_seq: number;
}

/**
 * The ranges within `from`..`to` that no event of the session covers, at most `limit`. One pass over the
 * (session, seq) index.
 */
export function missingWithin(
  database: DatabaseSync,
  session: string,
  from: number,
  to: number,
  limit: number,
): Range[] {
  const rows = database
    .prepare(
      `SELECT previous + 1 AS from_seq, seq - 1 AS to_seq FROM (
         SELECT seq, lag(seq, 1, ?2) OVER (ORDER BY seq) AS previous FROM (
           SELECT seq FROM events WHERE session = ?1 AND seq > ?2 AND seq < ?3 UNION ALL SELECT ?3))
       WHERE seq > previous + 1 LIMIT ?4`,
    )
    .all(session, from - 1, to + 1, limit);
  return rows as unknown as Range[];
}

interface SessionRow {
  readonly contiguous: number;
  readonly highest: number;
  readonly announced: number;
  readonly gap_since_ms: number | null;
}

/**
 * Brings a session's acknowledged prefix up to date with its events and gaps, and notes since when something
 * is missing. Returns the prefix's end.
 */
export function settler(database: DatabaseSync): (session: string, nowMs: number) => number {
  const getSession = database.prepare(
    'SELECT contiguous, highest, announced, gap_since_ms FROM sessions WHERE id = ?',
  );
  const following = database.prepare(
    'SELECT seq FROM events WHERE session = ? AND seq > ? ORDER BY seq',
  );
  const gapOver = database.prepare(
    'SELECT max(to_seq) AS to_seq FROM gaps WHERE session = ? AND from_seq <= ? AND to_seq >= ?',
  );
  const settle = database.prepare(
    'UPDATE sessions SET contiguous = ?, gap_since_ms = ? WHERE id = ?',
  );

  /** The end of the unbroken run of events and gaps that begins after `from`. */
  function contiguousFrom(session: string, from: number): number {
    let end = from;
    for (;;) {
      const before = end;
      for (const row of following.iterate(session, end)) {
        const { seq } = row as { seq: number };
        if (seq !== end + 1) break;
        end = seq;
      }
      const gap = gapOver.get(session, end + 1, end + 1) as { to_seq: number | null };
      if (gap.to_seq !== null) end = gap.to_seq;
      if (end === before) return end;
    }
  }

  return (session, nowMs) => {
    const row = getSession.get(session) as unknown as SessionRow;
    const contiguous = contiguousFrom(session, row.contiguous);
    const known = Math.max(row.highest, row.announced);
    // Each piece of progress starts the grace time anew: what is missing now is another gap.
    const sinceMs = contiguous === row.contiguous ? (row.gap_since_ms ?? nowMs) : nowMs;
    settle.run(contiguous, known > contiguous ? sinceMs : null, session);
    return contiguous;
  };
}

interface OverdueRow extends SessionRow {
  readonly id: string;
  readonly source: string;
  readonly purged_through: number;
}

/** See Store.raiseGapAlerts; runs inside a transaction. */
export function gapAlerter(database: DatabaseSync): (beforeMs: number, nowMs: number) => Alert[] {
  const settle = settler(database);
  const overdue = database.prepare(
    `SELECT id, source, contiguous, highest, announced, purged_through FROM sessions
     WHERE gap_since_ms <= ?`,
  );
  const putGap = database.prepare("INSERT OR IGNORE INTO gaps VALUES (?, ?, ?, 'Lost')");
  const putAlert = database.prepare(
    `INSERT INTO alerts (kind, source, session, from_seq, to_seq, line, line_sha256, raised_ms)
     VALUES ('Gap', ?, ?, ?, ?, '', x'', ?) ON CONFLICT DO NOTHING`,
  );
  return (beforeMs, nowMs) => {
    const alerts: Alert[] = [];
    for (const session of overdue.all(beforeMs) as unknown as OverdueRow[]) {
      const { id, source, highest, announced } = session;
      const raise = ({ from_seq: fromSeq, to_seq: toSeq }: Range) => {
        if (putAlert.run(source, id, fromSeq, toSeq, nowMs).changes === 0) return;
        alerts.push({ kind: 'Gap', source, session: id, fromSeq, toSeq, raisedMs: nowMs });
      };
      const from = Math.max(session.contiguous, session.purged_through) + 1;
      for (const range of missingWithin(database, id, from, highest, 1000)) {
        putGap.run(id, range.from_seq, range.to_seq);
        raise(range);
      }
      const contiguous = settle(id, nowMs);
      // A tail that a heartbeat announced is not given up: no event waits behind it.
      if (contiguous >= highest && contiguous < announced) {
        raise({ from_seq: contiguous + 1, to_seq: announced });
      }
    }
    return alerts;
  };
}
