import type { MergePatch } from './resource-store.ts';

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** RFC 7386: objects merge, null removes, everything else replaces. Neither argument is changed. */
export function mergePatch(target: unknown, patch: MergePatch): Record<string, unknown> {
  const result: Record<string, unknown> = isObject(target) ? { ...target } : {};
  for (const [name, value] of Object.entries(patch)) {
    if (name === '__proto__') continue;
    if (value === null) delete result[name];
    else if (isObject(value)) result[name] = mergePatch(result[name], value);
    else result[name] = value;
  }
  return result;
}
