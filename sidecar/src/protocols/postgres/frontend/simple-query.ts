import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type { QueryExpectation } from '../backend/expectation.ts';
import { asPipeline, isBoundedWrite, uncountable } from './bounded-writes.ts';
import type { AnalyzedText, DecidedStatement } from './decision-context.ts';
import { applyNames, changesWhatFollows, lacksRoom, leavesUnsure, takeBack } from './effects.ts';
import type { Flow, Taken } from './flow.ts';
import { isChangeThatMayBeCut, isLimited } from './limited-results.ts';
import type { Undo } from './names.ts';
import { reservedName, reservedPrefix, tooManyNames, unsyncedQuery } from './refusals.ts';
import type { Refuser } from './refuser.ts';
import { newRun, obligationsOf, type Resolver } from './resolver.ts';
import { emptyStatement, mergedEvent } from './statements.ts';

/** A text being decided: what its statements do to names is made as it goes on, and taken back on refusal. */
interface Decided {
  readonly statements: DecidedStatement[];
  /** By statement. */
  readonly names: Undo[][];
}

/** The simple Query: decided as a whole before a byte of it goes out. */
export class SimpleQuery {
  readonly #flow: Flow;
  readonly #resolver: Resolver;
  readonly #refuser: Refuser;

  constructor(flow: Flow, resolver: Resolver, refuser: Refuser) {
    this.#flow = flow;
    this.#resolver = resolver;
    this.#refuser = refuser;
  }

  /** `[at, end)`: the message in the chunk; of one that is too long the text may not be there. */
  query(text: string, at: number, end: number): Taken {
    if (!this.#flow.ready()) return 'Wait';
    const { inflight } = this.#flow.state;
    if (inflight.onlyPrepares) return this.#flow.syncFirst();
    // Whether it would be a transaction of its own differs from server version to server version.
    if (inflight.unsynced) return this.#refuser.refuse('Simple', unsyncedQuery);
    return this.#flow.timed(() => this.#query(text, at, end));
  }

  #query(text: string, at: number, end: number): Taken {
    const { state, events } = this.#flow;
    // As PostgreSQL does, whatever becomes of the query.
    state.statements.delete('');
    if (end - at > events.maxStatementBytes) {
      return this.#refuser.tooLong('Simple', events.maxStatementBytes);
    }
    const analyzed = state.context.analyze(text);
    if (analyzed.analysis.failure !== undefined) {
      return this.#refuser.failure('Simple', analyzed, text);
    }
    const decided: Decided = { statements: [], names: [] };
    const refused = this.#decide(analyzed, text, decided);
    if (refused !== undefined) {
      takeBack(decided.names.flat());
      return refused();
    }
    const { statements, names } = decided;
    const event = statements.length === 1 ? statements[0]!.event : mergedEvent(statements);
    const refusal = this.#resolver.refusalOf(statements);
    if (refusal !== undefined) {
      takeBack(names.flat());
      return this.#refuser.decided('Simple', refusal, event, analyzed, text);
    }
    const [only] = statements;
    const isCuttable = statements.length === 1 && only !== undefined && isChangeThatMayBeCut(only);
    if (statements.some(isBoundedWrite) || isCuttable) {
      takeBack(names.flat());
      return this.#boundedQuery(statements, event, analyzed, text, at, end);
    }
    this.#forward(decided, event, analyzed, text, at, end);
    return 'Done';
  }

  /** Decides statement by statement; what is returned refuses the text. */
  #decide(analyzed: AnalyzedText, text: string, decided: Decided): (() => Taken) | undefined {
    const { state } = this.#flow;
    const { fingerprint, analysis } = analyzed;
    let unsure = false;
    for (const [index, statement] of (analysis.statements.length > 0
      ? analysis.statements
      : [emptyStatement]
    ).entries()) {
      const made = statement.effects.prepare?.name;
      if (made?.startsWith(reservedPrefix)) {
        return () => this.#refuser.refuse('Simple', reservedName(made));
      }
      if (lacksRoom(statement, state)) return () => this.#refuser.refuse('Simple', tooManyNames);
      if (this.#resolver.isUnsure(statement)) return () => this.#flow.wait();
      const resolved = this.#resolver.resolve(statement);
      if ('error' in resolved) return () => this.#refuser.missingName(resolved.error);
      if (unsure && statement.kind !== 'TransactionStmt') {
        return () => this.#refuser.failure('Simple', unsureOf(analyzed), text);
      }
      unsure ||= leavesUnsure(statement, resolved.analysis, state);
      decided.statements.push(this.#resolver.decide(resolved.analysis, fingerprint, 'Simple'));
      decided.names.push(applyNames(statement, text, index, fingerprint, state));
    }
    return undefined;
  }

  #forward(
    { statements, names }: Decided,
    event: OperationDecided,
    analyzed: AnalyzedText,
    text: string,
    at: number,
    end: number,
  ): void {
    const { state, events, queue } = this.#flow;
    const decision = events.record(event, analyzed, text);
    queue.pass(at, end, true);
    const expectation: QueryExpectation = {
      kind: 'Query',
      execution: events.begin(decision, obligationsOf(statements)),
      runs: analyzed.analysis.statements.map((_, index) => newRun(statements[index]!)),
      index: 0,
      failed: false,
      barrier:
        analyzed.analysis.statements.some((statement) => changesWhatFollows(statement, state)) ||
        statements.some((item) => changesWhatFollows(item.analysis, state) || isLimited(item)),
      // What PREPARE and DEALLOCATE did before the statement that failed stays, rollback or not.
      undo: () => takeBack(names.slice(expectation.index).flat()),
    };
    state.inflight.push(expectation);
  }

  /**
   * A write whose rows are limited, or whose result may be cut. A simple Query would be committed by the time its rows
   * are known, so it is sent as one of the extended protocol, and its Sync only once it was not too much (decisions 9).
   */
  #boundedQuery(
    decided: readonly DecidedStatement[],
    event: OperationDecided,
    analyzed: AnalyzedText,
    text: string,
    at: number,
    end: number,
  ): Taken {
    const { state, events, queue } = this.#flow;
    const [only] = decided;
    if (decided.length > 1 || only === undefined) {
      return this.#refuser.decided('Simple', uncountable(decided), event, analyzed, text);
    }
    const run = this.#resolver.run(only.analysis, analyzed.fingerprint, [], 'Simple');
    const decision = events.record(event, analyzed, text);
    queue.record();
    for (const message of asPipeline(text)) queue.insert(message);
    queue.skip(at, end);
    const { inflight, portals } = state;
    portals.delete('');
    const silent = { silent: true, barrier: true };
    inflight.push({ kind: 'Parse', ...silent });
    inflight.push({ kind: 'Bind', ...silent });
    const planned = only.permit?.masks.columns ?? [];
    inflight.push({ kind: 'Describe', parametersDue: false, planned, ...silent });
    inflight.push({
      kind: 'Execute',
      execution: events.begin(decision, obligationsOf(decided)),
      run,
      ...(isBoundedWrite(only) && { maxRowsChanged: only.limits.rowsPerStatement!.max }),
      leavesSomething: true,
      holdsSync: true,
      barrier: true,
    });
    this.#flow.owesSync = true;
    return 'Done';
  }
}

/** The text as one that was not understood. */
function unsureOf(analyzed: AnalyzedText): AnalyzedText {
  const failure = {
    kind: 'Parser',
    message: 'an earlier statement of the same text may change how names resolve',
  } as const;
  return { ...analyzed, analysis: { failure, statements: [] } };
}
