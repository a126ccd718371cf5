import type { Clock } from '@chaperone/runtime/clock.ts';
import { FairSlots, type FairSlotsOptions } from '@chaperone/runtime/limits/fair-slots.ts';
import { RateLimits, type RateLimitsOptions } from '@chaperone/runtime/limits/rate-limits.ts';
import { TooMany } from './attestor.ts';
import { RequestProblem } from './problems.ts';

export interface BoundedCallsOptions extends FairSlotsOptions {
  /** Of each key; absent: as often as there are slots. */
  readonly rate?: RateLimitsOptions;
  readonly clock: Clock;
}

/** Calls that ask the API server, shared among those who make them. */
export class BoundedCalls {
  readonly #slots: FairSlots;
  readonly #rates: RateLimits | undefined;
  readonly #clock: Clock;

  constructor({ rate, clock, ...slots }: BoundedCallsOptions) {
    this.#slots = new FairSlots(slots);
    this.#rates = rate && new RateLimits(rate);
    this.#clock = clock;
  }

  /** `key`: who calls. Throws RequestProblem CHP-7002 with status 429, and what `call` throws. */
  async run<Answer>(key: string, call: () => Promise<Answer>): Promise<Answer> {
    const mayCall = this.#rates?.take(key, this.#clock.monotonicUs() / 1000) ?? true;
    const release = mayCall ? await this.#slots.acquire(key) : undefined;
    if (release === undefined) throw busy();
    try {
      return await call();
    } catch (error) {
      throw error instanceof TooMany ? busy(error) : error;
    } finally {
      release();
    }
  }
}

/** No 5xx: trying another replica at once would not make it less. */
function busy(cause?: Error): RequestProblem {
  return new RequestProblem(429, 'CHP-7002', 'Too much is asked at once.', {
    ...(cause !== undefined && { cause }),
    retryAfterSeconds: 1,
    expected: true,
  });
}
