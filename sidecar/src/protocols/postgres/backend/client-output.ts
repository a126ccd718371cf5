/**
 * What goes to the client from one chunk of the backend's: bytes that pass stay where they are, what is
 * dropped is closed up in place, and only what does not fit is a buffer of its own. One write a chunk.
 */
export class ClientOutput {
  #buffer: Buffer = Buffer.alloc(0);
  /** The bytes kept and not yet among the pieces: `#buffer[#from, #to)`. */
  #from = 0;
  #to = 0;
  #pieces: Buffer[] = [];

  /** Begins a part of the chunk: what is kept from now on stands in `buffer`, from its beginning on. */
  begin(buffer: Buffer): void {
    this.#buffer = buffer;
    this.#from = 0;
    this.#to = 0;
  }

  /** Where the next kept byte will stand. */
  get position(): number {
    return this.#to;
  }

  /** Keeps `buffer[start, end)`, which stands at or behind `position`. */
  keep(start: number, end: number): void {
    if (start !== this.#to) this.#buffer.copyWithin(this.#to, start, end);
    this.#to += end - start;
  }

  /** What was written in place, up to `position`. */
  advance(position: number): void {
    this.#to = position;
  }

  /** Puts `bytes` behind what was kept; what comes next in the chunk begins at `next`. */
  insert(bytes: Buffer, next: number): void {
    if (next - this.#to >= bytes.length) {
      bytes.copy(this.#buffer, this.#to);
      this.#to += bytes.length;
      return;
    }
    if (this.#to > this.#from) this.#pieces.push(this.#buffer.subarray(this.#from, this.#to));
    this.#pieces.push(bytes);
    this.#from = next;
    this.#to = next;
  }

  /** Ends the part that was begun. */
  finish(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#buffer.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }

  /** The pieces of all parts since the last time, in order, never to be changed again. */
  take(): Buffer[] {
    const pieces = this.#pieces;
    this.#pieces = [];
    return pieces;
  }
}
