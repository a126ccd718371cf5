import type { StatementAnalysis } from '../sql/operation.ts';

/**
 * The relations that a statement touches, named or beneath, as [database, schema, relation]. From its
 * operations and from where its columns come, so that one that only one of them knows is not missed.
 */
export function relationsOf(statement: StatementAnalysis): readonly (readonly string[])[] {
  const found = new Map<string, readonly string[]>();
  const add = (resource: readonly string[]): void => {
    if (resource.length === 3) found.set(JSON.stringify(resource), resource);
  };
  for (const operation of statement.operations) add(operation.resource);
  const columns = [
    ...(statement.outputs ?? []).flatMap((output) => [...output.values, ...output.derived]),
    ...statement.uses.map((use) => use.column),
  ];
  for (const column of columns) add(column.name.slice(0, 3));
  return [...found.values()];
}

/** Kinds of statements that cannot fail with a value of some row when they touch no relation. */
const harmlessKinds: ReadonlySet<string> = new Set([
  'SelectStmt',
  'VariableSetStmt',
  'VariableShowStmt',
  'ListenStmt',
  'UnlistenStmt',
  'DeallocateStmt',
  'ClosePortalStmt',
]);

/**
 * Whether a statement without relations and without user code can only fail with words of its own. COMMIT
 * and what runs deferred checks is not among them: its error prints the row that broke a constraint.
 */
export function errorsTellNothing(
  statement: StatementAnalysis,
  relations: readonly (readonly string[])[],
): boolean {
  if (relations.length > 0 || statement.operations.some(({ verb }) => verb === 'Unknown'))
    return false;
  const { transaction } = statement.effects;
  if (transaction !== undefined) return transaction !== 'Commit' && transaction !== 'TwoPhase';
  return harmlessKinds.has(statement.kind);
}
