import { uuidToBytes } from '@chaperone/core/events/uuid.ts';
import { EventBatch } from './event-batch.ts';
import { FrameBatch } from './frame.ts';

/** For tests: a UUID, for sessions whose name does not matter. */
export const someSession = '019a0000-0000-7000-8000-000000000001';

/** For tests: events of these numbers, in this order, with metadata lines that say nothing else. */
export function batchOf(session: string, seqs: readonly number[]): EventBatch {
  const batch = new FrameBatch();
  const bounds = seqs.map((seq) => {
    const start = batch.length;
    batch.begin(uuidToBytes(session), seq);
    batch.text(`{"seq":${seq}}`);
    batch.end();
    return [start, batch.length] as const;
  });
  const events = new EventBatch(session, batch.buffer);
  for (const [start, end] of bounds) events.add(start, end);
  return events;
}
