import type { Operation } from '../sql/operation.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { NearestRules, type NearRule } from './nearest-rules.ts';
import { type Branch, branchOf, childOf } from './pattern-tree.ts';
import { matchesResource, type ResourcePattern } from './resource-pattern.ts';

/** Key for rules that any verb meets. */
const anyVerb = '*';

/**
 * Finds the rules whose verbs, classes and resources fit an operation, without looking at the others: by
 * verb or class first, then along the literal leading parts of the resource.
 */
export class RuleIndex {
  readonly #roots = new Map<string, Branch>();
  /** In the order of the bundle. */
  readonly #rules: CompiledRule[] = [];
  /** Made for the first refusal that asks. */
  #nearest: NearestRules | undefined;

  get size(): number {
    return this.#rules.length;
  }

  add(rule: CompiledRule): void {
    this.#rules.push(rule);
    this.#nearest = undefined;
    const keys = rule.anyVerb
      ? [anyVerb]
      : [...[...rule.verbs].map(verbKey), ...[...rule.classes].map(classKey)];
    for (const key of keys) {
      const root = childOf(this.#roots, key);
      for (const pattern of rule.patterns) branchOf(root, pattern).entries.push({ rule, pattern });
    }
  }

  /** The fitting rules in the order of the bundle, each once. */
  find(operation: Operation): readonly CompiledRule[] {
    const found: CompiledRule[] = [];
    this.#collect(verbKey(operation.verb), operation, found);
    this.#collect(classKey(operation.class), operation, found);
    this.#collect(anyVerb, operation, found);
    if (found.length < 2) return found;
    found.sort((a, b) => a.ordinal - b.ordinal);
    return found.filter((rule, index) => rule !== found[index - 1]);
  }

  /** Of the rules that do not fit an operation, the one that comes nearest. */
  nearest(operation: Operation): NearRule | undefined {
    this.#nearest ??= new NearestRules(this.#rules);
    return this.#nearest.find(operation);
  }

  #collect(key: string, operation: Operation, found: CompiledRule[]): void {
    let branch = this.#roots.get(key);
    for (let depth = 0; branch !== undefined; depth += 1) {
      for (const { rule, pattern } of branch.entries) {
        if (
          matchesResource(pattern, operation.resource, depth) &&
          coversCatalog(rule, pattern, operation)
        ) {
          found.push(rule);
        }
      }
      const part: string | undefined = operation.resource[depth];
      branch = part === undefined ? undefined : branch.children.get(part);
    }
  }
}

/**
 * Reading a reviewed system catalog is matched by rules that name the class or, literally, the catalog's
 * schema: a Deny for `shop.**` is about the shop's data, and must not keep every driver from connecting.
 */
function coversCatalog(
  rule: CompiledRule,
  pattern: ResourcePattern,
  operation: Operation,
): boolean {
  if (operation.class !== 'Catalog' || rule.classes.has('Catalog') || rule.broken !== undefined) {
    return true;
  }
  const schema = pattern.parts[1];
  return schema !== undefined && 'literal' in schema && schema.literal === operation.resource[1];
}

const verbKey = (verb: string): string => `verb:${verb}`;
const classKey = (name: string): string => `class:${name}`;
