import { eventVersion } from '@chaperone/core/events/encode.ts';
import { isUuid } from '@chaperone/core/events/uuid.ts';
import {
  type EventFacts,
  type PartName,
  partNames,
  type RuleName,
  type SessionFacts,
  type SessionTotals,
} from '../store/types.ts';
import { jsonShapeProblem } from './json-shape.ts';
import { parseTimeUs } from './time.ts';

/** The line is not one that this collector can index; `message` says which field, never its value. */
export class LineError extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'LineError';
  }
}

/** Deeper than any event nests (operations of a decision: 4). */
const maxDepth = 16;
const digestForm = /^[0-9a-f]{64}$/;

type Fields = Readonly<Record<string, unknown>>;

/** Reads a field of a fixed shape; throws LineError with the field's path. */
class Reader {
  readonly #fields: Fields;
  readonly #path: string;

  constructor(value: unknown, path: string) {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw new LineError(`${path || 'the line'} is not an object`);
    }
    this.#fields = value as Fields;
    this.#path = path === '' ? '' : `${path}.`;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.#fields, name);
  }

  get keys(): readonly string[] {
    return Object.keys(this.#fields);
  }

  #value(name: string): unknown {
    return Object.hasOwn(this.#fields, name) ? this.#fields[name] : undefined;
  }

  text(name: string): string {
    const value = this.#value(name);
    if (typeof value !== 'string') throw new LineError(`${this.#path}${name} is not a string`);
    return value;
  }

  /** A whole number of at least `least` that JSON keeps exact. */
  whole(name: string, least: number): number {
    const value = this.#value(name);
    if (!Number.isSafeInteger(value) || (value as number) < least) {
      throw new LineError(`${this.#path}${name} is not a whole number of at least ${least}`);
    }
    return value as number;
  }

  digest(name: string): string {
    const value = this.text(name);
    if (!digestForm.test(value)) throw new LineError(`${this.#path}${name} is not 64 hex digits`);
    return value;
  }

  uuid(name: string): string {
    const value = this.text(name);
    if (!isUuid(value)) throw new LineError(`${this.#path}${name} is not a UUID`);
    return value;
  }

  object(name: string): Reader {
    return new Reader(this.#value(name), `${this.#path}${name}`);
  }

  /** The elements of a list; an absent one is empty. */
  list(name: string): readonly unknown[] {
    const value = this.#value(name);
    if (value === undefined) return [];
    if (!Array.isArray(value)) throw new LineError(`${this.#path}${name} is not a list`);
    return value;
  }

  objects(name: string): readonly Reader[] {
    return this.list(name).map((item, at) => new Reader(item, `${this.#path}${name}[${at}]`));
  }

  texts(name: string): readonly string[] {
    const items = this.list(name);
    if (!items.every((item) => typeof item === 'string')) {
      throw new LineError(`${this.#path}${name} is not a list of strings`);
    }
    return items;
  }
}

function ruleName(rule: Reader): RuleName {
  return {
    namespace: rule.text('namespace'),
    object: rule.text('object'),
    rule: rule.text('rule'),
  };
}

function sessionFacts(line: Reader): SessionFacts {
  const identity = line.object('identity');
  const target = line.object('target');
  return {
    identity: {
      uid: identity.text('uid'),
      namespace: identity.text('namespace'),
      name: identity.text('name'),
      owner: identity.text('owner'),
      purpose: identity.text('purpose'),
    },
    target: {
      uid: target.text('uid'),
      namespace: target.text('namespace'),
      name: target.text('name'),
    },
    database: line.text('database'),
  };
}

function sessionTotals(line: Reader): SessionTotals {
  return {
    reason: line.text('reason'),
    statements: line.whole('statements', 0),
    refused: line.whole('refused', 0),
    rows: line.whole('rows', 0),
    bytes: line.whole('bytes', 0),
    lastSeq: line.whole('lastSeq', 0),
  };
}

function partDigests(line: Reader): Partial<Record<PartName, string>> {
  const digests: Partial<Record<PartName, string>> = {};
  if (!line.has('parts')) return digests;
  const parts = line.object('parts');
  for (const name of parts.keys) {
    const known = partNames.find((part) => part === name);
    if (known === undefined) throw new LineError('parts names a part that is not known');
    digests[known] = parts.digest(name);
  }
  return digests;
}

function gapFacts(line: Reader, session: string): NonNullable<EventFacts['gap']> {
  const from = line.whole('from', 1);
  const to = line.whole('to', from);
  return { session: line.has('ofSession') ? line.uuid('ofSession') : session, from, to };
}

function announcedFacts(line: Reader): Readonly<Record<string, number>> {
  const sessions = line.object('sessions');
  const announced: Record<string, number> = {};
  for (const id of sessions.keys) {
    if (!isUuid(id)) throw new LineError('sessions names a session that is not a UUID');
    announced[id] = sessions.whole(id, 0);
  }
  return announced;
}

/**
 * The facts of a metadata line, as far as the record is searched by them. The line must be an event of
 * `session` with number `seq`. Types not known here are kept and found by their envelope; a field that is
 * known and of another shape is a LineError, because what cannot be indexed would be missing from answers.
 */
export function readFacts(text: string, session: string, seq: number): EventFacts {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new LineError('the line is not JSON');
  }
  const problem = jsonShapeProblem(text, maxDepth);
  if (problem !== undefined) throw new LineError(problem);
  const line = new Reader(value, '');
  if (line.whole('eventVersion', 1) > eventVersion) {
    throw new LineError(`eventVersion is newer than ${eventVersion}: upgrade the collector first`);
  }
  line.uuid('id');
  if (line.text('session') !== session) throw new LineError('session is not the one addressed');
  if (line.whole('seq', 1) !== seq) throw new LineError('seq is not the one given beside the line');
  const timeUs = parseTimeUs(line.text('time'));
  if (timeUs === undefined) throw new LineError('time is not RFC 3339 in UTC');
  const type = line.text('type');

  const rules = [...line.objects('rules'), ...line.objects('masks')].map(ruleName);
  if (line.has('rule')) rules.push(ruleName(line.object('rule')));
  const recordings = line.texts('recording');
  if (!recordings.every((sha256) => digestForm.test(sha256))) {
    throw new LineError('recording is not a list of SHA-256 digests');
  }
  return {
    type,
    timeUs,
    ...(line.has('verdict') && { verdict: line.text('verdict') }),
    operations: line.objects('operations').map((operation) => ({
      verb: operation.text('verb'),
      class: operation.text('class'),
      resource: operation.texts('resource'),
    })),
    rules,
    digests: partDigests(line),
    recordings,
    ...(type === 'SessionOpened' && { opened: sessionFacts(line) }),
    ...(type === 'SessionClosed' && { closed: sessionTotals(line) }),
    ...(type === 'RecordGap' && { gap: gapFacts(line, session) }),
    ...(type === 'Heartbeat' && line.has('sessions') && { announced: announcedFacts(line) }),
    ...(line.has('program') && { program: line.text('program') }),
  };
}
