import type { TransformSpec } from '../../policy/types.ts';
import type { KeyedDigest } from '../transforms/keyed.ts';
import { substitute } from '../transforms/pseudonym.ts';
import { isDigit, isLetter } from './bytes.ts';

const star = 0x2a;
const digestLength = 32;

/** Bytes that may stand before, and after, a bare number in JSON. */
const beforeNumber: ReadonlySet<number> = new Set(
  [...':,[+-.eE'].map((char) => char.charCodeAt(0)),
);
const afterNumber: ReadonlySet<number> = new Set([...',]}'].map((char) => char.charCodeAt(0)));

const isBlank = (byte: number): boolean => byte === 0x20 || (byte >= 0x09 && byte <= 0x0d);

/**
 * Whether a hit may be a bare number of a JSON text, where a `*` would break the JSON. In a field of another
 * type only where JSON is likely, since a card number of zeros looks less masked than one of stars.
 */
function isBareNumber(
  buf: Buffer,
  start: number,
  end: number,
  from: number,
  to: number,
  json: boolean,
): boolean {
  for (let index = from; index < to; index += 1) if (!isDigit(buf[index]!)) return false;
  let before = from - 1;
  while (before >= start && isBlank(buf[before]!)) before -= 1;
  // Binary jsonb has its version, 1, before the text.
  const atStart = before < start || (before === start && buf[before] === 1);
  if (json) return atStart || beforeNumber.has(buf[before]!);
  if (atStart || !beforeNumber.has(buf[before]!)) return false;
  let after = to;
  while (after < end && isBlank(buf[after]!)) after += 1;
  return after < end && afterNumber.has(buf[after]!);
}

const isUnit = (byte: number): boolean => isDigit(byte) || isLetter(byte) || byte >= 0xc0;
const isContinuation = (byte: number): boolean => (byte & 0xc0) === 0x80;

/**
 * Replaces a hit in place by as many bytes, so that whatever holds the value (JSON, an array, a record, a
 * length) stays valid. Redact puts `*` everywhere; Partial keeps punctuation and the first or last letters
 * and digits; Hash puts hexadecimal digits; Pseudonym letters for letters and digits for digits; Fixed its
 * text, cut or filled with `*`; Generalize is Redact. Bare numbers of JSON stay numbers.
 */
export function replaceHit(
  buf: Buffer,
  field: { readonly start: number; readonly end: number; readonly json: boolean },
  from: number,
  to: number,
  spec: TransformSpec,
  digest: KeyedDigest | undefined,
): void {
  const bare = isBareNumber(buf, field.start, field.end, from, to, field.json);
  switch (spec.type) {
    case 'Partial':
      replacePartly(buf, from, to, spec.keepFirst ?? 0, spec.keepLast ?? 0, bare);
      return;
    case 'Hash':
    case 'Pseudonym':
      if (digest === undefined) break;
      replaceKeyed(buf, from, to, spec.type, digest, bare);
      return;
    case 'Fixed':
      if (bare || spec.fixed === undefined) break;
      replaceFixed(buf, from, to, spec.fixed);
      return;
  }
  for (let index = from; index < to; index += 1) buf[index] = filler(index === from, bare);
}

/** A number must not begin with 0, and its other digits tell nothing as 0. */
const filler = (first: boolean, bare: boolean): number => (bare ? (first ? 0x31 : 0x30) : star);

function replacePartly(
  buf: Buffer,
  from: number,
  to: number,
  keepFirst: number,
  keepLast: number,
  bare: boolean,
): void {
  let units = 0;
  for (let index = from; index < to; index += 1) if (isUnit(buf[index]!)) units += 1;
  const short = units <= keepFirst + keepLast;
  let passed = 0;
  let kept = false;
  for (let index = from; index < to; index += 1) {
    const byte = buf[index]!;
    if (isUnit(byte)) {
      kept = !short && (passed < keepFirst || passed >= units - keepLast);
      passed += 1;
    } else if (!isContinuation(byte)) {
      continue;
    }
    if (!kept) buf[index] = filler(index === from, bare);
  }
}

function replaceKeyed(
  buf: Buffer,
  from: number,
  to: number,
  type: 'Hash' | 'Pseudonym',
  digest: KeyedDigest,
  bare: boolean,
): void {
  const value = Buffer.from(buf.subarray(from, to));
  for (let index = 0; index < value.length; index += 1) {
    const at = index % digestLength;
    if (at === 0) digest.of('detector', value, index / digestLength).copy(block);
    const random = block[at]!;
    if (bare) buf[from + index] = index === 0 ? 0x31 + (random % 9) : 0x30 + (random % 10);
    else if (type === 'Hash') buf[from + index] = '0123456789abcdef'.charCodeAt(random & 15);
    else buf[from + index] = substitute(value[index]!, random);
  }
}

const block = Buffer.alloc(digestLength);

function replaceFixed(buf: Buffer, from: number, to: number, fixed: string): void {
  for (let index = from; index < to; index += 1) {
    const code = fixed.charCodeAt(index - from);
    // Only what needs no escaping anywhere a value may be held.
    const plain = code >= 0x20 && code < 0x7f && !'"\\\'{}(),'.includes(String.fromCharCode(code));
    buf[index] = plain ? code : star;
  }
}
