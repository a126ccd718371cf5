/** Caches by text, under a bound of their own and one that they share. */

const maxTexts = 4096;
const maxTextBytes = 16 * 1024 * 1024;
/** Of all caches that share a budget. */
const defaultBudgetBytes = 64 * 1024 * 1024;

/** About what a text and its analysis take, in bytes: a parse tree is several times its text. */
function weightOf(key: string): number {
  return key.length * 8 + 2048;
}

/** What may be emptied to make room. */
interface Emptied {
  clear(): void;
}

/** The memory that several caches share, counted by estimate; the one filled first is emptied first. */
export class TextBudget {
  readonly #maxBytes: number;
  /** Those that hold anything, in the order in which they began to. */
  readonly #caches = new Set<Emptied>();
  #bytes = 0;

  constructor(maxBytes: number = defaultBudgetBytes) {
    this.#maxBytes = maxBytes;
  }

  /** Bytes by estimate. */
  get bytes(): number {
    return this.#bytes;
  }

  get exceeded(): boolean {
    return this.#bytes > this.#maxBytes;
  }

  /** Counts what `cache` has taken in, and empties others, oldest first, when that is too much together. */
  add(cache: Emptied, bytes: number): void {
    this.#bytes += bytes;
    this.#caches.add(cache);
    for (const oldest of this.#caches) {
      if (!this.exceeded) break;
      if (oldest !== cache) oldest.clear();
    }
  }

  release(bytes: number): void {
    this.#bytes -= bytes;
  }

  /** It holds nothing any more. */
  leave(cache: Emptied): void {
    this.#caches.delete(cache);
  }
}

/** A map that forgets its oldest entries beyond a number, a total size of keys, and the shared budget. */
export class TextCache<T> {
  readonly #entries = new Map<string, T>();
  readonly #budget: TextBudget;
  #chars = 0;

  constructor(budget: TextBudget) {
    this.#budget = budget;
  }

  get size(): number {
    return this.#entries.size;
  }

  get(key: string): T | undefined {
    return this.#entries.get(key);
  }

  set(key: string, value: T): void {
    const isNew = !this.#entries.has(key);
    this.#entries.set(key, value);
    if (!isNew) return;
    this.#chars += key.length;
    this.#budget.add(this, weightOf(key));
    for (const oldest of this.#entries.keys()) {
      const fits = this.#entries.size <= maxTexts && this.#chars * 2 <= maxTextBytes;
      if (fits && !this.#budget.exceeded) break;
      this.#entries.delete(oldest);
      this.#chars -= oldest.length;
      this.#budget.release(weightOf(oldest));
    }
    if (this.#entries.size === 0) this.#budget.leave(this);
  }

  clear(): void {
    for (const key of this.#entries.keys()) this.#budget.release(weightOf(key));
    this.#entries.clear();
    this.#chars = 0;
    this.#budget.leave(this);
  }
}
