import { namedOnlyVerbs, type Operation } from '../sql/operation.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { matchesResource, mayMatchBelow, type ResourcePattern } from './resource-pattern.ts';

/** Rules below one literal leading part, and those whose pattern goes on with something else. */
interface Branch {
  readonly children: Map<string, Branch>;
  readonly entries: { readonly rule: CompiledRule; readonly pattern: ResourcePattern }[];
}

function childOf(branches: Map<string, Branch>, key: string): Branch {
  const known = branches.get(key);
  if (known !== undefined) return known;
  const made: Branch = { children: new Map(), entries: [] };
  branches.set(key, made);
  return made;
}

/** A rule that all but fits an operation, and which part of it does not. */
export interface NearRule {
  readonly rule: CompiledRule;
  readonly lacks: 'Verb' | 'Resource';
}

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

  get size(): number {
    return this.#rules.length;
  }

  add(rule: CompiledRule): void {
    this.#rules.push(rule);
    const keys = rule.anyVerb
      ? [anyVerb]
      : [...[...rule.verbs].map(verbKey), ...[...rule.classes].map(classKey)];
    for (const key of keys) {
      for (const pattern of rule.patterns)
        this.#branch(key, pattern).entries.push({ rule, pattern });
    }
  }

  #branch(key: string, pattern: ResourcePattern): Branch {
    let branch = childOf(this.#roots, key);
    for (const part of pattern.parts) {
      if (!('literal' in part)) break;
      branch = childOf(branch.children, part.literal);
    }
    return branch;
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

  /**
   * Of the rules that do not fit an operation, the one that comes nearest, for a message: the first that
   * covers its resource, but not its verb; else the first that covers its verb, on resources that differ in
   * the last part alone. Looks at every rule, which only a refusal may.
   */
  nearest(operation: Operation): NearRule | undefined {
    const { verb, resource } = operation;
    const coversVerb = (rule: CompiledRule): boolean =>
      rule.verbs.has(verb) ||
      (!namedOnlyVerbs.has(verb) && (rule.anyVerb || rule.classes.has(operation.class)));
    const onResource = this.#rules.find(
      (rule) =>
        !coversVerb(rule) && rule.patterns.some((pattern) => matchesResource(pattern, resource)),
    );
    if (onResource !== undefined) return { rule: onResource, lacks: 'Verb' };

    const parents = resource.slice(0, -1);
    if (parents.length === 0) return undefined;
    const beside = this.#rules.find(
      (rule) =>
        coversVerb(rule) &&
        !rule.patterns.some((pattern) => matchesResource(pattern, resource)) &&
        rule.patterns.some(
          (pattern) => pattern.parts.length === resource.length && mayMatchBelow(pattern, parents),
        ),
    );
    return beside === undefined ? undefined : { rule: beside, lacks: 'Resource' };
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
