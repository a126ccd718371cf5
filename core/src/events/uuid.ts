import { type FillRandom, RandomPool } from './random.ts';

const hex: readonly string[] = Array.from({ length: 256 }, (_, byte) =>
  byte.toString(16).padStart(2, '0'),
);

/**
 * UUIDv7 (RFC 9562 §5.7). The 12 bits of `rand_a` carry the fraction of the millisecond (§6.2 method 3),
 * so that ids of one program sort by time down to a quarter of a microsecond's worth; 62 bits are random.
 */
export class UuidGenerator {
  readonly #pool: RandomPool;
  #millisecond = -1;
  #prefix = '';

  constructor(fill: FillRandom) {
    this.#pool = new RandomPool(fill, 4096);
  }

  /** `timeUs`: microseconds since 1970. */
  next(timeUs: number): string {
    const millisecond = Math.floor(timeUs / 1000);
    if (millisecond !== this.#millisecond) {
      const text = millisecond.toString(16).padStart(12, '0');
      this.#prefix = `${text.slice(0, 8)}-${text.slice(8)}-7`;
      this.#millisecond = millisecond;
    }
    const fraction = Math.floor(((timeUs - millisecond * 1000) * 4096) / 1000);
    const at = this.#pool.take(8);
    const b = this.#pool.bytes;
    return `${this.#prefix}${hex[fraction >> 8]![1]}${hex[fraction & 255]}-${hex[(b[at]! & 0x3f) | 0x80]}${
      hex[b[at + 1]!]
    }-${hex[b[at + 2]!]}${hex[b[at + 3]!]}${hex[b[at + 4]!]}${hex[b[at + 5]!]}${hex[b[at + 6]!]}${
      hex[b[at + 7]!]
    }`;
  }
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
