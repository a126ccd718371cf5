import { createHmac } from 'node:crypto';
import { saltBytes } from '@chaperone/core/events/parts.ts';
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

/** Every part that the line names, and no other, each under its HMAC. */
function checkParts(
  event: ShippedEvent,
  digests: Readonly<Partial<Record<PartName, string>>>,
  at: number,
): Part[] {
  const parts = new Map<PartName, Part>();
  for (const { name, salt: saltText, content } of event.parts) {
    const known = partNames.find((part) => part === name);
    const digest = known && digests[known];
    if (known === undefined || digest === undefined || parts.has(known)) {
      throw invalid(at, 'a part that its line does not name, or names once');
    }
    const salt = Buffer.from(saltText, 'base64');
    if (salt.length !== saltBytes) throw invalid(at, `the salt of ${known} is not 16 bytes`);
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

/** Checks one shipped event (its index in the batch for messages). Throws a 400 that names no content. */
export function checkEvent(
  event: ShippedEvent,
  session: string,
  limits: BatchLimits,
  at: number,
): IncomingEvent {
  if (!isShippedEvent(event, limits)) {
    throw invalid(at, 'not {seq, line, parts} within the limits');
  }
  const { seq, line } = event;
  try {
    const facts = readFacts(line, session, seq);
    return { seq, line, facts, parts: checkParts(event, facts.digests, at) };
  } catch (error) {
    if (error instanceof LineError) throw invalid(at, error.message);
    throw error;
  }
}

/** Events as JSON texts, all checked. Throws a 400, or a 413 for too many; it is all of them or none. */
export function parseEvents(
  texts: readonly string[],
  session: string,
  limits: BatchLimits,
): IncomingEvent[] {
  if (texts.length > limits.maxEvents) {
    throw new Problem(413, 'CHP-6011', `a batch holds at most ${limits.maxEvents} events`);
  }
  return texts.map((text, at) => {
    let value: unknown;
    try {
      value = JSON.parse(text);
    } catch {
      throw invalid(at, 'not JSON');
    }
    return checkEvent(value as ShippedEvent, session, limits, at);
  });
}

/** The events of an NDJSON body, as `parseEvents`. */
export function parseBatch(text: string, session: string, limits: BatchLimits): IncomingEvent[] {
  const body = text.endsWith('\n') ? text.slice(0, -1) : text;
  return parseEvents(body.split('\n', limits.maxEvents + 1), session, limits);
}
