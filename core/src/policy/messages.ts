import type { Operation } from '../sql/operation.ts';
import type { CompiledRule } from './compiled-rule.ts';
import type { Condition } from './conditions.ts';
import { formatResource } from './resource-pattern.ts';
import type { BundleIdentity, BundleTarget, RuleRef } from './types.ts';

/** Longest name shown in a message, in characters. */
const maxShown = 200;

/** Characters that could forge a line of a log or drive a terminal: controls, separators, bidirectional marks. */
const unprintable =
  /[\u0000-\u001f\u007f-\u009f\u2028\u2029\u200b-\u200f\u202a-\u202e\u2066-\u2069\ufeff]/g;

/** A name from outside made fit for a message: one line, printable, bounded. */
export function shown(text: string): string {
  const cut = text.length > maxShown ? `${text.slice(0, maxShown)}…` : text;
  return cut.replace(
    unprintable,
    (char) => `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

/** `Select on shop.public.orders`. */
export function describeOperation(operation: Operation): string {
  const resource = shown(formatResource(operation.resource));
  return resource === '' ? operation.verb : `${operation.verb} on ${resource}`;
}

/** `rule read-orders of AccessPolicy payments/reports`. */
export function describeRule(ref: RuleRef): string {
  const object = `${ref.kind} ${ref.namespace}/${ref.object}`;
  return ref.rule === '' ? object : `rule ${ref.rule} of ${object}`;
}

export const describeIdentity = (identity: BundleIdentity): string =>
  `${identity.namespace}/${identity.name}`;

export const describeTarget = (target: BundleTarget): string =>
  `${target.namespace}/${target.name}`;

/** `verbs: [Do]` or `classes: [Read]`: what a rule has to say to match the operation. */
export function matcherFor(operation: Operation, byVerb: boolean): string {
  return byVerb ? `verbs: [${operation.verb}]` : `classes: [${operation.class}]`;
}

/** `verbs: [Select], classes: [Write]`: what a rule says that it is about. */
export function describeMatchers(rule: CompiledRule): string {
  const list = (name: string, values: ReadonlySet<string>): string[] =>
    values.size === 0 ? [] : [`${name}: [${[...values].join(', ')}]`];
  return shown([...list('verbs', rule.verbs), ...list('classes', rule.classes)].join(', '));
}

/**
 * `its condition (when: statement.hasWhere) is not met`. One about who calls, from where or with which ticket
 * is not shown: it may name other identities, or say what to pretend. Nor is one that may hold a comment, which
 * is for those who keep the policy.
 */
export function describeUnmet({ expression, uses }: Condition): string {
  if (uses.identity || uses.sourceIP || uses.ticket) {
    return 'its condition on the caller is not met';
  }
  if (expression.includes('//')) return 'its condition is not met';
  return `its condition (when: ${shown(expression.trim().replace(/\s+/g, ' '))}) is not met`;
}
