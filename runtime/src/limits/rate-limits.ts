export interface RateLimitsOptions {
  /** What a key may take at once after a pause. */
  readonly burst: number;
  /** What it gets back. */
  readonly perSecond: number;
}

interface Bucket {
  left: number;
  atMs: number;
}

/** Beyond it the key that has not asked for the longest time begins anew. */
const maxKeys = 10_000;

/** How often each of many keys may do something. */
export class RateLimits {
  readonly #options: RateLimitsOptions;
  /** In order of asking. */
  readonly #buckets = new Map<string, Bucket>();

  constructor(options: RateLimitsOptions) {
    this.#options = options;
  }

  /** Whether the key may once more, which is then counted. `nowMs`: of a clock that never goes back. */
  take(key: string, nowMs: number): boolean {
    const { burst, perSecond } = this.#options;
    const { left, atMs } = this.#buckets.get(key) ?? { left: burst, atMs: nowMs };
    const grown = Math.min(burst, left + ((nowMs - atMs) / 1000) * perSecond);
    this.#buckets.delete(key);
    if (this.#buckets.size >= maxKeys) this.#buckets.delete(this.#buckets.keys().next().value!);
    this.#buckets.set(key, { left: grown >= 1 ? grown - 1 : grown, atMs: nowMs });
    return grown >= 1;
  }
}
