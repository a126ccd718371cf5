import type { CatalogRelation } from './catalog.ts';
import type { Run } from './run.ts';
import { useStored } from './stored.ts';
import { viewOf } from './views.ts';

/**
 * A view, or the column of it, comes to stand under another name: what it shows comes before those who were told
 * something else of that name.
 */
export function useShown(run: Run, relation: CatalogRelation, column?: string): void {
  if (relation.kind !== 'v' && relation.kind !== 'm') return;
  const fields = viewOf(run, relation).fields.filter(
    (_, index) => column === undefined || relation.columns[index]?.name === column,
  );
  useStored(run, fields);
}
