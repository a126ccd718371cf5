import { isUtf8 } from 'node:buffer';
import { ProtocolError } from './protocol-error.ts';

/** Names and tags: looking at each byte of them costs less than searching and a view for `isUtf8`. */
const shortBytes = 32;

/**
 * Reads the fields of one message. Every read is checked against the message's end, so that a count or a
 * length that lies is found before anything is allocated by it.
 */
export class Cursor {
  readonly buffer: Buffer;
  readonly end: number;
  at: number;

  /** `start` is the first byte behind the length field, `end` the first byte behind the message. */
  constructor(buffer: Buffer, start: number, end: number) {
    if (start > end || end > buffer.length) {
      throw new ProtocolError('Truncated', 'a message is not whole');
    }
    this.buffer = buffer;
    this.at = start;
    this.end = end;
  }

  get remaining(): number {
    return this.end - this.at;
  }

  #take(bytes: number): number {
    if (bytes > this.end - this.at) {
      throw new ProtocolError('Truncated', 'a field reaches beyond its message');
    }
    const at = this.at;
    this.at += bytes;
    return at;
  }

  uint8(): number {
    return this.buffer.readUInt8(this.#take(1));
  }

  int16(): number {
    return this.buffer.readInt16BE(this.#take(2));
  }

  uint16(): number {
    return this.buffer.readUInt16BE(this.#take(2));
  }

  int32(): number {
    return this.buffer.readInt32BE(this.#take(4));
  }

  uint32(): number {
    return this.buffer.readUInt32BE(this.#take(4));
  }

  /**
   * A count of things that take at least `minBytesEach` bytes: refused when that many cannot stand in what
   * is left. PostgreSQL reads these counts as unsigned.
   */
  count(minBytesEach: number): number {
    const count = this.uint16();
    if (count * minBytesEach > this.remaining) {
      throw new ProtocolError('InvalidLength', 'a count is larger than its message');
    }
    return count;
  }

  /** A format code: 0 text, 1 binary. */
  format(): 0 | 1 {
    const format = this.int16();
    if (format !== 0 && format !== 1) {
      throw new ProtocolError('InvalidValue', 'a format code is neither text nor binary');
    }
    return format;
  }

  formats(): (0 | 1)[] {
    const count = this.count(2);
    const formats: (0 | 1)[] = [];
    for (let index = 0; index < count; index += 1) formats.push(this.format());
    return formats;
  }

  /** Skips a value with its Int32 length in front: its first byte's offset and its length, -1 for NULL. */
  value(): { start: number; length: number } {
    const length = this.int32();
    if (length < -1) throw new ProtocolError('InvalidLength', 'a value length is below -1');
    if (length === -1) return { start: this.at, length };
    return { start: this.#take(length), length };
  }

  /** A view of the next `length` bytes; of all that is left when absent. */
  bytes(length = this.remaining): Buffer {
    const start = this.#take(length);
    return this.buffer.subarray(start, start + length);
  }

  /** A string up to its zero byte. UTF-8 alone, unless `lossy`: then what is not becomes U+FFFD. */
  string(lossy = false): string {
    const shortEnd = Math.min(this.end, this.at + shortBytes);
    for (let at = this.at; at < shortEnd; at += 1) {
      const byte = this.buffer[at]!;
      if (byte > 0x7f) break;
      if (byte !== 0) continue;
      const text = at === this.at ? '' : this.buffer.toString('latin1', this.at, at);
      this.at = at + 1;
      return text;
    }
    const zero = this.buffer.indexOf(0, this.at);
    if (zero === -1 || zero >= this.end) {
      throw new ProtocolError('Unterminated', 'a string has no end');
    }
    const start = this.at;
    this.at = zero + 1;
    if (!lossy && !isUtf8(this.buffer.subarray(start, zero))) {
      throw new ProtocolError('InvalidUtf8', 'a string is not UTF-8');
    }
    return this.buffer.toString('utf8', start, zero);
  }

  /** To be called behind the last field. */
  finish(): void {
    if (this.at !== this.end) {
      throw new ProtocolError('TrailingBytes', 'a message is longer than its fields');
    }
  }
}
