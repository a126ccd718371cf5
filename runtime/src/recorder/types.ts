import type { EventBody, EventParts, OperationCompleted } from '@chaperone/core/events/types.ts';
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
   * A piece of the recorded result of a decision; copied before it returns. Returns the failure (CHP-4007)
   * because of which it is not kept: the result must then be cut.
   */
  appendResult(decision: number, bytes: Uint8Array): RecorderFailure | undefined;
  /**
   * `append`, and with it ends the recorded result of `event.decision`, if there is one. A result of at most
   * `maxPartResultBytes` is a part of the event; of a larger one it names the chunks, in its `recording`
   * (core/events/recording.ts).
   */
  appendCompleted(event: OperationCompleted): number;
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
