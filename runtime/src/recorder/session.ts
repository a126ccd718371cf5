import type { EventBody, EventParts, OperationCompleted } from '@chaperone/core/events/types.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { type ResultKeeper, ResultStream } from './result-stream.ts';
import type { SessionName } from './session-name.ts';
import type { RecorderFailure, SessionRecorder } from './types.ts';

/** Where a session's events go. */
export interface EventSink {
  append(session: RecordedSession, seq: number, body: EventBody, parts?: EventParts): void;
  endSession(session: RecordedSession): void;
}

/** See SessionRecorder. */
export class RecordedSession implements SessionRecorder {
  readonly name: SessionName;
  lastSeq = 0;
  readonly #sink: EventSink;
  readonly #keeper: ResultKeeper;
  readonly #results = new Map<number, ResultStream>();
  #closed = false;

  constructor(name: SessionName, sink: EventSink, keeper: ResultKeeper) {
    this.name = name;
    this.#sink = sink;
    this.#keeper = keeper;
  }

  get id(): string {
    return this.name.id;
  }

  append(event: EventBody, parts?: EventParts): number {
    if (this.#closed) throw new ChaperoneError('CHP-4006', 'the session is closed');
    return this.#append(event, parts);
  }

  /** For what the recorder itself has to say of a session, closed or not. */
  appendAlways(event: EventBody): void {
    this.#append(event);
  }

  #append(event: EventBody, parts?: EventParts): number {
    const seq = this.lastSeq + 1;
    this.#sink.append(this, seq, event, parts);
    this.lastSeq = seq; // only now: an event that cannot be encoded leaves no gap
    return seq;
  }

  appendResult(decision: number, bytes: Uint8Array): RecorderFailure | undefined {
    let stream = this.#results.get(decision);
    if (stream === undefined) {
      stream = new ResultStream(this.#keeper);
      this.#results.set(decision, stream);
    }
    return stream.append(bytes);
  }

  appendCompleted(event: OperationCompleted): number {
    const stream = this.#results.get(event.decision);
    if (stream === undefined) return this.append(event);
    this.#results.delete(event.decision);
    try {
      const { content, digests } = stream.end();
      if (content !== undefined) return this.append(event, { result: content });
      return this.append(digests.length === 0 ? event : { ...event, recording: digests });
    } finally {
      stream.release();
    }
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    for (const stream of this.#results.values()) stream.release();
    this.#results.clear();
    this.#sink.endSession(this);
  }
}
