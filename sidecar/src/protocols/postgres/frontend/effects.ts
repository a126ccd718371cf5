/** What statements do to the names and settings that later statements resolve by. */
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { SessionState } from '../session-state.ts';
import { Meanings } from './meanings.ts';
import type { PreparedStatement, Undo } from './names.ts';

/** EXECUTE and FETCH: decided when carried out, by what the name stands for then. */
export function standsForAnother({ effects }: StatementAnalysis): boolean {
  return effects.execute !== undefined || effects.fetch !== undefined;
}

/** Nothing behind it is decided before it is answered: names, settings or the catalog may be different. */
export function changesWhatFollows(statement: StatementAnalysis, state: SessionState): boolean {
  const { effects } = statement;
  return (
    effects.resolution === true ||
    effects.catalog === true ||
    effects.prepare !== undefined ||
    effects.deallocate !== undefined ||
    effects.declare !== undefined ||
    effects.closeCursor !== undefined ||
    effects.discard !== undefined ||
    endsTouched(statement, state)
  );
}

/** The end of a transaction takes back what SET LOCAL, or DDL that is rolled back, changed in it. */
function endsTouched(
  { effects: { transaction } }: StatementAnalysis,
  { resolutionTouched, catalogTouched }: SessionState,
): boolean {
  return (
    (resolutionTouched || catalogTouched) &&
    (transaction === 'Commit' || transaction === 'Rollback' || transaction === 'RollbackTo')
  );
}

/** The rest of the text would be decided by names that this statement may change, unseen by the analysis. */
export function leavesUnsure(
  statement: StatementAnalysis,
  stoodFor: StatementAnalysis,
  state: SessionState,
): boolean {
  if (endsTouched(statement, state)) return true;
  const { resolution, catalog } = stoodFor.effects;
  return standsForAnother(statement) && (resolution === true || catalog === true);
}

/** DEALLOCATE ALL and DISCARD ALL leave the unnamed statement. */
const isUnnamed = (_: PreparedStatement, name: string): boolean => name === '';

/**
 * Names that SQL itself makes and drops: PREPARE, DECLARE, DEALLOCATE, CLOSE, DISCARD. `index`: of the
 * statement within `text`.
 */
export function applyNames(
  statement: StatementAnalysis,
  text: string,
  index: number,
  fingerprint: string,
  { statements, portals, inflight, context }: SessionState,
): Undo[] {
  const { prepare, deallocate, declare, closeCursor, discard } = statement.effects;
  const undo: Undo[] = [];
  if (prepare) {
    const meanings = new Meanings();
    meanings.under(context.key.searchPath, prepare.inner);
    const entry = { text, parameterTypes: [], meanings, preparedAt: index };
    undo.push(statements.set(prepare.name, entry));
  }
  if (deallocate) {
    const { name } = deallocate;
    undo.push(name === null ? statements.filter(isUnnamed) : statements.delete(name));
  }
  if (declare) {
    undo.push(
      portals.set(declare.name, {
        analysis: declare.inner,
        fingerprint,
        statementText: text,
        resultFormats: [],
        hold: declare.hold,
        openedBy: inflight.nextNumber,
      }),
    );
  }
  if (closeCursor) {
    const { name } = closeCursor;
    undo.push(name === null ? portals.filter(() => false) : portals.delete(name));
  }
  if (discard === 'All') {
    undo.push(
      statements.filter(isUnnamed),
      portals.filter(() => false),
    );
  }
  return undo;
}

/** It would make a name for which there is no room. */
export function lacksRoom({ effects }: StatementAnalysis, state: SessionState): boolean {
  const { prepare, declare } = effects;
  return (
    (prepare !== undefined && state.statements.isFull(prepare.name)) ||
    (declare !== undefined && state.portals.isFull(declare.name))
  );
}

/** Takes changes back, newest first. */
export function takeBack(undo: readonly Undo[]): void {
  for (const back of undo.toReversed()) back();
}

const fetches = new WeakMap<StatementAnalysis, StatementAnalysis>();

/** FETCH and MOVE do what the portal was opened on, in parts: its command tag does not tell all it changes. */
export function fetched(opened: StatementAnalysis): StatementAnalysis {
  let analysis = fetches.get(opened);
  if (analysis === undefined) fetches.set(opened, (analysis = { ...opened, kind: 'FetchStmt' }));
  return analysis;
}

const merged = new WeakMap<StatementAnalysis, WeakMap<StatementAnalysis, StatementAnalysis>>();

/** EXECUTE does what the name stands for, and what its arguments do by themselves. */
export function withArguments(
  execute: StatementAnalysis,
  inner: StatementAnalysis,
): StatementAnalysis {
  const { resolution, catalog } = execute.effects;
  if (execute.operations.length === 0 && !execute.userCode && !resolution && !catalog) return inner;
  let byInner = merged.get(execute);
  if (byInner === undefined) merged.set(execute, (byInner = new WeakMap()));
  let both = byInner.get(inner);
  if (both === undefined) {
    both = {
      ...inner,
      operations: [...execute.operations, ...inner.operations],
      uses: [...execute.uses, ...inner.uses],
      facts: {
        hasWhere: inner.facts.hasWhere,
        relations: [...new Set([...execute.facts.relations, ...inner.facts.relations])],
        functions: [...new Set([...execute.facts.functions, ...inner.facts.functions])],
      },
      effects: {
        ...inner.effects,
        ...(resolution && { resolution }),
        ...(catalog && { catalog }),
      },
      userCode: execute.userCode || inner.userCode,
    };
    byInner.set(inner, both);
  }
  return both;
}
