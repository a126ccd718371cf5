import type { EventBody, EventParts } from '@chaperone/core/events/types.ts';
import type { Durability } from '@chaperone/core/policy/types.ts';

/** No record, no access: whoever gets this must refuse the statement (CHP-4001 …). */
export interface RecorderFailure extends Error {
  readonly code: string;
}

/**
 * The record of one session. `append` is synchronous and cheap: it encodes the event into the batch of
 * this event-loop turn and returns its sequence number (1, 2, 3 … within the session).
 */
export interface SessionRecorder {
  readonly id: string;
  readonly lastSeq: number;
  append(event: EventBody, parts?: EventParts): number;
  /**
   * A piece of a recorded result; copied before it returns. Chunks are content-addressed, compressed later.
   * Returns the failure (CHP-4007) because of which it is not kept: the result must then be cut.
   */
  appendResult(decision: number, bytes: Uint8Array): RecorderFailure | undefined;
  /**
   * Ends the recorded result of that decision: the chunks' SHA-256, hex, in order. At most 64; a longer
   * result names index chunks (core/events/recording.ts).
   */
  endResult(decision: number): readonly string[];
  /** Nothing is appended afterwards. */
  close(): void;
}

export interface Recorder {
  /** A new session with a UUIDv7. */
  openSession(): SessionRecorder;
  /**
   * Calls back once everything appended so far is durable at `level`, or with the failure that prevents it.
   * At `Process` that is within this event-loop turn: one write(2) for all sessions. Callbacks of one level
   * run in the order of the calls, and never before this returns.
   */
  whenDurable(level: Durability, callback: (failure?: RecorderFailure) => void): void;
  /**
   * Policies are recorded under the SHA-256, hex, of their text: sent to the collector once, whenever it answers.
   * What cannot be kept is lost with a line in the log; the events that name it are not.
   */
  recordSnapshot(digest: string, text: string): void;
  /** Keyed digest (HMAC under the installation key, never the plain hash), hex, 32 characters. */
  fingerprint(normalForm: string): string;
  close(): Promise<void>;
}
