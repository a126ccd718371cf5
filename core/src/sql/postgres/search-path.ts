import type { Catalog } from './catalog.ts';
import type { SessionState } from './catalog-document.ts';
import { isAscii } from './encoding.ts';

/** What a session's unqualified names are looked up by. */
interface NamePath {
  /** The effective schemas in order; none where it is not known which they are, so that only qualified names resolve. */
  readonly searchPath: readonly string[];
  /** The names that the setting has, each once. */
  readonly pathSetting?: readonly string[];
  /** There is a schema in it that the catalog does not hold: it was made since. */
  readonly isStale: boolean;
}

export function namePath(
  state: SessionState,
  catalog: Pick<Catalog, 'schemas' | 'isUtf8'>,
): NamePath {
  const pathSetting = splitIdentifiers(state.searchPath);
  const isRead = catalog.isUtf8 || isAscii(state.searchPath);
  const searchPath = isRead ? effectiveSearchPath(state) : undefined;
  if (pathSetting === undefined || searchPath === undefined) {
    return { searchPath: [], isStale: false };
  }
  // The session's own temporary schema is held once something stands in it.
  const isHeld = (schema: string): boolean => catalog.schemas.has(schema) || schema === state.temp;
  return searchPath.every(isHeld)
    ? { searchPath, pathSetting, isStale: false }
    : { searchPath: [], isStale: true };
}

/**
 * The effective schemas in order, as `current_schemas(true)` gives them: pg_catalog and then the temporary
 * schema come first where the value does not name them (catalog/namespace.c). Undefined when the value is
 * not a list of identifiers that is understood, or names a schema of PostgreSQL's own that the catalog does not hold.
 */
export function effectiveSearchPath(
  state: Pick<SessionState, 'searchPath' | 'currentUser' | 'usableSchemas' | 'temp'>,
): string[] | undefined {
  const names = splitIdentifiers(state.searchPath);
  if (names === undefined) return undefined;
  const { temp } = state;
  const path: string[] = [];
  const append = (schema: string): void => {
    if (!path.includes(schema)) path.push(schema);
  };
  for (const name of names) {
    if (name === 'pg_temp') {
      if (temp !== null) append(temp);
      continue;
    }
    const schema = name === '$user' ? state.currentUser : name;
    if (isReserved(schema) && schema !== temp) return undefined;
    if (state.usableSchemas.includes(schema)) append(schema);
  }
  if (!path.includes('pg_catalog')) path.unshift('pg_catalog');
  if (temp !== null && !path.includes(temp)) path.unshift(temp);
  return path;
}

/**
 * Whether only PostgreSQL makes schemas of that name: TOAST tables, and the temporary objects of other sessions. The
 * catalog does not hold what is in them, and one that is not there yet may come into being at any time.
 */
export function isReserved(schema: string): boolean {
  return schema.startsWith('pg_toast') || schema.startsWith('pg_temp');
}

/** So many schemas a path may have for its names to be looked up: each name goes through all of them. */
export const maxPathNames = 64;
/** As many names with every character quoted, and then some: one may stand in a list more than once. */
const maxPathLength = 16_384;

/** NAMEDATALEN - 1. */
export const maxNameBytes = 63;
const encoder = new TextEncoder();

/** One identifier, quoted or not, with the space around it (utils/adt/varlena.c, SplitIdentifierString). */
const identifier =
  /[ \t\n\r\v\f]*(?:"((?:[^"]|"")*)"|([^", \t\n\r\v\f][^, \t\n\r\v\f]*))[ \t\n\r\v\f]*/y;

/**
 * The names of a list of identifiers, as the value of `search_path` is, each once. Undefined when it is none that is
 * understood, has too many, or has unquoted letters beyond ASCII, whose case PostgreSQL folds by the database's
 * encoding and locale.
 */
export function splitIdentifiers(value: string): string[] | undefined {
  if (value.length > maxPathLength) return undefined;
  if (/^[ \t\n\r\v\f]*$/.test(value)) return [];
  const names = new Set<string>();
  identifier.lastIndex = 0;
  for (;;) {
    const match = identifier.exec(value);
    if (match === null) return undefined;
    const [, quoted, plain] = match;
    if (plain !== undefined && /[^ -~]/.test(plain)) return undefined;
    names.add(truncate(quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? ''));
    const end = identifier.lastIndex;
    if (names.size > maxPathNames) return undefined;
    if (end === value.length) return [...names];
    if (value[end] !== ',') return undefined;
    identifier.lastIndex = end + 1;
  }
}

/** As PostgreSQL cuts a name: to 63 bytes of UTF-8, without splitting a character. */
export function truncate(name: string): string {
  if (name.length * 3 <= maxNameBytes) return name;
  const bytes = encoder.encode(name);
  if (bytes.length <= maxNameBytes) return name;
  let end = maxNameBytes;
  while (((bytes[end] ?? 0) & 0xc0) === 0x80) end -= 1;
  return new TextDecoder().decode(bytes.subarray(0, end));
}
