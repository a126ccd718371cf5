import { uuidToBytes } from '@chaperone/core/events/uuid.ts';
import { type EventBatch, wholeFrames } from './event-batch.ts';
import { FrameBatch } from './frame.ts';

/** For tests: a UUID, for sessions whose name does not matter. */
export const someSession = '019a0000-0000-7000-8000-000000000001';

/** For tests: events of these numbers, one at least, in this order, with metadata lines that say nothing else. */
export function batchOf(session: string, seqs: readonly number[]): EventBatch {
  const batch = new FrameBatch();
  for (const seq of seqs) {
    batch.begin(uuidToBytes(session), seq);
    batch.text(`{"seq":${seq}}`);
    batch.end();
  }
  return wholeFrames(batch.buffer.subarray(0, batch.length), true).events[0]!;
}
