/** Separates the parts of a resource in the index: no name of a relation can hold it by accident. */
export const separator = '\u001f';

/** Wildcards in one part; the matcher's cost grows with them. */
const maxStars = 16;

/** Whether `pattern` (`*` for any run of characters) matches the whole of `name`, without backtracking blow-up. */
function matchesPart(pattern: string, name: string): boolean {
  let p = 0;
  let n = 0;
  let star = -1;
  let mark = 0;
  while (n < name.length) {
    if (pattern[p] === '*') {
      star = p++;
      mark = n;
    } else if (p < pattern.length && pattern[p] === name[n]) {
      p++;
      n++;
    } else if (star >= 0) {
      p = star + 1;
      n = ++mark;
    } else {
      return false;
    }
  }
  while (pattern[p] === '*') p++;
  return p === pattern.length;
}

/** Why a resource pattern cannot be used, or undefined. */
export function patternProblem(pattern: string): string | undefined {
  if (pattern === '' || pattern.length > 512) return 'a resource pattern has 1 to 512 characters';
  if (pattern.split('*').length - 1 > maxStars) {
    return `a resource pattern has at most ${maxStars} wildcards`;
  }
  const parts = pattern.split('.');
  if (parts.slice(0, -1).includes('**')) return '** stands only at the end of a resource pattern';
  return undefined;
}

/**
 * Whether a resource (parts joined by `separator`) matches `database.schema.relation`, with `*` within a part
 * and a final `**` for one or more further parts.
 */
export function matchesResource(pattern: string, resource: string): boolean {
  const wanted = pattern.split('.');
  const parts = resource.split(separator);
  const open = wanted.at(-1) === '**';
  if (open) wanted.pop();
  if (open ? parts.length <= wanted.length : parts.length !== wanted.length) return false;
  return wanted.every((part, index) => matchesPart(part, parts[index]!));
}
