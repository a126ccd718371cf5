import type { Ingest } from './ingest/ingest.ts';
import type { OwnRecord } from './record/own-record.ts';
import { formatTimeUs } from './record/time.ts';
import type { RetentionClass, Store } from './store/types.ts';

/** How long each class is kept, in days of 24 hours from when it was received. */
export interface Retention {
  readonly metadataDays: number;
  readonly statementsDays: number;
  readonly recordingsDays: number;
}

export const defaultRetention: Retention = {
  metadataDays: 400,
  statementsDays: 90,
  recordingsDays: 30,
};

const dayMs = 24 * 60 * 60 * 1000;

/**
 * Deletes what is older than its class is kept, by the time of receipt: the recorder's own clock must not be
 * able to age an event. Each deletion is an event itself, and a session on hold is left alone.
 */
export async function purgeExpired(
  store: Store,
  ingest: Ingest,
  record: OwnRecord,
  retention: Retention,
  nowMs: number,
): Promise<Readonly<Record<RetentionClass, number>>> {
  const counts: Record<RetentionClass, number> = { Recordings: 0, Statements: 0, Metadata: 0 };
  const days = {
    Recordings: retention.recordingsDays,
    Statements: retention.statementsDays,
    Metadata: retention.metadataDays,
  } as const;
  for (const retentionClass of ['Recordings', 'Statements', 'Metadata'] as const) {
    const beforeMs = nowMs - days[retentionClass] * dayMs;
    const { count, recordings } = await store.purge(retentionClass, beforeMs);
    await ingest.removeRecordings(recordings);
    counts[retentionClass] = count;
    if (count === 0) continue;
    await record.append({
      type: 'RecordPurged',
      class: retentionClass,
      before: formatTimeUs(beforeMs * 1000),
      count,
    });
  }
  return counts;
}
