import type { ColumnDef, Constraint, TypeName } from 'libpg-query';
import { bodyOf, catalogType, type Node, nameParts } from './ast.ts';
import type { CatalogColumn, CatalogRelation } from './catalog.ts';
import { analyzeExpression } from './expressions.ts';
import { pureFunctions } from './functions.ts';
import { Run } from './run.ts';
import { newScope } from './scope.ts';
import type { TextCatalog } from './text-catalog.ts';
import { resolveType } from './types.ts';

/** Where a statement is followed: names are looked up in `run`, whose catalog is that of `text`. */
export interface Place {
  readonly run: Run;
  readonly text: TextCatalog;
}

/** What a column that a statement defines brings with it. */
export interface DefinedColumn {
  readonly column: CatalogColumn;
  /** Of a generated column: the names that its expression has of columns. */
  readonly generatedFrom: readonly string[] | undefined;
  /** Its type may be a domain whose checks are somebody's code. */
  readonly mayRunCode: boolean;
  /** A sequence of its own is made for it. */
  readonly hasSequence: boolean;
  /** Sequences that its default names. */
  readonly uses: readonly CatalogRelation[];
  /** Those of its constraints that make an index or a key. */
  readonly constraints: readonly Constraint[];
}

interface ColumnType {
  /** 0 where the catalog does not tell it: of arrays and of what is not built in. */
  readonly typeOid: number;
  readonly mayRunCode: boolean;
}

/**
 * The type of a column, a parameter or a cast. What has the type of a relation's rows, or of their arrays, hangs on
 * the relation. Undefined where the type is told by something else.
 */
export function columnType(place: Place, type: TypeName | undefined): ColumnType | undefined {
  const { run, text } = place;
  if (type === undefined || type.setof === true || type.pct_type === true) return undefined;
  const [name = '', schema] = nameParts(type.names).reverse();
  if (schema?.startsWith('pg_temp')) return undefined;
  const probe = new Run(run.context, false, run.budget);
  const { typeOid = 0 } = resolveType(probe, type);
  const mayRunCode = probe.findings.operations.size > 0;
  if (!mayRunCode) return { typeOid, mayRunCode };
  for (const one of schema === undefined ? run.context.searchPath : [schema]) {
    for (const rows of [name, name.replace(/^_/, '')]) {
      const relation = run.context.catalog.relation(one, rows);
      if (relation !== undefined) text.tie(relation.oid, ['dependents'], 0);
    }
  }
  return { typeOid, mayRunCode };
}

const serialTypes: Readonly<Record<string, number>> = {
  smallserial: 21,
  serial2: 21,
  serial: 23,
  serial4: 23,
  bigserial: 20,
  serial8: 20,
};

/** Constraints of a column that the catalog holds nothing of. */
const unnoted: ReadonlySet<string> = new Set([
  'CONSTR_NULL',
  'CONSTR_NOTNULL',
  'CONSTR_ATTR_DEFERRABLE',
  'CONSTR_ATTR_NOT_DEFERRABLE',
  'CONSTR_ATTR_DEFERRED',
  'CONSTR_ATTR_IMMEDIATE',
]);

/** A column as it will stand in the catalog; undefined where that is not told by its definition alone. */
export function definedColumn(
  place: Place,
  definition: ColumnDef,
  attnum: number,
): DefinedColumn | undefined {
  const { colname, typeName } = definition;
  const plainName = nameParts(typeName?.names);
  const serial =
    plainName.length === 1 && typeName?.arrayBounds === undefined
      ? serialTypes[plainName[0] ?? '']
      : undefined;
  const type =
    serial === undefined ? columnType(place, typeName) : { typeOid: serial, mayRunCode: false };
  if (colname === undefined || type === undefined) return undefined;
  let hasSequence = serial !== undefined;
  let generatedFrom: readonly string[] | undefined;
  const uses: CatalogRelation[] = [];
  const constraints: Constraint[] = [];
  for (const node of definition.constraints ?? []) {
    const constraint = bodyOf(node, 'Constraint');
    if (constraint === undefined) return undefined;
    const { contype = '', raw_expr: expression } = constraint;
    if (unnoted.has(contype)) continue;
    switch (contype) {
      case 'CONSTR_DEFAULT':
      case 'CONSTR_CHECK':
      case 'CONSTR_GENERATED': {
        const named = dependencies(place, expression);
        if (named === undefined) return undefined;
        uses.push(...named);
        if (contype === 'CONSTR_GENERATED') generatedFrom = columnNames(expression);
        break;
      }
      case 'CONSTR_IDENTITY':
        // Options may name the sequence.
        if (constraint.options !== undefined) return undefined;
        hasSequence = true;
        break;
      case 'CONSTR_PRIMARY':
      case 'CONSTR_UNIQUE':
        constraints.push(constraint);
        break;
      case 'CONSTR_FOREIGN':
        constraints.push({ ...constraint, fk_attrs: [{ String: { sval: colname } }] });
        break;
      default:
        return undefined;
    }
  }
  return {
    column: { attnum, name: colname, typeOid: type.typeOid, hasDefault: false },
    mayRunCode: type.mayRunCode,
    hasSequence,
    uses,
    constraints,
    generatedFrom,
  };
}

/** Functions that are not pure, and whose arguments name no relation. */
const nameless: ReadonlySet<string> = new Set([
  'current_database',
  'current_schema',
  'current_setting',
  'inet_client_addr',
  'txid_current',
]);

/** Functions whose first argument names a sequence. */
const sequenceFunctions: ReadonlySet<string> = new Set(['nextval', 'currval']);

/**
 * The sequences that a default, a check or an index expression hangs on; undefined where it may hang on a
 * relation in another way.
 */
export function dependencies(
  place: Place,
  expression: Node | undefined,
): readonly CatalogRelation[] | undefined {
  const { run } = place;
  if (looksNamesUp(expression)) return undefined;
  const sequences: CatalogRelation[] = [];
  for (const node of nodesOf(expression)) {
    if (bodyOf(node, 'SubLink') !== undefined) return undefined;
    const cast = bodyOf(node, 'TypeCast');
    if (cast !== undefined && columnType(place, cast.typeName) === undefined) return undefined;
    if (!isSequenceCall(node)) continue;
    const probe = new Run(run.context, false, run.budget);
    analyzeExpression(probe, newScope(undefined), node);
    for (const { relation } of probe.findings.operations.values()) {
      if (relation?.kind !== 'S') return undefined;
      sequences.push(relation);
    }
  }
  return sequences;
}

function isSequenceCall(node: Node): boolean {
  return sequenceFunctions.has(nameParts(bodyOf(node, 'FuncCall')?.funcname).at(-1) ?? '');
}

/**
 * True where a name in a text may be looked up when the tree is read, and what stands there hang on the relation
 * that is found: by a cast, or as the argument of a function. Arguments that name sequences are operations.
 */
export function looksNamesUp(tree: Node | undefined): boolean {
  for (const node of nodesOf(tree)) {
    const cast = bodyOf(node, 'TypeCast');
    if (cast !== undefined && catalogType(cast)?.startsWith('reg')) return true;
    const call = bodyOf(node, 'FuncCall');
    if (call === undefined || isSequenceCall(node)) continue;
    const name = nameParts(call.funcname).at(-1) ?? '';
    if (!pureFunctions.has(name) && !nameless.has(name)) return true;
  }
  return false;
}

/** All of a tree but the arguments of calls that name sequences, such as `'name'::regclass`. */
function* nodesOf(tree: Node | undefined): Generator<Node> {
  const waiting: unknown[] = [tree];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    yield value as Node;
    if (isSequenceCall(value as Node)) continue;
    for (const child of Object.values(value)) if (child !== undefined) waiting.push(child);
  }
}

/** The last parts of all names in an expression that may be columns. */
function columnNames(expression: Node | undefined): readonly string[] {
  const names: string[] = [];
  for (const node of nodesOf(expression)) {
    const name = nameParts(bodyOf(node, 'ColumnRef')?.fields).at(-1);
    if (name !== undefined) names.push(name);
  }
  return names;
}
