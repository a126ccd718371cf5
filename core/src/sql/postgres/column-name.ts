import { bodyOf, type Node, nameParts, stringOf, tagOf } from './ast.ts';

/**
 * The name that PostgreSQL gives an output column without AS (FigureColname): later names, such as those
 * of ORDER BY or of an outer query, resolve by it.
 */
export function columnName(node: Node | undefined): string {
  return figure(node).name ?? '?column?';
}

/** A weak name is taken only where nothing stronger stands within: a cast's type, CASE. */
interface Figured {
  readonly name: string | undefined;
  readonly strong: boolean;
}

const nothing: Figured = { name: undefined, strong: false };
const strong = (name: string | undefined): Figured =>
  name === undefined ? nothing : { name, strong: true };

/** Constructs that name their output by a fixed word. */
const fixedNames: Readonly<Record<string, string>> = {
  A_ArrayExpr: 'array',
  RowExpr: 'row',
  CoalesceExpr: 'coalesce',
  GroupingFunc: 'grouping',
  MergeSupportFunc: 'merge_action',
  XmlSerialize: 'xmlserialize',
  JsonParseExpr: 'json',
  JsonScalarExpr: 'json_scalar',
  JsonSerializeExpr: 'json_serialize',
  JsonObjectConstructor: 'json_object',
  JsonArrayConstructor: 'json_array',
  JsonArrayQueryConstructor: 'json_array',
  JsonObjectAgg: 'json_objectagg',
  JsonArrayAgg: 'json_arrayagg',
};

const sqlValueNames: Readonly<Record<string, string>> = {
  SVFOP_CURRENT_DATE: 'current_date',
  SVFOP_CURRENT_TIME: 'current_time',
  SVFOP_CURRENT_TIME_N: 'current_time',
  SVFOP_CURRENT_TIMESTAMP: 'current_timestamp',
  SVFOP_CURRENT_TIMESTAMP_N: 'current_timestamp',
  SVFOP_LOCALTIME: 'localtime',
  SVFOP_LOCALTIME_N: 'localtime',
  SVFOP_LOCALTIMESTAMP: 'localtimestamp',
  SVFOP_LOCALTIMESTAMP_N: 'localtimestamp',
  SVFOP_CURRENT_ROLE: 'current_role',
  SVFOP_CURRENT_USER: 'current_user',
  SVFOP_USER: 'user',
  SVFOP_SESSION_USER: 'session_user',
  SVFOP_CURRENT_CATALOG: 'current_catalog',
  SVFOP_CURRENT_SCHEMA: 'current_schema',
};

const xmlNames: Readonly<Record<string, string>> = {
  IS_XMLCONCAT: 'xmlconcat',
  IS_XMLELEMENT: 'xmlelement',
  IS_XMLFOREST: 'xmlforest',
  IS_XMLPARSE: 'xmlparse',
  IS_XMLPI: 'xmlpi',
  IS_XMLROOT: 'xmlroot',
  IS_XMLSERIALIZE: 'xmlserialize',
};

const jsonNames: Readonly<Record<string, string>> = {
  JSON_EXISTS_OP: 'json_exists',
  JSON_QUERY_OP: 'json_query',
  JSON_VALUE_OP: 'json_value',
};

function figure(node: Node | undefined): Figured {
  if (node === undefined || Object.keys(node).length === 0) return nothing;
  const tag = tagOf(node);
  const fixed = fixedNames[tag];
  if (fixed !== undefined) return strong(fixed);
  if ('ColumnRef' in node) return strong(nameParts(node.ColumnRef.fields).at(-1));
  if ('FuncCall' in node) return strong(nameParts(node.FuncCall.funcname).at(-1));
  if ('A_Indirection' in node) {
    const last = (node.A_Indirection.indirection ?? []).findLast((step) => 'String' in step);
    return last === undefined ? figure(node.A_Indirection.arg) : strong(stringOf(last));
  }
  if ('A_Expr' in node) return node.A_Expr.kind === 'AEXPR_NULLIF' ? strong('nullif') : nothing;
  if ('TypeCast' in node) {
    const inner = figure(node.TypeCast.arg);
    if (inner.strong) return inner;
    return { name: nameParts(node.TypeCast.typeName?.names).at(-1), strong: false };
  }
  if ('CollateClause' in node) return figure(node.CollateClause.arg);
  if ('CaseExpr' in node) {
    const inner = figure(node.CaseExpr.defresult);
    return inner.strong ? inner : { name: 'case', strong: false };
  }
  if ('MinMaxExpr' in node) {
    return strong(node.MinMaxExpr.op === 'IS_LEAST' ? 'least' : 'greatest');
  }
  if ('SQLValueFunction' in node) {
    return strong(sqlValueNames[node.SQLValueFunction.op ?? '']);
  }
  if ('XmlExpr' in node) return strong(xmlNames[node.XmlExpr.op ?? '']);
  if ('JsonFuncExpr' in node) return strong(jsonNames[node.JsonFuncExpr.op ?? '']);
  if ('SubLink' in node) {
    switch (node.SubLink.subLinkType) {
      case 'EXISTS_SUBLINK':
        return strong('exists');
      case 'ARRAY_SUBLINK':
        return strong('array');
      case 'EXPR_SUBLINK': {
        // Of a set operation, the leftmost query names the columns.
        let select = bodyOf(node.SubLink.subselect, 'SelectStmt');
        while (select?.larg !== undefined) select = select.larg;
        if (select?.valuesLists !== undefined) return strong('column1');
        const target = bodyOf(select?.targetList?.[0], 'ResTarget');
        return target?.name === undefined ? figure(target?.val) : strong(target.name);
      }
      default:
        return nothing;
    }
  }
  return nothing;
}
