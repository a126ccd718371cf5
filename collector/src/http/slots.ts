import { Problem } from './problem.ts';

/**
 * A bound on requests whose bodies are in memory or on their way to disk at once. Whoever comes beyond it is
 * told to come again: waiting here would hold the memory that the bound is for.
 */
export class Slots {
  readonly #limit: number;
  #taken = 0;

  constructor(limit: number) {
    this.#limit = limit;
  }

  get taken(): number {
    return this.#taken;
  }

  /** Runs `work` in a slot; throws a 503 when none is free. */
  async run<Result>(work: () => Promise<Result>): Promise<Result> {
    if (this.#taken === this.#limit) {
      throw new Problem(503, 'CHP-6010', 'too many requests with bodies at once', {
        retryAfterSeconds: 1,
      });
    }
    this.#taken += 1;
    try {
      return await work();
    } finally {
      this.#taken -= 1;
    }
  }
}
