const stepMs = 1000;
const maxMarks = 1024;

/** Remembers when positions were written, about once a second, to tell the age of the oldest unacknowledged. */
export class AgeMarks {
  #marks: { readonly position: number; readonly ms: number }[] = [];
  #lastMs = Number.NEGATIVE_INFINITY;

  /** Bytes from `position` on are written at `nowMs`. */
  written(position: number, nowMs: number): void {
    if (nowMs - this.#lastMs < stepMs && this.#marks.length > 0) return;
    this.#lastMs = nowMs;
    this.#marks.push({ position, ms: nowMs });
    if (this.#marks.length > maxMarks) this.#marks = this.#marks.filter((_, at) => at % 2 === 0);
  }

  /** When the byte at `position` was written, in epoch ms, to about a second and never too late. */
  at(position: number): number | undefined {
    while (this.#marks.length > 1 && this.#marks[1]!.position <= position) this.#marks.shift();
    return this.#marks[0]?.ms;
  }

  /** Everything is acknowledged. */
  clear(): void {
    this.#marks.length = 0;
  }
}
