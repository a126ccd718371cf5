import { Hmac } from './hmac.ts';
import { type FillRandom, RandomPool } from './random.ts';
import { maxPartResultBytes } from './recording.ts';

/** Bytes of a part's salt (decisions 20): purged with the part, so that nobody can guess its text. */
export const saltBytes = 16;

/** Bytes that the base64 of the largest result takes, which is a part. */
const usualBytes = Math.ceil(maxPartResultBytes / 3) * 4;

/**
 * Seals parts: encodes a text as UTF-8, or bytes as base64, and computes its HMAC-SHA-256 under a fresh salt. The result
 * stands in the fields until the next call, so that the hot path allocates nothing.
 */
export class PartSealer {
  readonly #pool: RandomPool;
  readonly #hmac = new Hmac(usualBytes);
  /** 64 hex digits. */
  hmac = '';
  /** The text's bytes: `bytes[start .. start + length)`. */
  readonly start = Hmac.textOffset;
  length = 0;
  /** The salt: `salts[saltOffset .. saltOffset + saltBytes)`. */
  saltOffset = 0;
  /** Bytes that the whole text would have had, when it was cut to `maxBytes`; otherwise 0. */
  cutFrom = 0;

  constructor(fill: FillRandom) {
    this.#pool = new RandomPool(fill);
  }

  get bytes(): Buffer {
    return this.#hmac.inner;
  }

  get salts(): Uint8Array {
    return this.#pool.bytes;
  }

  /** A text longer than `maxBytes` is cut at a character's boundary. Lone surrogates become U+FFFD. */
  seal(text: string, maxBytes: number): void {
    const roomBytes = Math.min(maxBytes, text.length * 3);
    this.#hmac.reserve(roomBytes);
    // Buffer.write never writes part of a character.
    this.length = this.#hmac.inner.write(text, this.start, roomBytes, 'utf8');
    this.cutFrom = 0;
    if (text.length * 3 > maxBytes) {
      const whole = Buffer.byteLength(text, 'utf8');
      if (whole > maxBytes) this.cutFrom = whole;
    }
    this.#digest();
  }

  /** The text is the base64 of `bytes`, whole. */
  sealBase64(bytes: Uint8Array): void {
    // A string in between, because nothing encodes base64 into a buffer as fast as this.
    const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('base64');
    this.#hmac.reserve(text.length);
    this.length = this.#hmac.inner.write(text, this.start, 'latin1');
    this.cutFrom = 0;
    this.#digest();
  }

  #digest(): void {
    this.saltOffset = this.#pool.take(saltBytes);
    this.hmac = this.#hmac.digest(this.#pool.bytes, this.saltOffset, saltBytes, this.length);
  }
}

const maxValueChars = 16 * 1024;

/**
 * Parameter values as a JSON array of at most `maxBytes` bytes. Where they are more, each value is cut to
 * 16 Ki characters and the last ones are left out; `cutFrom` is then the number of values there were.
 */
export function encodeParameters(
  values: readonly (string | null)[],
  maxBytes: number,
): { readonly text: string; readonly cutFrom: number } {
  let chars = 2;
  for (const value of values) chars += value === null ? 5 : value.length + 3;
  // A UTF-16 unit is at most six bytes of JSON (\u0000), so short arrays need no exact count.
  if (chars * 6 <= maxBytes) return { text: JSON.stringify(values), cutFrom: 0 };
  const kept: string[] = [];
  let bytes = 2;
  let cut = false;
  for (const value of values) {
    const short = value !== null && value.length > maxValueChars;
    const json = JSON.stringify(short ? value.slice(0, maxValueChars).toWellFormed() : value);
    const length = Buffer.byteLength(json, 'utf8') + 1;
    cut ||= short;
    if (bytes + length > maxBytes) {
      cut = true;
      break;
    }
    bytes += length;
    kept.push(json);
  }
  return { text: `[${kept.join(',')}]`, cutFrom: cut ? values.length : 0 };
}
