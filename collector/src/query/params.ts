import { isUuid } from '@chaperone/core/events/uuid.ts';
import { Problem } from '../http/problem.ts';
import { parseTimeUs } from '../record/time.ts';
import { patternProblem } from '../store/pattern.ts';
import type { EventFilter, PageRequest, SessionFilter } from '../store/types.ts';

export const maxLimit = 1000;
const defaultLimit = 100;
/** Of lines and parts in one answer. */
const maxPageBytes = 8 << 20;
const maxTextChars = 1000;

const pageNames = ['limit', 'cursor', 'order'] as const;
const filterNames = ['from', 'to', 'identity', 'owner', 'target', ...pageNames] as const;
const sessionNames = ['id', ...filterNames] as const;
const eventNames = [
  ...filterNames,
  ...(['session', 'type', 'verdict', 'verb', 'resource', 'rule', 'q', 'exact'] as const),
] as const;

type Query = Readonly<Record<string, string>>;

function invalid(message: string): Problem {
  return new Problem(400, 'CHP-6007', message);
}

/** The query as single texts, all of them known. Throws a 400 that names the parameter. */
export function readQuery(query: unknown, known: readonly string[]): Query {
  const texts: Record<string, string> = {};
  for (const [name, value] of Object.entries(query as Record<string, unknown>)) {
    if (!known.includes(name)) throw invalid(`there is no parameter ${JSON.stringify(name)} here`);
    if (typeof value !== 'string') throw invalid(`${name} is given more than once`);
    if (value === '' || value.length > maxTextChars || /\p{Cc}/u.test(value)) {
      throw invalid(`${name} is not a text of 1 to ${maxTextChars} printable characters`);
    }
    texts[name] = value;
  }
  return texts;
}

/** RFC 3339, with any offset; finer than milliseconds only in UTC. */
function readTimeUs(name: string, text: string): number {
  const exact = parseTimeUs(text);
  if (exact !== undefined) return exact;
  const ms = /^\d{4}-\d{2}-\d{2}T[\d:.]+[+-]\d{2}:\d{2}$/.test(text)
    ? Date.parse(text)
    : Number.NaN;
  if (Number.isNaN(ms)) throw invalid(`${name} is not a time like 2026-01-31T06:00:00Z`);
  return ms * 1000;
}

function readName(text: string): { readonly namespace?: string; readonly name: string } {
  const slash = text.indexOf('/');
  if (slash < 0) return { name: text };
  return { namespace: text.slice(0, slash), name: text.slice(slash + 1) };
}

/** `object`, `namespace/object` or `namespace/object/rule`. */
function readRule(text: string): NonNullable<EventFilter['rule']> {
  const parts = text.split('/');
  if (parts.length > 3) throw invalid('rule is not NAMESPACE/OBJECT/RULE');
  if (parts.length === 1) return { object: text };
  const [namespace, object, rule] = parts as [string, string, string?];
  return { namespace, object, ...(rule !== undefined && { rule }) };
}

/** A cursor is a store's key in base64url: the reader only gives it back. */
export function encodeCursor(key: readonly (number | string)[]): string {
  return Buffer.from(JSON.stringify(key)).toString('base64url');
}

/** `kinds`: what each entry of the key must be. */
function decodeCursor(text: string, kinds: readonly ('number' | 'string')[]): (number | string)[] {
  let key: unknown;
  try {
    key = JSON.parse(Buffer.from(text, 'base64url').toString());
  } catch {
    key = undefined;
  }
  const matches =
    Array.isArray(key) &&
    key.length === kinds.length &&
    key.every((entry, at) =>
      kinds[at] === 'number' ? Number.isSafeInteger(entry) : typeof entry === 'string',
    );
  if (!matches) throw invalid('cursor is not one that this collector gave');
  return key as (number | string)[];
}

function readPage(
  query: Query,
  order: PageRequest['order'],
  kinds: readonly ('number' | 'string')[],
): PageRequest {
  const limit = query.limit === undefined ? defaultLimit : Number(query.limit);
  if (!/^\d{1,4}$/.test(query.limit ?? '1') || limit < 1 || limit > maxLimit) {
    throw invalid(`limit is not a number from 1 to ${maxLimit}`);
  }
  const wanted = query.order ?? order;
  if (wanted !== 'oldest' && wanted !== 'newest') {
    throw invalid('order is neither oldest nor newest');
  }
  return {
    order: wanted,
    limit,
    maxBytes: maxPageBytes,
    ...(query.cursor !== undefined && { after: decodeCursor(query.cursor, kinds) }),
  };
}

function readSessionFilter(query: Query): SessionFilter {
  return {
    ...(query.from !== undefined && { fromUs: readTimeUs('from', query.from) }),
    ...(query.to !== undefined && { toUs: readTimeUs('to', query.to) }),
    ...(query.identity !== undefined && { identity: readName(query.identity) }),
    ...(query.owner !== undefined && { owner: query.owner }),
    ...(query.target !== undefined && { target: readName(query.target) }),
  };
}

export interface SessionQuestion {
  readonly query: Query;
  readonly filter: SessionFilter;
  readonly page: PageRequest;
}

export function readSessionQuestion(raw: unknown): SessionQuestion {
  const query = readQuery(raw, sessionNames);
  const { id } = query;
  if (id !== undefined && !/^[0-9a-f-]{1,36}$/.test(id)) {
    throw invalid('id is not the beginning of a UUID in lower case');
  }
  return {
    query,
    filter: { ...readSessionFilter(query), ...(id !== undefined && { idPrefix: id }) },
    page: readPage(query, 'newest', ['string']),
  };
}

export interface EventQuestion {
  readonly query: Query;
  readonly filter: EventFilter;
  readonly page: PageRequest;
  /** The line's exact text and the salts, too: for whoever checks digests. */
  readonly exact: boolean;
}

/** `session`: from the path, where the question is about one session. */
export function readEventQuestion(raw: unknown, session?: string): EventQuestion {
  const query = readQuery(raw, eventNames);
  const { exact = 'false', type, verdict, verb, resource, rule, q: text } = query;
  if (exact !== 'true' && exact !== 'false') throw invalid('exact is neither true nor false');
  if (session !== undefined && query.session !== undefined) {
    throw invalid('the session is in the path already');
  }
  const about = session ?? query.session;
  if (about !== undefined && !isUuid(about)) throw invalid('session is not a UUID');
  const problem = resource === undefined ? undefined : patternProblem(resource);
  if (problem !== undefined) throw invalid(problem);
  return {
    query,
    filter: {
      ...readSessionFilter(query),
      ...(about !== undefined && { session: about }),
      ...(type !== undefined && { type }),
      ...(verdict !== undefined && { verdict }),
      ...(verb !== undefined && { verb }),
      ...(resource !== undefined && { resource }),
      ...(rule !== undefined && { rule: readRule(rule) }),
      ...(text !== undefined && { text }),
    },
    page: readPage(query, 'oldest', ['number', 'number', 'number']),
    exact: exact === 'true',
  };
}
