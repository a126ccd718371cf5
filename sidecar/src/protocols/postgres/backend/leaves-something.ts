import type { OperationClass, StatementAnalysis } from '@chaperone/core/sql/operation.ts';

const reading: ReadonlySet<OperationClass> = new Set(['Read', 'Catalog', 'Export']);

/** What it changes, begins or ends is undone where its transaction fails, and kept where that is committed. */
export function leavesSomething({ operations, effects, userCode }: StatementAnalysis): boolean {
  return (
    userCode ||
    effects.transaction !== undefined ||
    effects.declare !== undefined ||
    effects.resolution === true ||
    effects.catalog === true ||
    operations.some((operation) => !reading.has(operation.class) || operation.sideEffects === true)
  );
}
