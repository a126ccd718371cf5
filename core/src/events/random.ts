/** Fills `target` with cryptographically strong random bytes. Injected: core has no randomness of its own. */
export type FillRandom = (target: Uint8Array) => void;

/** Hands out random bytes from a pool, because one system call per event would cost more than the event. */
export class RandomPool {
  readonly bytes: Uint8Array;
  readonly #fill: FillRandom;
  #next: number;

  constructor(fill: FillRandom, size = 8192) {
    this.bytes = new Uint8Array(size);
    this.#fill = fill;
    this.#next = size;
  }

  /** Reserves `count` bytes (at most the pool's size) and returns their offset in `bytes`. */
  take(count: number): number {
    if (this.#next + count > this.bytes.length) {
      this.#fill(this.bytes);
      this.#next = 0;
    }
    const offset = this.#next;
    this.#next += count;
    return offset;
  }
}
