import { columnsOf } from './lineage.ts';
import type { Run } from './run.ts';
import type { Field } from './scope.ts';

/** The columns' values go into another relation. */
export function useStored(run: Run, fields: readonly Field[]): void {
  for (const field of fields) run.findings.use(columnsOf(field.lineage), 'Store');
}
