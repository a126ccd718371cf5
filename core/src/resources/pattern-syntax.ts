import { parseResourcePattern, type ResourcePattern } from '../policy/resource-pattern.ts';

/** Why `pattern` is no `database.schema.relation` pattern, or undefined. */
export function resourcePatternProblem(pattern: string): string | undefined {
  const parsed = parse(pattern);
  if (typeof parsed === 'string') return parsed;
  return parsed.parts.length > 3 ? 'has more parts than database.schema.relation' : undefined;
}

/** Why `pattern` is no `database.schema.relation.column` pattern, or undefined. */
export function columnPatternProblem(pattern: string): string | undefined {
  const parsed = parse(pattern);
  if (typeof parsed === 'string') return parsed;
  if (parsed.rest) return '** has no meaning here; each part may be *';
  return parsed.parts.length === 4 ? undefined : 'must be database.schema.relation.column';
}

/** The pattern, or why it is none. */
function parse(pattern: string): ResourcePattern | string {
  try {
    return parseResourcePattern(pattern);
  } catch (error) {
    return error instanceof Error ? error.message : 'is no pattern';
  }
}
