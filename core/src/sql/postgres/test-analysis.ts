import type { ColumnId, Operation, StatementAnalysis } from '../operation.ts';
import { analyze } from './analyze.ts';
import type { AnalyzeContext } from './run.ts';

/** The statements of a text that must parse. */
export function statementsOf(text: string, context: AnalyzeContext): readonly StatementAnalysis[] {
  const { failure, statements } = analyze(text, context);
  if (failure !== undefined) throw new Error(`${failure.kind}: ${failure.message}`);
  return statements;
}

/** The only statement of a text. */
export function statementOf(text: string, context: AnalyzeContext): StatementAnalysis {
  const [statement, ...others] = statementsOf(text, context);
  if (statement === undefined || others.length > 0) throw new Error('not one statement');
  return statement;
}

/**
 * An operation in one line: verb, resource without database and public, columns in order of name;
 * `~` before the verb when Beneath, `!` after it with side effects, the class where it is not the verb's.
 */
export function operationLine(operation: Operation): string {
  const { verb, resource, reach, columns, sideEffects, reason } = operation;
  const name = resource.slice(1).filter((part, index) => index > 0 || part !== 'public');
  const parts = [
    `${reach === 'Beneath' ? '~' : ''}${verb}${sideEffects ? '!' : ''}`,
    operation.class === 'Catalog' ? 'Catalog' : '',
    name.join('.'),
    columns === undefined ? '' : `(${[...columns].sort().join(' ')})`,
    verb === 'Unknown' ? `[${reason}]` : '',
  ];
  return parts.filter((part) => part !== '').join(' ');
}

/** All operations of a text, sorted. */
export function operationLines(text: string, context: AnalyzeContext): readonly string[] {
  return statementsOf(text, context)
    .flatMap((statement) => statement.operations.map(operationLine))
    .sort();
}

function names(columns: readonly ColumnId[]): string {
  return columns
    .map(({ name }) => name.slice(name[1] === 'public' ? 2 : 1).join('.'))
    .sort()
    .join(' ');
}

/** Outputs in order, as `name=values<derived`. */
export function outputLines(text: string, context: AnalyzeContext): readonly string[] {
  return (statementOf(text, context).outputs ?? []).map(
    ({ name, values, derived }) =>
      `${name}=${names(values)}${derived.length > 0 ? `<${names(derived)}` : ''}`,
  );
}

/** Uses, sorted, as `Lookup table.column`. */
export function useLines(text: string, context: AnalyzeContext): readonly string[] {
  return statementOf(text, context)
    .uses.map(({ column, usage }) => `${usage} ${names([column])}`)
    .sort();
}

/** Reasons why a text is not understood. */
export function unknownReasons(text: string, context: AnalyzeContext): readonly string[] {
  return statementsOf(text, context).flatMap((statement) =>
    statement.operations.flatMap((operation) =>
      operation.verb === 'Unknown' ? [operation.reason ?? ''] : [],
    ),
  );
}
