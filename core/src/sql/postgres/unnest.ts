import { bodyOf, type Node, nameParts } from './ast.ts';
import { columnName } from './column-name.ts';
import { analyzeExpression } from './expressions.ts';
import { rowLineage } from './lineage.ts';
import type { Run } from './run.ts';
import type { Scope } from './scope.ts';
import { resolveType } from './types.ts';

/** Arrays of rows in pg_catalog with an OID like those of other types, and tsvector (pg_type.dat). */
const ofRows: ReadonlySet<number> = new Set([210, 270, 272, 273, 3614]);
/** From here on OIDs are given by initdb or by who makes a type (access/transam.h: FirstGenbkiObjectId). */
const firstGeneratedOid = 10_000;
const recordOid = 2249;

/** Columns of system catalogs that are arrays or vectors of numbers, OIDs, names, texts, letters or privileges. */
const catalogArrays: ReadonlySet<string> = new Set([
  ...['conkey', 'confkey', 'conpfeqop', 'conppeqop', 'conffeqop', 'confdelsetcols', 'conexclop'],
  ...['indkey', 'indclass', 'indoption', 'indcollation', 'stxkeys', 'stxkind'],
  ...['partattrs', 'partclass', 'partcollation', 'tgattr', 'polroles', 'evttags', 'prattrs'],
  ...['proargtypes', 'proallargtypes', 'proargmodes', 'proargnames', 'protrftypes', 'proconfig'],
  ...['relacl', 'attacl', 'nspacl', 'proacl', 'typacl', 'lanacl', 'datacl', 'spcacl', 'defaclacl'],
  ...[
    'reloptions',
    'attoptions',
    'attfdwoptions',
    'spcoptions',
    'srvoptions',
    'umoptions',
    'ftoptions',
  ],
  ...['setconfig', 'extconfig', 'extcondition', 'roles', 'attnames'],
]);

/**
 * In FROM `unnest` has a column for each field where the elements are rows, and three for a tsvector. Those cannot be
 * told apart here, so an argument that is not known to be of plain elements makes the statement Unknown.
 */
export function checkElements(run: Run, scope: Scope, call: Node): void {
  const args = bodyOf(call, 'FuncCall')?.args ?? [];
  if (!args.every((arg) => hasPlainElements(run, scope, arg))) {
    run.unknown('the columns of unnest are not known: its elements may be rows');
  }
}

function hasPlainElements(run: Run, scope: Scope, node: Node): boolean {
  const listed = bodyOf(node, 'A_ArrayExpr')?.elements;
  if (listed !== undefined) {
    return listed.every((element) =>
      bodyOf(element, 'A_ArrayExpr') === undefined
        ? isPlain(analyzeExpression(run, scope, element).typeOid)
        : hasPlainElements(run, scope, element),
    );
  }
  const type = bodyOf(node, 'TypeCast')?.typeName;
  if (type?.arrayBounds !== undefined) {
    const { arrayBounds: _, ...element } = type;
    return isPlain(resolveType(run, element).typeOid);
  }
  const call = bodyOf(node, 'FuncCall');
  if (call?.args?.length === 1 && columnName(node) === 'array_agg') {
    return isPlain(analyzeExpression(run, scope, call.args[0]).typeOid);
  }
  const lineage = analyzeExpression(run, scope, node);
  const parts = nameParts(bodyOf(node, 'ColumnRef')?.fields);
  // What is in the system catalogs has no types here.
  if (lineage === rowLineage && catalogArrays.has(parts.at(-1) ?? '')) return true;
  return isPlain(lineage.typeOid);
}

const isPlain = (typeOid: number | undefined): boolean =>
  typeOid !== undefined &&
  typeOid !== 0 &&
  typeOid !== recordOid &&
  typeOid < firstGeneratedOid &&
  !ofRows.has(typeOid);
