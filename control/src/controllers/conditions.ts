import type { Condition } from '@chaperone/core/resources/types.ts';

/** One aspect of an object's state, as a controller finds it. */
export interface Finding {
  readonly type: string;
  /** Undefined: it is not known. */
  readonly holds: boolean | undefined;
  /** One PascalCase word. */
  readonly reason: string;
  readonly message: string;
}

/** Conditions for findings; the time of the last transition is kept where the status did not change. */
export function conditionsOf(
  findings: readonly Finding[],
  previous: readonly Condition[] | undefined,
  generation: number,
  nowMs: number,
): readonly Condition[] {
  return findings.map(({ type, holds, reason, message }) => {
    const status = holds === undefined ? 'Unknown' : holds ? 'True' : 'False';
    const before = previous?.find((condition) => condition.type === type);
    return {
      type,
      status,
      observedGeneration: generation,
      lastTransitionTime:
        before?.status === status ? before.lastTransitionTime : new Date(nowMs).toISOString(),
      reason,
      message,
    };
  });
}
