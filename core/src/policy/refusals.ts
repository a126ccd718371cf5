import type { Operation } from '../sql/operation.ts';
import { namedOnlyVerbs } from '../sql/operation.ts';
import type { TargetPolicy } from './compile.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { Judgement } from './judge.ts';
import {
  describeIdentity,
  describeMatchers,
  describeOperation,
  describeRule,
  describeTarget,
  describeUnmet,
  matcherFor,
  shown,
} from './messages.ts';
import { formatResource } from './resource-pattern.ts';
import type { Hold, Refusal, RefusalReason, RuleRef } from './types.ts';

function refuse(
  reason: RefusalReason,
  message: string,
  hint: string,
  more: { readonly rule?: RuleRef; readonly operation?: Operation } = {},
): Refusal {
  return { verdict: 'Deny', reason, message, hint, wouldDeny: [], ...more };
}

/** A suspended or expired identity may do nothing, whatever the rules. */
export function refusalOfIdentity(policy: TargetPolicy, nowMs: number): Refusal | undefined {
  const { identity } = policy;
  const name = describeIdentity(identity);
  if (identity.suspended) {
    return refuse(
      'Suspended',
      `MachineIdentity ${name} is suspended.`,
      `Ask its owner, ${shown(identity.owner.team)}; it works again once spec.suspended is false.`,
    );
  }
  if (nowMs >= policy.expiresAtMs) {
    return refuse(
      'Expired',
      `MachineIdentity ${name} expired at ${shown(identity.expiresAt ?? '')}.`,
      `Ask its owner, ${shown(identity.owner.team)}, to renew spec.expiresAt.`,
    );
  }
  return undefined;
}

/** For a statement without operations, which any access would have let pass. */
export function refusalWithoutPolicy(policy: TargetPolicy): Refusal {
  const target = describeTarget(policy.bundle.target);
  return refuse(
    'NoPolicy',
    `No AccessPolicy gives ${describeIdentity(policy.identity)} any access to Target ${target}.`,
    `Create an AccessPolicy in namespace ${policy.bundle.target.namespace} that names this identity and has an Allow rule.`,
  );
}

/** The refusal of one operation. */
export function refusalBy(
  policy: TargetPolicy,
  operation: Operation,
  judgement: Extract<Judgement, { outcome: 'Deny' }>,
): Refusal {
  const what = describeOperation(operation);
  const who = describeIdentity(policy.identity);
  const namespace = policy.bundle.target.namespace;
  switch (judgement.reason) {
    case 'DeniedByRule': {
      const { rule } = judgement;
      const beneath =
        operation.reach === 'Beneath' ? ', which the statement reaches indirectly,' : '';
      const broken =
        rule.broken === undefined
          ? ''
          : ` The rule could not be read in full (${shown(rule.broken)}), so it denies all that it may be about.`;
      return refuse(
        'DeniedByRule',
        `${what}${beneath} is denied to ${who} by ${describeRule(rule.ref)}.`,
        `Leave it out of the statement, or ask those who keep that policy.${broken}`,
        { rule: rule.ref, operation },
      );
    }
    case 'ColumnNotAllowed': {
      const column = shown(formatResource([judgement.column]));
      return refuse(
        'ColumnNotAllowed',
        `${what} is refused to ${who}: column ${column} is not among those that ${describeRule(judgement.rule.ref)} allows.`,
        judgement.unmet === undefined
          ? `Name the columns that are needed, without ${column}.`
          : `Name the columns that are needed, without ${column}. ${hintOfUnmet(judgement.unmet)}`,
        { rule: judgement.rule.ref, operation },
      );
    }
    case 'Unknown':
      return refuse(
        'Unknown',
        `${what} is refused to ${who}: ${shown(operation.reason ?? 'what it does could not be determined')}.`,
        judgement.unmet === undefined
          ? `Write it in a way that can be analyzed, or have a rule in an AccessPolicy of namespace ${namespace} allow it by name (verbs: [Unknown]).`
          : `Write it in a way that can be analyzed. ${hintOfUnmet(judgement.unmet)}`,
        { operation },
      );
    case 'NoPolicy':
      return { ...refusalWithoutPolicy(policy), operation };
    case 'DefaultDeny': {
      const why = operation.reason === undefined ? '' : ` (${shown(operation.reason)})`;
      return refuse(
        'DefaultDeny',
        `${what} is refused to ${who}: no rule of any AccessPolicy allows it${why}.`,
        judgement.unmet === undefined
          ? `${hintOfNearest(policy, operation)}If it is needed, have an Allow rule in an AccessPolicy of namespace ${namespace} cover it: ${matcherFor(operation, namedOnlyVerbs.has(operation.verb))}, resources: [${shown(formatResource(operation.resource))}].`
          : hintOfUnmet(judgement.unmet),
        { operation },
      );
    }
  }
}

/**
 * A rule that is there already and does not apply this time. It is one of the caller's own: a bundle holds
 * the rules that concern its identity on its target, and no others.
 */
function hintOfUnmet(rule: CompiledRule): string {
  const unmet = rule.condition === undefined ? '' : `, but ${describeUnmet(rule.condition)}`;
  return `${capitalized(describeRule(rule.ref))} would allow it${unmet}: meet it, or ask those who keep that policy.`;
}

/** Where the rule stands that does nearly the same, with a space behind it; empty where none does. */
function hintOfNearest(policy: TargetPolicy, operation: Operation): string {
  const near = policy.allow.nearest(operation);
  if (near === undefined) return '';
  const { rule, lacks } = near;
  const what = `The nearest, ${describeRule(rule.ref)}, allows ${describeMatchers(rule)}`;
  if (lacks === 'Verb') return `${what} there. `;
  const resources = rule.patterns.map(({ source }) => source).join(', ');
  return `${what} on resources: [${shown(resources)}]. `;
}

const capitalized = (text: string): string => text.charAt(0).toUpperCase() + text.slice(1);

/** A person has to say yes first. */
export function waits(operation: Operation, rule: RuleRef): Hold {
  return {
    verdict: 'RequireApproval',
    rule,
    message: `${describeOperation(operation)} needs a person's approval by ${describeRule(rule)}.`,
    hint: 'Approvals are not available yet, so the statement was refused; leave it out, or ask those who keep that policy.',
    operation,
    wouldDeny: [],
  };
}
