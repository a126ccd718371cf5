import type { SessionState } from './catalog-document.ts';

/**
 * The effective schemas in order, as `current_schemas(true)` gives them: pg_catalog and then the temporary
 * schema come first where the value does not name them (catalog/namespace.c). Undefined when the value is
 * not a list of identifiers, or one of them has unquoted letters beyond ASCII, whose case PostgreSQL folds
 * by the database's encoding and locale.
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
    if (state.usableSchemas.includes(schema)) append(schema);
  }
  if (!path.includes('pg_catalog')) path.unshift('pg_catalog');
  if (temp !== null && !path.includes(temp)) path.unshift(temp);
  return path;
}

/** NAMEDATALEN - 1. */
export const maxNameBytes = 63;
const encoder = new TextEncoder();

/** One identifier, quoted or not, with the space around it (utils/adt/varlena.c, SplitIdentifierString). */
const identifier =
  /[ \t\n\r\v\f]*(?:"((?:[^"]|"")*)"|([^", \t\n\r\v\f][^, \t\n\r\v\f]*))[ \t\n\r\v\f]*/y;

/** The names of a list of identifiers, as the value of `search_path` is; undefined when it is none that is understood. */
export function splitIdentifiers(value: string): string[] | undefined {
  if (/^[ \t\n\r\v\f]*$/.test(value)) return [];
  const names: string[] = [];
  identifier.lastIndex = 0;
  for (;;) {
    const match = identifier.exec(value);
    if (match === null) return undefined;
    const [, quoted, plain] = match;
    if (plain !== undefined && /[^ -~]/.test(plain)) return undefined;
    names.push(truncate(quoted?.replaceAll('""', '"') ?? plain?.toLowerCase() ?? ''));
    const end = identifier.lastIndex;
    if (end === value.length) return names;
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
