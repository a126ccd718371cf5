import { isUuid } from '@chaperone/core/events/uuid.ts';
import {
  type ShippedEvent,
  ShipRefused,
  type ShipTransport,
} from '@chaperone/runtime/recorder/transport.ts';
import { Problem } from '../http/problem.ts';
import { type BatchLimits, checkEvent } from './batch.ts';
import type { Ingest } from './ingest.ts';

/** The same refusal will meet the same bytes again. */
function isFinal(error: unknown): error is Problem {
  return error instanceof Problem && [400, 413, 415, 422].includes(error.status);
}

async function refusing<Result>(work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (isFinal(error)) throw new ShipRefused(error.message, error);
    throw error;
  }
}

/** Shipping within the process, with the checks that HTTP has. */
export function localTransport(ingest: Ingest, source: string, limits: BatchLimits): ShipTransport {
  return {
    ship: (session, lines) =>
      refusing(async () => {
        if (!isUuid(session)) throw new Problem(400, 'CHP-6001', 'the session is not a UUID');
        const events = lines.map((line, at) =>
          checkEvent(JSON.parse(line) as ShippedEvent, session, limits, at),
        );
        return (await ingest.append(source, session, events)).acknowledged;
      }),
    putRecording: (sha256, zstd) =>
      refusing(async () => void (await ingest.putRecording(sha256, zstd, 'zstd'))),
  };
}
