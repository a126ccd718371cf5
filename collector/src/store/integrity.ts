import type { DatabaseSync } from 'node:sqlite';
import { missingWithin, type Range } from './gaps.ts';
import type { Alert, AlertKind, MissingRange, SourceIntegrity } from './types.ts';

/** The millisecond in a UUIDv7: when the session began, though none of its events may be here. */
function beginningUs(session: string): number {
  return Number.parseInt(session.replaceAll('-', '').slice(0, 12), 16) * 1000;
}

interface IncompleteRow {
  readonly id: string;
  readonly contiguous: number;
  readonly purged_through: number;
  readonly known: number;
}

interface GapRow extends Range {
  readonly session: string;
  readonly state: MissingRange['state'];
  readonly purged_through: number;
}

/** What each source has shipped, and what is missing. See SourceIntegrity. */
export function integrity(database: DatabaseSync, missingLimit: number): SourceIntegrity[] {
  const sources = database
    .prepare(
      `SELECT source, count(*) AS sessions, max(heartbeat_us) AS heartbeat_us, max(last_us) AS last_us
       FROM sessions GROUP BY source ORDER BY source`,
    )
    .all() as unknown as {
    source: string;
    sessions: number;
    heartbeat_us: number | null;
    last_us: number | null;
  }[];
  const incomplete = database.prepare(
    `SELECT id, contiguous, purged_through, max(highest, announced) AS known FROM sessions
     WHERE source = ? AND gap_since_ms IS NOT NULL ORDER BY id`,
  );
  const gaps = database.prepare(
    `SELECT g.session, g.from_seq, g.to_seq, g.state, s.purged_through FROM gaps g
     JOIN sessions s ON s.id = g.session WHERE s.source = ? ORDER BY g.session, g.from_seq`,
  );
  const timeAt = database.prepare('SELECT time_us FROM events WHERE session = ? AND seq = ?');
  const recordings = database.prepare(
    `WITH RECURSIVE named (sha256, depth) AS (
       SELECT f.sha256, 0 FROM recording_refs f JOIN sessions s ON s.id = f.session
       WHERE s.source = ?
       UNION SELECT i.sha256, n.depth + 1 FROM recording_index i
       JOIN named n ON i.index_sha256 = n.sha256 WHERE n.depth < 2)
     SELECT count(DISTINCT n.sha256) AS n FROM named n
     WHERE NOT EXISTS (SELECT 1 FROM recordings r WHERE r.sha256 = n.sha256)`,
  );
  const alerts = database.prepare(
    'SELECT kind, count(*) AS n FROM alerts WHERE source = ? GROUP BY kind',
  );

  return sources.map(({ source, sessions, heartbeat_us: heartbeatUs, last_us: lastUs }) => {
    let completeUpToUs = heartbeatUs ?? lastUs ?? undefined;
    const missing: MissingRange[] = [];
    const add = (session: string, ranges: readonly Range[], state: MissingRange['state']) => {
      for (const { from_seq: from, to_seq: to } of ranges) {
        missing.push({ session, from, to, state });
      }
    };
    for (const gap of gaps.iterate(source) as Iterable<unknown> as Iterable<GapRow>) {
      const room = missingLimit + 1 - missing.length;
      if (room <= 0) break;
      const from = Math.max(gap.from_seq, gap.purged_through + 1);
      if (from > gap.to_seq) continue;
      add(gap.session, missingWithin(database, gap.session, from, gap.to_seq, room), gap.state);
    }
    const given = missing.slice();
    for (const row of incomplete.all(source) as unknown as IncompleteRow[]) {
      const at = timeAt.get(row.id, row.contiguous) as { time_us: number } | undefined;
      const boundUs = at?.time_us ?? beginningUs(row.id);
      completeUpToUs = Math.min(completeUpToUs ?? boundUs, boundUs);
      const room = missingLimit + 1 - missing.length;
      if (room <= 0) continue;
      const from = Math.max(row.contiguous, row.purged_through) + 1;
      const ranges = missingWithin(database, row.id, from, row.known, room).filter(
        (range) =>
          !given.some(
            (gap) => gap.session === row.id && gap.from <= range.from_seq && gap.to >= range.to_seq,
          ),
      );
      add(row.id, ranges, 'Awaited');
    }
    const counts: Record<AlertKind, number> = {
      Contradiction: 0,
      Gap: 0,
      AnnouncedGap: 0,
      AfterClose: 0,
      ForeignSession: 0,
    };
    for (const row of alerts.all(source)) counts[row.kind as AlertKind] = row.n as number;
    return {
      source,
      sessions,
      ...(completeUpToUs !== undefined && { completeUpToUs }),
      missing: missing.slice(0, missingLimit),
      missingTruncated: missing.length > missingLimit,
      missingRecordings: (recordings.get(source) as { n: number }).n,
      alerts: counts,
    };
  });
}

interface AlertRow extends Range {
  readonly kind: AlertKind;
  readonly source: string;
  readonly session: string;
  readonly line: string;
  readonly raised_ms: number;
}

/** Alerts, newest first. */
export function alerts(database: DatabaseSync, limit: number): Alert[] {
  const rows = database
    .prepare('SELECT * FROM alerts ORDER BY id DESC LIMIT ?')
    .all(limit) as unknown as AlertRow[];
  return rows.map((row) => ({
    kind: row.kind,
    source: row.source,
    session: row.session,
    fromSeq: row.from_seq,
    toSeq: row.to_seq,
    raisedMs: row.raised_ms,
    ...(row.line !== '' && { line: row.line }),
  }));
}
