import type { A_Expr } from 'libpg-query';
import { bodyOf, literalInteger, type Node } from './ast.ts';
import { columnsOf, type Lineage } from './lineage.ts';
import type { Run } from './run.ts';
import { isTextType } from './types.ts';

/**
 * Some expressions tell something without anybody seeing their value: they fail for some values (a division,
 * a cast), or do something besides (nextval). That an error came, or did not, is one answer about
 * every column they compute from, wherever in a statement they stand: in a sub-query whose columns
 * nobody selects, too. So what is not known to do neither is a use of its columns, like a condition.
 */
export function observe(run: Run, lineage: Lineage): Lineage {
  run.findings.use(columnsOf(lineage), 'Any');
  return markObservable(lineage);
}

/** That it is evaluated can be noticed, whatever it computes from: what decides about that is told. */
export function markObservable(lineage: Lineage): Lineage {
  return lineage.observable ? lineage : { ...lineage, observable: true };
}

const jsonbType = 3802;
const jsonType = 114;

/** Comparisons and containment: false or true for any two values. */
const totalOperators: ReadonlySet<string> = new Set([
  ...['=', '<>', '!=', '<', '>', '<=', '>='],
  ...['@>', '<@', '&&', '?', '?|', '?&'],
]);
/** Fail for some patterns, and for no text. */
const patternOperators: ReadonlySet<string> = new Set(['~~', '!~~', '~~*', '!~~*']);
const jsonOperators: ReadonlySet<string> = new Set(['->', '->>', '#>', '#>>']);
/** Constructs that stand for comparisons, whatever is written as their operator. */
const comparisonKinds: ReadonlySet<string> = new Set([
  'AEXPR_DISTINCT',
  'AEXPR_NOT_DISTINCT',
  'AEXPR_NULLIF',
  'AEXPR_IN',
  'AEXPR_BETWEEN',
  'AEXPR_NOT_BETWEEN',
  'AEXPR_BETWEEN_SYM',
  'AEXPR_NOT_BETWEEN_SYM',
]);

/** True when an operator of pg_catalog gives a result for all operands. `name` without its schema. */
export function isTotalOperator(
  kind: A_Expr['kind'],
  name: string,
  operands: readonly Lineage[],
): boolean {
  if (kind !== undefined && comparisonKinds.has(kind)) return true;
  if (totalOperators.has(name)) return operands.length === 2;
  if (patternOperators.has(name)) return operands.slice(1).every(isConstant);
  if (jsonOperators.has(name)) {
    const type = operands[0]?.typeOid;
    return type === jsonbType || type === jsonType;
  }
  // With a text on one side it joins texts; of arrays and documents not all go together.
  if (name === '||') return operands.some(({ typeOid }) => isTextType(typeOid));
  return false;
}

const isConstant = (lineage: Lineage): boolean =>
  lineage.constant && lineage.values.length === 0 && lineage.derived.length === 0;

const words = (text: string): ReadonlySet<string> => new Set(text.trim().split(/\s+/));

/** Functions and aggregates with a result for all arguments. Lengths of a gigabyte are not thought of. */
const totalFunctions: ReadonlySet<string> = words(`
  upper lower initcap btrim ltrim rtrim reverse left right length char_length character_length octet_length
  bit_length ascii md5 sha224 sha256 sha384 sha512 concat concat_ws quote_ident quote_literal
  quote_nullable starts_with strpos position hashtext hashtextextended array_to_string array_length
  array_lower array_ndims array_upper cardinality string_to_array
  to_json to_jsonb row_to_json array_to_json json_typeof jsonb_typeof jsonb_pretty json_build_array
  jsonb_build_array json_strip_nulls jsonb_strip_nulls json_agg jsonb_agg
  num_nulls num_nonnulls pg_typeof pg_column_size pg_collation_for host family masklen network
  count min max sum avg bool_and bool_or every any_value string_agg mode
  row_number rank dense_rank percent_rank cume_dist first_value last_value lag lead
  now transaction_timestamp statement_timestamp clock_timestamp
`);

/** Functions with a result for any first argument, if the others are the same for every row. */
const totalInFirst: ReadonlySet<string> = words(`
  substr substring replace translate split_part lpad rpad to_char encode round trunc floor ceil ceiling nth_value
`);
/** And those that have what they compute from behind. */
const totalInLast: ReadonlySet<string> = words(`
  extract date_part date_trunc percentile_disc percentile_cont
`);

/** True when a function of pg_catalog gives a result for all arguments and does nothing else. */
export function isTotalFunction(name: string, args: readonly Lineage[]): boolean {
  if (totalFunctions.has(name)) return true;
  if (totalInFirst.has(name)) return args.slice(1).every(isConstant);
  return totalInLast.has(name) && args.slice(0, -1).every(isConstant);
}

/** From one numeric type to those that hold all of its values. */
const wideningCasts: Readonly<Record<number, readonly number[]>> = {
  16: [23],
  21: [23, 20, 1700, 700, 701],
  23: [20, 1700, 701],
  20: [1700],
  700: [701],
};
/** text, varchar, bpchar, name: every type has a text, which they cut if need be. */
const nameType = 19;

/** True when a cast has a result for every value. */
export function isTotalCast(
  sourceType: number | undefined,
  targetType: number | undefined,
  limited: boolean,
): boolean {
  if (targetType === undefined) return false;
  if (isTextType(targetType) || targetType === nameType) return true;
  if (limited || sourceType === undefined) return false;
  return wideningCasts[sourceType]?.includes(targetType) === true;
}

/** True when an array can be made of any values of these types: texts always fit, arrays do not. */
export function isTotalArray(elements: readonly Lineage[]): boolean {
  return (
    elements.length < 2 ||
    elements.every((element) => isTextType(element.typeOid) || isConstant(element))
  );
}

/** True when a sub-query that stands for a value has no second row, which would be an error. */
export function isOneRow(node: Node | undefined): boolean {
  const select = bodyOf(node, 'SelectStmt');
  if (select === undefined) return false;
  if (literalInteger(select.limitCount) === 1) return true;
  const simple = select.op === undefined || select.op === 'SETOP_NONE';
  return simple && select.fromClause === undefined && select.valuesLists === undefined;
}
