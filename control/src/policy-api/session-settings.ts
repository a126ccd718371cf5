import type { BundleSession, Durability, Recording } from '@chaperone/core/policy/types.ts';
import { parseDurationMs } from '@chaperone/core/resources/duration.ts';
import type { AccessPolicySession } from '@chaperone/core/resources/types.ts';

/** From the least to the most. */
const recordings: readonly Recording[] = ['Metadata', 'Statements', 'Full'];
const durabilities: readonly Durability[] = ['Process', 'Disk', 'Collector'];

/** The strictest of several settings: the shortest times, the most thorough and the safest record. */
export function strictestSession(settings: readonly AccessPolicySession[]): BundleSession {
  const maxDurationMs = shortest(settings.map(({ maxDuration }) => maxDuration));
  const idleTimeoutMs = shortest(settings.map(({ idleTimeout }) => idleTimeout));
  return {
    ...(maxDurationMs !== undefined && { maxDurationMs }),
    ...(idleTimeoutMs !== undefined && { idleTimeoutMs }),
    recording: highest(
      recordings,
      settings.map(({ recording }) => recording),
      'Statements',
    ),
    durability: highest(
      durabilities,
      settings.map(({ durability }) => durability),
      'Process',
    ),
  };
}

function shortest(durations: readonly (string | undefined)[]): number | undefined {
  const known = durations.flatMap((text) => {
    const ms = text === undefined ? undefined : parseDurationMs(text);
    return ms === undefined ? [] : [ms];
  });
  return known.length === 0 ? undefined : Math.min(...known);
}

/** `otherwise` where none is set. */
function highest<T>(order: readonly T[], given: readonly (T | undefined)[], otherwise: T): T {
  const top = Math.max(
    ...given.map((value) => (value === undefined ? -1 : order.indexOf(value))),
    -1,
  );
  return order[top] ?? otherwise;
}
