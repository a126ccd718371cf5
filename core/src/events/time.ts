/** Bytes of a time's text. */
export const timeBytes = 27;
/** Of these, what changes with the second only: `2026-01-31T06:00:00.` */
const secondBytes = 20;

/** Formats an epoch in microseconds as RFC 3339 UTC with six decimals. Keeps the last second's text. */
export class MicrosecondTime {
  readonly #prefix = Buffer.alloc(secondBytes);
  readonly #text = Buffer.alloc(timeBytes);
  #second = Number.NaN;

  /** `timeUs`: microseconds since 1970, up to the year 9999. Throws RangeError beyond what a Date holds. */
  format(timeUs: number): string {
    this.write(timeUs, this.#text, 0);
    return this.#text.toString('latin1');
  }

  /** Writes it to `target` from `at` on, in ASCII; returns the offset behind it. Throws as `format` does. */
  write(timeUs: number, target: Uint8Array, at: number): number {
    const second = Math.floor(timeUs / 1e6);
    if (second !== this.#second) {
      this.#prefix.write(new Date(second * 1000).toISOString(), 0, secondBytes, 'latin1');
      this.#second = second;
    }
    for (let index = 0; index < secondBytes; index += 1) target[at + index] = this.#prefix[index]!;
    let micros = Math.floor(timeUs - second * 1e6);
    for (let index = at + secondBytes + 5; index >= at + secondBytes; index -= 1) {
      const rest = Math.floor(micros / 10);
      target[index] = 0x30 + (micros - rest * 10);
      micros = rest;
    }
    target[at + timeBytes - 1] = 0x5a; // Z
    return at + timeBytes;
  }
}
