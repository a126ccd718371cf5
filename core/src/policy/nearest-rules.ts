import { namedOnlyVerbs, type Operation } from '../sql/operation.ts';
import type { CompiledRule } from './compiled-rule.ts';
import { type Branch, branchOf, childOf } from './pattern-tree.ts';
import { matchesResource, mayMatchBelow, type ResourcePattern } from './resource-pattern.ts';

/** A rule that all but fits an operation, and which part of it does not. */
export interface NearRule {
  readonly rule: CompiledRule;
  readonly lacks: 'Verb' | 'Resource';
}

/** Of rules in the order of their bundle, finds for a message those that nearly fit. */
export class NearestRules {
  readonly #byResource: Branch = { children: new Map(), entries: [] };
  /** By verb, class or `*`, then along the parts before the last. */
  readonly #byVerb = new Map<string, Branch>();

  constructor(rules: readonly CompiledRule[]) {
    for (const rule of rules) {
      const keys = rule.anyVerb ? ['*'] : new Set([...rule.verbs, ...rule.classes]);
      for (const pattern of rule.patterns) {
        branchOf(this.#byResource, pattern).entries.push({ rule, pattern });
        for (const key of keys) {
          const parents = pattern.parts.length - 1;
          branchOf(childOf(this.#byVerb, key), pattern, parents).entries.push({ rule, pattern });
        }
      }
    }
  }

  /**
   * The first rule that covers the resource, but not the verb; else the first that covers the verb, on resources
   * that differ in the last part alone.
   */
  find(operation: Operation): NearRule | undefined {
    const { verb, class: ofClass, resource } = operation;
    const coversVerb = (rule: CompiledRule): boolean =>
      rule.verbs.has(verb) ||
      (!namedOnlyVerbs.has(verb) && (rule.anyVerb || rule.classes.has(ofClass)));
    const onResource = first(
      [this.#byResource],
      resource,
      (rule, pattern) => !coversVerb(rule) && matchesResource(pattern, resource),
    );
    if (onResource !== undefined) return { rule: onResource, lacks: 'Verb' };

    const parents = resource.slice(0, -1);
    if (parents.length === 0) return undefined;
    const beside = first(
      [verb, ofClass, '*'].map((key) => this.#byVerb.get(key)),
      parents,
      (rule, pattern) =>
        pattern.parts.length === resource.length &&
        coversVerb(rule) &&
        mayMatchBelow(pattern, parents) &&
        !rule.patterns.some((other) => matchesResource(other, resource)),
    );
    return beside === undefined ? undefined : { rule: beside, lacks: 'Resource' };
  }
}

/** The first rule in the order of the bundle that fits, of those that stand along a path. */
function first(
  roots: readonly (Branch | undefined)[],
  path: readonly string[],
  fits: (rule: CompiledRule, pattern: ResourcePattern) => boolean,
): CompiledRule | undefined {
  let found: CompiledRule | undefined;
  for (const root of roots) {
    let branch = root;
    for (let depth = 0; branch !== undefined; depth += 1) {
      for (const { rule, pattern } of branch.entries) {
        if (found !== undefined && rule.ordinal >= found.ordinal) break;
        if (fits(rule, pattern)) found = rule;
      }
      const part: string | undefined = path[depth];
      branch = part === undefined ? undefined : branch.children.get(part);
    }
  }
  return found;
}
