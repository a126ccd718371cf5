/**
 * Everything the client sends after login, message by message: framed, decided, and only then passed on.
 * A statement's whole text is decided before a byte of it goes out; what is not understood never does.
 */
import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type {
  Hold,
  LimitObligation,
  Refusal,
  RequestContext,
} from '@chaperone/core/policy/types.ts';
import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { Execution, QueryExpectation, StatementRun } from '../backend/expectation.ts';
import { bindMasks } from '../backend/mask-binding.ts';
import { refusalResponse } from '../errors/refusal.ts';
import { readyForQuery } from '../messages/backend-writer.ts';
import { Carry } from '../messages/carry.ts';
import { frontendMaxBytes, HEADER_BYTES } from '../messages/frame.ts';
import {
  type BindMessage,
  formatAt,
  parseBind,
  parseClose,
  parseCopyFail,
  parseDescribe,
  parseEmpty,
  parseExecute,
  parseFunctionCall,
  parseParse,
  parseQuery,
} from '../messages/frontend-reader.ts';
import * as write from '../messages/frontend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Frontend as Message, TransactionStatus } from '../messages/types.ts';
import type { SessionState } from '../session-state.ts';
import type { AnalyzedText, DecidedStatement } from './decision-context.ts';
import { ForwardQueue } from './forward-queue.ts';
import type { Portal, PreparedStatement, Undo } from './names.ts';
import {
  missingPortal,
  missingStatement,
  refusalOfFailure,
  reservedName,
  reservedPrefix,
  tooLong,
} from './refusals.ts';
import { emptyStatement, functionCallStatement, mergedEvent } from './statements.ts';

/** What the frontend asks of its session. */
export interface FrontendEvents {
  /** Bytes for the backend, in order. `recorded`: a decision about them must be durable first. */
  toBackend(pieces: readonly Buffer[], recorded: boolean): void;
  /** An answer of our own; only when the backend owes none. */
  toClient(bytes: Buffer): void;
  /**
   * False when something must happen before the next decision (state to be read, a cancellation to end);
   * the session then calls `resume()` once it has happened.
   */
  readyToDecide(): boolean;
  request(): RequestContext;
  /** Counts the statement against its limits; a refusal when one is reached. */
  admit(decided: DecidedStatement): Refusal | Hold | undefined;
  /** Writes the decision down and returns its seq. */
  record(event: OperationDecided, text: AnalyzedText | undefined, raw: string): number;
  /** Begins the account of what was allowed. */
  begin(decision: number, obligations: readonly LimitObligation[]): Execution;
  /** Session and event, for the database's own log. */
  eventName(decision: number): string;
  terminate(): void;
  /** A statement longer than the analyzer takes. */
  readonly maxStatementBytes: number;
}

/** A Bind longer than this is decided by its head, and its values stream. */
const maxHeldBindBytes = 1024 * 1024;
/** Unless its result is masked: then the formats at its end are needed. */
const maxMaskedBindBytes = 64 * 1024 * 1024;

/** What became of one message. */
type Taken = 'Done' | 'Wait';

export class Frontend {
  readonly #state: SessionState;
  readonly #events: FrontendEvents;
  readonly #carry = new Carry();
  readonly #queue = new ForwardQueue();
  /** Bytes of the current message that are still to come, and whether they are forwarded. */
  #bodyLeft = 0;
  #bodyPasses = false;
  /** A message was refused while nothing was in flight: ours to skip to the Sync and answer it. */
  #skipping = false;
  /** A simple Query went out as messages of the extended protocol: its Sync is ours to send. */
  #owesSync = false;
  #running = false;

  constructor(state: SessionState, events: FrontendEvents) {
    this.#state = state;
    this.#events = events;
  }

  /** True when whole messages wait for something; the session then stops reading. */
  get waiting(): boolean {
    return this.#waits;
  }
  #waits = false;

  /** Takes one chunk. @throws ProtocolError when the client breaks the protocol */
  feed(chunk: Buffer): void {
    if (this.#running) throw new Error('the frontend is not reentrant');
    this.#running = true;
    try {
      const view = this.#carry.join(chunk);
      this.#waits = false;
      this.#queue.begin(view);
      const consumed = this.#consume(view);
      const { pieces, recorded } = this.#queue.end();
      this.#carry.keep(view, consumed);
      if (pieces.length > 0) this.#events.toBackend(pieces, recorded);
    } finally {
      this.#running = false;
    }
  }

  /** Sends a message of the session's own behind everything that was forwarded. */
  inject(bytes: Buffer): void {
    if (this.#running) this.#queue.insert(bytes);
    else this.#events.toBackend([bytes], false);
  }

  /** Goes on with what waits. */
  resume(): void {
    if (this.#owesSync && this.#state.inflight.length === 0 && !this.#running) {
      this.#owesSync = false;
      this.#state.skipping = false;
      this.#state.inflight.push({ kind: 'Sync', barrier: true });
      this.#events.toBackend([write.sync], false);
      return;
    }
    if (this.#waits && !this.#running) this.feed(Buffer.alloc(0));
  }

  #consume(view: Buffer): number {
    const { length } = view;
    let at = 0;
    while (at < length) {
      if (this.#bodyLeft > 0) {
        const piece = Math.min(this.#bodyLeft, length - at);
        if (this.#bodyPasses) this.#queue.pass(at, at + piece);
        this.#bodyLeft -= piece;
        at += piece;
        continue;
      }
      if (length - at < HEADER_BYTES) break;
      const type = view[at]!;
      const maxBytes = frontendMaxBytes(type);
      if (maxBytes === 0) {
        throw new ProtocolError('UnexpectedMessage', 'a message type that clients do not send');
      }
      const size = view.readInt32BE(at + 1);
      if (size < 4) throw new ProtocolError('InvalidLength', 'a message length is below 4');
      if (size > maxBytes)
        throw new ProtocolError('TooLarge', 'a message is too long for its kind');
      const end = at + 1 + size;
      if (this.#discards(type)) {
        this.#stream(view, at, end, false);
        at = Math.min(end, length);
        continue;
      }
      const taken =
        end <= length ? this.#message(type, view, at, end) : this.#part(type, view, at, end);
      if (taken === 'Wait') break;
      at = Math.min(end, length);
    }
    return at;
  }

  /** While errors are skipped over, everything but Sync and Terminate is nothing. */
  #discards(type: number): boolean {
    if (this.#owesSync) return false;
    if (!this.#skipping && !this.#state.skipping) return false;
    return type !== Message.Sync && type !== Message.Terminate;
  }

  #stream(view: Buffer, at: number, end: number, passes: boolean): void {
    const available = Math.min(end, view.length);
    if (passes) this.#queue.pass(at, available);
    this.#bodyPasses = passes;
    this.#bodyLeft = end - available;
  }

  /** A message of which only a part has arrived. */
  #part(type: number, view: Buffer, at: number, end: number): Taken {
    switch (type) {
      case Message.CopyData:
        return this.#copyData(view, at, end);
      case Message.Query:
      case Message.Parse:
        if (end - at <= this.#events.maxStatementBytes) return 'Wait';
        this.#refuse(
          type === Message.Query ? 'Simple' : 'Extended',
          tooLong(this.#events.maxStatementBytes),
        );
        this.#stream(view, at, end, false);
        return 'Done';
      case Message.Bind:
        return end - at <= maxHeldBindBytes ? 'Wait' : this.#longBind(view, at, end);
      case Message.FunctionCall:
        if (end - at <= maxHeldBindBytes) return 'Wait';
        throw new ProtocolError('TooLarge', 'a function call is too long');
      default:
        return 'Wait';
    }
  }

  #message(type: number, view: Buffer, at: number, end: number): Taken {
    const body = at + HEADER_BYTES;
    switch (type) {
      case Message.Query:
        return this.#query(parseQuery(view, body, end), at, end);
      case Message.Parse:
        return this.#parse(view, at, end);
      case Message.Bind:
        return this.#bind(parseBind(view, body, end), at, end);
      case Message.Describe:
        return this.#describe(view, at, end);
      case Message.Execute:
        return this.#execute(view, at, end);
      case Message.Close:
        return this.#close(view, at, end);
      case Message.Sync:
        parseEmpty(view, body, end);
        return this.#sync(at, end);
      case Message.Flush:
        parseEmpty(view, body, end);
        if (!this.#state.copyIn) this.#queue.pass(at, end);
        return 'Done';
      case Message.FunctionCall:
        return this.#functionCall(view, at, end);
      case Message.CopyData:
        return this.#copyData(view, at, end);
      case Message.CopyDone:
        parseEmpty(view, body, end);
        return this.#copyEnd(at, end);
      case Message.CopyFail:
        parseCopyFail(view, body, end);
        return this.#copyEnd(at, end);
      case Message.Terminate:
        this.#queue.pass(at, end);
        this.#events.terminate();
        return 'Done';
      default:
        throw new ProtocolError('UnexpectedMessage', 'a message that does not belong here');
    }
  }

  // ── Simple query ────────────────────────────────────────────────────────────────────────────────────

  #query(text: string, at: number, end: number): Taken {
    if (!this.#ready()) return 'Wait';
    // As PostgreSQL does, whatever becomes of the query.
    this.#state.statements.delete('');
    if (end - at > this.#events.maxStatementBytes) {
      return this.#refuse('Simple', tooLong(this.#events.maxStatementBytes));
    }
    const { context } = this.#state;
    const analyzed = context.analyze(text);
    if (analyzed.analysis.failure !== undefined) {
      return this.#refuseFailure('Simple', analyzed, text);
    }
    const statements =
      analyzed.analysis.statements.length > 0 ? analyzed.analysis.statements : [emptyStatement];
    const decided: DecidedStatement[] = [];
    // By statement: names are made and dropped as the text goes on, for a later statement may use them.
    const names: Undo[][] = [];
    let unsure = false;
    for (const [index, statement] of statements.entries()) {
      const made = statement.effects.prepare?.name;
      if (made?.startsWith(reservedPrefix)) {
        takeBack(names);
        return this.#refuse('Simple', reservedName(made));
      }
      const resolved = this.#resolve(statement);
      if ('error' in resolved) {
        takeBack(names);
        return this.#missingName(resolved.error);
      }
      if (unsure && statement.kind !== 'TransactionStmt') {
        takeBack(names);
        return this.#refuseFailure('Simple', unsureOf(analyzed), text);
      }
      unsure ||= this.#leavesUnsure(statement, resolved.analysis);
      decided.push(
        context.decide(resolved.analysis, analyzed.fingerprint, 'Simple', this.#events.request()),
      );
      names.push(this.#applyNames(statement, text, index, analyzed.fingerprint));
    }
    const event = decided.length === 1 ? decided[0]!.event : mergedEvent(decided);
    const refusal = this.#refusalOf(decided);
    if (refusal !== undefined) {
      takeBack(names);
      return this.#refuseDecided('Simple', refusal, event, analyzed, text);
    }

    if (decided.some(isBoundedWrite)) {
      takeBack(names);
      return this.#boundedQuery(decided, event, analyzed, text, at, end);
    }
    const runs = analyzed.analysis.statements.map((_, index) => newRun(decided[index]!));
    const unmaskable = runs.find((run) => isUnmaskable(run));
    if (unmaskable !== undefined) {
      takeBack(names);
      return this.#refuseDecided('Simple', cannotMask(unmaskable), event, analyzed, text);
    }
    const decision = this.#events.record(event, analyzed, text);
    const barrier = statements.some(
      (statement, index) =>
        this.#changesWhatFollows(statement) ||
        this.#changesWhatFollows(decided[index]!.analysis) ||
        isLimited(decided[index]!),
    );
    this.#queue.pass(at, end, true);
    const expectation: QueryExpectation = {
      kind: 'Query',
      execution: this.#events.begin(decision, obligationsOf(decided)),
      runs,
      index: 0,
      failed: false,
      barrier,
      // What PREPARE and DEALLOCATE did before the statement that failed stays, rollback or not.
      undo: () => takeBack(names.slice(expectation.index)),
    };
    this.#state.inflight.push(expectation);
    return 'Done';
  }

  /**
   * A write whose rows are limited. A simple Query would be committed by the time its rows are known, so it
   * is sent as one of the extended protocol, and its Sync only once it was not too much (decisions 9).
   */
  #boundedQuery(
    decided: readonly DecidedStatement[],
    event: OperationDecided,
    analyzed: AnalyzedText,
    text: string,
    at: number,
    end: number,
  ): Taken {
    const [only] = decided;
    if (decided.length > 1 || only === undefined || !isCountable(only.analysis)) {
      return this.#refuseDecided('Simple', uncountable(decided), event, analyzed, text);
    }
    const run = this.#decideRun(only.analysis, analyzed.fingerprint, [], 'Simple');
    if (isUnmaskable(run)) {
      return this.#refuseDecided('Simple', cannotMask(run), event, analyzed, text);
    }
    const decision = this.#events.record(event, analyzed, text);
    const { inflight } = this.#state;
    this.#queue.record();
    const name = `${reservedPrefix}write`;
    for (const message of [
      write.parse(name, text, []),
      write.bind({
        portal: name,
        statement: name,
        parameterFormats: [],
        parameters: [],
        resultFormats: [],
      }),
      write.describe('Portal', name),
      write.execute(name, 0),
      write.close('Portal', name),
      write.close('Statement', name),
      write.flush,
    ]) {
      this.#queue.insert(message);
    }
    const silent = { silent: true, barrier: true };
    inflight.push({ kind: 'Parse', ...silent });
    inflight.push({ kind: 'Bind', ...silent });
    const planned = only.permit?.masks.columns ?? [];
    inflight.push({ kind: 'Describe', parametersDue: false, planned, ...silent });
    inflight.push({
      kind: 'Execute',
      execution: this.#events.begin(decision, obligationsOf(decided)),
      run,
      maxRowsChanged: only.limits.rowsPerStatement!.max,
      barrier: true,
    });
    inflight.push({ kind: 'Close', ...silent });
    inflight.push({ kind: 'Close', ...silent });
    this.#owesSync = true;
    this.#queue.skip(at, end);
    return 'Done';
  }

  // ── Extended query ──────────────────────────────────────────────────────────────────────────────────

  #parse(view: Buffer, at: number, end: number): Taken {
    const { statement, text, parameterTypes } = parseParse(view, at + HEADER_BYTES, end);
    if (!this.#ready()) return 'Wait';
    if (end - at > this.#events.maxStatementBytes) {
      return this.#refuse('Extended', tooLong(this.#events.maxStatementBytes));
    }
    if (statement.startsWith(reservedPrefix))
      return this.#refuse('Extended', reservedName(statement));
    // PostgreSQL drops the unnamed statement before it looks at the new one.
    if (statement === '') this.#state.statements.delete('');
    const { context } = this.#state;
    const analyzed = context.analyze(text, parameterTypes);
    if (analyzed.analysis.failure !== undefined) {
      return this.#refuseFailure('Extended', analyzed, text);
    }
    // Refused now is what no parameters could make allowed; the final decision is made at Bind.
    for (const inner of analyzed.analysis.statements) {
      const made = inner.effects.prepare?.name;
      if (made?.startsWith(reservedPrefix)) return this.#refuse('Extended', reservedName(made));
      if (standsForAnother(inner)) continue;
      const request = this.#events.request();
      const decided = context.decide(inner, analyzed.fingerprint, 'Extended', request);
      if (decided.refusal !== undefined) {
        return this.#refuseDecided('Extended', decided.refusal, decided.event, analyzed, text);
      }
    }
    const entry: PreparedStatement = { text, parameterTypes };
    this.#state.inflight.push({
      kind: 'Parse',
      barrier: false,
      undo: this.#state.statements.set(statement, entry),
    });
    this.#queue.pass(at, end);
    return 'Done';
  }

  #bind(message: BindMessage, at: number, end: number): Taken {
    return this.#decideBind(message.portal, message.statement, message.resultFormats, () =>
      this.#queue.pass(at, end, true),
    );
  }

  /** A Bind too long to be held: its two names decide, its values stream. */
  #longBind(view: Buffer, at: number, end: number): Taken {
    const portalEnd = view.indexOf(0, at + HEADER_BYTES);
    const statementEnd = portalEnd < 0 ? -1 : view.indexOf(0, portalEnd + 1);
    if (statementEnd < 0) {
      throw new ProtocolError('Unterminated', 'a Bind without its two names');
    }
    const portal = view.toString('utf8', at + HEADER_BYTES, portalEnd);
    const statement = view.toString('utf8', portalEnd + 1, statementEnd);
    if (this.#isMasked(statement)) {
      if (end - at <= maxMaskedBindBytes) return 'Wait';
      this.#refuse('Extended', tooLong(maxMaskedBindBytes));
      this.#stream(view, at, end, false);
      return 'Done';
    }
    let forwarded = false;
    const taken = this.#decideBind(portal, statement, [], () => {
      this.#queue.record();
      this.#stream(view, at, end, true);
      forwarded = true;
    });
    if (taken === 'Done' && !forwarded) this.#stream(view, at, end, false);
    return taken;
  }

  #isMasked(name: string): boolean {
    const entry = this.#state.statements.get(name);
    if (entry === undefined) return false;
    const analyzed = this.#state.context.analyze(entry.text, entry.parameterTypes);
    const analysis = analyzed.analysis.statements[0];
    if (analysis === undefined) return false;
    const resolved = this.#resolve(analysis);
    if ('error' in resolved) return false;
    const decided = this.#state.context.decide(
      resolved.analysis,
      analyzed.fingerprint,
      'Extended',
      this.#events.request(),
    );
    return decided.permit?.masks.columns.some((mask) => mask !== null) ?? false;
  }

  #decideBind(
    portal: string,
    statement: string,
    resultFormats: readonly (0 | 1)[],
    forward: () => void,
  ): Taken {
    if (!this.#ready()) return 'Wait';
    const entry = this.#state.statements.get(statement);
    if (entry === undefined) return this.#refuse('Extended', missingStatement(statement));
    const found = this.#preparedAnalysis(entry);
    if ('error' in found) return this.#refuse('Extended', found.error);
    const { analyzed, analysis } = found;
    const opened: BoundPortal = {
      analysis,
      fingerprint: analyzed.fingerprint,
      statementText: entry.text,
      resultFormats,
      hold: false,
      openedBy: this.#state.inflight.nextNumber,
      analyzed,
    };
    if (analysis !== undefined && standsForAnother(analysis)) {
      // What it stands for may be another by the time it is executed, and binding it runs nothing.
      this.#pushBind(portal, opened, forward);
      return 'Done';
    }
    const run = this.#decideRun(analysis, analyzed.fingerprint, resultFormats);
    const refusal = this.#refusalOf([run.decided]);
    if (refusal !== undefined) {
      return this.#refuseDecided('Extended', refusal, run.decided.event, analyzed, entry.text);
    }
    if (isUnmaskable(run)) {
      return this.#refuseDecided(
        'Extended',
        cannotMask(run),
        run.decided.event,
        analyzed,
        entry.text,
      );
    }
    if (isBoundedWrite(run.decided) && !isCountable(run.decided.analysis)) {
      const refused = uncountable([run.decided]);
      return this.#refuseDecided('Extended', refused, run.decided.event, analyzed, entry.text);
    }
    const decision = this.#events.record(run.decided.event, analyzed, entry.text);
    opened.first = { run, decision };
    this.#pushBind(portal, opened, forward);
    return 'Done';
  }

  #pushBind(name: string, opened: BoundPortal, forward: () => void): void {
    forward();
    this.#state.inflight.push({
      kind: 'Bind',
      barrier: false,
      undo: this.#state.portals.set(name, opened),
    });
  }

  #execute(view: Buffer, at: number, end: number): Taken {
    const { portal: name } = parseExecute(view, at + HEADER_BYTES, end);
    if (!this.#ready()) return 'Wait';
    const portal = this.#state.portals.get(name) as BoundPortal | undefined;
    if (portal === undefined) return this.#refuse('Extended', missingPortal(name));
    const { analysis } = portal;
    const text = portal.statementText;
    let run: StatementRun;
    let decision: number;
    if (portal.first !== undefined && this.#stillHolds(portal.first.run.decided)) {
      ({ run, decision } = portal.first);
      delete portal.first;
    } else {
      // The policy may have changed since Bind, or this is a further part of the result: decided again, by
      // what the portal was opened on.
      const resolved = this.#resolve(analysis ?? emptyStatement);
      if ('error' in resolved) return this.#refuse('Extended', resolved.error);
      run = this.#decideRun(resolved.analysis, portal.fingerprint, portal.resultFormats);
      const refusal = this.#refusalOf([run.decided]);
      if (refusal !== undefined || isUnmaskable(run)) {
        return this.#refuseDecided(
          'Extended',
          refusal ?? cannotMask(run),
          run.decided.event,
          portal.analyzed,
          text,
        );
      }
      decision = this.#events.record(run.decided.event, portal.analyzed, text);
      this.#queue.record();
    }
    const undo =
      analysis === undefined ? [] : this.#applyNames(analysis, text, 0, portal.fingerprint);
    // The portal that closes all others stays open itself.
    if (analysis?.effects.closeCursor?.name === null || analysis?.effects.discard === 'All') {
      undo.push(this.#state.portals.set(name, portal));
    }
    this.#queue.pass(at, end);
    this.#state.inflight.push({
      kind: 'Execute',
      execution: this.#events.begin(decision, obligationsOf([run.decided])),
      run,
      ...(isBoundedWrite(run.decided) && {
        maxRowsChanged: run.decided.limits.rowsPerStatement!.max,
      }),
      barrier:
        (analysis !== undefined && this.#changesWhatFollows(analysis)) ||
        this.#changesWhatFollows(run.decided.analysis) ||
        isLimited(run.decided),
      undo: () => {
        for (const back of undo.toReversed()) back();
      },
    });
    return 'Done';
  }

  #describe(view: Buffer, at: number, end: number): Taken {
    const { kind, name } = parseDescribe(view, at + HEADER_BYTES, end);
    const known =
      kind === 'Statement' ? this.#state.statements.get(name) : this.#state.portals.get(name);
    if (known === undefined) {
      return this.#refuse(
        'Extended',
        kind === 'Statement' ? missingStatement(name) : missingPortal(name),
      );
    }
    if (!this.#ready()) return 'Wait';
    this.#queue.pass(at, end);
    this.#state.inflight.push({
      kind: 'Describe',
      parametersDue: kind === 'Statement',
      planned: this.#plannedFor(known),
      barrier: false,
    });
    return 'Done';
  }

  #plannedFor(known: PreparedStatement | Portal): StatementMasks {
    let analysis: StatementAnalysis | undefined;
    let fingerprint: string;
    if ('text' in known) {
      const found = this.#preparedAnalysis(known);
      if ('error' in found) return [];
      analysis = found.analysis;
      fingerprint = found.analyzed.fingerprint;
    } else ({ analysis, fingerprint } = known);
    if (analysis === undefined) return [];
    const resolved = this.#resolve(analysis);
    if ('error' in resolved) return [];
    const request = this.#events.request();
    const decided = this.#state.context.decide(resolved.analysis, fingerprint, 'Extended', request);
    return decided.permit?.masks.columns ?? [];
  }

  #close(view: Buffer, at: number, end: number): Taken {
    const { kind, name } = parseClose(view, at + HEADER_BYTES, end);
    const { statements, portals } = this.#state;
    const undo = kind === 'Statement' ? statements.delete(name) : portals.delete(name);
    this.#queue.pass(at, end);
    this.#state.inflight.push({ kind: 'Close', barrier: false, undo });
    return 'Done';
  }

  #sync(at: number, end: number): Taken {
    if (this.#skipping) {
      this.#skipping = false;
      this.#events.toClient(readyForQuery(TransactionStatus.Idle));
      return 'Done';
    }
    if (this.#state.inflight.hasBoundedWrite || this.#owesSync) return this.#wait();
    // While COPY data flows the backend ignores a Sync, and would not answer it.
    if (this.#state.copyIn) return 'Done';
    this.#state.skipping = false;
    this.#queue.pass(at, end);
    this.#state.inflight.push({ kind: 'Sync', barrier: false });
    return 'Done';
  }

  // ── Function calls and COPY data ────────────────────────────────────────────────────────────────────

  #functionCall(view: Buffer, at: number, end: number): Taken {
    const { functionOid } = parseFunctionCall(view, at + HEADER_BYTES, end);
    if (!this.#ready()) return 'Wait';
    const statement = functionCallStatement(this.#state.context.key.database, functionOid);
    const request = this.#events.request();
    const decided = this.#state.context.decide(statement, '', 'FunctionCall', request);
    const refusal = this.#refusalOf([decided]);
    if (refusal !== undefined) {
      return this.#refuseDecided('Simple', refusal, decided.event, undefined, '');
    }
    const decision = this.#events.record(decided.event, undefined, '');
    this.#queue.pass(at, end, true);
    this.#state.inflight.push({
      kind: 'FunctionCall',
      execution: this.#events.begin(decision, obligationsOf([decided])),
      failed: false,
      barrier: true,
    });
    return 'Done';
  }

  /** Data passes while the backend takes it; at other times it is ignored, as PostgreSQL does. */
  #copyData(view: Buffer, at: number, end: number): Taken {
    if (!this.#state.copyIn && this.#state.inflight.length > 0) return this.#wait();
    this.#stream(view, at, end, this.#state.copyIn);
    return 'Done';
  }

  #copyEnd(at: number, end: number): Taken {
    if (!this.#state.copyIn && this.#state.inflight.length > 0) return this.#wait();
    if (this.#state.copyIn) this.#queue.pass(at, end);
    this.#state.copyIn = false;
    return 'Done';
  }

  // ── Deciding ────────────────────────────────────────────────────────────────────────────────────────

  /** Whether a decision can be made now; else what is in flight is asked for and the message waits. */
  #ready(): boolean {
    if (this.#owesSync || this.#state.inflight.hasBarrier || !this.#events.readyToDecide()) {
      this.#wait();
      return false;
    }
    return true;
  }

  #wait(): Taken {
    this.#waits = true;
    // Without a Sync behind it the backend would keep the answer that we wait for.
    if (!this.#state.inflight.endsFlushed) this.#queue.insert(write.flush);
    return 'Wait';
  }

  /** Whether a decision made at Bind is still the newest policy's, and not expired. */
  #stillHolds(decided: DecidedStatement): boolean {
    if (decided.event.policyDigest !== this.#policyDigest()) return false;
    const { validUntilMs } = decided;
    return validUntilMs === 0 || this.#events.request().nowMs < validUntilMs;
  }

  #policyDigest(): string {
    return this.#state.context.key.policyDigest;
  }

  /** Nothing behind it is decided before it is answered: names, settings or the catalog may be different. */
  #changesWhatFollows(statement: StatementAnalysis): boolean {
    return changesNames(statement) || this.#endsTouched(statement);
  }

  /** The end of a transaction takes back what SET LOCAL, or DDL that is rolled back, changed in it. */
  #endsTouched({ effects: { transaction } }: StatementAnalysis): boolean {
    const { resolutionTouched, catalogTouched } = this.#state;
    return (
      (resolutionTouched || catalogTouched) &&
      (transaction === 'Commit' || transaction === 'Rollback' || transaction === 'RollbackTo')
    );
  }

  /** The rest of the text would be decided by names that this statement may change, unseen by the analysis. */
  #leavesUnsure(statement: StatementAnalysis, stoodFor: StatementAnalysis): boolean {
    if (this.#endsTouched(statement)) return true;
    const { resolution, catalog } = stoodFor.effects;
    return standsForAnother(statement) && (resolution === true || catalog === true);
  }

  /** What EXECUTE and FETCH stand for; everything else stands for itself. */
  #resolve(
    statement: StatementAnalysis,
  ): { readonly analysis: StatementAnalysis } | { readonly error: Buffer } {
    const { execute, fetch } = statement.effects;
    if (execute !== undefined) {
      const entry = this.#state.statements.get(execute.name);
      if (entry === undefined) return { error: missingStatement(execute.name) };
      const found = this.#preparedAnalysis(entry);
      if ('error' in found) return found;
      return { analysis: withArguments(statement, found.analysis ?? emptyStatement) };
    }
    if (fetch !== undefined) {
      const portal = this.#state.portals.get(fetch.name);
      if (portal?.analysis === undefined) return { error: missingPortal(fetch.name, 'cursor') };
      const declared = portal.analysis.effects.declare?.inner;
      return { analysis: declared ?? portal.analysis };
    }
    return { analysis: statement };
  }

  /** The statement behind a prepared name, analyzed as names resolve now: the backend plans it anew too. */
  #preparedAnalysis(
    entry: PreparedStatement,
  ):
    | { readonly analyzed: AnalyzedText; readonly analysis: StatementAnalysis | undefined }
    | { readonly error: Buffer } {
    const analyzed = this.#state.context.analyze(entry.text, entry.parameterTypes);
    const { failure, statements } = analyzed.analysis;
    if (failure !== undefined) return { error: refusalOfFailure(failure) };
    if (entry.preparedAt === undefined) return { analyzed, analysis: statements[0] };
    return { analyzed, analysis: statements[entry.preparedAt]?.effects.prepare?.inner };
  }

  #decideRun(
    analysis: StatementAnalysis | undefined,
    fingerprint: string,
    resultFormats: readonly (0 | 1)[],
    protocol: 'Simple' | 'Extended' = 'Extended',
  ): StatementRun {
    const { context } = this.#state;
    const request = this.#events.request();
    const decided = context.decide(analysis ?? emptyStatement, fingerprint, protocol, request);
    const run = newRun(decided);
    const planned = decided.permit?.masks.columns ?? [];
    const outputs = decided.analysis.outputs ?? [];
    const bound = bindMasks(
      planned,
      planned.map((mask, index) => mask?.typeOid ?? outputs[index]?.typeOid ?? textOid),
      (index) => formatAt(resultFormats, index),
    );
    if ('why' in bound) run.masks = null;
    else {
      run.masks = bound.masks;
      if (bound.masker !== undefined) run.masker = bound.masker;
    }
    return run;
  }

  #refusalOf(decided: readonly DecidedStatement[]): Refusal | Hold | undefined {
    for (const item of decided) if (item.refusal !== undefined) return item.refusal;
    for (const item of decided) {
      const limited = this.#events.admit(item);
      if (limited !== undefined) return limited;
    }
    return undefined;
  }

  /** Names that SQL itself makes and drops: PREPARE, DECLARE, DEALLOCATE, CLOSE, DISCARD. */
  #applyNames(
    statement: StatementAnalysis,
    text: string,
    index: number,
    fingerprint: string,
  ): Undo[] {
    const { prepare, deallocate, declare, closeCursor, discard } = statement.effects;
    const { statements, portals } = this.#state;
    const undo: Undo[] = [];
    if (prepare)
      undo.push(statements.set(prepare.name, { text, parameterTypes: [], preparedAt: index }));
    if (deallocate) {
      undo.push(
        deallocate.name === null
          ? statements.filter(isUnnamed)
          : statements.delete(deallocate.name),
      );
    }
    if (declare) {
      undo.push(
        portals.set(declare.name, {
          analysis: declare.inner,
          fingerprint,
          statementText: text,
          resultFormats: [],
          hold: declare.hold,
          openedBy: this.#state.inflight.nextNumber,
        }),
      );
    }
    if (closeCursor) {
      undo.push(
        closeCursor.name === null ? portals.filter(() => false) : portals.delete(closeCursor.name),
      );
    }
    if (discard === 'All') {
      undo.push(
        statements.filter(isUnnamed),
        portals.filter(() => false),
      );
    }
    return undo;
  }

  // ── Refusing ────────────────────────────────────────────────────────────────────────────────────────

  #refuseFailure(protocol: 'Simple' | 'Extended', analyzed: AnalyzedText, text: string): Taken {
    const failure = analyzed.analysis.failure!;
    const event: OperationDecided = {
      type: 'OperationDecided',
      verdict: 'Deny',
      enforced: true,
      rules: [],
      reason: failure.kind === 'Syntax' ? 'Syntax' : 'Unknown',
      operations: [],
      fingerprint: analyzed.fingerprint,
      wouldDeny: [],
      policyDigest: this.#policyDigest(),
      masks: [],
      exemptions: [],
      protocol,
    };
    const decision = this.#events.record(event, analyzed, text);
    return this.#refuse(protocol, refusalOfFailure(failure), decision);
  }

  #refuseDecided(
    protocol: 'Simple' | 'Extended',
    refusal: Refusal | Hold,
    event: OperationDecided,
    analyzed: AnalyzedText | undefined,
    text: string,
  ): Taken {
    const reason = refusal.verdict === 'Deny' ? refusal.reason : 'ApprovalRequired';
    const recorded: OperationDecided =
      event.verdict === refusal.verdict
        ? event
        : { ...event, verdict: refusal.verdict, reason, rules: refusal.rule ? [refusal.rule] : [] };
    const decision = this.#events.record(recorded, analyzed, text);
    return this.#refuse(protocol, refusalResponse(reason, 'Statement', refusal), decision);
  }

  /**
   * EXECUTE or FETCH of a name that is not there. The backend is asked for another that is not: in a failed
   * transaction it says so (25P02), which we may not know yet, and else its error becomes ours.
   */
  #missingName(error: Buffer): Taken {
    if (this.#state.idle) return this.#refuse('Simple', error);
    this.#queue.insert(write.query(`EXECUTE "${reservedPrefix}missing"`));
    this.#state.inflight.push({
      kind: 'Query',
      runs: [],
      index: 0,
      failed: false,
      barrier: false,
      replacement: error,
    });
    return 'Done';
  }

  /**
   * Answers with an error. Where something is open or in flight it is made to happen at the backend, which
   * then skips, rolls back and reports its state by itself (decisions 1).
   */
  #refuse(protocol: 'Simple' | 'Extended', error: Buffer, decision?: number): Taken {
    const { inflight } = this.#state;
    const text = `Refused by Chaperone${decision === undefined ? '' : `: ${this.#events.eventName(decision)}`}`;
    if (protocol === 'Simple') {
      if (this.#state.idle) {
        this.#events.toClient(Buffer.concat([error, readyForQuery(TransactionStatus.Idle)]));
        return 'Done';
      }
      this.#queue.insert(write.query(text));
      inflight.push({
        kind: 'Query',
        runs: [],
        index: 0,
        failed: false,
        barrier: false,
        replacement: error,
      });
      return 'Done';
    }
    if (this.#state.idle) {
      this.#events.toClient(error);
      this.#skipping = true;
      return 'Done';
    }
    this.#queue.insert(write.parse(`${reservedPrefix}refused`, text, []));
    inflight.push({ kind: 'Refused', replacement: error, barrier: false });
    return 'Done';
  }
}

const textOid = 25;

type StatementMasks = NonNullable<DecidedStatement['permit']>['masks']['columns'];

/** A portal made by Bind: its decision is used up by the first Execute. */
interface BoundPortal extends Portal {
  first?: { readonly run: StatementRun; readonly decision: number };
  readonly analyzed: AnalyzedText;
}

function newRun(decided: DecidedStatement): StatementRun {
  return { decided, masks: null, rows: 0, bytes: 0 };
}

/** A mask is planned for a column whose type, known beforehand, it cannot keep. */
function isUnmaskable(run: StatementRun): boolean {
  return (
    run.decided.permit?.masks.columns.some(
      (mask, index) =>
        mask !== null &&
        mask.bind(mask.typeOid ?? run.decided.analysis.outputs?.[index]?.typeOid ?? textOid, 0) ===
          undefined,
    ) ?? false
  );
}

function cannotMask(run: StatementRun): Refusal {
  const mask = run.decided.permit!.masks.columns.find((planned) => planned !== null)!;
  return {
    verdict: 'Deny',
    rule: mask.rule,
    reason: 'Masking',
    message: `the result has a protected column of a type that MaskingRule ${mask.rule.namespace}/${mask.rule.object} cannot mask`,
    hint: 'Leave the column out, or give the rule a transform that fits its type.',
    wouldDeny: [],
  };
}

function takeBack(names: readonly (readonly Undo[])[]): void {
  for (const undo of names.toReversed()) for (const back of undo.toReversed()) back();
}

/** The text as one that was not understood. */
function unsureOf(analyzed: AnalyzedText): AnalyzedText {
  const failure = {
    kind: 'Parser',
    message: 'an earlier statement of the same text may change how names resolve',
  } as const;
  return { ...analyzed, analysis: { failure, statements: [] } };
}

const merged = new WeakMap<StatementAnalysis, WeakMap<StatementAnalysis, StatementAnalysis>>();

/** EXECUTE does what the name stands for, and what its arguments do by themselves. */
function withArguments(execute: StatementAnalysis, inner: StatementAnalysis): StatementAnalysis {
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

function changesNames({ effects }: StatementAnalysis): boolean {
  return (
    effects.resolution === true ||
    effects.catalog === true ||
    effects.prepare !== undefined ||
    effects.deallocate !== undefined ||
    effects.declare !== undefined ||
    effects.closeCursor !== undefined ||
    effects.discard !== undefined
  );
}

/** It changes rows, and a rule says how many at most. */
function isBoundedWrite({ analysis, limits }: DecidedStatement): boolean {
  return (
    limits.rowsPerStatement !== undefined &&
    analysis.operations.some(({ class: of }) => of === 'Write')
  );
}

const countedKinds: ReadonlySet<string> = new Set([
  'InsertStmt',
  'UpdateStmt',
  'DeleteStmt',
  'MergeStmt',
  'CopyStmt',
]);

/** The command tag tells all the rows that it changes. */
function isCountable({ kind, operations }: StatementAnalysis): boolean {
  const written = operations.filter(({ class: of, reach }) => of === 'Write' && reach === 'Named');
  const relations = new Set(written.map(({ resource }) => JSON.stringify(resource)));
  return countedKinds.has(kind) && relations.size === 1;
}

function uncountable(decided: readonly DecidedStatement[]): Refusal {
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

/** The limits of a text's statements, each rule once. */
function obligationsOf(decided: readonly DecidedStatement[]): readonly LimitObligation[] {
  if (decided.length === 1) return decided[0]!.permit?.limits ?? [];
  return [...new Set(decided.flatMap((item) => item.permit?.limits ?? []))];
}

/** DEALLOCATE ALL and DISCARD ALL leave the unnamed statement. */
const isUnnamed = (_: PreparedStatement, name: string): boolean => name === '';

/** EXECUTE and FETCH: decided when carried out, by what the name stands for then. */
function standsForAnother({ effects }: StatementAnalysis): boolean {
  return effects.execute !== undefined || effects.fetch !== undefined;
}

/** A result that may be cut: what comes behind it waits, so that a cut leaves nothing half done. */
function isLimited({ limits }: DecidedStatement): boolean {
  return limits.rowsPerStatement !== undefined || limits.bytesPerStatement !== undefined;
}
