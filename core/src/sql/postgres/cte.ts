import type { CommonTableExpr, SelectStmt, WithClause } from 'libpg-query';
import { type Body, bodyOf, nameParts } from './ast.ts';
import { useAny } from './expressions.ts';
import { derive, type Lineage, rowLineage } from './lineage.ts';
import type { Run } from './run.ts';
import { type Cte, type Field, newScope, type Scope } from './scope.ts';
import { analyzeSelect, combineFields } from './select.ts';
import { analyzeDelete, analyzeInsert, analyzeMerge, analyzeUpdate } from './write.ts';

/** Lineage grows with each pass over a recursive query until it is stable; in practice after two. */
const maxPasses = 12;

/**
 * Binds the queries of WITH in `scope`. All of them are analyzed, used or not: those that change data run
 * either way.
 */
export function bindWith(run: Run, scope: Scope, clause: WithClause | undefined): void {
  if (clause === undefined) return;
  run.visit(clause);
  // Without RECURSIVE each query sees only those before it, so each gets a scope of its own.
  const recursive = clause.recursive === true;
  const bound = new Map<string, Cte>();
  if (recursive) scope.ctes = bound;
  for (const node of clause.ctes ?? []) {
    const body = bodyOf(node, 'CommonTableExpr');
    if (body === undefined) continue;
    run.visit(body);
    const name = body.ctename ?? '';
    const inner = newScope(scope.parent);
    if (!recursive) run.budget.search(bound.size);
    inner.ctes = recursive ? bound : new Map(bound);
    const cte: Cte = {
      state: 'Waiting',
      fields: undefined,
      analyze: () => analyzeCte(run, cte, body, inner, recursive),
    };
    bound.set(name, cte);
    if (!recursive) cte.analyze();
  }
  if (recursive) for (const cte of bound.values()) if (cte.state === 'Waiting') cte.analyze();
  scope.ctes = bound;
}

function analyzeCte(
  run: Run,
  cte: Cte,
  body: CommonTableExpr,
  scope: Scope,
  recursive: boolean,
): void {
  cte.state = 'Running';
  const aliases = nameParts(body.aliascolnames);
  const select = bodyOf(body.ctequery, 'SelectStmt');
  let fields: readonly Field[];
  if (select !== undefined) {
    run.visit(select);
    fields =
      recursive && select.op === 'SETOP_UNION' && select.larg !== undefined
        ? analyzeRecursive(run, cte, body, select, scope, aliases)
        : analyzeSelect(run, select, scope);
  } else fields = analyzeWriting(run, body, scope);
  cte.fields = addSearchAndCycle(run, body, rename(fields, aliases));
  cte.state = 'Done';
}

function analyzeWriting(run: Run, body: CommonTableExpr, scope: Scope): readonly Field[] {
  const query = body.ctequery;
  const insert = bodyOf(query, 'InsertStmt');
  if (insert !== undefined) return analyzeInsert(run, insert, scope);
  const update = bodyOf(query, 'UpdateStmt');
  if (update !== undefined) return analyzeUpdate(run, update, scope);
  const del = bodyOf(query, 'DeleteStmt');
  if (del !== undefined) return analyzeDelete(run, del, scope);
  const mergeStmt = bodyOf(query, 'MergeStmt');
  if (mergeStmt !== undefined) {
    run.requireVersion(17, 'MERGE in WITH');
    return analyzeMerge(run, mergeStmt, scope);
  }
  run.unknown('a WITH query that is not understood');
  return [];
}

/** The left side gives the columns; the right side may read the query itself, so pass until stable. */
function analyzeRecursive(
  run: Run,
  cte: Cte,
  body: CommonTableExpr,
  select: SelectStmt,
  scope: Scope,
  aliases: readonly string[],
): readonly Field[] {
  // Analyzing the left side alone gives the query its first columns; the whole is analyzed below.
  const left = select.larg as SelectStmt;
  run.visit(left);
  const first = newScope(scope);
  if (select.withClause === undefined) {
    const once = analyzeSelect(run, left, first);
    // The first rows are not all: nothing is known of them that the others may not have as well.
    let fields = rename(combineFields(run, once, once), aliases);
    for (let pass = 0; pass < maxPasses; pass += 1) {
      cte.fields = addSearchAndCycle(run, body, fields);
      const next = analyzeSelect(run, select, scope);
      const combined = rename(combineFields(run, fields, next), aliases);
      if (sameLineage(fields, combined)) return combined;
      fields = combined;
    }
  }
  run.unknown('a recursive query whose columns do not settle');
  return [];
}

function sameLineage(left: readonly Field[], right: readonly Field[]): boolean {
  return left.every((field, index) => {
    const other = right[index]?.lineage;
    return (
      other !== undefined &&
      field.lineage.values.length === other.values.length &&
      field.lineage.derived.length === other.derived.length &&
      field.lineage.constant === other.constant &&
      field.lineage.typeOid === other.typeOid
    );
  });
}

/** Gives the first columns the names of a column alias list. */
export function rename(fields: readonly Field[], aliases: readonly string[]): readonly Field[] {
  if (aliases.length === 0) return fields;
  return fields.map((field, index) => {
    const name = aliases[index];
    return name === undefined ? field : { ...field, name, column: field.column ?? field.name };
  });
}

/** SEARCH and CYCLE add columns made from those that they list. */
function addSearchAndCycle(
  run: Run,
  body: CommonTableExpr,
  fields: readonly Field[],
): readonly Field[] {
  const added: Field[] = [];
  const search: Body<'CTESearchClause'> | undefined = body.search_clause;
  if (search !== undefined) {
    run.ignore(search);
    added.push({
      name: search.search_seq_column ?? '',
      lineage: listed(run, fields, nameParts(search.search_col_list)),
    });
  }
  const cycle: Body<'CTECycleClause'> | undefined = body.cycle_clause;
  if (cycle !== undefined) {
    run.visit(cycle);
    run.ignore(cycle.cycle_mark_value);
    run.ignore(cycle.cycle_mark_default);
    if (!isConstant(cycle.cycle_mark_value) || !isConstant(cycle.cycle_mark_default)) {
      run.unknown('a CYCLE mark that is not constant');
    }
    added.push(
      { name: cycle.cycle_mark_column ?? '', lineage: rowLineage },
      {
        name: cycle.cycle_path_column ?? '',
        lineage: listed(run, fields, nameParts(cycle.cycle_col_list)),
      },
    );
  }
  return added.length === 0 ? fields : [...fields, ...added];
}

function isConstant(node: unknown): boolean {
  return node === undefined || (typeof node === 'object' && node !== null && 'A_Const' in node);
}

function listed(run: Run, fields: readonly Field[], names: readonly string[]): Lineage {
  const lineage = derive(
    fields.filter((field) => names.includes(field.name)).map((field) => field.lineage),
  );
  useAny(run, lineage);
  return { ...lineage, constant: false };
}
