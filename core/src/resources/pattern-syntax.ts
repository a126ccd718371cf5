/** The syntax of resource and column patterns; what they match is told by core/src/policy. */

const maxParts = { resource: 3, column: 4 };

/** Why `pattern` is no `database.schema.relation` pattern, or undefined. */
export function resourcePatternProblem(pattern: string): string | undefined {
  const parts = pattern.split('.');
  const common = partsProblem(parts);
  if (common !== undefined) return common;
  if (parts.length > maxParts.resource) {
    return 'has more parts than database.schema.relation';
  }
  const rest = parts.indexOf('**');
  if (rest >= 0 && rest !== parts.length - 1) return '** may stand only as the last part';
  return undefined;
}

/** Why `pattern` is no `database.schema.relation.column` pattern, or undefined. */
export function columnPatternProblem(pattern: string): string | undefined {
  const parts = pattern.split('.');
  const common = partsProblem(parts);
  if (common !== undefined) return common;
  if (parts.includes('**')) return '** has no meaning here; a part of its own may be *';
  if (parts.length !== maxParts.column) return 'must be database.schema.relation.column';
  return undefined;
}

/** Why `pattern` is no pattern of a single name, or undefined. */
export function namePatternProblem(pattern: string): string | undefined {
  return pattern.includes('**') ? '** has no meaning here; use *' : partsProblem([pattern]);
}

function partsProblem(parts: readonly string[]): string | undefined {
  if (parts.includes('')) return 'has an empty part';
  if (parts.some((part) => /[\p{Cc}]/u.test(part))) return 'contains a control character';
  if (parts.some((part) => part !== '**' && part.includes('**'))) {
    return '** must be a part of its own';
  }
  return undefined;
}
