import { Environment } from '@marcbachmann/cel-js';
import {
  ConditionError,
  type ConditionUses,
  type ExpressionFacts,
  inspect,
} from './condition-check.ts';
import {
  type ConditionScope,
  IdentityScope,
  longestList,
  OperationScope,
  OwnerScope,
  RequestScope,
  StatementScope,
  TargetScope,
} from './condition-scope.ts';

export { ConditionError, type ConditionUses } from './condition-check.ts';

/** Longest expression, in characters; the schema of AccessPolicy says the same. */
export const maxExpressionLength = 2048;
/** The most steps that one evaluation may take; some 10 ms. */
const maxSteps = 100_000;
/** Longest text that is given to a regular expression, in characters. */
const maxRe2Input = 512;

/** A compiled `when`. Immutable; evaluations share nothing. */
export interface Condition {
  /** As the author wrote it. */
  readonly expression: string;
  readonly uses: ConditionUses;
  /** An upper bound of what an evaluation takes, in steps of about a tenth of a microsecond. */
  steps(scope: ConditionScope): number;
  /** True or false; undefined when it failed or gave anything else, which must never allow. */
  evaluate(scope: ConditionScope): boolean | undefined;
}

/** The patterns of the expression at work: evaluation is synchronous, and nothing else runs meanwhile. */
let patternsAtWork: ExpressionFacts['patterns'] = new Map();

function re2(text: string, pattern: string): boolean {
  if (text.length > maxRe2Input) throw new ConditionError('the text is too long for re2');
  return patternsAtWork.get(pattern)!.matcher(text).find();
}

const environment = new Environment({
  limits: {
    maxAstNodes: 400,
    maxDepth: 24,
    maxListElements: 128,
    maxMapEntries: 0,
    maxCallArguments: 4,
  },
})
  .registerType('Owner', { ctor: OwnerScope, fields: { team: 'string', contact: 'string' } })
  .registerType('Identity', {
    ctor: IdentityScope,
    fields: {
      name: 'string',
      namespace: 'string',
      owner: 'Owner',
      groups: 'list<string>',
      claims: 'map<string, string>',
    },
  })
  .registerType('Target', {
    ctor: TargetScope,
    fields: { name: 'string', namespace: 'string', classification: 'list<string>' },
  })
  .registerType('Operation', {
    ctor: OperationScope,
    fields: {
      verb: 'string',
      class: 'string',
      resource: 'string',
      columns: 'list<string>',
      sideEffects: 'bool',
    },
  })
  .registerType('Statement', {
    ctor: StatementScope,
    fields: { hasWhere: 'bool', relations: 'list<string>', functions: 'list<string>' },
  })
  .registerType('Request', {
    ctor: RequestScope,
    fields: { time: 'google.protobuf.Timestamp', sourceIP: 'string', ticket: 'string' },
  })
  .registerVariable('identity', 'Identity')
  .registerVariable('target', 'Target')
  .registerVariable('operation', 'Operation')
  .registerVariable('statement', 'Statement')
  .registerVariable('request', 'Request')
  .registerFunction('re2(string, string): bool', re2, { async: false });

/** Throws ConditionError when the expression does not parse, type-check or keep to what is available. */
export function compileCondition(expression: string): Condition {
  if (expression.length > maxExpressionLength) {
    throw new ConditionError(`the expression has more than ${maxExpressionLength} characters`);
  }
  const program = parse(expression);
  const facts = inspect(program.ast);
  const checked = program.check();
  if (!checked.valid) throw new ConditionError(checked.error?.summary ?? 'it does not type-check');
  if (checked.type !== 'bool') {
    throw new ConditionError(
      `it gives ${checked.type ?? 'no type'}, where true or false is needed`,
    );
  }
  const steps = (scope: ConditionScope): number => {
    const [once, each, pairs] = facts.steps;
    if (each === 0) return once;
    const length = longestList(scope);
    return once + each * length + pairs * length * length;
  };
  return {
    expression,
    uses: facts.uses,
    steps,
    evaluate(scope) {
      if (steps(scope) > maxSteps) return undefined;
      patternsAtWork = facts.patterns;
      try {
        const result: unknown = program(scope);
        return typeof result === 'boolean' ? result : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

function parse(expression: string): ReturnType<Environment['parse']> {
  try {
    return environment.parse(expression);
  } catch (error) {
    const summary = (error as { summary?: unknown }).summary;
    throw new ConditionError(typeof summary === 'string' ? summary : 'it does not parse');
  }
}

/** For the validator of resources: whether an expression is taken, and which parts of the request it uses. */
export function checkCondition(
  expression: string,
):
  | { readonly ok: true; readonly uses: ConditionUses }
  | { readonly ok: false; readonly message: string } {
  try {
    return { ok: true, uses: compileCondition(expression).uses };
  } catch (error) {
    return { ok: false, message: error instanceof Error ? error.message : 'it does not compile' };
  }
}
