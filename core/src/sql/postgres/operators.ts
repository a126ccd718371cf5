import type { A_Expr } from 'libpg-query';
import { nameParts } from './ast.ts';
import type { Lineage } from './lineage.ts';
import type { Run } from './run.ts';
import { checkOperands, userSchema } from './types.ts';

/** The operator as written, with its schema if it has one. */
export function operatorName(body: A_Expr): string {
  return nameParts(body.name).join('.');
}

/** Operators that a construct stands for. */
const impliedOperators: Partial<Record<NonNullable<A_Expr['kind']>, readonly string[]>> = {
  AEXPR_DISTINCT: ['='],
  AEXPR_NOT_DISTINCT: ['='],
  AEXPR_NULLIF: ['='],
  AEXPR_BETWEEN: ['>=', '<='],
  AEXPR_NOT_BETWEEN: ['<', '>'],
  AEXPR_BETWEEN_SYM: ['>=', '<='],
  AEXPR_NOT_BETWEEN_SYM: ['<', '>'],
};

/**
 * Reports an operator that is not pg_catalog's, or may not be: the names of an expression, and those that
 * IN, BETWEEN, CASE and the like look up in the search path without naming them.
 */
export function checkOperator(
  run: Run,
  operator: A_Expr | string,
  operands: readonly Lineage[],
): void {
  if (typeof operator === 'string') checkName(run, operator);
  else {
    const implied = operator.kind === undefined ? undefined : impliedOperators[operator.kind];
    for (const name of implied ?? [operatorName(operator)]) checkName(run, name);
  }
  checkOperands(run, operands, 'an operator');
}

function checkName(run: Run, name: string): void {
  // An operator's own characters include no letter, and a dot only between schema and operator.
  const dot = name.lastIndexOf('.');
  const schema = dot < 0 ? undefined : name.slice(0, dot);
  if (schema !== undefined && schema !== 'pg_catalog') {
    run.unknownCode(`user operator ${name}`);
    return;
  }
  const plain = name.slice(dot + 1);
  const other = userSchema(run, schema, run.context.catalog.operatorSchemas(plain));
  if (other !== undefined) run.unknownCode(`operator ${plain} may be that of schema ${other}`);
}
