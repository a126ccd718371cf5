/** Cancel requests of one session, the caller's and ours, and what waits until they have ended. */
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';

/** When a request that has waited is sent again, each time four times as long after the last. */
const firstAgainMs = 50;
const lastAgainMs = 5000;

export interface SessionCancelOptions {
  readonly clock: Clock;
  /** Makes the backend stop what it does; resolves once it was told. */
  readonly cancelBackend: () => Promise<void>;
  /** The number of what was sent last, where it is not answered yet. */
  readonly sentLast: () => number | undefined;
  readonly isAnswered: (number: number) => boolean;
  /** The backend has all that was allowed, and no question of ours before it. */
  readonly isSent: () => boolean;
  /** A request has ended: what waited for that may go on. */
  readonly ended: () => void;
  readonly failed: (error: unknown) => void;
}

export class SessionCancel {
  readonly #options: SessionCancelOptions;
  #underWay = 0;
  /** A request of the caller's came before its statement was sent. */
  #waits = false;
  #again: Timer | undefined;
  #stopped = false;

  constructor(options: SessionCancelOptions) {
    this.#options = options;
  }

  /** Nothing may be decided or asked before a request has ended: it could hit that instead. */
  get isUnderWay(): boolean {
    return this.#underWay > 0;
  }

  /**
   * The caller's own request. It is for a statement of the caller's: one that comes before that was sent, while a
   * question of ours runs or the record is written, waits; where there is none it is for nothing.
   */
  async request(): Promise<void> {
    if (this.#options.isSent()) await this.#forward();
    else this.#waits = true;
  }

  /** Sends on a request that has waited, if its statement was sent meanwhile. */
  sendWaiting(): void {
    if (!this.#waits || !this.#options.isSent()) return;
    this.#waits = false;
    const last = this.#options.sentLast();
    if (last !== undefined) this.#untilAnswered(last, firstAgainMs);
  }

  /** Ours: the backend is to stop what it does. */
  cancel(): void {
    this.#forward().catch(this.#options.failed);
  }

  /** The session has ended. */
  stop(): void {
    this.#stopped = true;
    this.#again?.cancel();
  }

  /** A backend that has not begun with the statement yet takes no notice of a request: it is sent again. */
  #untilAnswered(last: number, againMs: number): void {
    if (this.#stopped || this.#options.isAnswered(last)) return;
    this.cancel();
    if (againMs > lastAgainMs) return;
    this.#again?.cancel();
    this.#again = this.#options.clock.setTimer(againMs, () =>
      this.#untilAnswered(last, againMs * 4),
    );
  }

  async #forward(): Promise<void> {
    this.#underWay += 1;
    try {
      await this.#options.cancelBackend();
    } finally {
      this.#underWay -= 1;
      this.#options.ended();
    }
  }
}
