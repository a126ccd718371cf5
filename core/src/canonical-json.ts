/**
 * RFC 8785: the one JSON text of a value. Members with the value undefined are left out, as JSON.stringify
 * does; throws TypeError on what JSON cannot carry (functions, bigint, NaN, lone surrogates).
 */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => (item === undefined ? 'null' : canonicalJson(item))).join(',')}]`;
  }
  if (typeof value === 'object' && value !== null) {
    // Without a comparison function sort() goes by UTF-16 code units, as the RFC asks.
    const members = Object.keys(value)
      .sort()
      .flatMap((name) => {
        const member = (value as Record<string, unknown>)[name];
        return member === undefined ? [] : [`${text(name)}:${canonicalJson(member)}`];
      });
    return `{${members.join(',')}}`;
  }
  if (typeof value === 'string') return text(value);
  if (typeof value === 'number' && !Number.isFinite(value)) {
    throw new TypeError(`${value} has no JSON text`);
  }
  const encoded = JSON.stringify(value);
  if (encoded === undefined) throw new TypeError(`a ${typeof value} has no JSON text`);
  return encoded;
}

function text(value: string): string {
  if (!value.isWellFormed()) throw new TypeError('a lone surrogate has no JSON text');
  return JSON.stringify(value);
}
