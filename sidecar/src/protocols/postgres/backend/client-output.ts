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

  /** Begins a chunk: what is kept from now on stands in `buffer`, from `at` on. */
  begin(buffer: Buffer, at: number): void {
    this.#buffer = buffer;
    this.#from = at;
    this.#to = at;
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

  /** Ends the chunk: the pieces in order, never to be changed again. */
  end(): Buffer[] {
    if (this.#to > this.#from) this.#pieces.push(this.#buffer.subarray(this.#from, this.#to));
    const pieces = this.#pieces;
    this.#pieces = [];
    this.#from = this.#to;
    return pieces;
  }
}
