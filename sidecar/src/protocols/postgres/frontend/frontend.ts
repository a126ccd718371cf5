/**
 * Everything the client sends after login, message by message: framed, decided, and only then passed on.
 * A statement's whole text is decided before a byte of it goes out; what is not understood never does.
 */
import { Carry } from '../messages/carry.ts';
import { frontendMaxBytes, HEADER_BYTES } from '../messages/frame.ts';
import { parseCopyFail, parseEmpty, parseQuery } from '../messages/frontend-reader.ts';
import * as write from '../messages/frontend-writer.ts';
import { ProtocolError } from '../messages/protocol-error.ts';
import { Frontend as Message } from '../messages/types.ts';
import type { SessionState } from '../session-state.ts';
import { CopyData } from './copy-data.ts';
import { ExtendedQuery } from './extended-query.ts';
import { Flow, type FrontendEvents, type Taken } from './flow.ts';
import { functionCall } from './function-call.ts';
import { Refuser } from './refuser.ts';
import { Resolver } from './resolver.ts';
import { SimpleQuery } from './simple-query.ts';

/** A Bind longer than this is decided by its head, and its values stream. */
const maxHeldBytes = 1024 * 1024;

/** All that may come while COPY data flows. PostgreSQL, too, ends the session of anything else. */
const copyMessages: ReadonlySet<number> = new Set([
  Message.CopyData,
  Message.CopyDone,
  Message.CopyFail,
  Message.Flush,
  Message.Sync,
  Message.Terminate,
]);

export class Frontend {
  readonly #flow: Flow;
  readonly #carry = new Carry();
  readonly #resolver: Resolver;
  readonly #refuser: Refuser;
  readonly #simple: SimpleQuery;
  readonly #extended: ExtendedQuery;
  readonly #copy: CopyData;
  /** What was to be injected while a message was on its way, of which the rest had not come. */
  #held: Buffer[] = [];
  #running = false;

  constructor(state: SessionState, events: FrontendEvents) {
    this.#flow = new Flow(state, events);
    this.#resolver = new Resolver(this.#flow);
    this.#refuser = new Refuser(this.#flow);
    this.#simple = new SimpleQuery(this.#flow, this.#resolver, this.#refuser);
    this.#extended = new ExtendedQuery(this.#flow, this.#resolver, this.#refuser);
    this.#copy = new CopyData(this.#flow);
  }

  /** True when whole messages wait for something; the session then stops reading. */
  get waiting(): boolean {
    return this.#flow.waits;
  }

  /** Takes one chunk. @throws ProtocolError when the client breaks the protocol */
  feed(chunk: Buffer): void {
    if (this.#running) throw new Error('the frontend is not reentrant');
    this.#running = true;
    const wasMidMessage = this.#isMidMessage;
    const { queue, events } = this.#flow;
    try {
      const view = this.#carry.join(chunk);
      this.#flow.waits = false;
      queue.begin(view);
      const consumed = this.#consume(view);
      const { pieces, recorded } = queue.end();
      this.#carry.keep(view, consumed);
      if (pieces.length > 0) events.toBackend(pieces, recorded);
    } finally {
      this.#running = false;
    }
    // A Sync of ours may have waited for that.
    if (wasMidMessage && !this.#isMidMessage) this.resume();
  }

  /** The backend has had a part of a message, and would take anything else for the rest of it. */
  get #isMidMessage(): boolean {
    return this.#flow.bodyLeft > 0 && this.#flow.bodyPasses;
  }

  /** Sends a message of the session's own behind everything that was forwarded. */
  inject(bytes: Buffer): void {
    if (this.#isMidMessage) this.#held.push(bytes);
    else if (this.#running) this.#flow.queue.insert(bytes);
    else this.#flow.events.toBackend([bytes], false);
  }

  /** Goes on with what waits. */
  resume(): void {
    if (this.#running) return;
    const { state, events, owesSync } = this.#flow;
    if (this.#isMidMessage) return;
    if (owesSync && state.inflight.length === 0) {
      this.#flow.owesSync = false;
      state.skipping = false;
      state.inflight.push({ kind: 'Sync', barrier: true });
      events.toBackend([write.sync], false);
      return;
    }
    if (this.#flow.waits) this.feed(Buffer.alloc(0));
  }

  #consume(view: Buffer): number {
    const { length } = view;
    let at = 0;
    while (at < length) {
      if (this.#flow.bodyLeft > 0) {
        const piece = Math.min(this.#flow.bodyLeft, length - at);
        if (this.#flow.bodyPasses) this.#flow.queue.pass(at, at + piece);
        this.#flow.bodyLeft -= piece;
        at += piece;
        if (this.#flow.bodyLeft === 0) {
          for (const message of this.#held.splice(0)) this.#flow.queue.insert(message);
        }
        continue;
      }
      if (length - at < HEADER_BYTES) break;
      const type = view[at]!;
      const end = at + messageBytes(view, at, type);
      if (this.#flow.state.copyIn && !copyMessages.has(type)) {
        // It could wait for nothing: what is in flight is answered only when the data ends.
        throw new ProtocolError('UnexpectedMessage', 'a message that does not belong in COPY data');
      }
      if (this.#discards(type)) this.#flow.stream(view, at, end, false);
      else {
        // While COPY data flows nothing is answered before its end, which the client has to send.
        if (this.#flow.state.inflight.isFull && !this.#flow.state.copyIn) {
          this.#flow.wait();
          break;
        }
        const taken =
          end <= length ? this.#message(type, view, at, end) : this.#part(type, view, at, end);
        if (taken === 'Wait') break;
      }
      at = Math.min(end, length);
    }
    return at;
  }

  /** While errors are skipped over, everything but Sync and Terminate is nothing. */
  #discards(type: number): boolean {
    if (this.#flow.owesSync) return false;
    if (!this.#flow.skipping && !this.#flow.state.skipping) return false;
    return type !== Message.Sync && type !== Message.Terminate;
  }

  /** A message of which only a part has arrived. */
  #part(type: number, view: Buffer, at: number, end: number): Taken {
    const { maxStatementBytes } = this.#flow.events;
    switch (type) {
      case Message.CopyData:
        return this.#copy.data(view, at, end);
      case Message.Query:
      case Message.Parse: {
        if (end - at <= maxStatementBytes) return 'Wait';
        const taken =
          type === Message.Query ? this.#simple.query('', at, end) : this.#extended.longParse();
        if (taken === 'Done') this.#flow.stream(view, at, end, false);
        return taken;
      }
      case Message.Bind:
        return end - at <= maxHeldBytes ? 'Wait' : this.#extended.longBind(view, at, end);
      case Message.FunctionCall:
        if (end - at <= maxHeldBytes) return 'Wait';
        throw new ProtocolError('TooLarge', 'a function call is too long');
      default:
        return 'Wait';
    }
  }

  #message(type: number, view: Buffer, at: number, end: number): Taken {
    const body = at + HEADER_BYTES;
    const { state, queue, events } = this.#flow;
    switch (type) {
      case Message.Query:
        return this.#simple.query(parseQuery(view, body, end), at, end);
      case Message.Parse:
        return this.#extended.parse(view, at, end);
      case Message.Bind:
        return this.#extended.bind(view, at, end);
      case Message.Describe:
        return this.#extended.describe(view, at, end);
      case Message.Execute:
        return this.#extended.execute(view, at, end);
      case Message.Close:
        return this.#extended.close(view, at, end);
      case Message.Sync:
        parseEmpty(view, body, end);
        return this.#extended.sync(at, end);
      case Message.Flush:
        parseEmpty(view, body, end);
        if (!state.copyIn) queue.pass(at, end);
        return 'Done';
      case Message.FunctionCall:
        return functionCall(this.#flow, this.#resolver, this.#refuser, view, at, end);
      case Message.CopyData:
        return this.#copy.data(view, at, end);
      case Message.CopyDone:
        parseEmpty(view, body, end);
        return this.#copy.finish(at, end);
      case Message.CopyFail:
        parseCopyFail(view, body, end);
        return this.#copy.finish(at, end);
      case Message.Terminate:
        // The backend is told at the end of the session, however that comes.
        events.terminate();
        return 'Done';
      default:
        throw new ProtocolError('UnexpectedMessage', 'a message that does not belong here');
    }
  }
}

/** The whole size of the message at `at`, type byte included. @throws ProtocolError */
function messageBytes(view: Buffer, at: number, type: number): number {
  const maxBytes = frontendMaxBytes(type);
  if (maxBytes === 0) {
    throw new ProtocolError('UnexpectedMessage', 'a message type that clients do not send');
  }
  const size = view.readInt32BE(at + 1);
  if (size < 4) throw new ProtocolError('InvalidLength', 'a message length is below 4');
  if (size > maxBytes) throw new ProtocolError('TooLarge', 'a message is too long for its kind');
  return 1 + size;
}
