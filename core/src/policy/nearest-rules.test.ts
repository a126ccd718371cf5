import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { namedOnlyVerbs, type Operation, type Verb, verbClasses } from '../sql/operation.ts';
import { rule } from '../testing/policy-fixtures.ts';
import { type CompiledRule, compileRule } from './compiled-rule.ts';
import { NearestRules, type NearRule } from './nearest-rules.ts';
import { matchesResource, mayMatchBelow } from './resource-pattern.ts';

/** The same by looking at every rule. */
function byLooking(rules: readonly CompiledRule[], operation: Operation): NearRule | undefined {
  const { verb, resource } = operation;
  const covers = (one: CompiledRule) =>
    one.verbs.has(verb) ||
    (!namedOnlyVerbs.has(verb) && (one.anyVerb || one.classes.has(operation.class)));
  const matches = (one: CompiledRule) =>
    one.patterns.some((pattern) => matchesResource(pattern, resource));
  const onResource = rules.find((one) => !covers(one) && matches(one));
  if (onResource !== undefined) return { rule: onResource, lacks: 'Verb' };
  const parents = resource.slice(0, -1);
  const beside = rules.find(
    (one) =>
      parents.length > 0 &&
      covers(one) &&
      !matches(one) &&
      one.patterns.some(
        ({ parts, ...pattern }) =>
          parts.length === resource.length && mayMatchBelow({ parts, ...pattern }, parents),
      ),
  );
  return beside && { rule: beside, lacks: 'Resource' };
}

const part = fc.constantFrom('a', 'b', 'c');
const pattern = fc
  .tuple(fc.array(fc.constantFrom('a', 'b', 'c', '*', 'a*', '*b'), { maxLength: 4 }), fc.boolean())
  .map(([parts, rest]) => [...parts, ...(rest || parts.length === 0 ? ['**'] : [])].join('.'));
const verbs = ['Select', 'Delete', 'Do', 'Unknown'] as const satisfies readonly Verb[];
const bundleRule = fc.record({
  verbs: fc.uniqueArray(fc.constantFrom(...verbs, '*'), { maxLength: 2 }),
  classes: fc.uniqueArray(fc.constantFrom('Read', 'Write', 'Catalog', 'Unknown'), { maxLength: 2 }),
  resources: fc.array(pattern, { minLength: 1, maxLength: 3 }),
});
const operation = fc
  .tuple(fc.constantFrom(...verbs), fc.array(part, { minLength: 1, maxLength: 4 }), fc.boolean())
  .map(
    ([verb, resource, system]): Operation => ({
      verb,
      class: system && verb === 'Select' ? 'Catalog' : verbClasses[verb],
      resource,
      reach: 'Named',
    }),
  );

test('finds what looking at every rule finds', () => {
  const seen = { Verb: 0, Resource: 0, none: 0 };
  fc.assert(
    fc.property(fc.array(bundleRule, { maxLength: 6 }), operation, (bundle, refused) => {
      const rules = bundle.map((one, at) => compileRule(rule(`r${at}`, one), at));
      const found = new NearestRules(rules).find(refused);
      expect(found).toEqual(byLooking(rules, refused));
      seen[found?.lacks ?? 'none'] += 1;
    }),
    { numRuns: 2000 },
  );
  expect(Math.min(...Object.values(seen))).toBeGreaterThan(5);
});

test('does not look at rules for other resources', () => {
  let looked = 0;
  const rules = Array.from({ length: 1000 }, (_, at) => {
    const made = compileRule(
      rule(`r${at}`, { classes: ['Read'], resources: [`shop.s${at}.orders`] }),
      at,
    );
    const classes = new Set(made.classes);
    classes.has = (name) => {
      looked += 1;
      return Set.prototype.has.call(classes, name);
    };
    return { ...made, classes };
  });
  const nearest = new NearestRules(rules);
  const refused = { class: 'Write', verb: 'Delete', reach: 'Named' } as const;
  const found = nearest.find({ ...refused, resource: ['shop', 's999', 'orders'] });
  expect([found?.rule.ordinal, found?.lacks]).toEqual([999, 'Verb']);
  expect(looked).toBe(1);
});
