/** Classes of bytes, for detectors that scan without strings. */
export const isDigit = (byte: number): boolean => byte >= 0x30 && byte <= 0x39;

export const isLetter = (byte: number): boolean => {
  const lower = byte | 0x20;
  return lower >= 0x61 && lower <= 0x7a;
};

const isHex = (byte: number): boolean =>
  isDigit(byte) || ((byte | 0x20) >= 0x61 && (byte | 0x20) <= 0x66);

const backslash = 0x5c;
const letterU = 0x75;

/** Whether the byte at `at` is escaped: an odd number of backslashes stands before it. */
export function isEscaped(buf: Buffer, start: number, at: number): boolean {
  let first = at;
  while (first > start && buf[first - 1] === backslash) first -= 1;
  return (at - first) % 2 === 1;
}

/**
 * Where a JSON escape (`\n`, `\u0041`) that reaches to `at` or beyond ends; `at` when there is none. What
 * follows an escape is text, but the escape itself must stay whole for the JSON to stay valid.
 */
export function escapeEnd(buf: Buffer, start: number, end: number, at: number): number {
  for (let index = at; index > start && index > at - 5; index -= 1) {
    if (buf[index - 1] !== backslash || !isEscaped(buf, start, index)) continue;
    if (buf[index] !== letterU) return index === at ? at + 1 : at;
    let hex = index + 1;
    while (hex < end && hex < index + 5 && isHex(buf[hex]!)) hex += 1;
    return hex === index + 5 ? Math.max(hex, at) : Math.max(index + 1, at);
  }
  return at;
}
