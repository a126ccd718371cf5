/** Bytes that each of the two windows holds. */
const windowBytes = 512 * 1024;

/** Bytes of the spool from position `start` on, `length` of them. */
class Window {
  readonly #bytes = Buffer.allocUnsafeSlow(windowBytes);
  #start = 0;
  #length = 0;

  get end(): number {
    return this.#start + this.#length;
  }

  holds(position: number): boolean {
    return position >= this.#start && position < this.end;
  }

  begin(position: number): void {
    this.#start = position;
    this.#length = 0;
  }

  /** False when there is no room. */
  add(bytes: Uint8Array): boolean {
    if (this.#length + bytes.length > windowBytes) return false;
    this.#bytes.set(bytes, this.#length);
    this.#length += bytes.length;
    return true;
  }

  copy(position: number, length: number): Buffer {
    const from = position - this.#start;
    const to = Math.min(from + length, this.#length);
    return Buffer.from(this.#bytes.subarray(from, to));
  }
}

/**
 * What was written to the spool last, a mebibyte at most, so that shipping does not read it back while it
 * keeps up. Memory is taken as it is first used.
 */
export class RecentWrites {
  #newest = new Window();
  #older = new Window();

  /** `bytes` were written at `position`, right behind those before. */
  add(position: number, bytes: Uint8Array): void {
    if (this.#newest.end === position && this.#newest.add(bytes)) return;
    [this.#newest, this.#older] = [this.#older, this.#newest];
    this.#newest.begin(position);
    this.#newest.add(bytes);
  }

  /** Up to `maxBytes` from `position` on, which begins a write, as a copy; undefined when they are not held. */
  read(position: number, maxBytes: number): Buffer | undefined {
    for (const window of [this.#older, this.#newest]) {
      if (window.holds(position)) return window.copy(position, maxBytes);
    }
    return undefined;
  }
}
