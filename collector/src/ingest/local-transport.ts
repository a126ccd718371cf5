import { ShipRefused, type ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import { toProblem } from '../http/problem.ts';
import { type BatchLimits, parseFrames } from './batch.ts';
import type { Ingest } from './ingest.ts';

/** The same refusal will meet the same bytes again. */
const finalStatuses: ReadonlySet<number> = new Set([400, 413, 415, 422]);

/** Throws ShipRefused instead of a refusal that is final. */
async function refusing<Result>(
  work: () => Promise<Result>,
  answered: (status: number) => void = () => {},
): Promise<Result> {
  try {
    const result = await work();
    answered(200);
    return result;
  } catch (error) {
    const problem = toProblem(error);
    answered(problem.status);
    if (finalStatuses.has(problem.status)) throw new ShipRefused(problem.message, error);
    throw error;
  }
}

/**
 * Shipping within the process, with the checks that HTTP has. `answered` hears of each batch with the status
 * that HTTP would answer.
 */
export function localTransport(
  ingest: Ingest,
  source: string,
  limits: BatchLimits,
  answered: (status: number) => void,
): ShipTransport {
  return {
    ship: (batch) =>
      refusing(async () => {
        const { session } = batch;
        const events = parseFrames(batch.frames(), session, limits, true);
        return (await ingest.append(source, session, events)).acknowledged;
      }, answered),
    putRecording: (sha256, zstd) =>
      refusing(async () => void (await ingest.putRecording(sha256, zstd, 'zstd'))),
    putSnapshot: (digest, content) =>
      refusing(() => ingest.putSnapshot(digest, new TextDecoder().decode(content))),
  };
}
