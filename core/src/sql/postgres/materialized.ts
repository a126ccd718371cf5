/** Rows that a materialized view keeps: they are protected by what its definition says that they come from. */
import type { ColumnId } from '../operation.ts';
import type { CatalogRelation } from './catalog.ts';
import { columnsOf } from './lineage.ts';
import { fieldsOf } from './relations.ts';
import type { Run } from './run.ts';
import type { Field } from './scope.ts';
import { viewOf } from './views.ts';

const notUnderstood = 'where the rows of a materialized view come from is not known';

/**
 * A view gets another definition: what was materialized through the one before no longer seems to come from where
 * it does. `made`: the columns by the new definition.
 */
export function useReplaced(
  run: Run,
  view: CatalogRelation | undefined,
  made: readonly Field[],
): void {
  if (view === undefined) return;
  const kept = materializedThrough(run, [view]);
  if (kept === undefined) return;
  if (viewOf(run, view).reasons.length > 0) run.keepsCode(notUnderstood);
  fieldsOf(run, view, undefined).forEach(({ lineage }, index) => {
    const after = made[index]?.lineage;
    const derived = new Set(after?.derived);
    const all = new Set(after === undefined ? [] : columnsOf(after));
    // The names of its own columns stay.
    const lost = [
      ...lineage.values.filter((column) => !all.has(column)),
      ...lineage.derived.filter((column) => !derived.has(column)),
    ].filter((column) => column.relationOid !== view.oid && kept.has(column));
    run.findings.use(lost, 'Store');
  });
}

/** A partition or child goes: what was materialized through its parents no longer seems to come from it. */
export function useDropped(run: Run, relation: CatalogRelation): void {
  if (relation.parents.length === 0) return;
  const above = reached(run, relation.parents, (one) => one.parents);
  const kept = materializedThrough(run, above);
  if (kept === undefined) return;
  const gone = new Set(reached(run, [relation.oid], (one) => one.children).map(({ oid }) => oid));
  for (const column of kept) if (gone.has(column.relationOid)) run.findings.use([column], 'Store');
}

/** The columns that materialized views over the relations, and over views of these, keep values of; undefined without such views. */
function materializedThrough(
  run: Run,
  relations: readonly CatalogRelation[],
): ReadonlySet<ColumnId> | undefined {
  const oids = relations.map(({ oid }) => oid);
  const views = reached(run, oids, (one) => one.dependents).filter(({ kind }) => kind === 'm');
  if (views.length === 0) return undefined;
  const columns = new Set<ColumnId>();
  for (const view of views) {
    if (viewOf(run, view).reasons.length > 0) run.keepsCode(notUnderstood);
    for (const { lineage } of fieldsOf(run, view, undefined)) {
      for (const column of columnsOf(lineage)) columns.add(column);
    }
  }
  return columns;
}

/** The relations themselves, and what `next` leads to from them. */
function reached(
  run: Run,
  oids: readonly number[],
  next: (relation: CatalogRelation) => readonly number[],
): CatalogRelation[] {
  const found = new Map<number, CatalogRelation>();
  const waiting = [...oids];
  for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
    const relation = run.context.catalog.relationByOid(oid);
    if (relation === undefined || found.has(oid)) continue;
    run.budget.spend(1);
    found.set(oid, relation);
    waiting.push(...next(relation));
  }
  return [...found.values()];
}
