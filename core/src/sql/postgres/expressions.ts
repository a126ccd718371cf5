import type { TypeName, WindowDef } from 'libpg-query';
import {
  type Body,
  bodyOf,
  itemsOf,
  type Node,
  nameParts,
  stringOf,
  type Tag,
  tagOf,
} from './ast.ts';
import { analyzeFunction } from './calls.ts';
import {
  columnsOf,
  constantLineage,
  derive,
  type Lineage,
  merge,
  rowLineage,
  unknownType,
} from './lineage.ts';
import {
  isOneRow,
  isTotalArray,
  isTotalCast,
  isTotalOperator,
  markObservable,
  observe,
} from './observable.ts';
import { checkOperator, operatorName } from './operators.ts';
import type { Run } from './run.ts';
import {
  findColumn,
  findColumnOfDefinition,
  findFieldOf,
  findItem,
  type Item,
  type Scope,
  searchSize,
  wholeRow,
} from './scope.ts';
import { analyzeSelect } from './select.ts';
import { jsonHandlers } from './sql-json.ts';
import { checkOperands, isTextType, resolveType } from './types.ts';

/** Analyzes one kind of expression: reports what it reads and runs, and returns what it carries. */
export type Handlers = {
  readonly [K in Tag]?: (run: Run, scope: Scope, body: Body<K>) => Lineage;
};

/** Analyzes an expression; undefined stands for none. */
export function analyzeExpression(run: Run, scope: Scope, node: Node | undefined): Lineage {
  if (node === undefined) return constantLineage(unknownType);
  if ('A_Const' in node) {
    // Nothing stands in it that `sweep` would look at.
    run.budget.spend(1);
    return constantLineage(constantType(node.A_Const));
  }
  const tag = tagOf(node);
  const jsonHandler = handlers[tag] === undefined ? jsonHandlers[tag] : undefined;
  const handler = (handlers[tag] ?? jsonHandler) as
    | ((run: Run, scope: Scope, body: unknown) => Lineage)
    | undefined;
  const body = (node as Record<string, object>)[tag] as object;
  if (handler === undefined) {
    run.unknown(`${tag} is not understood here`);
    run.ignore(body);
    return rowLineage;
  }
  run.visit(body);
  const lineage = handler(run, scope, body);
  run.budget.spend(lineage.values.length + lineage.derived.length);
  return jsonHandler === undefined ? lineage : observe(run, lineage);
}

/** True when the tag is that of an expression. */
export function isExpression(tag: Tag): boolean {
  return tag === 'A_Const' || Object.hasOwn(handlers, tag) || Object.hasOwn(jsonHandlers, tag);
}

/** Analyzes each of a list. */
export function analyzeEach(
  run: Run,
  scope: Scope,
  nodes: readonly Node[] | undefined,
): readonly Lineage[] {
  return nodes === undefined ? [] : nodes.map((node) => analyzeExpression(run, scope, node));
}

/** The expression's columns decide which rows come back, or in which order. */
export function useAny(run: Run, lineage: Lineage): void {
  run.findings.use(columnsOf(lineage), 'Any');
}

const booleanType = 16;

const handlers: Handlers = {
  ColumnRef: (run, scope, body) => analyzeColumnRef(run, scope, body),
  ParamRef: (run, _scope, body) =>
    constantLineage(run.context.parameterTypes?.[(body.number ?? 0) - 1] || unknownType),
  TypeCast: (run, scope, body) => analyzeCast(run, scope, body.arg, body.typeName),
  A_Expr: analyzeOperator,
  BoolExpr: (run, scope, body) => {
    const args = analyzeEach(run, scope, body.args);
    const lineage = derive(args, booleanType);
    // One side decides whether the other is evaluated.
    return lineage.observable && args.length > 1 ? observe(run, lineage) : lineage;
  },
  NullTest: (run, scope, body) => derive([analyzeExpression(run, scope, body.arg)], booleanType),
  BooleanTest: (run, scope, body) => derive([analyzeExpression(run, scope, body.arg)], booleanType),
  FuncCall: analyzeFunction,
  NamedArgExpr: (run, scope, body) => analyzeExpression(run, scope, body.arg),
  CollateClause: (run, scope, body) => analyzeExpression(run, scope, body.arg),
  CoalesceExpr: (run, scope, body) => merge(analyzeEach(run, scope, body.args)),
  MinMaxExpr: (run, scope, body) => derive(analyzeEach(run, scope, body.args)),
  CaseExpr: analyzeCase,
  A_ArrayExpr: (run, scope, body) => {
    const elements = analyzeEach(run, scope, body.elements);
    const lineage = derive(elements);
    return isTotalArray(elements) ? lineage : observe(run, lineage);
  },
  RowExpr: (run, scope, body) => derive(analyzeEach(run, scope, body.args), 2249),
  A_Indirection: analyzeIndirection,
  SubLink: analyzeSubLink,
  SQLValueFunction: () => constantLineage(),
  GroupingFunc: (run, scope, body) => {
    analyzeEach(run, scope, body.args);
    return rowLineage;
  },
  MergeSupportFunc: () => rowLineage,
  SetToDefault: () => constantLineage(unknownType),
  CurrentOfExpr: () => rowLineage,
  XmlExpr: (run, scope, body) =>
    observe(
      run,
      derive([
        ...analyzeEach(run, scope, body.args),
        ...(body.named_args ?? []).map((node) => analyzeNamed(run, scope, node)),
      ]),
    ),
  XmlSerialize: (run, scope, body) => {
    resolveType(run, body.typeName);
    return observe(run, derive([analyzeExpression(run, scope, body.expr)]));
  },
};

/** XMLFOREST and XMLATTRIBUTES take their arguments as ResTarget. */
function analyzeNamed(run: Run, scope: Scope, node: Node): Lineage {
  const target = bodyOf(node, 'ResTarget');
  if (target === undefined) return analyzeExpression(run, scope, node);
  run.visit(target);
  return analyzeExpression(run, scope, target.val);
}

function constantType(body: Body<'A_Const'>): number {
  if (body.ival !== undefined) return 23;
  if (body.boolval !== undefined) return booleanType;
  if (body.fval !== undefined) return 1700;
  return body.bsval === undefined ? unknownType : 1560;
}

/** What a column reference means; `Star` items are expanded by the caller. */
export function analyzeColumnRef(run: Run, scope: Scope, body: Body<'ColumnRef'>): Lineage {
  const fields = body.fields ?? [];
  const last = fields.at(-1);
  if (last !== undefined && 'A_Star' in last) {
    const item = findStarItem(run, scope, fields);
    return item === undefined ? rowLineage : analyzeWholeRow(run, item);
  }
  run.budget.search(searchSize(scope));
  const parts = nameParts(fields);
  const display = parts.join('.');
  if (parts.length === 1) {
    const name = parts[0] as string;
    const found = run.insideView ? findColumnOfDefinition(scope, name) : findColumn(scope, name);
    if (found !== undefined && found !== 'Ambiguous') return found;
    // A name that is no column may be that of a row.
    const item = found === undefined ? findItem(scope, name, undefined) : undefined;
    if (item !== undefined && item !== 'Ambiguous') return analyzeWholeRow(run, item);
  } else {
    const item = findQualified(run, scope, parts.slice(0, -1));
    const found = item === undefined ? undefined : findFieldOf(item, parts.at(-1) as string);
    if (found !== undefined && found !== 'Ambiguous') return found;
  }
  run.unknown(`column ${display} does not resolve`);
  return rowLineage;
}

function analyzeWholeRow(run: Run, item: Item): Lineage {
  run.budget.spend(item.fields.length);
  if (item.open) run.unknown('a whole row of a relation whose columns are not known');
  // Functions on rows convert each field, by a user-defined cast where there is one.
  checkOperands(
    run,
    item.fields.map((field) => field.lineage),
    'a whole row',
  );
  return wholeRow(item);
}

/** The item that `t`, `s.t` or `d.s.t` names. */
export function findQualified(run: Run, scope: Scope, parts: readonly string[]): Item | undefined {
  if (parts.length === 3 && parts[0] !== run.context.database) return undefined;
  const item = findItem(scope, parts.at(-1) as string, parts.at(-2));
  return item === 'Ambiguous' ? undefined : item;
}

/** The item of `t.*`; reports when there is none. */
export function findStarItem(run: Run, scope: Scope, fields: readonly Node[]): Item | undefined {
  const parts = nameParts(fields);
  const item = parts.length === 0 ? undefined : findQualified(run, scope, parts);
  if (item === undefined) run.unknown(`${[...parts, '*'].join('.')} does not resolve`);
  return item;
}

/** A cast among text types without a length keeps the value; any other makes something else of it. */
export function analyzeCast(
  run: Run,
  scope: Scope,
  arg: Node | undefined,
  typeName: TypeName | undefined,
): Lineage {
  const source = analyzeExpression(run, scope, arg);
  const type = resolveType(run, typeName);
  checkOperands(run, [source], 'a cast');
  if (type.typeOid !== undefined) {
    checkOperands(run, [constantLineage(type.typeOid)], 'a cast');
    const sourceType =
      source.typeOid === undefined ? undefined : run.context.catalog.baseType(source.typeOid);
    const same =
      sourceType === type.typeOid || (isTextType(sourceType) && isTextType(type.typeOid));
    if (same && !type.limited) return { ...source, typeOid: type.typeOid };
    if (isTotalCast(sourceType, type.typeOid, type.limited)) {
      return derive([source], type.typeOid);
    }
  }
  const result = derive([source], type.typeOid);
  // A constant that is no value of the type fails before any row is read.
  const literal = arg !== undefined && ('A_Const' in arg || 'ParamRef' in arg);
  return literal ? result : observe(run, result);
}

function analyzeOperator(run: Run, scope: Scope, body: Body<'A_Expr'>): Lineage {
  const operands = [
    ...(body.lexpr === undefined ? [] : [analyzeExpression(run, scope, body.lexpr)]),
    ...analyzeEach(run, scope, itemsOf(body.rexpr)),
  ];
  checkOperator(run, body, operands);
  if (body.kind === 'AEXPR_NULLIF') return derive(operands);
  const name = operatorName(body);
  const lineage = derive(operands, comparisons.has(name) ? booleanType : undefined);
  const plain = name.slice(name.lastIndexOf('.') + 1);
  return isTotalOperator(body.kind, plain, operands) ? lineage : observe(run, lineage);
}

const comparisons: ReadonlySet<string> = new Set(['=', '<>', '<', '>', '<=', '>=', '~~', '!~~']);

/** The branches' values pass; what chooses among them is told by the output. */
function analyzeCase(run: Run, scope: Scope, body: Body<'CaseExpr'>): Lineage {
  const chosenBy: Lineage[] = [];
  const branches: Lineage[] = [];
  const subject = body.arg === undefined ? undefined : analyzeExpression(run, scope, body.arg);
  if (subject !== undefined) chosenBy.push(subject);
  for (const node of body.args ?? []) {
    const when = bodyOf(node, 'CaseWhen');
    if (when === undefined) continue;
    run.visit(when);
    const condition = analyzeExpression(run, scope, when.expr);
    if (subject !== undefined) checkOperator(run, '=', [subject, condition]);
    chosenBy.push(condition);
    branches.push(analyzeExpression(run, scope, when.result));
  }
  if (body.defresult !== undefined) {
    branches.push(analyzeExpression(run, scope, body.defresult));
  }
  // The fields of a row are chosen as the row is.
  const { row: _, ...value } = merge(branches);
  const choice = derive(chosenBy);
  // Which branch was taken shows where one of them fails.
  if (value.observable || choice.observable) useAny(run, choice);
  return {
    ...value,
    derived: columnsOf({ ...value, values: value.derived, derived: choice.derived }),
    constant: value.constant && choice.constant,
    ...((value.observable || choice.observable) && { observable: true }),
  };
}

/** Subscripts and field selection; a field of a row in FROM is that column. */
function analyzeIndirection(run: Run, scope: Scope, body: Body<'A_Indirection'>): Lineage {
  const steps = body.indirection ?? [];
  const row = rowItem(scope, body.arg);
  const firstName = stringOf(steps[0]);
  if (row !== undefined && firstName !== undefined && steps.length === 1) {
    const reference = bodyOf(body.arg, 'ColumnRef');
    if (reference !== undefined) run.visit(reference);
    const found = findFieldOf(row, firstName);
    if (found !== undefined && found !== 'Ambiguous') return found;
    // `(row).name` also calls a function of that name.
    run.unknown(`field ${firstName} does not resolve`);
    return rowLineage;
  }
  let found = analyzeExpression(run, scope, body.arg);
  for (const step of steps) {
    const indices = bodyOf(step, 'A_Indices');
    if (indices !== undefined) {
      run.visit(indices);
      const { lidx, uidx } = indices;
      found = derive([found, ...[lidx, uidx].map((node) => analyzeExpression(run, scope, node))]);
      continue;
    }
    const field = fieldOfRow(found, stringOf(step));
    if (field === undefined) run.unknownCode(`field ${stringOf(step) ?? '*'} of an expression`);
    found = field ?? derive([found]);
  }
  return found;
}

/** The field of that name, if the row has just one; any other name may be that of a function. */
function fieldOfRow(row: Lineage, name: string | undefined): Lineage | undefined {
  const [field, ...others] = (row.row ?? []).filter((candidate) => candidate.name === name);
  if (field === undefined || others.length > 0) return undefined;
  return row.observable ? markObservable(field.lineage) : field.lineage;
}

/** The item whose row the expression is, when it is only its name. */
function rowItem(scope: Scope, node: Node | undefined): Item | undefined {
  const parts = nameParts(bodyOf(node, 'ColumnRef')?.fields);
  if (parts.length !== 1) return undefined;
  const name = parts[0] as string;
  if (isColumn(scope, name)) return undefined;
  const item = findItem(scope, name, undefined);
  return item === 'Ambiguous' ? undefined : item;
}

/** True when a column of that name is in scope; reads nothing. */
function isColumn(scope: Scope, name: string): boolean {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    for (const item of level.items) {
      if (!item.columnsVisible) continue;
      if (item.open || item.fields.some((field) => field.name === name)) return true;
    }
  }
  return false;
}

function analyzeSubLink(run: Run, scope: Scope, body: Body<'SubLink'>): Lineage {
  const select = bodyOf(body.subselect, 'SelectStmt');
  if (select === undefined) {
    run.unknown('a sub-query that is no SELECT');
    return rowLineage;
  }
  run.visit(select);
  const fields = analyzeSelect(run, select, scope);
  switch (body.subLinkType) {
    case 'EXISTS_SUBLINK':
      return rowLineage;
    case 'EXPR_SUBLINK': {
      const lineage =
        fields.length === 1
          ? (fields[0] as { lineage: Lineage }).lineage
          : derive(fields.map((field) => field.lineage));
      return isOneRow(body.subselect) ? lineage : markObservable(lineage);
    }
    case 'ARRAY_SUBLINK':
      return derive(fields.map((field) => field.lineage));
    case 'ANY_SUBLINK':
    case 'ALL_SUBLINK': {
      const operands = [
        analyzeExpression(run, scope, body.testexpr),
        ...fields.map((field) => field.lineage),
      ];
      checkOperator(run, nameParts(body.operName).join('.') || '=', operands);
      return derive(operands, booleanType);
    }
    default:
      run.unknown(`sub-query of kind ${body.subLinkType}`);
      return rowLineage;
  }
}

/** A window's partition and order decide what its functions see. */
export function analyzeWindow(run: Run, scope: Scope, window: WindowDef): void {
  run.visit(window);
  for (const lineage of analyzeEach(run, scope, window.partitionClause)) useAny(run, lineage);
  for (const node of window.orderClause ?? []) useAny(run, analyzeSort(run, scope, node));
  useAny(run, analyzeExpression(run, scope, window.startOffset));
  useAny(run, analyzeExpression(run, scope, window.endOffset));
}

/** The expression that one item of an ORDER BY sorts by, where it is an expression of the input. */
export function analyzeSort(run: Run, scope: Scope, node: Node): Lineage {
  const sort = bodyOf(node, 'SortBy');
  if (sort === undefined) {
    run.unknown('an order that is not understood');
    return rowLineage;
  }
  run.visit(sort);
  const lineage = analyzeExpression(run, scope, sort.node);
  if (sort.useOp !== undefined) checkOperator(run, nameParts(sort.useOp).join('.'), [lineage]);
  return lineage;
}
