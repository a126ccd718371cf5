import { namedOnlyVerbs, type Operation, type StatementAnalysis } from '../sql/operation.ts';
import type { TargetPolicy } from './compile.ts';
import { type CompiledRule, inScope } from './compiled-rule.ts';
import {
  type ConditionScope,
  OperationScope,
  RequestScope,
  StatementScope,
} from './condition-scope.ts';
import type { RequestContext } from './types.ts';

/** What the rules say of one operation. */
export type Judgement =
  | {
      readonly outcome: 'Allow';
      /** The rules that allow it; more than one where several together allow its columns. */
      readonly rules: readonly CompiledRule[];
      /** All matching Allow rules that have limits: each limits whatever it matches. */
      readonly limiting: readonly CompiledRule[];
    }
  | { readonly outcome: 'Deny'; readonly reason: 'DeniedByRule'; readonly rule: CompiledRule }
  | {
      readonly outcome: 'Deny';
      readonly reason: 'DefaultDeny' | 'NoPolicy' | 'Unknown';
      /** The first Allow rule that would have allowed it, had its condition held. */
      readonly unmet?: CompiledRule;
    }
  | {
      readonly outcome: 'Deny';
      readonly reason: 'ColumnNotAllowed';
      readonly rule: CompiledRule;
      readonly column: string;
      /** The first Allow rule that would have allowed the column, had its condition held. */
      readonly unmet?: CompiledRule;
    }
  | { readonly outcome: 'RequireApproval'; readonly rule: CompiledRule };

/** What the Allow rules alone say of one operation. */
type AllowJudgement = Exclude<
  Judgement,
  { readonly outcome: 'RequireApproval' } | { readonly reason: 'DeniedByRule' }
>;

/** The most steps that the conditions of one statement may take together; some 50 ms. */
const maxSteps = 500_000;

/** Judges the operations of one statement in one request; remembers whether the request itself mattered. */
export class Judge {
  readonly #policy: TargetPolicy;
  readonly #statement: StatementScope;
  readonly #request: RequestScope;
  #usedRequest = false;
  #steps = 0;
  #scope: { readonly operation: Operation; readonly scope: ConditionScope } | undefined;

  constructor(policy: TargetPolicy, statement: StatementAnalysis, request: RequestContext) {
    this.#policy = policy;
    this.#statement = new StatementScope(statement.facts);
    this.#request = new RequestScope(request);
  }

  /** A condition that was evaluated looked at the request: the outcome holds for this request alone. */
  get usedRequest(): boolean {
    return this.#usedRequest;
  }

  /** Deny and RequireApproval rules of policies in DryRun that would have matched. */
  dryRun(operation: Operation): readonly CompiledRule[] {
    return this.#policy.dryRun.find(operation).filter((rule) => this.#restricts(rule, operation));
  }

  judge(operation: Operation): Judgement {
    const policy = this.#policy;
    const denied = policy.deny.find(operation).find((rule) => this.#restricts(rule, operation));
    if (denied !== undefined) return { outcome: 'Deny', reason: 'DeniedByRule', rule: denied };

    const approval = policy.approval
      .find(operation)
      .filter((rule) => this.#restricts(rule, operation));

    if (namedOnlyVerbs.has(operation.verb)) {
      return this.#judgeNamedOnly(operation, approval);
    }
    if (approval[0] !== undefined) return { outcome: 'RequireApproval', rule: approval[0] };
    if (operation.class === 'Catalog') {
      return policy.hasAccess ? freely : { outcome: 'Deny', reason: 'NoPolicy' };
    }
    // What stands beneath is reached through what was named, and that is what a rule allows.
    if (operation.reach === 'Beneath') return freely;
    return this.#judgeAllow(operation, policy.allow.find(operation));
  }

  /** Neither a class nor `*` allows these verbs, at any reach, and a person is asked only where one is named. */
  #judgeNamedOnly(operation: Operation, approval: readonly CompiledRule[]): Judgement {
    const names = (rule: CompiledRule): boolean => rule.verbs.has(operation.verb);
    const allowed = this.#judgeAllow(operation, this.#policy.allow.find(operation).filter(names));
    if (allowed.outcome === 'Allow' || approval.some(names)) {
      const held = approval.find(names) ?? approval[0];
      return held === undefined ? allowed : { outcome: 'RequireApproval', rule: held };
    }
    return operation.verb === 'Unknown' ? denied('Unknown', allowed.unmet) : allowed;
  }

  #judgeAllow(operation: Operation, candidates: readonly CompiledRule[]): AllowJudgement {
    const matching = candidates.filter((rule) => this.#holds(rule, operation) === true);
    const columns = operation.columns ?? [];
    const allows = (rule: CompiledRule, column: string): boolean =>
      rule.columns === undefined || inScope(rule.columns, column);

    const first = matching[0];
    if (first === undefined) {
      const unmet = candidates.find((rule) => columns.every((column) => allows(rule, column)));
      return denied(this.#policy.hasAccess ? 'DefaultDeny' : 'NoPolicy', unmet);
    }
    const uncovered = columns.find((column) => !matching.some((rule) => allows(rule, column)));
    if (uncovered !== undefined) {
      const unmet = candidates.find((rule) => !matching.includes(rule) && allows(rule, uncovered));
      return {
        outcome: 'Deny',
        reason: 'ColumnNotAllowed',
        rule: first,
        column: uncovered,
        ...(unmet !== undefined && { unmet }),
      };
    }
    const covering = matching.filter(
      (rule) => columns.length === 0 || columns.some((column) => allows(rule, column)),
    );
    const alone = covering.find((rule) => columns.every((column) => allows(rule, column)));
    return {
      outcome: 'Allow',
      rules: alone === undefined ? covering : [alone],
      limiting: covering.filter((rule) => rule.limits !== undefined),
    };
  }

  /** Whether a Deny or RequireApproval applies: also when its condition fails, for it must not be lost. */
  #restricts(rule: CompiledRule, operation: Operation): boolean {
    const { columns } = rule;
    if (columns !== undefined && operation.columns !== undefined) {
      if (!operation.columns.some((column) => inScope(columns, column))) return false;
    }
    return this.#holds(rule, operation) !== false;
  }

  #holds(rule: CompiledRule, operation: Operation): boolean | undefined {
    const { condition } = rule;
    if (condition === undefined) return true;
    const { uses } = condition;
    if (uses.time || uses.sourceIP || uses.ticket) this.#usedRequest = true;
    const scope = this.#scopeOf(operation);
    this.#steps += condition.steps(scope);
    return this.#steps > maxSteps ? undefined : condition.evaluate(scope);
  }

  #scopeOf(operation: Operation): ConditionScope {
    if (this.#scope?.operation === operation) return this.#scope.scope;
    const scope: ConditionScope = {
      identity: this.#policy.scope.identity,
      target: this.#policy.scope.target,
      operation: new OperationScope(operation),
      statement: this.#statement,
      request: this.#request,
    };
    this.#scope = { operation, scope };
    return scope;
  }
}

function denied(
  reason: 'DefaultDeny' | 'NoPolicy' | 'Unknown',
  unmet: CompiledRule | undefined,
): AllowJudgement {
  return { outcome: 'Deny', reason, ...(unmet !== undefined && { unmet }) };
}

const freely: Judgement = { outcome: 'Allow', rules: [], limiting: [] };
