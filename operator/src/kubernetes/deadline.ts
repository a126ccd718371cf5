import type { Clock } from '@chaperone/runtime/clock.ts';
import { ApiError, timeoutReason } from './api-error.ts';

/** What ends a request before its time. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** The time counts from now. */
  touch(): void;
  /** Nothing of the request is wanted any more. */
  end(): void;
}

/** Aborts when `signal` does, or after `timeoutMs` with an ApiError as its reason. */
export function startDeadline(
  clock: Clock,
  request: string,
  timeoutMs: number,
  signal: AbortSignal | undefined,
): Deadline {
  const controller = new AbortController();
  // Not in the turn in which the request is sent: undici then leaves its HTTP/2 stream open without a
  // listener, and when the connection breaks later, the stream's error ends the process.
  const abortSoon = (reason: unknown): void => {
    setImmediate(() => controller.abort(reason));
  };
  const message = `${request}: no answer for ${timeoutMs} ms`;
  const arm = () =>
    clock.setTimer(timeoutMs, () => {
      abortSoon(new ApiError(message, { code: 0, reason: timeoutReason }));
    });
  const abort = (): void => abortSoon(signal?.reason);
  if (signal?.aborted) controller.abort(signal.reason);
  signal?.addEventListener('abort', abort, { once: true });
  let timer = arm();
  return {
    signal: controller.signal,
    touch() {
      timer.cancel();
      timer = arm();
    },
    end() {
      timer.cancel();
      signal?.removeEventListener('abort', abort);
      abortSoon(undefined);
    },
  };
}
