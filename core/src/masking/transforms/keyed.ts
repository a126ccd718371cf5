import { createHmac } from 'node:crypto';

/**
 * HMAC-SHA-256 of a value under the rule's key, apart for each kind of value: equal values of one kind have
 * equal digests, and nobody without the key can compute one.
 */
export class KeyedDigest {
  readonly #key: Buffer;

  constructor(key: Buffer) {
    this.#key = key;
  }

  /** 32 bytes. */
  of(kind: string, value: string | Buffer, counter = 0): Buffer {
    const hmac = createHmac('sha256', this.#key);
    hmac.update(`${kind}\n${counter}\n`);
    return hmac.update(value).digest();
  }

  /** A whole number in [0, limit), evenly spread to within 2^-60 for limits below 2^64. */
  number(kind: string, value: string | Buffer, limit: bigint): bigint {
    const digest = this.of(kind, value);
    const wide = (digest.readBigUInt64BE(0) << 64n) | digest.readBigUInt64BE(8);
    return wide % limit;
  }
}

/** The key of a rule: base64, at least 16 bytes; undefined when there is none to be used. */
export function keyedDigest(key: string | undefined): KeyedDigest | undefined {
  if (key === undefined) return undefined;
  const bytes = Buffer.from(key, 'base64');
  return bytes.length >= 16 ? new KeyedDigest(bytes) : undefined;
}
