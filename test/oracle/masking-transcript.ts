/** What reached a client, in a form that compares between worlds, and whether two of them agree. */
import { parseRowDescription } from '@chaperone/sidecar/protocols/postgres/messages/backend-reader.ts';
import { errorFields, type RawMessage } from '../support/raw-client.ts';

/** One message: a row by its fields, all else as text. */
export type Line = { readonly text: string; readonly fields?: readonly (Buffer | null)[] };

/** Relations and types of the worlds have OIDs below this; those made later are counted for the whole server. */
export interface Origin {
  readonly firstNewOid: number;
}

/** Names of databases differ between worlds, process ids between sessions, our events' ids always. */
const neutral = (text: string): string =>
  text
    .replace(/world_[01]_([gd])/g, 'world_$1')
    .replace(/[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}/g, 'EVENT');

/** A message as it compares. */
export function lineOf({ type, body }: RawMessage, { firstNewOid }: Origin): Line {
  const old = (oid: number) => (oid < firstNewOid ? oid : 'new');
  switch (type) {
    case 'D':
      return { text: 'D', fields: rowFields(body) };
    case 'd':
      return { text: 'd', fields: copyFields(body) };
    case 'T':
      return {
        text: `T ${JSON.stringify(
          parseRowDescription(body, 0, body.length).map((column) => ({
            ...column,
            tableOid: old(column.tableOid),
            typeOid: old(column.typeOid),
          })),
        )}`,
      };
    case 'E':
    case 'N':
      return {
        text: neutral(
          `${type} ${[...errorFields(body)].map(([key, value]) => `${key}=${value}`).join(' ')}`,
        ),
      };
    case 'A':
      return { text: `A ${body.toString('latin1', 4)}` };
    default:
      return { text: neutral(`${type} ${body.toString('latin1')}`) };
  }
}

function rowFields(body: Buffer): (Buffer | null)[] {
  const fields: (Buffer | null)[] = [];
  let at = 2;
  for (let left = body.readUInt16BE(0); left > 0; left -= 1) {
    const length = body.readInt32BE(at);
    at += 4;
    fields.push(length === -1 ? null : body.subarray(at, at + length));
    at += Math.max(0, length);
  }
  return fields;
}

/** The fields of a COPY row, in text or CSV; our masked values hold none of the delimiters. */
function copyFields(body: Buffer): Buffer[] {
  const line = body.toString('latin1');
  const separator = line.includes('\t') ? '\t' : ',';
  return line
    .replace(/\n$/, '')
    .split(separator)
    .map((field) => Buffer.from(field, 'latin1'));
}

/**
 * Masks with a key differ between worlds where values do. Which of them stand for each other is learned from
 * plain selections of the columns; beyond that no field may differ.
 */
export class KeyedPairs {
  readonly #pairs = new Map<string, string>();

  get size(): number {
    return this.#pairs.size;
  }

  /** Takes fields of the same rows and columns in both worlds. */
  learn(first: readonly Line[], second: readonly Line[]): void {
    for (const [index, { fields }] of first.entries()) {
      const others = second[index]?.fields;
      for (const [at, field] of (fields ?? []).entries()) {
        const other = others?.[at];
        if (!field || !other || field.equals(other)) continue;
        this.#pairs.set(field.toString('latin1'), other.toString('latin1'));
      }
    }
  }

  /** The field that stands in world 1 for this one of world 0. */
  translate(field: Buffer): string {
    const text = field.toString('latin1');
    return this.#pairs.get(text) ?? text;
  }
}

export interface Comparison {
  /** Undefined: the same. */
  readonly difference?: string;
  /** The same rows in another order. */
  readonly reordered?: true;
}

/**
 * Compares the lines of one step. `keyed`: masks with a key may differ as `pairs` says; `unordered`: rows
 * may come in another order, for which plan is chosen may depend on values that may be compared.
 */
export function compare(
  first: readonly Line[],
  second: readonly Line[],
  options: { readonly pairs: KeyedPairs; readonly keyed: boolean; readonly unordered: boolean },
): Comparison {
  const shown = (line: Line, field: (bytes: Buffer, at: number) => string): string =>
    line.fields === undefined
      ? line.text
      : `${line.text} ${line.fields
          .map((bytes, at) => (bytes === null ? 'NULL' : JSON.stringify(field(bytes, at))))
          .join(' | ')}`;
  // What is the same need not be translated: a mask may by chance be what another field is.
  const translated = (line: Line, index: number): string =>
    shown(line, (bytes, at) => {
      const other = second[index]?.fields?.[at];
      return !options.keyed || other?.equals(bytes)
        ? bytes.toString('latin1')
        : options.pairs.translate(bytes);
    });
  const a = withStatusLast(first.map(translated));
  const b = withStatusLast(second.map((line) => shown(line, (bytes) => bytes.toString('latin1'))));
  const at = firstDifference(a, b);
  if (at === undefined) return {};
  if (options.unordered && firstDifference(sorted(a), sorted(b)) === undefined) {
    return { reordered: true };
  }
  return { difference: `world 0: ${a[at] ?? 'nothing'}\nworld 1: ${b[at] ?? 'nothing'}` };
}

function firstDifference(a: readonly string[], b: readonly string[]): number | undefined {
  const length = Math.max(a.length, b.length);
  for (let at = 0; at < length; at += 1) if (a[at] !== b[at]) return at;
  return undefined;
}

/** Rows between other messages sorted. */
function sorted(lines: readonly string[]): string[] {
  return [...lines].sort();
}

/** ParameterStatus may come at any time. */
function withStatusLast(lines: readonly string[]): string[] {
  const isStatus = (line: string) => line.startsWith('S ');
  return [...lines.filter((line) => !isStatus(line)), ...lines.filter(isStatus)];
}
