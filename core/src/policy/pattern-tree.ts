import type { CompiledRule } from './compiled-rule.ts';
import type { ResourcePattern } from './resource-pattern.ts';

/** Rules below one literal leading part, and those whose pattern goes on with something else. */
export interface Branch {
  readonly children: Map<string, Branch>;
  /** In the order in which they were added. */
  readonly entries: { readonly rule: CompiledRule; readonly pattern: ResourcePattern }[];
}

export function childOf(branches: Map<string, Branch>, key: string): Branch {
  const known = branches.get(key);
  if (known !== undefined) return known;
  const made: Branch = { children: new Map(), entries: [] };
  branches.set(key, made);
  return made;
}

/** Where a pattern stands: below its literal leading parts, of which at most `maxParts` count. */
export function branchOf(
  root: Branch,
  { parts }: ResourcePattern,
  maxParts: number = parts.length,
): Branch {
  let branch = root;
  for (const part of parts.slice(0, maxParts)) {
    if (!('literal' in part)) break;
    branch = childOf(branch.children, part.literal);
  }
  return branch;
}
