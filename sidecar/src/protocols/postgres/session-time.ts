import type { SessionClosed } from '@chaperone/core/events/types.ts';
import type { TargetPolicy } from '@chaperone/core/policy/compile.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { refusalResponse } from './errors/refusal.ts';

export interface SessionTimeOptions {
  readonly clock: Clock;
  /** Epoch ms: the end of the proof of who calls. */
  readonly proofEndsMs?: number;
  /** A statement that takes long is not idleness. */
  readonly isBusy: () => boolean;
  /** Time is over; `report` is the FATAL that says so. */
  readonly end: (reason: SessionClosed['reason'], report: Buffer) => void;
}

/** How long a session may last: its policy's limits, its identity's expiry, and the end of its proof. */
export class SessionTime {
  readonly #options: SessionTimeOptions;
  readonly #openedUs: number;
  #activeUs: number;
  #lifeTimer: Timer | undefined;
  #idleTimer: Timer | undefined;

  constructor(options: SessionTimeOptions) {
    this.#options = options;
    this.#openedUs = options.clock.monotonicUs();
    this.#activeUs = this.#openedUs;
  }

  /** Counts by this policy from now on. */
  follow(policy: TargetPolicy): void {
    this.stop();
    this.#followLife(policy);
    const { idleTimeoutMs } = policy.bundle.session;
    if (idleTimeoutMs !== undefined) this.#waitForIdleness(idleTimeoutMs, idleTimeoutMs);
  }

  /** The client has sent something. */
  touch(): void {
    this.#activeUs = this.#options.clock.monotonicUs();
  }

  stop(): void {
    this.#lifeTimer?.cancel();
    this.#idleTimer?.cancel();
  }

  #followLife({ bundle, expiresAtMs }: TargetPolicy): void {
    const { clock, proofEndsMs = Number.POSITIVE_INFINITY, end } = this.#options;
    const { maxDurationMs = Number.POSITIVE_INFINITY } = bundle.session;
    const untilLimit = maxDurationMs - (clock.monotonicUs() - this.#openedUs) / 1000;
    // Neither the identity nor the proof of it is outlived.
    const untilExpiry = Math.min(expiresAtMs, proofEndsMs) - clock.nowMs();
    const delayMs = Math.min(untilLimit, untilExpiry);
    if (!Number.isFinite(delayMs)) return;
    this.#lifeTimer = clock.setTimer(Math.max(0, delayMs), () => {
      if (untilExpiry <= untilLimit) {
        const text = {
          message: 'the identity, or the ticket that proved it, has expired (CHP-2003)',
          hint: 'Connect with a new ticket, or have expiresAt of the MachineIdentity extended.',
        };
        end('Expired', refusalResponse('Expired', 'End', text));
      } else {
        const text = {
          message: 'the session has lasted as long as its policy allows (CHP-3012)',
          hint: 'Connect again.',
        };
        end('MaxDuration', refusalResponse('Limit', 'End', text));
      }
    });
  }

  /** Looks again when the time would be over, instead of setting a timer for every message. */
  #waitForIdleness(timeoutMs: number, delayMs: number): void {
    const { clock, isBusy, end } = this.#options;
    this.#idleTimer = clock.setTimer(delayMs, () => {
      const leftMs = timeoutMs - (clock.monotonicUs() - this.#activeUs) / 1000;
      if (isBusy()) this.#waitForIdleness(timeoutMs, timeoutMs);
      else if (leftMs > 0) this.#waitForIdleness(timeoutMs, leftMs);
      else {
        const text = {
          message: 'the session was idle for longer than its policy allows (CHP-3012)',
          hint: 'Connect again.',
        };
        end('IdleTimeout', refusalResponse('Limit', 'End', text));
      }
    });
  }
}
