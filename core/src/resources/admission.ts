/**
 * What admission checks beyond the schema, one object at a time: errors for what can never work, warnings
 * for what is probably not meant.
 */
import { checkCondition } from '../policy/conditions.ts';
import { verbClasses } from '../sql/operation.ts';
import { parseDurationMs } from './duration.ts';
import { isLabelKey, isLabelValue } from './metadata.ts';
import { columnPatternProblem, resourcePatternProblem } from './pattern-syntax.ts';
import { error, type Problem, warning } from './problem.ts';
import { contradictoryLabel } from './selector.ts';
import { overlappingSubjects } from './subjects.ts';
import type {
  AccessPolicy,
  AccessPolicyRule,
  LabelSelector,
  MachineIdentity,
  MaskingRule,
  Resource,
  Target,
} from './types.ts';

const dayMs = 24 * 60 * 60 * 1000;
const maxExemptionDays = 90;

/** Checks an object that has passed the schema. `nowMs`: epoch milliseconds. */
export function admissionProblems(object: Resource, nowMs: number): Problem[] {
  switch (object.kind) {
    case 'MachineIdentity':
      return identityProblems(object, nowMs);
    case 'Target':
      return targetProblems(object);
    case 'AccessPolicy':
      return policyProblems(object);
    case 'MaskingRule':
      return maskProblems(object, nowMs);
  }
}

function identityProblems({ spec, metadata }: MachineIdentity, nowMs: number): Problem[] {
  const problems: Problem[] = [];
  spec.subjects.forEach((subject, index) => {
    const earlier = spec.subjects
      .slice(0, index)
      .findIndex((other) =>
        overlappingSubjects(
          { namespace: metadata.namespace, subject },
          { namespace: metadata.namespace, subject: other },
        ),
      );
    if (earlier >= 0) {
      problems.push(
        error(`spec.subjects[${index}]`, `is covered already by spec.subjects[${earlier}]`),
      );
    }
  });
  if (spec.review) problems.push(...durationProblems(spec.review.every, 'spec.review.every'));
  if (spec.expiresAt === undefined) {
    problems.push(warning('spec.expiresAt', 'is not set: the identity never expires'));
  } else if (Date.parse(spec.expiresAt) <= nowMs) {
    problems.push(warning('spec.expiresAt', 'is in the past: the identity does not work'));
  }
  return problems;
}

function targetProblems({ spec }: Target): Problem[] {
  const problems = selectorProblems(
    spec.allowedNamespaces.selector,
    'spec.allowedNamespaces.selector',
  );
  if (spec.tls.mode === 'Disable' && !/^(localhost|127(\.\d{1,3}){3}|::1)$/.test(spec.host)) {
    problems.push(
      warning(
        'spec.tls.mode',
        'Disable sends the credential and all data in plain text over the network',
      ),
    );
  }
  return problems;
}

function policyProblems({ spec }: AccessPolicy): Problem[] {
  const rules = spec.rules ?? [];
  const problems = [
    ...selectorProblems(spec.selector, 'spec.selector'),
    ...selectorProblems(spec.subjects?.selector, 'spec.subjects.selector'),
    ...durationProblems(spec.session?.maxDuration, 'spec.session.maxDuration'),
    ...durationProblems(spec.session?.idleTimeout, 'spec.session.idleTimeout'),
    ...rules.flatMap((rule, index) => ruleProblems(rule, `spec.rules[${index}]`)),
  ];
  if (spec.subjects === undefined) {
    problems.push(warning('spec.subjects', 'is not set: the policy applies to nobody'));
  }
  if (rules.length === 0 && spec.session === undefined) {
    problems.push(warning('spec.rules', 'there is none: the policy grants nothing'));
  }
  return problems;
}

function ruleProblems(rule: AccessPolicyRule, path: string): Problem[] {
  const problems: Problem[] = [];
  rule.verbs?.forEach((verb, index) => {
    if (!Object.hasOwn(verbClasses, verb)) {
      const known = Object.keys(verbClasses);
      const meant = known.find((name) => name.toLowerCase() === verb.toLowerCase());
      problems.push(
        error(
          `${path}.verbs[${index}]`,
          `unknown verb ${verb}; ${meant === undefined ? `known are ${known.join(', ')}` : `did you mean ${meant}?`}`,
        ),
      );
    }
  });
  problems.push(
    ...patternProblems(rule.resources, `${path}.resources`, resourcePatternProblem),
    ...durationProblems(rule.approval?.expiresAfter, `${path}.approval.expiresAfter`),
    ...durationProblems(rule.approval?.wait?.holdTimeout, `${path}.approval.wait.holdTimeout`),
  );
  if (rule.when !== undefined) {
    const condition = checkCondition(rule.when);
    if (!condition.ok) problems.push(error(`${path}.when`, condition.message));
  }
  const exports = rule.classes?.includes('Export') || rule.verbs?.includes('CopyOut');
  if (exports && rule.action === 'Allow' && rule.limits === undefined) {
    problems.push(warning(`${path}.limits`, 'there are none: the rule allows exports of any size'));
  }
  return problems;
}

function maskProblems({ spec }: MaskingRule, nowMs: number): Problem[] {
  const problems = [
    ...selectorProblems(spec.selector, 'spec.selector'),
    ...patternProblems(spec.columns, 'spec.columns', columnPatternProblem),
    ...patternProblems(spec.resources, 'spec.resources', resourcePatternProblem),
  ];
  spec.exemptions?.forEach(({ expiresAt }, index) => {
    const path = `spec.exemptions[${index}].expiresAt`;
    const days = (Date.parse(expiresAt) - nowMs) / dayMs;
    if (days <= 0) problems.push(warning(path, 'is in the past: the exemption has ended'));
    else if (days > maxExemptionDays) {
      problems.push(warning(path, `is more than ${maxExemptionDays} days ahead`));
    }
  });
  return problems;
}

function patternProblems(
  patterns: readonly string[] | undefined,
  path: string,
  problemOf: (pattern: string) => string | undefined,
): Problem[] {
  return (patterns ?? []).flatMap((pattern, index) => {
    const problem = problemOf(pattern);
    return problem === undefined ? [] : [error(`${path}[${index}]`, problem)];
  });
}

function durationProblems(text: string | undefined, path: string): Problem[] {
  return text !== undefined && parseDurationMs(text) === 0
    ? [error(path, 'must be longer than zero')]
    : [];
}

function selectorProblems(selector: LabelSelector | undefined, path: string): Problem[] {
  if (selector === undefined) return [];
  const problems: Problem[] = [];
  const expressions = selector.matchExpressions ?? [];
  for (const key of [
    ...Object.keys(selector.matchLabels ?? {}),
    ...expressions.map((one) => one.key),
  ]) {
    if (!isLabelKey(key))
      problems.push(error(path, `${JSON.stringify(key.slice(0, 80))} is no label key`));
  }
  const values = [
    ...Object.values(selector.matchLabels ?? {}),
    ...expressions.flatMap((one) => one.values ?? []),
  ];
  for (const value of values) {
    if (!isLabelValue(value))
      problems.push(error(path, `${JSON.stringify(value)} is no label value`));
  }
  const contradictory = contradictoryLabel(selector);
  if (contradictory !== undefined) {
    problems.push(
      error(path, `can match nothing: its conditions on ${contradictory} contradict each other`),
    );
  }
  return problems;
}
