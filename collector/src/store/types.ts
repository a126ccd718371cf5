/**
 * What the collector keeps and how it is asked. A store keeps a metadata line's exact bytes and never
 * re-serialises it; every implementation passes `contract.ts`.
 */

/** Retention classes: lines; statement texts and parameters; recorded results, parts and chunks. */
export type RetentionClass = 'Metadata' | 'Statements' | 'Recordings';

export const partNames = ['statement', 'parameters', 'result'] as const;
export type PartName = (typeof partNames)[number];

/** One part of an event, its HMAC already checked against the line. */
export interface Part {
  readonly name: PartName;
  /** 16 random bytes. */
  readonly salt: Uint8Array;
  /** For `parameters` the JSON text of an array of strings and nulls, for `result` base64. */
  readonly content: string;
}

export interface RuleName {
  readonly namespace: string;
  readonly object: string;
  /** Empty for a MaskingRule. */
  readonly rule: string;
}

/** What queries are answered from, read once from the line. */
export interface EventFacts {
  readonly type: string;
  /** Microseconds since the epoch, by the recorder's clock. */
  readonly timeUs: number;
  readonly verdict?: string;
  readonly operations: readonly {
    readonly verb: string;
    readonly class: string;
    readonly resource: readonly string[];
  }[];
  /** Rules that decided, limited or masked. */
  readonly rules: readonly RuleName[];
  /** HMAC of each part, hex, as the line names it. */
  readonly digests: Readonly<Partial<Record<PartName, string>>>;
  /** SHA-256 of recorded result chunks, hex, in order. */
  readonly recordings: readonly string[];
  readonly opened?: SessionFacts;
  readonly closed?: SessionTotals;
  /** Events that the recorder says were lost, of this session or another one of the same source. */
  readonly gap?: { readonly session: string; readonly from: number; readonly to: number };
  /** Last seq by session, from a heartbeat. */
  readonly announced?: Readonly<Record<string, number>>;
  /** The program, in the events of a program's own session. */
  readonly program?: string;
}

/** What SessionOpened says, as far as sessions are searched by it. */
export interface SessionFacts {
  readonly identity: {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    readonly owner: string;
    readonly purpose: string;
  };
  readonly target: { readonly uid: string; readonly namespace: string; readonly name: string };
  readonly database: string;
}

export interface SessionTotals {
  readonly reason: string;
  readonly statements: number;
  readonly refused: number;
  readonly rows: number;
  readonly bytes: number;
  readonly lastSeq: number;
}

export interface IncomingEvent {
  readonly seq: number;
  /** The metadata line's exact text; its UTF-8 is what the recorder wrote. */
  readonly line: string;
  readonly facts: EventFacts;
  readonly parts: readonly Part[];
}

/** Events of one session from one source. A batch is kept whole or not at all. */
export interface Batch {
  /** Who ships, as authenticated. A session belongs to the source that shipped it first. */
  readonly source: string;
  readonly session: string;
  readonly receivedMs: number;
  readonly events: readonly IncomingEvent[];
}

/**
 * - `Contradiction`: a second line for a (session, seq) that has one; both are kept.
 * - `Gap`: events that must exist have not come within the grace time.
 * - `AnnouncedGap`: the recorder says that it lost them.
 * - `AfterClose`: events beyond the session's own last seq.
 * - `ForeignSession`: a heartbeat or a gap that speaks for another source's session; it has no effect.
 */
export type AlertKind = 'Contradiction' | 'Gap' | 'AnnouncedGap' | 'AfterClose' | 'ForeignSession';

export interface Alert {
  readonly kind: AlertKind;
  readonly source: string;
  readonly session: string;
  readonly fromSeq: number;
  readonly toSeq: number;
  readonly raisedMs: number;
  /** Contradiction: the second line. */
  readonly line?: string;
}

export interface AppendResult {
  /**
   * All events up to this seq are durable, or lost: as the recorder said, or as an alert says since the grace
   * time is over. 0: none.
   */
  readonly acknowledged: number;
  readonly stored: number;
  readonly duplicates: number;
  /** Raised by this batch for the first time. */
  readonly alerts: readonly Alert[];
}

/** The batch is not kept: the session belongs to another source. */
export class ForeignSessionError extends Error {
  constructor(session: string) {
    super(`session ${session} belongs to another source`);
    this.name = 'ForeignSessionError';
  }
}

/** What a reader may see; applied in the store, so that no page is cut after the fact. */
export interface ReadScope {
  /** Only sessions of these owners; absent: all. */
  readonly owners?: readonly string[];
  /** Statement texts, parameters and recorded results, and searching in the texts. */
  readonly payloads: boolean;
}

export interface SessionFilter {
  /** Microseconds since the epoch: events at or after, and before. For sessions: active in between. */
  readonly fromUs?: number;
  readonly toUs?: number;
  readonly identity?: { readonly namespace?: string; readonly name: string };
  readonly owner?: string;
  readonly target?: { readonly namespace?: string; readonly name: string };
  /** What a session's id begins with: hexadecimal digits and hyphens. */
  readonly idPrefix?: string;
}

export interface EventFilter extends SessionFilter {
  /** Only this session, ordered by seq instead of time. */
  readonly session?: string;
  readonly type?: string;
  readonly verdict?: string;
  readonly verb?: string;
  /** Parts joined by dots; `*` within a part, a final `**` for the rest. */
  readonly resource?: string;
  /** An absent namespace or rule matches any. */
  readonly rule?: { readonly namespace?: string; readonly object: string; readonly rule?: string };
  /** Words that the statement holds, all of them. */
  readonly text?: string;
}

/** One page of a question. `after` comes from the page before, opaque outside the store. */
export interface PageRequest {
  readonly order: 'oldest' | 'newest';
  readonly limit: number;
  /** A page ends early beyond this many bytes of lines and parts, but holds one item at least. */
  readonly maxBytes: number;
  readonly after?: readonly (number | string)[];
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Absent on the last page. */
  readonly next?: readonly (number | string)[];
}

export interface KeptPart {
  readonly state: 'Kept';
  readonly salt: Uint8Array;
  readonly content: string;
}

export type StoredPart =
  | KeptPart
  /** Kept, and given by `Store.result` alone: a recorded result. */
  | { readonly state: 'Apart' }
  | { readonly state: 'Purged' }
  | { readonly state: 'Withheld' };

export interface StoredEvent {
  readonly session: string;
  readonly seq: number;
  readonly receivedMs: number;
  readonly line: string;
  /** One for each part that the line names. */
  readonly parts: Readonly<Partial<Record<PartName, StoredPart>>>;
}

export interface StoredSession {
  readonly id: string;
  readonly source: string;
  /** Of its first and last event so far; absent while it is only announced. */
  readonly startedUs?: number;
  readonly lastUs?: number;
  readonly opened?: SessionFacts;
  readonly program?: string;
  readonly closed?: SessionTotals & { readonly timeUs: number };
  /** As in AppendResult. */
  readonly acknowledged: number;
  /** The highest seq known to exist, by an event, a heartbeat or SessionClosed. */
  readonly known: number;
  readonly hold: boolean;
}

/** Events of a session that are not here. */
export interface MissingRange {
  readonly session: string;
  readonly from: number;
  readonly to: number;
  /** `Announced`: the recorder said that they are lost. `Lost`: given up. `Awaited`: may still come. */
  readonly state: 'Announced' | 'Lost' | 'Awaited';
}

export interface SourceIntegrity {
  readonly source: string;
  readonly sessions: number;
  /**
   * Everything that this source recorded up to then is here, but for what `missing` says is lost, and as far
   * as its events and heartbeats tell; microseconds since the epoch. Absent: nothing can be said.
   */
  readonly completeUpToUs?: number;
  readonly missing: readonly MissingRange[];
  /** True when `missing` was cut at `missingLimit`. */
  readonly missingTruncated: boolean;
  /** Recorded results that events name and that never came. */
  readonly missingRecordings: number;
  readonly alerts: Readonly<Record<AlertKind, number>>;
}

export type StoredRecording =
  | { readonly state: 'Kept'; readonly bytes: number; readonly receivedMs: number }
  | { readonly state: 'Purged' };

export interface PurgeResult {
  /** Events, parts or recordings deleted. */
  readonly count: number;
  /** Recordings whose bytes are to be deleted now. */
  readonly recordings: readonly string[];
}

export interface Store {
  /**
   * Resolves once the batch is durable. Idempotent by (session, seq). Rejects with ForeignSessionError, or
   * with the storage's own error; nothing of the batch is kept then.
   */
  append(batch: Batch): Promise<AppendResult>;
  sessions(
    filter: SessionFilter,
    scope: ReadScope,
    page: PageRequest,
  ): Promise<Page<StoredSession>>;
  session(id: string, scope: ReadScope): Promise<StoredSession | undefined>;
  events(filter: EventFilter, scope: ReadScope, page: PageRequest): Promise<Page<StoredEvent>>;
  integrity(missingLimit: number): Promise<readonly SourceIntegrity[]>;
  /** Newest first. */
  alerts(limit: number): Promise<readonly Alert[]>;
  /**
   * Raises `Gap` for what is missing since `beforeMs` or longer; returns the new ones. What lies before
   * events that came is then given up for lost: acknowledgement goes past it, now that the alert is
   * durable, so that a recorder which lost an event is not held up for ever. If it comes after all, it is kept.
   */
  raiseGapAlerts(beforeMs: number, nowMs: number): Promise<readonly Alert[]>;
  /** False when the session is not known. */
  setHold(session: string, hold: boolean): Promise<boolean>;
  /**
   * A recorded chunk's bytes are in place; known again if it had been purged. `indexed`: the chunks that
   * stand in its place, for an index chunk.
   */
  addRecording(
    sha256: string,
    bytes: number,
    receivedMs: number,
    indexed: readonly string[],
  ): Promise<void>;
  /** For a scope of owners: only where an event within it names the chunk, or an index that does. */
  recording(sha256: string, scope: ReadScope): Promise<StoredRecording | undefined>;
  /** The result that is a part of an event; undefined when there is none, or none within the scope. */
  result(
    session: string,
    seq: number,
    scope: ReadScope,
  ): Promise<KeptPart | { readonly state: 'Purged' } | undefined>;
  putSnapshot(digest: string, content: string, receivedMs: number): Promise<void>;
  snapshot(digest: string): Promise<string | undefined>;
  /** Deletes what was received before `beforeMs` and is not held. */
  purge(retention: RetentionClass, beforeMs: number): Promise<PurgeResult>;
  /** Tries whether the storage takes a commit. */
  writable(): Promise<boolean>;
  close(): Promise<void>;
}
