import { hash } from 'node:crypto';

/** Block length of SHA-256 and the pads of RFC 2104, in bytes. */
const blockLength = 64;
const innerPad = 0x36;
const outerPad = 0x5c;
const digestLength = 32;

/**
 * HMAC-SHA-256 of a value under the rule's key, apart for each kind of value: equal values of one kind have
 * equal digests, and nobody without the key can compute one.
 *
 * Built of two one-shot hashes with the key's pads kept: a Hmac object costs ten times as much as the
 * hashing of a field.
 */
export class KeyedDigest {
  readonly #outer = Buffer.alloc(blockLength + digestLength);
  readonly #pad: Buffer;
  /** The inner message: pad, kind, value. Grows with the longest value. */
  #inner: Buffer;

  constructor(key: Buffer) {
    const block = Buffer.alloc(blockLength);
    (key.length > blockLength ? hash('sha256', key, 'buffer') : key).copy(block);
    this.#pad = Buffer.from(block.map((byte) => byte ^ innerPad));
    for (let index = 0; index < blockLength; index += 1) {
      this.#outer[index] = block[index]! ^ outerPad;
    }
    this.#inner = this.#roomFor(256);
  }

  /** 32 bytes. */
  of(kind: string, value: string | Buffer, counter = 0): Buffer {
    const prefix = `${kind}\n${counter}\n`;
    const length = typeof value === 'string' ? Buffer.byteLength(value) : value.length;
    const inner = this.#innerFor(blockLength + Buffer.byteLength(prefix) + length);
    let end = blockLength + inner.write(prefix, blockLength);
    end += typeof value === 'string' ? inner.write(value, end) : value.copy(inner, end);
    hash('sha256', inner.subarray(0, end), 'buffer').copy(this.#outer, blockLength);
    inner.fill(0, blockLength, end);
    return hash('sha256', this.#outer, 'buffer');
  }

  /** A whole number in [0, limit), evenly spread to within 2^-60 for limits below 2^64. */
  number(kind: string, value: string | Buffer, limit: bigint): bigint {
    const digest = this.of(kind, value);
    const wide = (digest.readBigUInt64BE(0) << 64n) | digest.readBigUInt64BE(8);
    return wide % limit;
  }

  #innerFor(length: number): Buffer {
    // A long value gets room of its own, so that the rule does not keep it.
    if (length > maxKept) return this.#roomFor(length);
    if (length > this.#inner.length) this.#inner = this.#roomFor(maxKept);
    return this.#inner;
  }

  #roomFor(length: number): Buffer {
    const room = Buffer.alloc(length);
    this.#pad.copy(room);
    return room;
  }
}

/** Longest inner message whose room is kept, in bytes. */
const maxKept = 8192;

/** The key of a rule: base64, at least 16 bytes; undefined when there is none to be used. */
export function keyedDigest(key: string | undefined): KeyedDigest | undefined {
  if (key === undefined) return undefined;
  const bytes = Buffer.from(key, 'base64');
  return bytes.length >= 16 ? new KeyedDigest(bytes) : undefined;
}
