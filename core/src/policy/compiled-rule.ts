import { type OperationClass, type Verb, verbClasses } from '../sql/operation.ts';
import { type Condition, compileCondition } from './conditions.ts';
import {
  matchesPart,
  type PartPattern,
  parseName,
  parseResourcePattern,
  type ResourcePattern,
} from './resource-pattern.ts';
import type { BundleRule, RuleRef } from './types.ts';

/** A rule ready to be matched. Immutable. */
export interface CompiledRule {
  /** Its place in the bundle. */
  readonly ordinal: number;
  readonly ref: RuleRef;
  readonly action: BundleRule['action'];
  readonly limits: BundleRule['limits'];
  readonly verbs: ReadonlySet<string>;
  readonly classes: ReadonlySet<string>;
  /** Matches whatever the verb: `*`, or a verb or class that this version does not know in a Deny. */
  readonly anyVerb: boolean;
  readonly patterns: readonly ResourcePattern[];
  readonly columns?: ColumnScope;
  readonly condition?: Condition;
  /** Why it cannot be understood in full: it never allows, and otherwise holds for all it might match. */
  readonly broken?: string;
}

export interface ColumnScope {
  readonly only?: readonly PartPattern[];
  readonly except?: readonly PartPattern[];
}

/** Whether a column lies within a rule's columns. */
export function inScope(scope: ColumnScope, column: string): boolean {
  if (scope.only !== undefined && !scope.only.some((name) => matchesPart(name, column)))
    return false;
  return !scope.except?.some((name) => matchesPart(name, column));
}

const everything: ResourcePattern = { source: '**', parts: [], rest: true };

const knownVerbs: ReadonlySet<string> = new Set<Verb>(Object.keys(verbClasses) as Verb[]);
const knownClasses: ReadonlySet<string> = new Set<OperationClass>([
  ...Object.values(verbClasses),
  'Catalog',
]);

/**
 * Compiles one rule. Never throws: what cannot be compiled makes the rule `broken`. A broken Deny or
 * RequireApproval holds without its `when` and its columns, and whatever its verbs and resources where
 * those are what was not understood.
 */
export function compileRule(rule: BundleRule, ordinal: number): CompiledRule {
  const restricts = rule.action !== 'Allow';
  let broken = rule.invalid;

  const unknown =
    rule.verbs.find((verb) => verb !== '*' && !knownVerbs.has(verb)) ??
    rule.classes.find((name) => name !== '*' && !knownClasses.has(name));
  if (unknown !== undefined) broken ??= `verb or class ${unknown} is not known`;
  const wildcard = rule.verbs.includes('*') || rule.classes.includes('*');
  const unnamed = rule.verbs.length === 0 && rule.classes.length === 0;

  let patterns: ResourcePattern[];
  try {
    patterns = rule.resources.map(parseResourcePattern);
    if (patterns.length === 0 && restricts) patterns = [everything];
  } catch (error) {
    broken ??= messageOf(error);
    patterns = [everything];
  }

  let condition: Condition | undefined;
  if (rule.when !== undefined && broken === undefined) {
    try {
      condition = compileCondition(rule.when);
    } catch (error) {
      broken = `when: ${messageOf(error)}`;
    }
  }

  return {
    ordinal,
    ref: rule.ref,
    action: rule.action,
    limits: rule.limits,
    verbs: new Set(rule.verbs),
    classes: new Set(rule.classes),
    anyVerb: wildcard || (restricts && (unnamed || unknown !== undefined)),
    patterns,
    ...(rule.columns !== undefined &&
      broken === undefined && { columns: compileColumns(rule.columns) }),
    ...(condition !== undefined && { condition }),
    ...(broken !== undefined && { broken }),
  };
}

function compileColumns(columns: NonNullable<BundleRule['columns']>): ColumnScope {
  return {
    ...(columns.only !== undefined && { only: columns.only.map(parseName) }),
    ...(columns.except !== undefined && { except: columns.except.map(parseName) }),
  };
}

const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);
