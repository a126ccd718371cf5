/** Server-sent events (HTML Living Standard, 9.2), as far as our own servers write them: lines end in LF. */
import { ChaperoneError } from '../errors/chaperone-error.ts';

export interface ServerEvent {
  /** `message` where none is named. */
  readonly event: string;
  readonly data: string;
  /** The last one named so far; empty before. */
  readonly id: string;
}

/** Cuts a stream of bytes into events. */
export class EventStreamParser {
  readonly #onEvent: (event: ServerEvent) => void;
  readonly #maxEventChars: number;
  readonly #decoder = new TextDecoder('utf-8', { fatal: true });
  /** Of the line that is not whole yet. */
  #pieces: string[] = [];
  /** Characters of the event so far, its unfinished line included. */
  #chars = 0;
  #event = '';
  #data: string[] = [];
  #id = '';

  constructor(onEvent: (event: ServerEvent) => void, maxEventChars: number) {
    this.#onEvent = onEvent;
    this.#maxEventChars = maxEventChars;
  }

  /** Throws ChaperoneError CHP-6009 for an event that is too long or bytes that are no UTF-8. */
  feed(chunk: Uint8Array): void {
    let text: string;
    try {
      text = this.#decoder.decode(chunk, { stream: true });
    } catch (cause) {
      throw new ChaperoneError('CHP-6009', 'the event stream is not UTF-8', { cause });
    }
    let at = 0;
    for (let end = text.indexOf('\n'); end >= 0; end = text.indexOf('\n', at)) {
      this.#take(text.slice(at, end));
      const line = this.#pieces.join('');
      this.#pieces = [];
      this.#line(line.endsWith('\r') ? line.slice(0, -1) : line);
      at = end + 1;
    }
    this.#take(text.slice(at));
  }

  #take(piece: string): void {
    this.#chars += piece.length;
    if (this.#chars > this.#maxEventChars) {
      throw new ChaperoneError(
        'CHP-6009',
        `an event of the stream is longer than ${this.#maxEventChars} characters`,
      );
    }
    if (piece !== '') this.#pieces.push(piece);
  }

  #line(line: string): void {
    if (line === '') {
      this.#dispatch();
      return;
    }
    const colon = line.indexOf(':');
    if (colon === 0) {
      // A comment. It does not add to an event; many of them must not add up to one that is too long.
      this.#chars -= line.length;
      return;
    }
    const field = colon < 0 ? line : line.slice(0, colon);
    const value = colon < 0 ? '' : line.slice(line[colon + 1] === ' ' ? colon + 2 : colon + 1);
    if (field === 'event') this.#event = value;
    else if (field === 'data') this.#data.push(value);
    else if (field === 'id' && !value.includes('\0')) this.#id = value;
  }

  #dispatch(): void {
    const event = this.#event === '' ? 'message' : this.#event;
    const data = this.#data;
    this.#event = '';
    this.#data = [];
    this.#chars = 0;
    if (data.length > 0) this.#onEvent({ event, data: data.join('\n'), id: this.#id });
  }
}
