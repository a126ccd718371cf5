import { createHmac } from 'node:crypto';
import { readFrame, scanFrame } from '@chaperone/runtime/recorder/frame.ts';
import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';
import { Problem } from '../http/problem.ts';
import { LineError, readFacts } from '../record/facts.ts';
import { type IncomingEvent, type Part, type PartName, partNames } from '../store/types.ts';

export interface BatchLimits {
  readonly maxEvents: number;
  readonly maxLineChars: number;
  readonly maxPartChars: number;
}

/** Salts of 16 bytes, and nothing that decodes to the same bytes: 22 digits and the padding. */
const saltForm = /^[A-Za-z0-9+/]{21}[AQgw]==$/;

function invalid(at: number, message: string): Problem {
  return new Problem(400, 'CHP-6001', `event ${at + 1} of the batch: ${message}`);
}

function hasOnly(value: unknown, keys: readonly string[]): value is Record<string, unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    !Array.isArray(value) &&
    Object.keys(value).every((key) => keys.includes(key))
  );
}

function isText(value: unknown, maxChars: number): value is string {
  return typeof value === 'string' && value.length <= maxChars && value.isWellFormed();
}

function isShippedEvent(value: unknown, limits: BatchLimits): value is ShippedEvent {
  return (
    hasOnly(value, ['seq', 'line', 'parts']) &&
    Number.isSafeInteger(value.seq) &&
    (value.seq as number) >= 1 &&
    isText(value.line, limits.maxLineChars) &&
    Array.isArray(value.parts) &&
    value.parts.length <= partNames.length &&
    value.parts.every(
      (part) =>
        hasOnly(part, ['name', 'salt', 'content']) &&
        typeof part.name === 'string' &&
        typeof part.salt === 'string' &&
        saltForm.test(part.salt) &&
        isText(part.content, limits.maxPartChars),
    )
  );
}

function isParameters(content: string): boolean {
  try {
    const values: unknown = JSON.parse(content);
    return (
      Array.isArray(values) && values.every((value) => value === null || typeof value === 'string')
    );
  } catch {
    return false;
  }
}

/** The base64 of some bytes, and not another text that decodes to the same. */
function isBase64(content: string): boolean {
  return Buffer.from(content, 'base64').toString('base64') === content;
}

/** A part as it came, of whatever name. */
interface ReceivedPart {
  readonly name: string;
  /** 16 bytes. */
  readonly salt: Uint8Array;
  readonly content: string;
}

/** Every part that the line names, and no other, each under its HMAC. */
function checkParts(
  received: readonly ReceivedPart[],
  digests: Readonly<Partial<Record<PartName, string>>>,
  at: number,
): Part[] {
  const parts = new Map<PartName, Part>();
  for (const { name, salt, content } of received) {
    const known = partNames.find((part) => part === name);
    const digest = known && digests[known];
    if (known === undefined || digest === undefined || parts.has(known)) {
      throw invalid(at, 'a part that its line does not name, or names once');
    }
    const hmac = createHmac('sha256', salt).update(content, 'utf8').digest('hex');
    if (hmac !== digest) throw invalid(at, `${known} does not match the HMAC in its line`);
    if (known === 'parameters' && !isParameters(content)) {
      throw invalid(at, 'parameters are not a JSON list of strings and nulls');
    }
    if (known === 'result' && !isBase64(content)) {
      throw invalid(at, 'the result is not base64');
    }
    parts.set(known, { name: known, salt, content });
  }
  if (parts.size !== Object.keys(digests).length) {
    throw invalid(at, 'a part that its line names is missing');
  }
  return [...parts.values()];
}

/** Checks one event (its index in the batch for messages). Throws a 400 that names no content. */
function checkEvent(
  seq: number,
  line: string,
  parts: readonly ReceivedPart[],
  session: string,
  at: number,
): IncomingEvent {
  try {
    const facts = readFacts(line, session, seq);
    return { seq, line, facts, parts: checkParts(parts, facts.digests, at) };
  } catch (error) {
    if (error instanceof LineError) throw invalid(at, error.message);
    throw error;
  }
}

function tooMany(limits: BatchLimits): Problem {
  return new Problem(413, 'CHP-6011', `a batch holds at most ${limits.maxEvents} events`);
}

/** Events as JSON texts, all checked. Throws a 400, or a 413 for too many; it is all of them or none. */
export function parseEvents(
  texts: readonly string[],
  session: string,
  limits: BatchLimits,
): IncomingEvent[] {
  if (texts.length > limits.maxEvents) throw tooMany(limits);
  return texts.map((text, at) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw invalid(at, 'not JSON');
    }
    if (!isShippedEvent(value, limits)) {
      throw invalid(at, 'not {seq, line, parts} within the limits');
    }
    const parts = value.parts.map((part) => ({ ...part, salt: Buffer.from(part.salt, 'base64') }));
    return checkEvent(value.seq, value.line, parts, session, at);
  });
}

/** The events of an NDJSON body, as `parseEvents`. */
export function parseBatch(text: string, session: string, limits: BatchLimits): IncomingEvent[] {
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  return parseEvents(body.split('\n', limits.maxEvents + 1), session, limits);
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** A text of `bytes`. Throws a 400 when it is too long, or not UTF-8. */
function textOf(bytes: Uint8Array, maxChars: number, at: number): string {
  let text: string | undefined;
  try {
    text = utf8.decode(bytes);
  } catch {
    // What it is not is told below.
  }
  if (text === undefined || text.length > maxChars) {
    throw invalid(at, 'a line or a part is not UTF-8 within the limits');
  }
  return text;
}

/**
 * Events as frames of the spool, one behind the other, all checked. Throws as `parseEvents` does.
 * @param trusted the bytes have not left this process: their checksums are not made again
 */
export function parseFrames(
  bytes: Buffer,
  session: string,
  limits: BatchLimits,
  trusted = false,
): IncomingEvent[] {
  const events: IncomingEvent[] = [];
  for (let offset = 0; offset < bytes.length; ) {
    const at = events.length;
    if (at >= limits.maxEvents) throw tooMany(limits);
    const scan = scanFrame(bytes, offset, bytes.length, trusted);
    const frame = scan.kind === 'Frame' ? readFrame(bytes, offset, scan.end) : undefined;
    if (frame === undefined || scan.kind !== 'Frame') throw invalid(at, 'not a whole frame');
    if (frame.session !== session) throw invalid(at, 'a frame of another session');
    const { seq } = frame;
    if (seq < 1) throw invalid(at, 'events are counted from 1');
    const line = textOf(frame.line, limits.maxLineChars, at);
    const parts = frame.parts.map(({ name, salt, content }) => ({
      name,
      // A view would keep the whole body in memory.
      salt: Buffer.from(salt),
      content: textOf(content, limits.maxPartChars, at),
    }));
    events.push(checkEvent(seq, line, parts, session, at));
    offset = scan.end;
  }
  if (events.length === 0) throw new Problem(400, 'CHP-6001', 'a batch without an event');
  return events;
}
