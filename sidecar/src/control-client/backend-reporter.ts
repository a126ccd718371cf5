import { type BackendReport, ControlRefusal } from '@chaperone/core/control/types.ts';
import type { BackendReportRequest } from '@chaperone/core/control/wire.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import type { ControlTokens } from './event-source.ts';
import { withToken } from './leases.ts';
import type { PolicyApi } from './policy-api.ts';

export interface BackendReporterOptions {
  readonly api: PolicyApi;
  readonly tokens: ControlTokens;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** An outcome that goes on is told again after this: half of the time that it counts for there. */
const repeatMs = 5 * 60_000;
/** Of one target; what comes in between is told with the last word alone. */
const leastIntervalMs = 2000;
const firstRetryMs = 500;
const maxRetryMs = 60_000;
/** Then it is given up until somebody connects again. */
const maxAttempts = 8;
const maxTargets = 1000;

interface Told {
  readonly report: BackendReport;
  readonly atMs: number;
}

/** What of one target is told, and to be told. */
interface Line {
  told: Told | undefined;
  wanted: BackendReport | undefined;
  sending: boolean;
  timer: Timer | undefined;
  lastSentMs: number;
  readonly backoff: Backoff;
}

/**
 * Tells the policy API what becomes of connecting to backends: of each target the first outcome, every change of
 * it, and now and then that it goes on. Nobody waits for it, and what cannot be told is given up.
 */
export class BackendReporter {
  readonly #options: BackendReporterOptions;
  /** By uid of the target, the one used last at the end. */
  readonly #lines = new Map<string, Line>();
  #closed = false;

  constructor(options: BackendReporterOptions) {
    this.#options = options;
  }

  report(report: BackendReport): void {
    if (this.#closed) return;
    const line = this.#line(report.targetUid);
    const { told } = line;
    const isNews =
      told === undefined ||
      !isSame(told.report, report) ||
      this.#options.clock.nowMs() - told.atMs >= repeatMs;
    line.wanted = isNews ? report : undefined;
    if (isNews) this.#schedule(line, 0);
  }

  /** Something about the targets may have changed: the next outcome of each is news. */
  changed(): void {
    for (const line of this.#lines.values()) line.told = undefined;
  }

  close(): void {
    this.#closed = true;
    for (const { timer } of this.#lines.values()) timer?.cancel();
    this.#lines.clear();
  }

  #line(targetUid: string): Line {
    let line = this.#lines.get(targetUid);
    if (line === undefined) {
      line = {
        told: undefined,
        wanted: undefined,
        sending: false,
        timer: undefined,
        lastSentMs: Number.NEGATIVE_INFINITY,
        backoff: new Backoff(this.#options.random, firstRetryMs, maxRetryMs),
      };
    }
    this.#lines.delete(targetUid);
    this.#lines.set(targetUid, line);
    const [oldest] = this.#lines;
    if (this.#lines.size > maxTargets && oldest !== undefined) {
      oldest[1].timer?.cancel();
      this.#lines.delete(oldest[0]);
    }
    return line;
  }

  #schedule(line: Line, delayMs: number): void {
    if (this.#closed || line.sending || line.timer !== undefined) return;
    const { clock } = this.#options;
    const waitMs = Math.max(delayMs, line.lastSentMs + leastIntervalMs - clock.nowMs());
    line.timer = clock.setTimer(waitMs, () => {
      line.timer = undefined;
      const { wanted } = line;
      if (wanted !== undefined) void this.#send(line, wanted);
    });
  }

  /** Never throws. */
  async #send(line: Line, report: BackendReport): Promise<void> {
    const { clock, logger } = this.#options;
    line.sending = true;
    let delayMs = 0;
    try {
      await this.#post(report);
      line.told = { report, atMs: clock.nowMs() };
      line.backoff.reset();
      if (line.wanted === report) line.wanted = undefined;
    } catch (error) {
      // It may have been taken all the same.
      line.told = undefined;
      logger.debug({ err: error, target: report.targetUid }, 'an outcome could not be reported');
      delayMs = line.backoff.next();
      if (error instanceof ControlRefusal || line.backoff.failures >= maxAttempts) {
        line.backoff.reset();
        if (line.wanted === report) line.wanted = undefined;
      }
    }
    line.lastSentMs = clock.nowMs();
    line.sending = false;
    if (line.wanted !== undefined) this.#schedule(line, delayMs);
  }

  async #post({ targetUid, ...request }: BackendReport): Promise<void> {
    const { api, tokens, clock } = this.#options;
    const body: BackendReportRequest = request;
    await withToken(tokens, clock, (token) =>
      api.post(`/v1/backends/${encodeURIComponent(targetUid)}`, body, token),
    );
  }
}

function isSame(one: BackendReport, other: BackendReport): boolean {
  return (
    one.outcome === other.outcome &&
    one.targetGeneration === other.targetGeneration &&
    one.credentialVersion === other.credentialVersion
  );
}
