/** A timer that has not fired yet. */
export interface Timer {
  /** Does nothing once it fired. */
  cancel(): void;
}

/** Time, injected: nothing in the programs reads a clock of its own, and no test waits for one. */
export interface Clock {
  /** Milliseconds since 1970, whole. */
  nowMs(): number;
  /** Microseconds since 1970, whole. */
  nowUs(): number;
  /** Microseconds since some fixed moment; never goes back. */
  monotonicUs(): number;
  /** Calls back once after `delayMs`. A pending timer keeps the program alive: cancel it on close. */
  setTimer(delayMs: number, callback: () => void): Timer;
}

/** setTimeout fires at once beyond this. */
const maxDelayMs = 2 ** 31 - 1;

/** The machine's clock. Microseconds are interpolated between the milliseconds of the wall clock. */
export function systemClock(): Clock {
  const monotonicUs = (): number => Math.floor(performance.now() * 1000);
  let offsetUs = Date.now() * 1000 - monotonicUs();
  const nowUs = (): number => {
    const wallUs = Date.now() * 1000;
    const us = offsetUs + monotonicUs();
    // Date.now() is cut to milliseconds, so up to 1000 apart is agreement; more means the wall clock
    // was set or the two drifted.
    if (us >= wallUs && us < wallUs + 1000) return us;
    offsetUs = wallUs - monotonicUs();
    return wallUs;
  };
  return {
    nowMs: Date.now,
    nowUs,
    monotonicUs,
    setTimer(delayMs, callback) {
      let handle: NodeJS.Timeout;
      const arm = (remainingMs: number): void => {
        const step = Math.min(Math.max(remainingMs, 0), maxDelayMs);
        handle = setTimeout(() => {
          if (remainingMs > step) arm(remainingMs - step);
          else callback();
        }, step);
      };
      arm(delayMs);
      return { cancel: () => clearTimeout(handle) };
    },
  };
}

/** A clock that moves only when told to: for tests. */
export interface ManualClock extends Clock {
  /** Moves on by `ms` and fires what becomes due, in order of due time. */
  advance(ms: number): void;
  /** Sets the wall clock without moving the monotonic one, as an administrator or NTP may. */
  setWallMs(epochMs: number): void;
  /** Timers that have not fired. */
  pendingTimers(): number;
}

/** See ManualClock. `startMs`: milliseconds since 1970. */
export function manualClock(startMs = Date.UTC(2026, 0, 1)): ManualClock {
  let monotonic = 0;
  let wallOffset = startMs * 1000;
  const timers = new Set<{ readonly dueUs: number; readonly callback: () => void }>();
  const nowUs = (): number => Math.floor(wallOffset + monotonic);
  return {
    nowMs: () => Math.floor(nowUs() / 1000),
    nowUs,
    monotonicUs: () => monotonic,
    setTimer(delayMs, callback) {
      const timer = { dueUs: monotonic + Math.max(0, delayMs) * 1000, callback };
      timers.add(timer);
      return { cancel: () => void timers.delete(timer) };
    },
    advance(ms) {
      const untilUs = monotonic + ms * 1000;
      for (;;) {
        let next: { readonly dueUs: number; readonly callback: () => void } | undefined;
        for (const timer of timers) {
          if (timer.dueUs <= untilUs && (next === undefined || timer.dueUs < next.dueUs)) {
            next = timer;
          }
        }
        if (next === undefined) break;
        timers.delete(next);
        monotonic = Math.max(monotonic, next.dueUs);
        next.callback();
      }
      monotonic = untilUs;
    },
    setWallMs(epochMs) {
      wallOffset = epochMs * 1000 - monotonic;
    },
    pendingTimers: () => timers.size,
  };
}
