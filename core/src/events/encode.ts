import type { EventBody } from './types.ts';

/** The form of the line; collectors read this version and refuse a later one. */
export const eventVersion = 1;
/** Longest line that `encodeLine` writes, in UTF-16 units; longer bodies are shortened and say so. */
export const maxLineChars = 128 * 1024;
const maxBodyChars = 64 * 1024;

/** What the recorder adds to a body. */
export interface LineHeader {
  /** UUIDv7 of the event. */
  readonly id: string;
  /** UUIDv7 of the session. */
  readonly session: string;
  /** 1, 2, 3 … within the session. */
  readonly seq: number;
  /** RFC 3339, UTC, microseconds. */
  readonly time: string;
}

/**
 * What JSON leaves raw though a terminal, an editor or a line splitter may act on it: DEL and C1 controls,
 * line and paragraph separators, direction marks; and the escapes of lone surrogates, which strict JSON
 * readers refuse.
 */
const unsafe = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]|\\ud[89a-f]/;
const unsafeRaw = /[\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g;

const wellFormed = (_key: string, value: unknown): unknown =>
  typeof value === 'string' ? value.toWellFormed() : value;

const escapeRaw = (character: string): string =>
  `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`;

/** Text of a JSON value that is safe on one line of a log or a terminal. Same meaning, other bytes. */
function safeJson(value: unknown, json: string): string {
  if (!unsafe.test(json)) return json;
  return JSON.stringify(value, wellFormed).replace(unsafeRaw, escapeRaw);
}

/** Shortens strings and lists until the body fits; a line says so in `truncated.line`. */
function shorten(body: EventBody): string {
  let json = '';
  for (const [maxChars, maxItems] of [
    [4096, 128],
    [512, 32],
    [32, 8],
  ] as const) {
    const cut = (_key: string, value: unknown): unknown => {
      if (typeof value === 'string') return value.slice(0, maxChars).toWellFormed();
      return Array.isArray(value) ? value.slice(0, maxItems) : value;
    };
    json = JSON.stringify(body, cut).replace(unsafeRaw, escapeRaw);
    if (json.length <= maxBodyChars) break;
  }
  return json;
}

/** The middle of a line. */
export interface EncodedBody {
  /** The inner text of the body's JSON object. */
  readonly text: string;
  /** Its length before it was shortened, in UTF-16 units; 0 when it was not. */
  readonly cutFrom: number;
}

/** Encodes what stands between `encodeEnvelope` and `encodeTail`. */
export function encodeBody(body: EventBody): EncodedBody {
  const whole = JSON.stringify(body);
  // Escaping first would cost minutes where a body is as large as a statement can make it.
  const json = whole.length > maxBodyChars ? undefined : safeJson(body, whole);
  if (json === undefined || json.length > maxBodyChars) {
    return { text: shorten(body).slice(1, -1), cutFrom: whole.length };
  }
  return { text: json.slice(1, -1), cutFrom: 0 };
}

/** The beginning of a line, up to its body. ASCII. */
export function encodeEnvelope(header: LineHeader): string {
  return `{"eventVersion":${eventVersion},"id":"${header.id}","session":"${header.session}","seq":${header.seq},"time":"${header.time}",`;
}

/** The end of a line, behind its body; see `encodeLine`. `cutFrom`: of the body. ASCII. */
export function encodeTail(parts: string, truncated: string, cutFrom: number): string {
  const cut =
    cutFrom === 0 ? truncated : `${truncated === '' ? '' : `${truncated},`}"line":${cutFrom}`;
  return `${parts === '' ? '' : `,"parts":{${parts}}`}${cut === '' ? '' : `,"truncated":{${cut}}`}}`;
}

/**
 * The metadata line of an event, without its newline: one JSON object of envelope, body, `parts` (name →
 * HMAC, hex) and `truncated` (name → size before cutting). These exact bytes are what is stored, hashed
 * and proven later (decisions 20): nobody writes them again.
 *
 * `parts` and `truncated` are the inner text of a JSON object (`"statement":"…"`), empty for none.
 */
export function encodeLine(
  header: LineHeader,
  body: EventBody,
  parts: string,
  truncated: string,
): string {
  const { text, cutFrom } = encodeBody(body);
  return encodeEnvelope(header) + text + encodeTail(parts, truncated, cutFrom);
}
