/** Formats an epoch in microseconds as RFC 3339 UTC with six decimals. Keeps the last second's text. */
export class MicrosecondTime {
  #second = Number.NaN;
  #prefix = '';

  /** `timeUs`: microseconds since 1970, up to the year 9999. Throws RangeError beyond what a Date holds. */
  format(timeUs: number): string {
    const second = Math.floor(timeUs / 1e6);
    if (second !== this.#second) {
      this.#prefix = new Date(second * 1000).toISOString().slice(0, 20);
      this.#second = second;
    }
    const micros = Math.floor(timeUs - second * 1e6);
    return `${this.#prefix}${String(1_000_000 + micros).slice(1)}Z`;
  }
}
