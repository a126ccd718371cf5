import { bodyOf, type Node } from './ast.ts';
import type { OpenOperation } from './findings.ts';
import type { Run } from './run.ts';
import type { Item, Scope } from './scope.ts';

/**
 * SELECT … FOR UPDATE (SHARE, KEY SHARE, NO KEY UPDATE): besides the Select, a Lock on each relation whose
 * rows are locked. Reading alone should not be able to stop writers.
 */
export function lockRelations(run: Run, scope: Scope, clauses: readonly Node[] | undefined): void {
  for (const node of clauses ?? []) {
    const clause = bodyOf(node, 'LockingClause');
    if (clause === undefined) continue;
    run.visit(clause);
    run.ignore(clause.lockedRels);
    const names = clause.lockedRels?.map((name) => bodyOf(name, 'RangeVar')?.relname);
    for (const item of scope.items) {
      if (names !== undefined && (!item.named || !names.includes(item.alias))) continue;
      for (const entry of entriesOf(run, item)) lock(run, entry);
    }
  }
}

/**
 * The relation itself, or those that a join passes on: the lock goes through to them. Of a sub-query it is not told
 * which relations it reads, so each that the statement has read so far counts.
 */
function entriesOf(run: Run, item: Item): readonly OpenOperation[] {
  if (item.entry !== undefined) return [item.entry];
  if (item.subquery === true) {
    return [...run.findings.operations.values()].filter(
      ({ verb, relation }) => verb === 'Select' && relation !== undefined,
    );
  }
  const entries = new Set<OpenOperation>();
  for (const field of item.fields) if (field.entry !== undefined) entries.add(field.entry);
  return [...entries];
}

function lock(run: Run, entry: OpenOperation): void {
  const { relation, descendants } = entry;
  run.findings.add('Lock', entry.resource, { relation, descendants });
}
