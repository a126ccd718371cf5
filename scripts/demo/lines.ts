import { Writable } from 'node:stream';

/** Keeps what a command writes, by lines. */
export class Lines extends Writable {
  /** Commands cut their tables at the edge of a terminal, and nowhere else. */
  readonly isTTY: boolean;
  readonly columns: number;
  #text = '';

  constructor(columns?: number) {
    super({ decodeStrings: false });
    this.isTTY = columns !== undefined;
    this.columns = columns ?? 0;
  }

  override _write(chunk: string, _encoding: BufferEncoding, done: () => void): void {
    this.#text += chunk;
    done();
  }

  all(): string[] {
    return this.#text.split('\n').slice(0, -1);
  }
}
