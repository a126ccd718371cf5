import type { OperationDecided } from '@chaperone/core/events/types.ts';
import type {
  Hold,
  LimitObligation,
  Refusal,
  RequestContext,
} from '@chaperone/core/policy/types.ts';
import type { Execution } from '../backend/expectation.ts';
import * as write from '../messages/frontend-writer.ts';
import type { SessionState } from '../session-state.ts';
import type { AnalyzedText, DecidedStatement } from './decision-context.ts';
import { ForwardQueue } from './forward-queue.ts';

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
  /** How long a decision took, from the whole message on. `cache`: whether the text had to be analyzed. */
  decidedIn(cache: 'hit' | 'miss', microseconds: number): void;
  /** Microseconds that never go back. */
  monotonicUs(): number;
  terminate(): void;
  /** A statement longer than the analyzer takes. */
  readonly maxStatementBytes: number;
}

/** What became of one message: `Wait` leaves it for later, and all behind it. */
export type Taken = 'Done' | 'Wait';

/** What the parts of the frontend share: where messages go, and why they may have to wait or be skipped. */
export class Flow {
  readonly state: SessionState;
  readonly events: FrontendEvents;
  readonly queue = new ForwardQueue();
  /** Whole messages wait for something; the session then stops reading. */
  waits = false;
  /** A message was refused while nothing was in flight: ours to skip to the Sync and answer it. */
  skipping = false;
  /** A simple Query went out as messages of the extended protocol: its Sync is ours to send. */
  owesSync = false;
  /** Bytes of the current message that are still to come, and whether they are forwarded. */
  bodyLeft = 0;
  bodyPasses = false;

  constructor(state: SessionState, events: FrontendEvents) {
    this.state = state;
    this.events = events;
  }

  /** Whether a decision can be made now; else what is in flight is asked for and the message waits. */
  ready(): boolean {
    if (this.owesSync || this.state.inflight.hasBarrier || !this.events.readyToDecide()) {
      this.wait();
      return false;
    }
    return true;
  }

  wait(): Taken {
    this.waits = true;
    // Without a Sync behind it the backend would keep the answer that we wait for.
    if (!this.state.inflight.endsFlushed) this.queue.insert(write.flush);
    return 'Wait';
  }

  /**
   * Waits until what is in flight is answered and a Sync of our own behind it. Only where nothing would be
   * carried out by that: some drivers prepare with Flush alone, and send simple queries then.
   */
  syncFirst(): Taken {
    const { inflight } = this.state;
    // What has failed makes the backend skip to the client's own Sync, and us, too.
    if (inflight.length > 0) return this.wait();
    this.queue.insert(write.sync);
    inflight.push({ kind: 'InBandSync', barrier: true });
    return this.wait();
  }

  /** Forwards or drops `view[at, end)`, of which the rest may still be to come. */
  stream(view: Buffer, at: number, end: number, passes: boolean): void {
    const available = Math.min(end, view.length);
    if (passes) this.queue.pass(at, available);
    this.bodyPasses = passes;
    this.bodyLeft = end - available;
  }

  /** Does `work`, which decides, and tells how long that took. */
  timed(work: () => Taken): Taken {
    const { context } = this.state;
    const { misses } = context;
    const startedUs = this.events.monotonicUs();
    const taken = work();
    const cache = context.misses === misses ? 'hit' : 'miss';
    this.events.decidedIn(cache, this.events.monotonicUs() - startedUs);
    return taken;
  }
}
