import { type Body, bodyOf, type Node } from './ast.ts';
import { analyzeEach, analyzeExpression, useAny } from './expressions.ts';
import { derive, type Lineage, rowLineage } from './lineage.ts';
import type { Run } from './run.ts';
import type { Field, Scope } from './scope.ts';
import { jsonBehavior, jsonValue } from './sql-json.ts';
import { checkOperands, resolveType } from './types.ts';

/** JSON_TABLE: every column comes from the document and what is passed. */
export function analyzeJsonTable(
  run: Run,
  scope: Scope,
  body: Body<'JsonTable'>,
): readonly Field[] {
  run.requireVersion(17, 'JSON_TABLE');
  run.ignore(body.pathspec);
  const source = derive([
    jsonValue(run, scope, body.context_item),
    ...analyzeEach(run, scope, body.passing),
    jsonBehavior(run, scope, body.on_error),
  ]);
  checkOperands(run, [source], 'JSON_TABLE');
  useAny(run, source); // the path may choose by it how many rows there are
  return jsonColumns(run, scope, body.columns, { ...source, constant: false });
}

function jsonColumns(
  run: Run,
  scope: Scope,
  nodes: readonly Node[] | undefined,
  source: Lineage,
): Field[] {
  const fields: Field[] = [];
  for (const node of nodes ?? []) {
    const column = bodyOf(node, 'JsonTableColumn');
    if (column === undefined) continue;
    run.visit(column);
    run.ignore(column.pathspec);
    run.ignore(column.format);
    if (column.coltype === 'JTC_NESTED') {
      for (const field of jsonColumns(run, scope, column.columns, source)) fields.push(field);
      continue;
    }
    const { typeOid } = resolveType(run, column.typeName);
    const lineage = derive([
      source,
      jsonBehavior(run, scope, column.on_empty),
      jsonBehavior(run, scope, column.on_error),
    ]);
    fields.push({ name: column.name ?? '', lineage: { ...lineage, typeOid } });
  }
  return fields;
}

/** XMLTABLE: every column comes from the document, the row path, and its own path and default. */
export function analyzeXmlTable(
  run: Run,
  scope: Scope,
  body: Body<'RangeTableFunc'>,
): readonly Field[] {
  const parts = [
    analyzeExpression(run, scope, body.docexpr),
    analyzeExpression(run, scope, body.rowexpr),
  ];
  for (const node of body.namespaces ?? []) {
    const target = bodyOf(node, 'ResTarget');
    if (target === undefined) continue;
    run.visit(target);
    parts.push(analyzeExpression(run, scope, target.val));
  }
  const source = derive(parts);
  useAny(run, source); // the path may choose by it how many rows there are
  const fields: Field[] = [];
  for (const node of body.columns ?? []) {
    const column = bodyOf(node, 'RangeTableFuncCol');
    if (column === undefined) continue;
    run.visit(column);
    if (column.for_ordinality === true) {
      fields.push({ name: column.colname ?? '', lineage: rowLineage });
      continue;
    }
    const { typeOid } = resolveType(run, column.typeName);
    const lineage = derive([
      source,
      analyzeExpression(run, scope, column.colexpr),
      analyzeExpression(run, scope, column.coldefexpr),
    ]);
    fields.push({ name: column.colname ?? '', lineage: { ...lineage, typeOid, constant: false } });
  }
  return fields;
}
