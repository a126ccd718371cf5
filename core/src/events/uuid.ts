import { type FillRandom, RandomPool } from './random.ts';

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

/** Bytes of a UUID's text. */
export const uuidBytes = 36;

/** The two ASCII digits of each byte. */
const digits = Buffer.from(hex.join(''), 'latin1');
const dash = 0x2d;
/** Behind a dash and the version: `xxxxxxxx-xxxx-7`. */
const prefixBytes = 15;

/**
 * UUIDv7 (RFC 9562 §5.7). The 12 bits of `rand_a` carry the fraction of the millisecond (§6.2 method 3),
 * so that ids of one program sort by time down to a quarter of a microsecond's worth; 62 bits are random.
 */
export class UuidGenerator {
  readonly #pool: RandomPool;
  readonly #prefix = Buffer.alloc(prefixBytes);
  readonly #text = Buffer.alloc(uuidBytes);
  #millisecond = -1;

  constructor(fill: FillRandom) {
    this.#pool = new RandomPool(fill, 4096);
  }

  /** `timeUs`: microseconds since 1970. */
  next(timeUs: number): string {
    this.write(timeUs, this.#text, 0);
    return this.#text.toString('latin1');
  }

  /** Writes the next one to `target` from `at` on, in ASCII; returns the offset behind it. */
  write(timeUs: number, target: Uint8Array, at: number): number {
    const millisecond = Math.floor(timeUs / 1000);
    if (millisecond !== this.#millisecond) {
      const text = millisecond.toString(16).padStart(12, '0');
      this.#prefix.write(`${text.slice(0, 8)}-${text.slice(8)}-7`, 'latin1');
      this.#millisecond = millisecond;
    }
    const fraction = Math.floor(((timeUs - millisecond * 1000) * 4096) / 1000);
    for (let index = 0; index < prefixBytes; index += 1) target[at + index] = this.#prefix[index]!;
    target[at + 15] = digits[2 * (fraction >> 8) + 1]!;
    writeHex(fraction & 255, target, at + 16);
    target[at + 18] = dash;
    const from = this.#pool.take(8);
    const random = this.#pool.bytes;
    writeHex((random[from]! & 0x3f) | 0x80, target, at + 19);
    writeHex(random[from + 1]!, target, at + 21);
    target[at + 23] = dash;
    for (let index = 2; index < 8; index += 1) {
      writeHex(random[from + index]!, target, at + 20 + 2 * index);
    }
    return at + uuidBytes;
  }
}

function writeHex(byte: number, target: Uint8Array, at: number): void {
  target[at] = digits[2 * byte]!;
  target[at + 1] = digits[2 * byte + 1]!;
}

const uuidForm = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;

/** True for a UUID in the lower-case form that `UuidGenerator` writes. */
export function isUuid(text: string): boolean {
  return uuidForm.test(text);
}

/** The 16 bytes of a UUID; throws RangeError when it is none. */
export function uuidToBytes(uuid: string): Uint8Array {
  if (!isUuid(uuid)) throw new RangeError('not a UUID in lower case');
  return Uint8Array.from(uuid.replaceAll('-', '').match(/../g)!, (pair) =>
    Number.parseInt(pair, 16),
  );
}

/** The text of the 16 bytes at `offset`. */
export function uuidFromBytes(bytes: Uint8Array, offset = 0): string {
  let text = '';
  for (let i = 0; i < 16; i += 1) {
    if (i === 4 || i === 6 || i === 8 || i === 10) text += '-';
    text += hex[bytes[offset + i]!];
  }
  return text;
}
