/** Results that a limit may cut: the statement then ends as if it had failed. */
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { leavesSomething } from '../backend/leaves-something.ts';
import type { DecidedStatement } from './decision-context.ts';

type Limited = Pick<DecidedStatement, 'analysis' | 'permit' | 'limits'>;

const writes: ReadonlySet<string> = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
]);

/** It returns rows; a write does where it has a RETURNING. */
export function returnsRows({ kind, outputs }: StatementAnalysis): boolean {
  return outputs !== undefined && (outputs.length > 0 || !writes.has(kind));
}

/** A result that may be cut: what comes behind it waits, so that a cut leaves nothing half done. */
export function isLimited({ limits }: Limited): boolean {
  return limits.rowsPerStatement !== undefined || limits.bytesPerStatement !== undefined;
}

/** It returns rows, which may be more than a limit lets pass. */
export function mayBeCut(decided: Limited): boolean {
  if (!returnsRows(decided.analysis)) return false;
  const ofAnHour = decided.permit?.limits.some(({ limits }) => limits.rowsPerHour !== undefined);
  return isLimited(decided) || ofAnHour === true;
}

/** It changes something by itself and returns rows, of which a limit may cut some. */
export function isChangeThatMayBeCut(decided: Limited): boolean {
  const { analysis } = decided;
  const isQuery = analysis.kind === 'SelectStmt' || writes.has(analysis.kind);
  return isQuery && mayBeCut(decided) && leavesSomething(analysis);
}
