import { setTimeout as delay } from 'node:timers/promises';

export interface WaitOptions {
  /** For the error: “the node” in “waited 60 s for the node”. */
  readonly what?: string;
  readonly timeoutMs?: number;
  readonly intervalMs?: number;
}

/**
 * Asks again and again until the answer is neither undefined nor false, and returns it. An exception counts as
 * “not yet”; the last one is the cause of the error thrown at the deadline.
 */
export async function waitFor<T>(
  condition: () => T | Promise<T>,
  { what = 'a condition', timeoutMs = 60_000, intervalMs = 100 }: WaitOptions = {},
): Promise<Exclude<T, undefined | false>> {
  const deadline = performance.now() + timeoutMs;
  let cause: unknown;
  for (;;) {
    try {
      const answer = await condition();
      if (answer !== undefined && answer !== false) return answer as Exclude<T, undefined | false>;
      cause = undefined;
    } catch (error) {
      cause = error;
    }
    if (performance.now() > deadline) {
      throw new Error(`waited ${timeoutMs / 1000} s for ${what}`, { cause });
    }
    await delay(intervalMs);
  }
}
