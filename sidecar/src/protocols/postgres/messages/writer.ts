/** Puts the fields of one message into a buffer that grows as needed; the length is filled in at the end. */
export class MessageWriter {
  #buffer: Buffer;
  #at: number;
  readonly #lengthAt: number;

  /** `type` is the message's first byte; undefined for the messages of startup, which have none. */
  constructor(type: number | undefined, initialBytes = 128) {
    this.#buffer = Buffer.allocUnsafe(initialBytes);
    this.#lengthAt = type === undefined ? 0 : 1;
    if (type !== undefined) this.#buffer[0] = type;
    this.#at = this.#lengthAt + 4;
  }

  #reserve(bytes: number): number {
    const at = this.#at;
    this.#at += bytes;
    if (this.#at > this.#buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(this.#at, this.#buffer.length * 2));
      this.#buffer.copy(grown, 0, 0, at);
      this.#buffer = grown;
    }
    return at;
  }

  uint8(value: number): this {
    const at = this.#reserve(1);
    this.#buffer.writeUInt8(value, at);
    return this;
  }

  int16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeInt16BE(value, at);
    return this;
  }

  uint16(value: number): this {
    const at = this.#reserve(2);
    this.#buffer.writeUInt16BE(value, at);
    return this;
  }

  int32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeInt32BE(value, at);
    return this;
  }

  uint32(value: number): this {
    const at = this.#reserve(4);
    this.#buffer.writeUInt32BE(value, at);
    return this;
  }

  bytes(value: Uint8Array): this {
    const at = this.#reserve(value.length);
    this.#buffer.set(value, at);
    return this;
  }

  /** A value with its length in front; null is length -1. */
  value(value: Uint8Array | null): this {
    return value === null ? this.int32(-1) : this.int32(value.length).bytes(value);
  }

  /**
   * UTF-8 and a zero byte.
   * @throws RangeError when the text holds a zero byte: it would end the string early and let what follows
   *   be read as the next field
   */
  string(text: string): this {
    if (text.includes('\0')) throw new RangeError('a protocol string cannot hold a zero byte');
    const length = Buffer.byteLength(text);
    const at = this.#reserve(length + 1);
    this.#buffer.write(text, at, length, 'utf8');
    this.#buffer[at + length] = 0;
    return this;
  }

  /** The finished message; the writer is not used afterwards. */
  finish(): Buffer {
    this.#buffer.writeInt32BE(this.#at - this.#lengthAt, this.#lengthAt);
    return this.#buffer.subarray(0, this.#at);
  }
}
