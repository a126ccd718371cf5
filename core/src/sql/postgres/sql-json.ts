import type { JsonBehavior, JsonOutput, JsonValueExpr, WindowDef } from 'libpg-query';
import { bodyOf, type Node } from './ast.ts';
import {
  analyzeEach,
  analyzeExpression,
  analyzeSort,
  analyzeWindow,
  type Handlers,
  useAny,
} from './expressions.ts';
import { constantLineage, derive, type Lineage, rowLineage } from './lineage.ts';
import type { Run } from './run.ts';
import type { Scope } from './scope.ts';
import { analyzeSelect } from './select.ts';
import { checkOperands, resolveType } from './types.ts';

/** SQL/JSON: every function computes from its arguments; what it returns is derived from them. */
export const jsonHandlers: Handlers = {
  JsonObjectConstructor: (run, scope, body) => {
    run.requireVersion(16, 'JSON_OBJECT');
    return computed(run, [...analyzeEach(run, scope, body.exprs), output(run, body.output)]);
  },
  JsonArrayConstructor: (run, scope, body) => {
    run.requireVersion(16, 'JSON_ARRAY');
    return computed(run, [...analyzeEach(run, scope, body.exprs), output(run, body.output)]);
  },
  JsonArrayQueryConstructor: (run, scope, body) => {
    run.requireVersion(16, 'JSON_ARRAY');
    run.ignore(body.format);
    const select = bodyOf(body.query, 'SelectStmt');
    if (select === undefined) {
      run.unknown('JSON_ARRAY of something that is no SELECT');
      return rowLineage;
    }
    run.visit(select);
    const fields = analyzeSelect(run, select, scope);
    return computed(run, [...fields.map((field) => field.lineage), output(run, body.output)]);
  },
  JsonKeyValue: (run, scope, body) =>
    derive([analyzeExpression(run, scope, body.key), jsonValue(run, scope, body.value)]),
  JsonValueExpr: (run, scope, body) => jsonValueBody(run, scope, body),
  JsonArgument: (run, scope, body) => jsonValue(run, scope, body.val),
  JsonObjectAgg: (run, scope, body) => {
    run.requireVersion(16, 'JSON_OBJECTAGG');
    const aggregate = jsonAggregate(run, scope, body.constructor as unknown);
    if (body.arg === undefined) return aggregate;
    run.visit(body.arg);
    return computed(run, [
      aggregate,
      analyzeExpression(run, scope, body.arg.key),
      jsonValue(run, scope, body.arg.value),
    ]);
  },
  JsonArrayAgg: (run, scope, body) => {
    run.requireVersion(16, 'JSON_ARRAYAGG');
    const aggregate = jsonAggregate(run, scope, body.constructor as unknown);
    return computed(run, [aggregate, jsonValue(run, scope, body.arg)]);
  },
  JsonParseExpr: (run, scope, body) => {
    run.requireVersion(17, 'JSON');
    return computed(run, [jsonValue(run, scope, body.expr), output(run, body.output)]);
  },
  JsonScalarExpr: (run, scope, body) => {
    run.requireVersion(17, 'JSON_SCALAR');
    return computed(run, [analyzeExpression(run, scope, body.expr), output(run, body.output)]);
  },
  JsonSerializeExpr: (run, scope, body) => {
    run.requireVersion(17, 'JSON_SERIALIZE');
    return computed(run, [jsonValue(run, scope, body.expr), output(run, body.output)]);
  },
  JsonIsPredicate: (run, scope, body) => {
    run.requireVersion(16, 'IS JSON');
    run.ignore(body.format);
    return computed(run, [analyzeExpression(run, scope, body.expr)]);
  },
  JsonFuncExpr: (run, scope, body) => {
    run.requireVersion(17, 'JSON_QUERY, JSON_VALUE and JSON_EXISTS');
    return computed(run, [
      jsonValue(run, scope, body.context_item),
      analyzeExpression(run, scope, body.pathspec),
      ...analyzeEach(run, scope, body.passing),
      output(run, body.output),
      jsonBehavior(run, scope, body.on_empty),
      jsonBehavior(run, scope, body.on_error),
    ]);
  },
};

function computed(run: Run, parts: readonly Lineage[]): Lineage {
  checkOperands(run, parts, 'a JSON function');
  return derive(parts);
}

/** The body of a JsonValueExpr held by a typed field. */
export function jsonValue(run: Run, scope: Scope, body: JsonValueExpr | undefined): Lineage {
  if (body === undefined) return constantLineage();
  run.visit(body);
  return jsonValueBody(run, scope, body);
}

function jsonValueBody(run: Run, scope: Scope, body: JsonValueExpr): Lineage {
  run.ignore(body.format);
  return analyzeExpression(run, scope, body.raw_expr ?? body.formatted_expr);
}

function output(run: Run, body: JsonOutput | undefined): Lineage {
  if (body !== undefined) {
    run.visit(body);
    run.ignore(body.returning);
    resolveType(run, body.typeName);
  }
  return constantLineage();
}

/** ON EMPTY and ON ERROR, with the default that they may give. */
export function jsonBehavior(run: Run, scope: Scope, body: JsonBehavior | undefined): Lineage {
  if (body === undefined) return constantLineage();
  run.visit(body);
  return body.expr === undefined ? constantLineage() : analyzeExpression(run, scope, body.expr);
}

interface Aggregate {
  readonly output?: JsonOutput;
  readonly agg_filter?: Node;
  readonly agg_order?: readonly Node[];
  readonly over?: WindowDef;
}

/** What is common to the JSON aggregates. The field is named `constructor`, which every object has. */
function jsonAggregate(run: Run, scope: Scope, held: unknown): Lineage {
  if (typeof held !== 'object' || held === null) return constantLineage();
  const body = held as Aggregate;
  run.visit(body);
  output(run, body.output);
  if (body.agg_filter !== undefined) {
    useAny(run, analyzeExpression(run, scope, body.agg_filter));
  }
  for (const node of body.agg_order ?? []) useAny(run, analyzeSort(run, scope, node));
  if (body.over !== undefined) analyzeWindow(run, scope, body.over);
  return rowLineage;
}
