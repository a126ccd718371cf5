import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { DecidedStatement } from './decision-context.ts';

/** A text without a statement: a comment, or nothing. It does nothing, and comes with any access. */
export const emptyStatement: StatementAnalysis = {
  kind: 'Empty',
  operations: [],
  uses: [],
  facts: { hasWhere: false, relations: [], functions: [] },
  effects: {},
  userCode: false,
};

const calls = new Map<string, StatementAnalysis>();

/** The FunctionCall message: known by an OID alone, so only a rule that names the verb allows it. */
export function functionCallStatement(database: string, functionOid: number): StatementAnalysis {
  const key = `${database}\0${functionOid}`;
  let statement = calls.get(key);
  if (statement === undefined) {
    statement = {
      kind: 'FunctionCall',
      operations: [
        {
          verb: 'FunctionCall',
          class: 'Procedure',
          resource: [database, 'function', String(functionOid)],
          reach: 'Named',
          reason: 'a function call by OID',
        },
      ],
      uses: [],
      facts: { hasWhere: false, relations: [], functions: [] },
      effects: { resolution: true, catalog: true },
      userCode: true,
    };
    if (calls.size >= 1000) calls.clear();
    calls.set(key, statement);
  }
  return statement;
}

/** One event for a text of several statements: the worst verdict, and all they do. */
export function mergedEvent(decided: readonly DecidedStatement[]): OperationDecided {
  const events = decided.map((item) => item.event);
  const worst =
    events.find((event) => event.verdict === 'Deny') ??
    events.find((event) => event.verdict === 'RequireApproval') ??
    events[0]!;
  return {
    ...worst,
    rules: worst.verdict === 'Allow' ? once(events.flatMap((event) => event.rules)) : worst.rules,
    operations: events.flatMap((event) => event.operations),
    wouldDeny: once(events.flatMap((event) => event.wouldDeny)),
    masks: once(events.flatMap((event) => event.masks)),
    exemptions: events.flatMap((event) => event.exemptions),
  };
}

function once<T>(items: readonly T[]): T[] {
  return [...new Set(items)];
}
