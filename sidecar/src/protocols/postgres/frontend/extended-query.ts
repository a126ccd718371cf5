import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import { withSettings } from '@chaperone/core/sql/postgres/shown-settings.ts';
import type { LeftPortalExpectation, StatementRun } from '../backend/expectation.ts';
import { leavesSomething } from '../backend/leaves-something.ts';
import { readyForQuery } from '../messages/backend-writer.ts';
import { HEADER_BYTES } from '../messages/frame.ts';
import {
  parameterText,
  parseBind,
  parseClose,
  parseDescribe,
  parseExecute,
  parseParse,
} from '../messages/frontend-reader.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Backend, TransactionStatus } from '../messages/types.ts';
import { inParts, isBoundedWrite } from './bounded-writes.ts';
import type { AnalyzedText, DecisionContext } from './decision-context.ts';
import {
  applyNames,
  changesWhatFollows,
  lacksRoom,
  standsForAnother,
  takeBack,
} from './effects.ts';
import type { Flow, Taken } from './flow.ts';
import { isLimited, mayBeCut } from './limited-results.ts';
import { Meanings } from './meanings.ts';
import type { Portal, PreparedStatement } from './names.ts';
import {
  failedTransaction,
  missingPortal,
  missingStatement,
  prepareAgain,
  reservedName,
  reservedPrefix,
  tooManyNames,
} from './refusals.ts';
import type { Refuser } from './refuser.ts';
import { obligationsOf, type Resolver } from './resolver.ts';
import { emptyStatement } from './statements.ts';

/** A Bind with a masked result is held whole, for the formats at its end; beyond this it is refused. */
const maxMaskedBindBytes = 64 * 1024 * 1024;
/** The names of a Bind have come within so many bytes; PostgreSQL itself uses 63 of each. */
const maxBindHeadBytes = 64 * 1024;

/** A portal made by Bind: its decision is used up by the first Execute. One made by DECLARE has neither. */
interface BoundPortal extends Portal {
  first?: { readonly run: StatementRun; readonly decision: number };
  readonly analyzed?: AnalyzedText;
  /** Set where a name in it is looked up when it is carried out: what names led to when it was decided. */
  readonly lateUnder?: DecisionContext;
  /**
   * What it has begun to carry out, by the Execute of that number: further parts of the result are of that, whatever
   * names mean by then.
   */
  begun?: { readonly analysis: StatementAnalysis; readonly number: number } | undefined;
}

/** Parse, Bind, Describe, Execute, Close and Sync (manual, "Extended Query"). */
export class ExtendedQuery {
  readonly #flow: Flow;
  readonly #resolver: Resolver;
  readonly #refuser: Refuser;

  constructor(flow: Flow, resolver: Resolver, refuser: Refuser) {
    this.#flow = flow;
    this.#resolver = resolver;
    this.#refuser = refuser;
  }

  /** Each takes the whole message `view[at, end)`. */
  parse(view: Buffer, at: number, end: number): Taken {
    const { statement, text, parameterTypes } = parseParse(view, at + HEADER_BYTES, end);
    const { state, events, queue } = this.#flow;
    if (!this.#flow.ready()) return 'Wait';
    if (end - at > events.maxStatementBytes) {
      return this.#refuser.tooLong('Extended', events.maxStatementBytes);
    }
    if (statement.startsWith(reservedPrefix)) {
      return this.#refuser.refuse('Extended', reservedName(statement));
    }
    if (state.statements.isFull(statement)) return this.#noRoom();
    // PostgreSQL drops the unnamed statement before it looks at the new one.
    const undoSkipped = statement === '' ? state.statements.delete('') : () => {};
    const refused = this.#refuseAtParse(text, parameterTypes);
    if (refused !== undefined) {
      const { last } = state.inflight;
      if (last?.kind === 'Refused') last.undoSkipped = undoSkipped;
      return refused;
    }
    state.inflight.push({
      kind: 'Parse',
      barrier: false,
      undoSkipped,
      undo: state.statements.set(statement, this.#prepare(text, parameterTypes)),
    });
    queue.pass(at, end);
    return 'Done';
  }

  /** A Parse too long to be analyzed, of which the head has arrived. */
  longParse(): Taken {
    if (!this.#flow.ready()) return 'Wait';
    return this.#refuser.tooLong('Extended', this.#flow.events.maxStatementBytes);
  }

  #prepare(text: string, parameterTypes: readonly number[]): PreparedStatement {
    const entry = { text, parameterTypes, meanings: new Meanings() };
    // What it means now counts, whatever it will mean when it is bound.
    this.#resolver.prepared(entry);
    return entry;
  }

  /** What is in flight may make room, once it is answered. */
  #noRoom(): Taken {
    const { inflight } = this.#flow.state;
    if (inflight.length > 0) return this.#flow.wait();
    return this.#refuser.refuse('Extended', tooManyNames);
  }

  /** Refuses what no parameters could make allowed; the final decision is made at Bind. */
  #refuseAtParse(text: string, parameterTypes: readonly number[]): Taken | undefined {
    const analyzed = this.#flow.state.context.analyze(text, parameterTypes);
    if (analyzed.analysis.failure !== undefined) {
      return this.#refuser.failure('Extended', analyzed, text);
    }
    for (const statement of analyzed.analysis.statements) {
      const made = statement.effects.prepare?.name;
      if (made?.startsWith(reservedPrefix)) {
        return this.#refuser.refuse('Extended', reservedName(made));
      }
      if (lacksRoom(statement, this.#flow.state)) {
        return this.#refuser.refuse('Extended', tooManyNames);
      }
      if (standsForAnother(statement)) continue;
      const { refusal, event } = this.#resolver.decide(
        statement.settingsByParameter?.settled ?? statement,
        analyzed.fingerprint,
        'Extended',
      );
      if (refusal !== undefined) {
        return this.#refuser.decided('Extended', refusal, event, analyzed, text);
      }
    }
    return undefined;
  }

  bind(view: Buffer, at: number, end: number): Taken {
    const message = parseBind(view, at + HEADER_BYTES, end);
    const { portal, statement, resultFormats } = message;
    const textOf = (parameter: number) => parameterText(view, message, parameter);
    return this.#decideBind(portal, statement, resultFormats, textOf, () =>
      this.#flow.queue.pass(at, end, true),
    );
  }

  /** A Bind too long to be held, of which the head has arrived: its names decide, its values stream. */
  longBind(view: Buffer, at: number, end: number): Taken {
    const portalEnd = view.indexOf(0, at + HEADER_BYTES);
    const statementEnd = portalEnd < 0 ? -1 : view.indexOf(0, portalEnd + 1);
    if (statementEnd < 0) {
      if (view.length - at <= maxBindHeadBytes) return 'Wait';
      throw new ProtocolError('Unterminated', 'a Bind without its two names');
    }
    const portal = view.toString('utf8', at + HEADER_BYTES, portalEnd);
    const statement = view.toString('utf8', portalEnd + 1, statementEnd);
    const entry = this.#flow.state.statements.get(statement);
    const planned = entry && this.#resolver.plannedFor(entry);
    if (entry && (planned === undefined || planned.some((mask) => mask !== null))) {
      if (end - at <= maxMaskedBindBytes || !this.#flow.ready()) return 'Wait';
      this.#refuser.tooLong('Extended', maxMaskedBindBytes);
      this.#flow.stream(view, at, end, false);
      return 'Done';
    }
    let forwarded = false;
    const unknown = () => undefined;
    const taken = this.#decideBind(portal, statement, [], unknown, () => {
      this.#flow.queue.record();
      this.#flow.stream(view, at, end, true);
      forwarded = true;
    });
    if (taken === 'Done' && !forwarded) this.#flow.stream(view, at, end, false);
    return taken;
  }

  #decideBind(
    portal: string,
    statement: string,
    resultFormats: readonly (0 | 1)[],
    textOf: (parameter: number) => string | undefined,
    forward: () => void,
  ): Taken {
    if (!this.#flow.ready()) return 'Wait';
    return this.#flow.timed(() =>
      this.#decideReadyBind(portal, statement, resultFormats, textOf, forward),
    );
  }

  #decideReadyBind(
    portal: string,
    statement: string,
    resultFormats: readonly (0 | 1)[],
    textOf: (parameter: number) => string | undefined,
    forward: () => void,
  ): Taken {
    const { state, events } = this.#flow;
    if (state.statements.isUnsure(statement)) return this.#flow.wait();
    const entry = state.statements.get(statement);
    if (entry === undefined) return this.#refuser.refuse('Extended', missingStatement(statement));
    if (state.portals.isFull(portal)) return this.#noRoom();
    const found = this.#resolver.prepared(entry);
    if ('error' in found) return this.#refuser.refuse('Extended', found.error);
    const { analyzed } = found;
    const analysis =
      found.analysis && withSettings(found.analysis, textOf, state.context.key.database);
    const opened: BoundPortal = {
      analysis,
      fingerprint: analyzed.fingerprint,
      statementText: entry.text,
      resultFormats,
      hold: false,
      openedBy: state.inflight.nextNumber,
      analyzed,
      ...(analysis?.effects.lateNames && { lateUnder: state.context }),
    };
    // What EXECUTE and FETCH stand for may be another by the time it is executed, and binding them runs
    // nothing: they are decided at Execute.
    if (analysis === undefined || !standsForAnother(analysis)) {
      const run = this.#resolver.run(analysis, analyzed.fingerprint, resultFormats);
      const { decided } = run;
      const refusal = this.#resolver.refusalOf([decided]);
      if (refusal !== undefined) {
        return this.#refuser.decided('Extended', refusal, decided.event, analyzed, entry.text);
      }
      opened.first = { run, decision: events.record(decided.event, analyzed, entry.text) };
    }
    forward();
    const undo = state.portals.set(portal, opened);
    state.inflight.push({ kind: 'Bind', barrier: false, undo });
    return 'Done';
  }

  execute(view: Buffer, at: number, end: number): Taken {
    const { portal: name, maxRows } = parseExecute(view, at + HEADER_BYTES, end);
    const { state, events, queue } = this.#flow;
    if (!this.#flow.ready()) return 'Wait';
    if (state.portals.isUnsure(name)) return this.#flow.wait();
    const portal: BoundPortal | undefined = state.portals.get(name);
    if (portal === undefined) return this.#unknownPortal(name, Backend.EmptyQueryResponse, at, end);
    const { analysis, statementText: text } = portal;
    if (portal.lateUnder !== undefined && portal.lateUnder !== state.context) {
      return this.#refuser.refuse('Extended', prepareAgain);
    }
    const { begun } = portal;
    const isUnsure = begun
      ? state.inflight.mayFailAlone(begun.number)
      : analysis !== undefined && this.#resolver.isUnsure(analysis);
    if (isUnsure) return this.#flow.wait();
    let run: StatementRun;
    let decision: number;
    if (portal.first !== undefined && this.#resolver.stillHolds(portal.first.run.decided)) {
      ({ run, decision } = portal.first);
      delete portal.first;
    } else {
      // The policy may have changed since Bind, or this is a further part of the result: decided again, by
      // what the portal was opened on.
      const resolved = begun ?? this.#resolver.resolve(analysis ?? emptyStatement);
      if ('error' in resolved) {
        const failed = state.status === TransactionStatus.Failed;
        return this.#refuser.refuse('Extended', failed ? failedTransaction : resolved.error);
      }
      run = this.#resolver.run(resolved.analysis, portal.fingerprint, portal.resultFormats);
      const { event } = run.decided;
      const refusal = this.#resolver.refusalOf([run.decided]);
      if (refusal !== undefined) {
        return this.#refuser.decided('Extended', refusal, event, portal.analyzed, text);
      }
      decision = events.record(event, portal.analyzed, text);
      queue.record();
    }
    const refusal = maxRows > 0 ? inParts(run.decided) : undefined;
    if (refusal !== undefined) {
      return this.#refuser.decided('Extended', refusal, run.decided.event, portal.analyzed, text);
    }
    portal.begun = { analysis: run.decided.analysis, number: state.inflight.nextNumber };
    const undo =
      analysis === undefined ? [] : applyNames(analysis, text, 0, portal.fingerprint, state);
    // The portal that closes all others stays open itself.
    if (analysis?.effects.closeCursor?.name === null || analysis?.effects.discard === 'All') {
      undo.push(state.portals.set(name, portal));
    }
    undo.push(() => {
      portal.begun = begun;
    });
    queue.pass(at, end);
    const leaves = state.inflight.leavesSomething || leavesSomething(run.decided.analysis);
    const isCuttable = mayBeCut(run.decided);
    state.inflight.push({
      kind: 'Execute',
      execution: events.begin(decision, obligationsOf([run.decided])),
      run,
      leavesSomething: leaves,
      holdsSync: leaves && isCuttable,
      ...(isBoundedWrite(run.decided) && {
        maxRowsChanged: run.decided.limits.rowsPerStatement!.max,
      }),
      barrier:
        (analysis !== undefined && changesWhatFollows(analysis, state)) ||
        changesWhatFollows(run.decided.analysis, state) ||
        isLimited(run.decided) ||
        isCuttable,
      undo: () => takeBack(undo),
    });
    return 'Done';
  }

  describe(view: Buffer, at: number, end: number): Taken {
    const { kind, name } = parseDescribe(view, at + HEADER_BYTES, end);
    const { state, queue } = this.#flow;
    // First of all: behind a refusal that is in flight nothing can be asked of the backend any more.
    if (!this.#flow.ready()) return 'Wait';
    const names = kind === 'Statement' ? state.statements : state.portals;
    if (names.isUnsure(name)) return this.#flow.wait();
    const known = names.get(name);
    if (known === undefined) {
      return kind === 'Statement'
        ? this.#refuser.refuse('Extended', missingStatement(name))
        : this.#unknownPortal(name, Backend.NoData, at, end);
    }
    const planned = this.#resolver.plannedFor(known);
    if (planned === undefined) return this.#flow.wait();
    queue.pass(at, end);
    state.inflight.push({
      kind: 'Describe',
      parametersDue: kind === 'Statement',
      planned,
      barrier: false,
    });
    return 'Done';
  }

  /**
   * Execute or Describe of a portal that is not known here. What fails in a block may leave one at the backend until
   * the block ends: a simple Query its unnamed one if it failed while it was carried out, a Bind its own, empty. No
   * message tells whether it did, so the backend is asked. It carries nothing out there: the block has failed, and no
   * portal that was left can be run. `nothing`: its answer where the portal is empty.
   */
  #unknownPortal(
    name: string,
    nothing: LeftPortalExpectation['nothing'],
    at: number,
    end: number,
  ): Taken {
    const { inflight, status } = this.#flow.state;
    // Among what is not answered may be what fails.
    if (inflight.length > 0) return this.#flow.wait();
    // Of a pipeline that has carried out something the status is not known before its end.
    const hasFailed =
      status === TransactionStatus.Failed && (!inflight.unsynced || inflight.onlyPrepares);
    if (!hasFailed || name.startsWith(reservedPrefix)) {
      return this.#refuser.refuse('Extended', missingPortal(name));
    }
    this.#flow.queue.pass(at, end);
    inflight.push({ kind: 'LeftPortal', nothing, barrier: false });
    return 'Done';
  }

  close(view: Buffer, at: number, end: number): Taken {
    const { kind, name } = parseClose(view, at + HEADER_BYTES, end);
    const { state, queue } = this.#flow;
    // Behind it the backend would answer nothing more before the Sync, which waits for all answers.
    if (this.#flow.owesSync || this.#mayFailBehind()) return this.#flow.wait();
    const undo = kind === 'Statement' ? state.statements.delete(name) : state.portals.delete(name);
    queue.pass(at, end);
    state.inflight.push({ kind: 'Close', barrier: false, undo });
    return 'Done';
  }

  /** Behind the end of a pipeline that may be cut the backend is made to fail before anything else is sent. */
  #mayFailBehind(): boolean {
    const { inflight } = this.#flow.state;
    return inflight.hasBarrier && inflight.endsFlushed;
  }

  sync(at: number, end: number): Taken {
    const { state, events, queue } = this.#flow;
    if (this.#flow.skipping) {
      this.#flow.skipping = false;
      events.toClient(readyForQuery(TransactionStatus.Idle));
      return 'Done';
    }
    // While COPY data flows the backend ignores a Sync, and would not answer it.
    if (state.copyIn) return 'Done';
    if (state.inflight.holdsSync || this.#flow.owesSync || this.#mayFailBehind()) {
      return this.#flow.wait();
    }
    state.skipping = false;
    queue.pass(at, end);
    // An error before it takes back what its pipeline changed, and only its answer tells.
    const barrier = state.resolutionTouched || state.catalogTouched;
    state.inflight.push({ kind: 'Sync', barrier });
    return 'Done';
  }
}
