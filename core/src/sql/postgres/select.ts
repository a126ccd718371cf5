import type { SelectStmt, WithClause } from 'libpg-query';
import {
  bodyOf,
  itemsOf,
  literalInteger,
  literalString,
  type Node,
  nameParts,
  stringOf,
} from './ast.ts';
import { checkWidth } from './budget.ts';
import { columnName } from './column-name.ts';
import { analyzeCondition } from './conditions.ts';
import { bindWith } from './cte.ts';
import {
  analyzeEach,
  analyzeExpression,
  analyzeSort,
  analyzeWindow,
  findStarItem,
  useAny,
} from './expressions.ts';
import { analyzeFrom } from './from.ts';
import { type Lineage, merge, rowLineage } from './lineage.ts';
import { lockRelations } from './locking.ts';
import { markObservable } from './observable.ts';
import { checkOperator } from './operators.ts';
import type { Run } from './run.ts';
import {
  type Field,
  findColumn,
  type Item,
  newScope,
  readField,
  type Scope,
  searchSize,
} from './scope.ts';

/** How deep queries may be nested before they count as not understood. */
const maxDepth = 100;

/** Analyzes a SELECT, VALUES, TABLE or set operation; returns its output columns. The body is visited. */
export function analyzeSelect(
  run: Run,
  select: SelectStmt,
  parent: Scope | undefined,
): readonly Field[] {
  if (run.depth >= maxDepth) {
    run.unknown('queries nested too deeply');
    run.ignore(select);
    return [];
  }
  run.depth += 1;
  const scope = newScope(parent);
  bindWith(run, scope, select.withClause as WithClause | undefined);
  let fields: readonly Field[];
  if (select.op !== undefined && select.op !== 'SETOP_NONE') {
    fields = analyzeSetOperation(run, select, scope);
  } else if (select.valuesLists !== undefined) {
    fields = analyzeValues(run, scope, select.valuesLists);
    sortOutput(run, scope, fields, select.sortClause);
  } else fields = analyzePlain(run, select, scope);
  useAny(run, analyzeExpression(run, scope, select.limitOffset));
  useAny(run, analyzeExpression(run, scope, select.limitCount));
  run.depth -= 1;
  return fields;
}

function analyzePlain(run: Run, select: SelectStmt, scope: Scope): readonly Field[] {
  analyzeFrom(run, scope, select.fromClause);
  analyzeCondition(run, scope, select.whereClause);
  for (const node of select.windowClause ?? []) {
    const window = bodyOf(node, 'WindowDef');
    if (window !== undefined) analyzeWindow(run, scope, window);
  }
  const outerSetting = run.settingName;
  run.settingName = settingAskedFor(select);
  let fields = analyzeTargets(run, scope, select.targetList);
  run.settingName = outerSetting;
  if (select.fromClause !== undefined) {
    fields = fields.map((field) =>
      field.lineage.constant ? { ...field, lineage: { ...field.lineage, constant: false } } : field,
    );
  }
  for (const node of select.groupClause ?? []) analyzeGrouping(run, scope, fields, node);
  analyzeCondition(run, scope, select.havingClause);
  for (const node of select.sortClause ?? []) useAny(run, sortedBy(run, scope, fields, node));
  analyzeDistinct(run, scope, fields, select.distinctClause);
  lockRelations(run, scope, select.lockingClause);
  return fields;
}

/** `FROM pg_settings WHERE name = '…'` alone: how pg_dump sets what the server may not know. */
function settingAskedFor({ fromClause, whereClause }: SelectStmt): string | undefined {
  const from = fromClause?.length === 1 ? bodyOf(fromClause[0], 'RangeVar') : undefined;
  const qualified = from?.schemaname === undefined || from.schemaname === 'pg_catalog';
  if (from?.relname !== 'pg_settings' || !qualified) return undefined;
  const condition = bodyOf(whereClause, 'A_Expr');
  const equal = condition?.kind === 'AEXPR_OP' && nameParts(condition.name).join('.') === '=';
  return equal && isSettingName(condition.lexpr) ? literalString(condition.rexpr) : undefined;
}

/** True for the column `name` as it stands. */
export function isSettingName(node: Node | undefined): boolean {
  const parts = nameParts(bodyOf(node, 'ColumnRef')?.fields);
  return parts.length === 1 && parts[0] === 'name';
}

/** The select list, or a RETURNING list, with stars expanded. */
export function analyzeTargets(
  run: Run,
  scope: Scope,
  targets: readonly Node[] | undefined,
): readonly Field[] {
  const fields: Field[] = [];
  for (const node of targets ?? []) {
    const target = bodyOf(node, 'ResTarget');
    if (target === undefined) {
      run.unknown('an output that is not understood');
      continue;
    }
    run.visit(target);
    const reference = bodyOf(target.val, 'ColumnRef');
    const last = reference?.fields?.at(-1);
    if (reference !== undefined && last !== undefined && 'A_Star' in last) {
      run.visit(reference);
      const qualified = (reference.fields?.length ?? 0) > 1;
      const items = qualified
        ? [findStarItem(run, scope, reference.fields as Node[])]
        : scope.items.filter((item) => item.columnsVisible);
      for (const item of items) if (item !== undefined) addStar(fields, expand(run, item));
      continue;
    }
    const indirection = bodyOf(target.val, 'A_Indirection');
    if (indirection?.indirection?.some((step) => 'A_Star' in step) === true) {
      addStar(fields, expandComposite(run, scope, target.val as Node));
      continue;
    }
    fields.push({
      name: target.name ?? columnName(target.val),
      lineage: analyzeExpression(run, scope, target.val),
    });
    checkWidth(fields.length);
  }
  return fields;
}

/** Each star may double what the last one gave, so the width is checked before anything is added. */
function addStar(fields: Field[], added: readonly Field[]): void {
  checkWidth(fields.length + added.length);
  for (const field of added) fields.push(field);
}

function expand(run: Run, item: Item): Field[] {
  if (item.open) run.unknown(`${item.alias ?? ''}.*: the columns are not known`);
  checkWidth(item.fields.length);
  run.budget.spend(item.fields.length);
  return item.fields.map((field) => ({ name: field.name, lineage: readField(field) }));
}

/** `(row).*` where the row is that of something in FROM, or its fields are known. */
function expandComposite(run: Run, scope: Scope, node: Node): Field[] {
  const indirection = bodyOf(node, 'A_Indirection');
  if (indirection?.indirection?.length === 1) {
    const parts = nameParts(bodyOf(indirection.arg, 'ColumnRef')?.fields);
    const name = parts[0];
    if (name !== undefined && parts.length === 1 && findColumn(scope, name) === undefined) {
      const item = findStarItem(run, scope, bodyOf(indirection.arg, 'ColumnRef')?.fields ?? []);
      run.visit(indirection);
      run.visit(bodyOf(indirection.arg, 'ColumnRef') as object);
      return item === undefined ? [] : expand(run, item);
    }
    run.visit(indirection);
    const { row, observable } = analyzeExpression(run, scope, indirection.arg);
    if (row !== undefined) {
      checkWidth(row.length);
      run.budget.spend(row.length);
      return observable
        ? row.map(({ name: field, lineage }) => ({ name: field, lineage: markObservable(lineage) }))
        : [...row];
    }
  }
  run.unknown('(…).* of a value whose fields are not known');
  return [];
}

function analyzeValues(run: Run, scope: Scope, lists: readonly Node[]): readonly Field[] {
  const rows = lists.map((list) => analyzeEach(run, scope, itemsOf(list)));
  const width = rows[0]?.length ?? 0;
  if (rows.some((row) => row.length !== width)) run.unknown('VALUES lists of different lengths');
  return Array.from({ length: width }, (_, index) => {
    const lineage = merge(rows.map((row) => row[index] ?? rowLineage));
    return {
      name: `column${index + 1}`,
      lineage: rows.length > 1 ? { ...lineage, constant: false } : lineage,
    };
  });
}

function analyzeSetOperation(run: Run, select: SelectStmt, scope: Scope): readonly Field[] {
  const { larg, rarg } = select;
  if (larg === undefined || rarg === undefined) {
    run.unknown('a set operation without both sides');
    return [];
  }
  run.visit(larg);
  run.visit(rarg);
  const left = analyzeSelect(run, larg, scope);
  const right = analyzeSelect(run, rarg, scope);
  const fields = combineFields(run, left, right);
  if (select.all !== true || select.op !== 'SETOP_UNION') {
    // Which rows remain depends on the values of every column.
    for (const field of [...left, ...right]) useAny(run, field.lineage);
  }
  sortOutput(run, scope, fields, select.sortClause);
  return fields;
}

/** The columns of `left UNION right`. */
export function combineFields(
  run: Run,
  left: readonly Field[],
  right: readonly Field[],
): readonly Field[] {
  if (left.length !== right.length) run.unknown('a set operation of different widths');
  return left.map((field, index) => ({
    name: field.name,
    lineage: {
      ...merge([field.lineage, right[index]?.lineage ?? rowLineage]),
      constant: false,
    },
  }));
}

/** ORDER BY of a set operation or of VALUES: output columns only. */
function sortOutput(
  run: Run,
  scope: Scope,
  fields: readonly Field[],
  sorts: readonly Node[] | undefined,
): void {
  if (sorts === undefined) return;
  const inner = newScope(scope);
  inner.items = [outputItem(fields)];
  for (const node of sorts) useAny(run, sortedBy(run, inner, fields, node));
}

function outputItem(fields: readonly Field[]): Item {
  return {
    alias: undefined,
    schema: undefined,
    fields,
    open: false,
    entry: undefined,
    systemColumns: false,
    named: false,
    columnsVisible: true,
  };
}

/** What an item of ORDER BY or DISTINCT ON means: an output's name or number first, then an expression. */
function sortedBy(run: Run, scope: Scope, fields: readonly Field[], node: Node): Lineage {
  const sort = bodyOf(node, 'SortBy');
  const output = outputNamed(run, fields, sort?.node);
  if (sort === undefined || output === undefined) return analyzeSort(run, scope, node);
  run.visit(sort);
  visitOutputName(run, sort.node);
  if (sort.useOp !== undefined) checkOperator(run, nameParts(sort.useOp).join('.'), [output]);
  return output;
}

/** A name of an output is handled by finding it; a number holds nothing further. */
function visitOutputName(run: Run, node: Node | undefined): void {
  const reference = bodyOf(node, 'ColumnRef');
  if (reference !== undefined) run.visit(reference);
}

/** The output column that a bare name or a number names. */
function outputNamed(
  run: Run,
  fields: readonly Field[],
  node: Node | undefined,
): Lineage | undefined {
  const ordinal = literalInteger(node);
  if (ordinal !== undefined) {
    const field = fields[ordinal - 1];
    if (field === undefined) run.unknown(`position ${ordinal} is not in the select list`);
    return field?.lineage ?? rowLineage;
  }
  const reference = bodyOf(node, 'ColumnRef')?.fields;
  const name = reference?.length === 1 ? stringOf(reference[0]) : undefined;
  if (name === undefined) return undefined;
  run.budget.search(fields.length);
  const matches = fields.filter((field) => field.name === name);
  return matches.length === 0 ? undefined : merge(matches.map((field) => field.lineage));
}

/** GROUP BY: an input column first, then an output's name or number. */
function analyzeGrouping(run: Run, scope: Scope, fields: readonly Field[], node: Node): void {
  const set = bodyOf(node, 'GroupingSet');
  if (set !== undefined) {
    run.visit(set);
    for (const item of set.content ?? []) analyzeGrouping(run, scope, fields, item);
    return;
  }
  const row = bodyOf(node, 'RowExpr');
  if (row !== undefined && row.row_format === 'COERCE_IMPLICIT_CAST') {
    run.visit(row);
    for (const item of row.args ?? []) analyzeGrouping(run, scope, fields, item);
    return;
  }
  const reference = bodyOf(node, 'ColumnRef')?.fields;
  const name = reference?.length === 1 ? stringOf(reference[0]) : undefined;
  run.budget.search(searchSize(scope));
  const local: Scope = { parent: undefined, items: scope.items, ctes: undefined };
  const input = name === undefined ? undefined : findColumn(local, name);
  if (input === undefined) {
    const output = outputNamed(run, fields, node);
    if (output !== undefined) {
      visitOutputName(run, node);
      useAny(run, output);
      return;
    }
  }
  useAny(run, analyzeExpression(run, scope, node));
}

/** DISTINCT compares every output; DISTINCT ON what it names. */
function analyzeDistinct(
  run: Run,
  scope: Scope,
  fields: readonly Field[],
  clause: readonly Node[] | undefined,
): void {
  if (clause === undefined) return;
  // Plain DISTINCT is a list of one empty node.
  if (clause.length === 1 && Object.keys(clause[0] as object).length === 0) {
    run.ignore(clause[0]);
    for (const field of fields) useAny(run, field.lineage);
    return;
  }
  for (const node of clause) {
    const output = outputNamed(run, fields, node);
    if (output !== undefined) {
      visitOutputName(run, node);
      useAny(run, output);
    } else useAny(run, analyzeExpression(run, scope, node));
  }
}
