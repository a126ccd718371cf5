/** Writes whose rows a rule limits: undone when they change more (decisions 9). */
import type { Refusal } from '@chaperone/core/policy/types.ts';
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import * as write from '../messages/frontend-writer.ts';
import type { DecidedStatement } from './decision-context.ts';
import { returnsRows } from './limited-results.ts';

/** It changes rows, and a rule says how many at most. */
export function isBoundedWrite({
  analysis,
  limits,
}: Pick<DecidedStatement, 'analysis' | 'limits'>): boolean {
  return limits.rowsPerStatement !== undefined && writes(analysis);
}

function writes({ operations }: StatementAnalysis): boolean {
  return operations.some(({ class: of }) => of === 'Write');
}

/**
 * The refusal of a write that is to return its rows in parts, where a rule counts rows. PostgreSQL carries the whole
 * out for the first part, and no part tells how many rows were changed.
 */
export function inParts({ analysis, permit, limits }: DecidedStatement): Refusal | undefined {
  if (!writes(analysis) || !returnsRows(analysis)) return undefined;
  const ofAnHour = permit?.limits.find(({ limits: of }) => of.rowsPerHour !== undefined);
  const rule = limits.rowsPerStatement?.rule ?? ofAnHour?.rule;
  if (rule === undefined) return undefined;
  return {
    verdict: 'Deny',
    rule,
    reason: 'Limit',
    message: `rule ${rule.rule} of AccessPolicy ${rule.namespace}/${rule.object} counts rows, and how many a write changes that returns them in parts cannot be told (CHP-3008)`,
    hint: 'Have all its rows returned at once: no fetch size, no FETCH.',
    wouldDeny: [],
  };
}

const countedKinds: ReadonlySet<string> = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CopyStmt',
]);

/** The command tag tells all the rows that it changes. */
export function isCountable({ kind, operations }: StatementAnalysis): boolean {
  const written = operations.filter(({ class: of, reach }) => of === 'Write' && reach === 'Named');
  const relations = new Set(written.map(({ resource }) => JSON.stringify(resource)));
  return countedKinds.has(kind) && relations.size === 1;
}

/** The refusal of a bounded write whose rows cannot be counted. */
export function uncountable(decided: readonly DecidedStatement[]): Refusal {
  const { rule, max } = decided.find(isBoundedWrite)!.limits.rowsPerStatement!;
  return {
    verdict: 'Deny',
    rule,
    reason: 'Limit',
    message: `rule ${rule.rule} of AccessPolicy ${rule.namespace}/${rule.object} limits writes to ${max} rows, and how many this would change cannot be told (CHP-3008)`,
    hint: 'Send each INSERT, UPDATE, DELETE, MERGE or COPY by itself, without others in WITH or EXPLAIN ANALYZE.',
    wouldDeny: [],
  };
}

/**
 * A simple Query as messages of the extended protocol, up to the Sync that would commit it. Without names, of which a
 * simple Query drops the client's, nothing has to be closed: not in the middle of COPY data, and not after an error.
 */
export function asPipeline(text: string): readonly Buffer[] {
  return [
    write.parse('', text, []),
    write.bind({
      portal: '',
      statement: '',
      parameterFormats: [],
      parameters: [],
      resultFormats: [],
    }),
    write.describe('Portal', ''),
    write.execute('', 0),
    write.flush,
  ];
}
