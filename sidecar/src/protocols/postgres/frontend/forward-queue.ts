/** What goes to the backend from one chunk of the client's: slices of it as they stand, and messages of ours. */
export class ForwardQueue {
  #view: Buffer = Buffer.alloc(0);
  #from = 0;
  #to = 0;
  #pieces: Buffer[] = [];
  #recorded = false;

  begin(view: Buffer): void {
    this.#view = view;
    this.#from = 0;
    this.#to = 0;
    this.#recorded = false;
  }

  /** Forwards `view[start, end)`. `recorded`: a decision about it must be durable before it goes out. */
  pass(start: number, end: number, recorded = false): void {
    this.#recorded ||= recorded;
    if (start === this.#to) {
      this.#to = end;
      return;
    }
    this.#cut();
    this.#from = start;
    this.#to = end;
  }

  /** Leaves `view[start, end)` out. */
  skip(start: number, end: number): void {
    if (start === this.#to) this.#cut();
    this.#from = end;
    this.#to = end;
  }

  /** Forwards a message of ours behind what was passed. */
  insert(message: Buffer): void {
    this.#cut();
    this.#pieces.push(message);
  }

  /** A decision about what is passed next must be durable first. */
  record(): void {
    this.#recorded = true;
  }

  /** The pieces in order, and whether a record must be durable before they go out. */
  end(): { readonly pieces: readonly Buffer[]; readonly recorded: boolean } {
    this.#cut();
    const pieces = this.#pieces;
    this.#pieces = [];
    return { pieces, recorded: this.#recorded };
  }

  #cut(): void {
    if (this.#to > this.#from) this.#pieces.push(this.#view.subarray(this.#from, this.#to));
    this.#from = this.#to;
  }
}
