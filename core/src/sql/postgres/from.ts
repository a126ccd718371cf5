import type { Alias, JoinExpr, RangeFunction, RangeVar } from 'libpg-query';
import { type Body, bodyOf, itemsOf, type Node, nameParts, tagOf } from './ast.ts';
import { columnName } from './column-name.ts';
import { analyzeCondition, useEqual } from './conditions.ts';
import { rename } from './cte.ts';
import { analyzeEach, analyzeExpression, useAny } from './expressions.ts';
import { functionColumns, shapelessFunctions } from './functions.ts';
import { derive, type Lineage, merge, rowLineage } from './lineage.ts';
import { written } from './names.ts';
import { checkOperator } from './operators.ts';
import { relationItem } from './relations.ts';
import type { Run } from './run.ts';
import { type Field, findCte, type Item, newScope, readField, type Scope } from './scope.ts';
import { analyzeSelect } from './select.ts';
import { analyzeJsonTable, analyzeXmlTable } from './table-functions.ts';
import { resolveType } from './types.ts';
import { checkElements } from './unnest.ts';

/** Adds what FROM lists to the scope, each seeing those before it where it is LATERAL. */
export function analyzeFrom(run: Run, scope: Scope, from: readonly Node[] | undefined): void {
  for (const node of from ?? []) {
    const items = analyzeFromNode(run, scope, scope.items, node);
    run.budget.search(scope.items.length);
    scope.items = [...scope.items, ...items];
  }
}

/** The items that one node of FROM brings; `before` is what LATERAL may see. */
function analyzeFromNode(
  run: Run,
  scope: Scope,
  before: readonly Item[],
  node: Node,
): readonly Item[] {
  const tag = tagOf(node);
  const body = (node as Record<string, object>)[tag] as object;
  run.visit(body);
  if ('RangeVar' in node) return [fromRelation(run, scope, node.RangeVar)];
  if ('JoinExpr' in node) return fromJoin(run, scope, before, node.JoinExpr);
  if ('RangeSubselect' in node) return [fromSubselect(run, scope, before, node.RangeSubselect)];
  const lateral = newScope(scope.parent);
  lateral.ctes = scope.ctes;
  lateral.items = before;
  if ('RangeFunction' in node) return [fromFunction(run, lateral, node.RangeFunction)];
  if ('RangeTableSample' in node) {
    const { relation, method, args, repeatable } = node.RangeTableSample;
    const name = nameParts(method).join('.');
    if (!/^(pg_catalog\.)?(bernoulli|system)$/.test(name)) {
      run.unknownCode(`sampling method ${name}`);
    }
    useAny(run, derive(analyzeEach(run, lateral, args)));
    useAny(run, analyzeExpression(run, lateral, repeatable));
    return relation === undefined ? [] : analyzeFromNode(run, scope, before, relation);
  }
  if ('RangeTableFunc' in node) {
    const fields = analyzeXmlTable(run, lateral, node.RangeTableFunc);
    return [plainItem(run, fields, node.RangeTableFunc.alias, undefined)];
  }
  if ('JsonTable' in node) {
    const fields = analyzeJsonTable(run, lateral, node.JsonTable);
    return [plainItem(run, fields, node.JsonTable.alias, undefined)];
  }
  run.unknown(`${tag} in FROM`);
  run.ignore(body);
  return [];
}

/** An item of which everything is visible, under its alias. */
function plainItem(
  run: Run,
  fields: readonly Field[],
  alias: Alias | undefined,
  defaultName: string | undefined,
): Item {
  if (alias !== undefined) run.visit(alias);
  run.budget.spend(fields.length);
  return {
    alias: alias?.aliasname ?? defaultName,
    schema: undefined,
    fields: rename(fields, nameParts(alias?.colnames)),
    open: false,
    entry: undefined,
    systemColumns: false,
    named: true,
    columnsVisible: true,
  };
}

function fromRelation(run: Run, scope: Scope, name: RangeVar): Item {
  const cte = findCte(scope, name);
  if (cte === undefined) return relationItem(run, name);
  if (cte.state === 'Waiting') cte.analyze();
  if (cte.fields === undefined) run.unknown(`WITH query ${written(name)} refers to itself`);
  return plainItem(run, cte.fields ?? [], name.alias, name.relname);
}

function fromSubselect(
  run: Run,
  scope: Scope,
  before: readonly Item[],
  body: Body<'RangeSubselect'>,
): Item {
  const outer = newScope(scope.parent);
  outer.ctes = scope.ctes;
  if (body.lateral === true) outer.items = before;
  const select = bodyOf(body.subquery, 'SelectStmt');
  let fields: readonly Field[] = [];
  if (select === undefined) run.unknown('a sub-query in FROM that is no SELECT');
  else {
    run.visit(select);
    fields = analyzeSelect(run, select, outer);
  }
  // Rows of a sub-query without FROM of its own are still one row a join partner.
  return { ...plainItem(run, fields, body.alias, undefined), subquery: true };
}

/** A function in FROM; its columns come from all of its arguments. */
function fromFunction(run: Run, scope: Scope, body: RangeFunction): Item {
  const fields: Field[] = [];
  const single = body.functions?.length === 1 && body.is_rowsfrom !== true;
  let onlyName: string | undefined;
  for (const node of body.functions ?? []) {
    const [call, definitions] = itemsOf(node);
    if (call === undefined) continue;
    const lineage: Lineage = {
      ...derive([analyzeExpression(run, scope, call)]),
      constant: false,
    };
    // How many rows it returns shows to whoever only counts them.
    useAny(run, lineage);
    const listed = bodyOf(definitions, 'List')?.items ?? body.coldeflist;
    const name = columnName(call);
    onlyName = name;
    if (listed !== undefined) {
      for (const definition of listed) fields.push(definedColumn(run, definition, lineage));
      continue;
    }
    const known = functionColumns.get(name);
    if (shapelessFunctions.has(name)) run.unknown(`the columns of ${name} are not known`);
    const args = bodyOf(call, 'FuncCall')?.args?.length ?? 1;
    if (known !== undefined) {
      for (const column of known) fields.push({ name: column, lineage });
    } else if (name === 'unnest') {
      for (let index = 0; index < args; index += 1) fields.push({ name, lineage });
      checkElements(run, scope, call);
    } else {
      // A function with one column names it by the alias, or by itself.
      const column = single ? (body.alias?.aliasname ?? name) : name;
      fields.push({ name: column, lineage });
    }
  }
  if (body.ordinality === true) fields.push({ name: 'ordinality', lineage: rowLineage });
  const item = plainItem(run, fields, body.alias, single ? onlyName : undefined);
  return item;
}

function definedColumn(run: Run, node: Node, lineage: Lineage): Field {
  const definition = bodyOf(node, 'ColumnDef');
  if (definition === undefined) return { name: '', lineage };
  run.visit(definition);
  run.ignore(definition.collClause);
  const { typeOid } = resolveType(run, definition.typeName);
  return { name: definition.colname ?? '', lineage: { ...lineage, typeOid } };
}

/** The columns of a join are the merged ones, then the left's, then the right's. */
function fromJoin(
  run: Run,
  scope: Scope,
  before: readonly Item[],
  join: JoinExpr,
): readonly Item[] {
  const left = join.larg === undefined ? [] : analyzeFromNode(run, scope, before, join.larg);
  const right =
    join.rarg === undefined ? [] : analyzeFromNode(run, scope, [...before, ...left], join.rarg);
  const both = [...left, ...right];
  const natural = join.isNatural === true;
  const plain = !natural && join.usingClause === undefined && join.alias === undefined;
  // Only these look at the columns; along a row of plain joins, gathering them takes the square.
  const leftFields = plain ? [] : visibleFields(run, left);
  const rightFields = plain ? [] : visibleFields(run, right);
  const open = both.some((item) => item.open && item.columnsVisible);
  let using = nameParts(join.usingClause);
  if (natural) {
    run.budget.search(leftFields.length * rightFields.length);
    if (open) run.unknown('a natural join with a relation whose columns are not known');
    using = leftFields
      .map((field) => field.name)
      .filter((name) => rightFields.some((field) => field.name === name));
  }
  run.budget.search(using.length * (leftFields.length + rightFields.length + using.length));
  const merged: Field[] = [];
  for (const name of using) {
    const leftField = only(leftFields, name);
    const rightField = only(rightFields, name);
    if (leftField === undefined || rightField === undefined) {
      if (!open) run.unknown(`column ${name} of USING does not resolve`);
      merged.push({ name, lineage: rowLineage });
      continue;
    }
    const pair = [readField(leftField), readField(rightField)] as const;
    checkOperator(run, '=', pair);
    useEqual(run, pair[0], pair[1]);
    merged.push({ name, lineage: merge(pair) });
  }
  const conditionScope = newScope(scope.parent);
  conditionScope.ctes = scope.ctes;
  conditionScope.items = both;
  analyzeCondition(run, conditionScope, join.quals);

  const { alias, join_using_alias: usingAlias } = join;
  if (using.length === 0 && alias === undefined) return both;
  if (usingAlias !== undefined) run.visit(usingAlias);
  if (open && (using.length > 0 || alias !== undefined)) {
    // Hidden behind the join, the unknown columns could not be told from the others.
    if (alias !== undefined || join.isNatural === true) {
      run.unknown('a join alias over a relation whose columns are not known');
    }
  }
  const rest = (field: Field) => !using.includes(field.name);
  const joined: Item = {
    ...plainItem(
      run,
      [...merged, ...leftFields.filter(rest), ...rightFields.filter(rest)],
      alias,
      undefined,
    ),
    open,
    named: alias !== undefined,
  };
  const usingItem: Item[] =
    usingAlias === undefined
      ? []
      : [{ ...plainItem(run, merged, usingAlias, undefined), columnsVisible: false }];
  // Under an alias of the join, only the join itself can be named.
  const hidden =
    alias === undefined ? both.map((item) => ({ ...item, columnsVisible: false })) : [];
  return [joined, ...hidden, ...usingItem];
}

function visibleFields(run: Run, items: readonly Item[]): readonly Field[] {
  const visible = items.filter((item) => item.columnsVisible);
  for (const item of visible) run.budget.spend(item.fields.length);
  return visible.flatMap((item) => item.fields);
}

function only(fields: readonly Field[], name: string): Field | undefined {
  const matches = fields.filter((field) => field.name === name);
  return matches.length === 1 ? matches[0] : undefined;
}
