/**
 * Patterns over resource names: parts separated by dots, `*` for any characters within a part, `**` as the
 * last part for all that remain (none included). A quoted part (`"My.Table"`) is literal, `""` in it is one
 * quote. Matching is exact on real names, case included, and needs no regular expression.
 */

/** Longest pattern that is taken, in characters; the schema of the resources says the same. */
export const maxPatternLength = 512;

/** One part of a pattern: a literal, or the literal pieces between its stars. */
export type PartPattern = { readonly literal: string } | { readonly pieces: readonly string[] };

export interface ResourcePattern {
  readonly source: string;
  readonly parts: readonly PartPattern[];
  /** The pattern ends in `**`. */
  readonly rest: boolean;
}

export class PatternError extends Error {
  constructor(pattern: string, problem: string) {
    super(`resource pattern ${JSON.stringify(pattern.slice(0, 80))}: ${problem}`);
    this.name = 'PatternError';
  }
}

/** Throws PatternError when the pattern is empty, too long, has an empty part or a `**` before its end. */
export function parseResourcePattern(source: string): ResourcePattern {
  if (source.length === 0) throw new PatternError(source, 'it is empty');
  if (source.length > maxPatternLength) throw new PatternError(source, 'it is too long');
  const parts: PartPattern[] = [];
  let at = 0;
  for (;;) {
    if (source[at] === '"') {
      const quoted = readQuoted(source, at);
      parts.push({ literal: quoted.text });
      at = quoted.end;
    } else {
      let end = source.indexOf('.', at);
      if (end < 0) end = source.length;
      const text = source.slice(at, end);
      if (text === '**') {
        if (end !== source.length) throw new PatternError(source, '** may only be its last part');
        return { source, parts, rest: true };
      }
      parts.push(parsePart(source, text));
      at = end;
    }
    if (at === source.length) return { source, parts, rest: false };
    if (source[at] !== '.') throw new PatternError(source, 'a quoted part must end at a dot');
    at += 1;
  }
}

function readQuoted(source: string, start: number): { text: string; end: number } {
  let text = '';
  let at = start + 1;
  for (;;) {
    const quote = source.indexOf('"', at);
    if (quote < 0) throw new PatternError(source, 'a quote is not closed');
    text += source.slice(at, quote);
    if (source[quote + 1] !== '"') {
      if (text === '') throw new PatternError(source, 'a part is empty');
      return { text, end: quote + 1 };
    }
    text += '"';
    at = quote + 2;
  }
}

function parsePart(source: string, text: string): PartPattern {
  if (text === '') throw new PatternError(source, 'a part is empty');
  if (text.includes('"')) throw new PatternError(source, 'a quote stands within a part');
  return parseName(text);
}

/** A pattern for one name, such as a column's; `*` for any characters, everything else literal. */
export function parseName(text: string): PartPattern {
  return text.includes('*') ? { pieces: text.split('*') } : { literal: text };
}

/** Whether one name matches. Each character of the name is passed once, whatever the number of stars. */
export function matchesPart(pattern: PartPattern, name: string): boolean {
  if ('literal' in pattern) return pattern.literal === name;
  const { pieces } = pattern;
  const first = pieces[0]!;
  const last = pieces[pieces.length - 1]!;
  if (name.length < first.length + last.length) return false;
  if (!name.startsWith(first) || !name.endsWith(last)) return false;
  let at = first.length;
  const end = name.length - last.length;
  for (let index = 1; index < pieces.length - 1; index += 1) {
    const piece = pieces[index]!;
    const found = name.indexOf(piece, at);
    if (found < 0 || found + piece.length > end) return false;
    at = found + piece.length;
  }
  return true;
}

/** Whether a whole name matches; `from` skips leading parts that are known to match. */
export function matchesResource(
  pattern: ResourcePattern,
  resource: readonly string[],
  from = 0,
): boolean {
  const { parts, rest } = pattern;
  if (rest ? resource.length < parts.length : resource.length !== parts.length) return false;
  for (let index = from; index < parts.length; index += 1) {
    if (!matchesPart(parts[index]!, resource[index]!)) return false;
  }
  return true;
}

/** Whether some longer name that begins with `prefix` could match, or the prefix itself. */
export function mayMatchBelow(pattern: ResourcePattern, prefix: readonly string[]): boolean {
  const { parts, rest } = pattern;
  if (!rest && prefix.length > parts.length) return false;
  const shared = Math.min(parts.length, prefix.length);
  for (let index = 0; index < shared; index += 1) {
    if (!matchesPart(parts[index]!, prefix[index]!)) return false;
  }
  return true;
}

/** A real name written as a pattern that matches it alone. */
export function formatResource(resource: readonly string[]): string {
  return resource
    .map((part) => (/^[^."*]+$/.test(part) ? part : `"${part.replaceAll('"', '""')}"`))
    .join('.');
}
