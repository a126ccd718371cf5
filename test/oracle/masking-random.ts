/** Choices that are the same for the same seed. */
export class Choices {
  #state: number;
  #names = 0;

  constructor(seed: number) {
    this.#state = (seed % 0x7ffffffe) + 1;
    // The first numbers of small seeds are alike.
    for (let turn = 0; turn < 4; turn += 1) this.next();
  }

  /** A number in [0, 1), by Park and Miller. */
  next(): number {
    this.#state = (this.#state * 48271) % 0x7fffffff;
    return this.#state / 0x7fffffff;
  }

  chance(probability: number): boolean {
    return this.next() < probability;
  }

  pick<T>(choices: readonly T[]): T {
    return choices[Math.floor(this.next() * choices.length)] as T;
  }

  /** A whole number from 0 to `below` - 1. */
  below(below: number): number {
    return Math.floor(this.next() * below);
  }

  /** A name that no other of this seed has. */
  name(prefix: string): string {
    this.#names += 1;
    return `${prefix}${this.#names}`;
  }
}
