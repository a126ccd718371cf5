/** The RFC 6902 patch from one JSON value to another. */

export type JsonPatchOperation =
  | { readonly op: 'add' | 'replace'; readonly path: string; readonly value: unknown }
  | { readonly op: 'remove'; readonly path: string };

/** As small as comparing place by place makes it; empty for equal values. The order of keys means nothing. */
export function jsonPatch(from: unknown, to: unknown): readonly JsonPatchOperation[] {
  return difference(from, to, '');
}

function difference(from: unknown, to: unknown, path: string): readonly JsonPatchOperation[] {
  if (Array.isArray(from) && Array.isArray(to)) return listDifference(from, to, path);
  // Of another name it is another thing: a patch that makes one of the other would be harder to read.
  if (isObject(from) && isObject(to) && from.name === to.name) {
    return objectDifference(from, to, path);
  }
  return from === to ? [] : [{ op: 'replace', path, value: to }];
}

function objectDifference(
  from: Readonly<Record<string, unknown>>,
  to: Readonly<Record<string, unknown>>,
  path: string,
): readonly JsonPatchOperation[] {
  const operations: JsonPatchOperation[] = [];
  for (const key of Object.keys(from)) {
    if (!has(to, key)) operations.push({ op: 'remove', path: `${path}/${escapeKey(key)}` });
  }
  for (const key of Object.keys(to)) {
    const place = `${path}/${escapeKey(key)}`;
    if (!has(to, key)) continue;
    if (has(from, key)) operations.push(...difference(from[key], to[key], place));
    else operations.push({ op: 'add', path: place, value: to[key] });
  }
  return operations;
}

/** What begins and ends alike stays; between, item by item, then what is too many or missing. */
function listDifference(
  from: readonly unknown[],
  to: readonly unknown[],
  path: string,
): readonly JsonPatchOperation[] {
  const same = (a: unknown, b: unknown): boolean => difference(a, b, '').length === 0;
  const shorter = Math.min(from.length, to.length);
  let start = 0;
  while (start < shorter && same(from[start], to[start])) start++;
  let end = 0;
  while (end < shorter - start && same(from.at(-1 - end), to.at(-1 - end))) end++;
  const operations: JsonPatchOperation[] = [];
  const fromEnd = from.length - end;
  const toEnd = to.length - end;
  let at = start;
  for (; at < Math.min(fromEnd, toEnd); at++) {
    operations.push(...difference(from[at], to[at], `${path}/${at}`));
  }
  // From the back, so that the places before keep their numbers.
  for (let gone = fromEnd - 1; gone >= at; gone--) {
    operations.push({ op: 'remove', path: `${path}/${gone}` });
  }
  for (; at < toEnd; at++) operations.push({ op: 'add', path: `${path}/${at}`, value: to[at] });
  return operations;
}

/** What is undefined is not there, as in JSON. */
const has = (object: Readonly<Record<string, unknown>>, key: string): boolean =>
  Object.hasOwn(object, key) && object[key] !== undefined;

const isObject = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const escapeKey = (key: string): string => key.replaceAll('~', '~0').replaceAll('/', '~1');
