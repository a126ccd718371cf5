import { bundle, identity, mask, rule } from '@chaperone/core/testing/policy-fixtures.ts';
import { describe, expect, test } from '@jest/globals';
import { bundleShapeProblem, isKnownExemption, unknownRuleField } from './bundle-shape.ts';

const exemption = { reason: 'r', expiresAt: '2026-01-01T00:00:00Z' };
const limits = { rowsPerStatement: 5, onExceed: 'Deny', scope: 'Pod' } as const;
const whole = {
  version: 1,
  identity: identity(),
  targets: [
    bundle(
      [rule('r', { when: 'true', columns: { only: ['a'] }, limits })],
      [mask('m', { exemptions: [exemption] })],
    ),
  ],
};

/** The bundle with one value in it replaced. */
function replaced(path: readonly (string | number)[], value: unknown): unknown {
  const copy = structuredClone(whole) as unknown;
  let at = copy as Record<string | number, unknown>;
  for (const step of path.slice(0, -1)) at = at[step] as typeof at;
  at[path.at(-1)!] = value;
  return copy;
}

describe('bundleShapeProblem', () => {
  test('finds none in a bundle', () => expect(bundleShapeProblem(whole)).toBeUndefined());

  test.each<[string, (string | number)[], unknown]>([
    [
      'an enforcement that would pass for Observe',
      ['targets', 0, 'target', 'enforcement'],
      'enforce',
    ],
    ['no enforcement', ['targets', 0, 'target', 'enforcement'], undefined],
    [
      'a limit that no number reaches',
      ['targets', 0, 'rules', 0, 'limits', 'rowsPerStatement'],
      {},
    ],
    ['a limit below none', ['targets', 0, 'rules', 0, 'limits', 'rowsPerStatement'], -1],
    ['verbs that are no list', ['targets', 0, 'rules', 0, 'verbs'], 'Select'],
    ['a rule that is none', ['targets', 0, 'rules', 0], null],
    ['columns that are texts', ['targets', 0, 'rules', 0, 'columns', 'except'], 'ssn'],
    ['a mask without columns', ['targets', 0, 'masks', 0, 'columns'], undefined],
    ['a usage of the future', ['targets', 0, 'masks', 0, 'usage'], 'Free'],
    ['an exemption that is none', ['targets', 0, 'masks', 0, 'exemptions', 0], 'for ever'],
    ['a durability of the future', ['targets', 0, 'session', 'durability'], 'None'],
    ['an identity that is neither suspended nor not', ['identity', 'suspended'], 'false'],
    ['groups that are no list', ['identity', 'groups'], {}],
  ])('%s', (_, path, value) => {
    expect(bundleShapeProblem(replaced(path, value))).toMatch(/^the bundle\./);
  });
});

test('what narrows a rule or an exemption and is not known is told', () => {
  expect(unknownRuleField(rule('r', { limits, columns: { except: [] } }))).toBeUndefined();
  for (const more of [
    { unless: 1 },
    { columns: { like: [] } },
    { limits: { ...limits, cpu: 1 } },
  ]) {
    expect(unknownRuleField({ ...rule('r'), ...more } as never)).toMatch(/^(unless|like|cpu)$/);
  }
  expect(isKnownExemption(exemption)).toBe(true);
  expect(isKnownExemption({ ...exemption, onlyOn: 'Monday' } as never)).toBe(false);
});
