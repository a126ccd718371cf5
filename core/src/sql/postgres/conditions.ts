import { bodyOf, itemsOf, type Node, nameParts } from './ast.ts';
import { analyzeExpression, useAny } from './expressions.ts';
import { columnsOf, type Lineage } from './lineage.ts';
import { checkOperator } from './operators.ts';
import type { Run } from './run.ts';
import type { Scope } from './scope.ts';
import { analyzeSelect } from './select.ts';

/**
 * A condition of WHERE, JOIN or HAVING: each column in it is used, as Lookup where it is only compared for
 * equality with a constant, a parameter or another column, and as Any otherwise.
 */
export function analyzeCondition(run: Run, scope: Scope, node: Node | undefined): void {
  if (node === undefined) return;
  const logic = bodyOf(node, 'BoolExpr');
  if (logic !== undefined && logic.boolop !== 'NOT_EXPR') {
    run.visit(logic);
    for (const arg of logic.args ?? []) analyzeCondition(run, scope, arg);
    return;
  }
  const operation = bodyOf(node, 'A_Expr');
  if (operation !== undefined && nameParts(operation.name).at(-1) === '=') {
    const { lexpr, rexpr } = operation;
    if (operation.kind === 'AEXPR_OP' && lexpr !== undefined && rexpr !== undefined) {
      run.visit(operation);
      compareRows(run, scope, lexpr, rexpr, (left, right) => {
        checkOperator(run, operation, [left, right]);
        useEqual(run, left, right);
      });
      return;
    }
    const list = inList(operation.kind, rexpr);
    if (lexpr !== undefined && list !== undefined) {
      run.visit(operation);
      const array = bodyOf(rexpr, 'A_ArrayExpr');
      if (array !== undefined) run.visit(array);
      if (bodyOf(lexpr, 'RowExpr') === undefined) {
        // Long lists are usual, so the left side is looked at only once.
        const left = analyzeExpression(run, scope, lexpr);
        const rights = list.map((item) => analyzeExpression(run, scope, item));
        checkOperator(run, '=', [left, ...new Set(rights)]);
        useEqualEach(run, left, rights);
        return;
      }
      for (const item of list) {
        compareRows(run, scope, lexpr, item, (left, right) => {
          checkOperator(run, '=', [left, right]);
          useEqual(run, left, right);
        });
      }
      return;
    }
  }
  const link = bodyOf(node, 'SubLink');
  if (link?.subLinkType === 'ANY_SUBLINK' && link.operName === undefined) {
    const select = bodyOf(link.subselect, 'SelectStmt');
    if (select !== undefined) {
      run.visit(link);
      run.visit(select);
      const tests = rowParts(run, link.testexpr).map((test) => analyzeExpression(run, scope, test));
      const fields = analyzeSelect(run, select, scope);
      fields.forEach((field, index) => {
        const test = tests[index];
        if (test === undefined) useAny(run, field.lineage);
        else {
          checkOperator(run, '=', [test, field.lineage]);
          useEqual(run, test, field.lineage);
        }
      });
      for (const test of tests.slice(fields.length)) useAny(run, test);
      return;
    }
  }
  useAny(run, analyzeExpression(run, scope, node));
}

/** The list of IN (…) or = ANY (ARRAY[…]): every element stands in the text. */
function inList(kind: string | undefined, node: Node | undefined): readonly Node[] | undefined {
  if (kind === 'AEXPR_IN') return itemsOf(node);
  if (kind !== 'AEXPR_OP_ANY') return undefined;
  return bodyOf(node, 'A_ArrayExpr')?.elements;
}

/** Compares two expressions, or two rows part by part. */
function compareRows(
  run: Run,
  scope: Scope,
  left: Node,
  right: Node,
  compare: (left: Lineage, right: Lineage) => void,
): void {
  const lefts = bodyOf(left, 'RowExpr')?.args;
  const rights = bodyOf(right, 'RowExpr')?.args;
  if (lefts === undefined || rights === undefined || lefts.length !== rights.length) {
    compare(analyzeExpression(run, scope, left), analyzeExpression(run, scope, right));
    return;
  }
  rowParts(run, left);
  rowParts(run, right);
  lefts.forEach((part, index) => {
    compare(
      analyzeExpression(run, scope, part),
      analyzeExpression(run, scope, rights[index] as Node),
    );
  });
}

/** The parts of a row, or the expression itself. */
function rowParts(run: Run, node: Node | undefined): readonly Node[] {
  const row = bodyOf(node, 'RowExpr');
  if (row === undefined) return node === undefined ? [] : [node];
  run.visit(row);
  return row.args ?? [];
}

/**
 * Equality is a lookup when either side is a column as it is, and the other is the same for every row or
 * a column as well. Rows made by a function or by VALUES are a list of guesses, not one.
 */
export function useEqual(run: Run, left: Lineage, right: Lineage): void {
  const lookup = isOneGuess(left, right) && isOneGuess(right, left);
  run.findings.use(columnsOf(left), lookup ? 'Lookup' : 'Any');
  run.findings.use(columnsOf(right), lookup ? 'Lookup' : 'Any');
}

/** The same for each of a list; most are constants. */
function useEqualEach(run: Run, left: Lineage, rights: readonly Lineage[]): void {
  let constants = 0;
  for (const right of rights) {
    if (right.constant && right.values.length === 0 && right.derived.length === 0) constants += 1;
    else useEqual(run, left, right);
  }
  if (constants === 0) return;
  const lookup = left.derived.length === 0;
  const columns = columnsOf(left);
  for (let each = 0; each < constants; each += 1)
    run.findings.use(columns, lookup ? 'Lookup' : 'Any');
}

function isOneGuess(side: Lineage, other: Lineage): boolean {
  if (side.derived.length > 0) return false;
  return side.values.length > 0 || side.constant || other.values.length === 0;
}
