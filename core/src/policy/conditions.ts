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
/** Longest list that a comprehension goes through; for nested ones and regular expressions, the second. */
const maxLoop = 10_000;
const maxHeavyLoop = 200;
/** Longest text that is given to a regular expression, in characters. */
const maxRe2Input = 512;

/** A compiled `when`. Immutable; evaluations share nothing. */
export interface Condition {
  readonly uses: ConditionUses;
  /** True or false; undefined when it failed or gave anything else, which must never allow. */
  evaluate(scope: ConditionScope): boolean | undefined;
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
  .registerVariable('request', 'Request');

/** Throws ConditionError when the expression does not parse, type-check or keep to what is available. */
export function compileCondition(expression: string): Condition {
  if (expression.length > maxExpressionLength) {
    throw new ConditionError(`the expression has more than ${maxExpressionLength} characters`);
  }
  const facts = inspect(parse(environment, expression).ast);
  const program = parse(withPatterns(facts.patterns), expression);
  const checked = program.check();
  if (!checked.valid) throw new ConditionError(checked.error?.summary ?? 'it does not type-check');
  if (checked.type !== 'bool') {
    throw new ConditionError(
      `it gives ${checked.type ?? 'no type'}, where true or false is needed`,
    );
  }
  const longest = facts.heavy ? maxHeavyLoop : maxLoop;
  return {
    uses: facts.uses,
    evaluate(scope) {
      if (facts.loops && longestList(scope) > longest) return undefined;
      try {
        const result: unknown = program(scope);
        return typeof result === 'boolean' ? result : undefined;
      } catch {
        return undefined;
      }
    },
  };
}

/** The environment in which `re2` knows the patterns of one expression. */
function withPatterns(patterns: ExpressionFacts['patterns']): Environment {
  if (patterns.size === 0) return environment;
  const re2 = (text: string, pattern: string): boolean => {
    if (text.length > maxRe2Input) throw new ConditionError('the text is too long for re2');
    return patterns.get(pattern)!.matcher(text).find();
  };
  return environment.clone().registerFunction('re2(string, string): bool', re2, { async: false });
}

function parse(environment: Environment, expression: string): ReturnType<Environment['parse']> {
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
