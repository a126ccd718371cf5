/**
 * The events of a session (api/events.schema.json is the contract). A recorder turns a body into a
 * metadata line by adding `eventVersion`, `id` (UUIDv7), `session`, `seq`, `time` and the parts' HMACs.
 */
import type { Durability, Recording, RuleRef } from '../policy/types.ts';
import type { Operation } from '../sql/operation.ts';

export interface SessionOpened {
  readonly type: 'SessionOpened';
  readonly identity: {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    readonly owner: string;
    readonly purpose: string;
  };
  /** How it was proven. `ticket`: its id, never its secret. */
  readonly proof: { readonly method: 'Ticket'; readonly ticket: string };
  readonly target: { readonly uid: string; readonly namespace: string; readonly name: string };
  readonly database: string;
  readonly source: { readonly address: string; readonly port: number };
  /** application_name as the client sent it, at most 64 characters. */
  readonly client?: string;
  readonly tls?: { readonly version: string; readonly cipher: string };
  readonly policy: { readonly version: number; readonly digest: string };
  readonly credential: { readonly name: string; readonly version: string };
  readonly enforcement: 'Observe' | 'Enforce';
}

export interface OperationDecided {
  readonly type: 'OperationDecided';
  readonly verdict: 'Allow' | 'Deny' | 'RequireApproval';
  /** False under Observe: the statement went out whatever the verdict. */
  readonly enforced: boolean;
  readonly rules: readonly RuleRef[];
  readonly reason?: string;
  readonly operations: readonly Operation[];
  /** Keyed digest of the normal form (equal statements, equal fingerprint), hex, 32 characters. */
  readonly fingerprint?: string;
  readonly wouldDeny: readonly RuleRef[];
  readonly policyDigest: string;
  /** Names of the masking rules in force on its result. */
  readonly masks: readonly RuleRef[];
  readonly exemptions: readonly { readonly rule: RuleRef; readonly ticket?: string }[];
  readonly protocol: 'Simple' | 'Extended' | 'Startup' | 'FunctionCall';
}

export interface OperationCompleted {
  readonly type: 'OperationCompleted';
  /** seq of the OperationDecided that it closes. */
  readonly decision: number;
  /** `Unknown`: the connection ended before the backend answered. */
  readonly outcome: 'Ok' | 'Error' | 'Cut' | 'Cancelled' | 'Suspended' | 'Skipped' | 'Unknown';
  /** SQLSTATE when `outcome` is Error. */
  readonly sqlstate?: string;
  readonly rows: number;
  readonly bytes: number;
  readonly masked: readonly { readonly rule: string; readonly cells: number }[];
  readonly durationUs: number;
  /** SHA-256 of recorded result chunks in order (recording Full); hex. */
  readonly recording?: readonly string[];
}

export interface LimitReached {
  readonly type: 'LimitReached';
  readonly decision?: number;
  readonly rule: RuleRef;
  readonly limit: string;
  readonly allowed: number;
}

export interface ProtocolViolation {
  readonly type: 'ProtocolViolation';
  readonly side: 'Client' | 'Backend';
  readonly code: string;
  readonly message: string;
}

export interface CredentialLeased {
  readonly type: 'CredentialLeased';
  readonly credential: { readonly name: string; readonly version: string };
}

export interface PolicyApplied {
  readonly type: 'PolicyApplied';
  readonly policy: { readonly version: number; readonly digest: string };
}

export interface SessionClosed {
  readonly type: 'SessionClosed';
  readonly reason:
    | 'Client'
    | 'Backend'
    | 'Suspended'
    | 'Expired'
    | 'PolicyWithdrawn'
    | 'IdleTimeout'
    | 'MaxDuration'
    | 'Shutdown'
    | 'ProtocolViolation'
    | 'Refused'
    | 'Recorder'
    | 'Error';
  readonly statements: number;
  readonly refused: number;
  readonly rows: number;
  readonly bytes: number;
  /** The number of this event itself: nothing of the session comes after it. */
  readonly lastSeq: number;
}

/**
 * Events `from` to `to` of a session were lost before they reached a collector (decisions 21), as the recorder
 * that had them says. The collector then acknowledges past them, and keeps the gap as an alert.
 */
export interface RecordGap {
  readonly type: 'RecordGap';
  /** The session that lost them; absent: this one. */
  readonly ofSession?: string;
  readonly from: number;
  readonly to: number;
  /** What happened to them, in a few words. */
  readonly reason: string;
}

/** The collector answered a question about the record; written before the answer goes out. */
export interface RecordRead {
  readonly type: 'RecordRead';
  /** Who asked, as authenticated, and in which role. */
  readonly reader: string;
  readonly role: string;
  /** The route's template, e.g. `/v1/events`. */
  readonly route: string;
  /** The question's parameters as given. */
  readonly query: Readonly<Record<string, string>>;
  /** How many sessions, events or recordings the answer holds. */
  readonly results: number;
}

/** The collector deleted what its retention no longer keeps. */
export interface RecordPurged {
  readonly type: 'RecordPurged';
  readonly class: 'Metadata' | 'Statements' | 'Recordings';
  /** RFC 3339: what was received before it. */
  readonly before: string;
  /** How many events, parts or recordings. */
  readonly count: number;
}

/** A session was taken out of retention, or given back to it. */
export interface LegalHoldChanged {
  readonly type: 'LegalHoldChanged';
  readonly heldSession: string;
  readonly hold: boolean;
  readonly reader: string;
  readonly reason: string;
}

/** Lifecycle of a program itself; forms a session of its own per process. */
export interface ProgramEvent {
  readonly type:
    | 'ProgramStarted'
    | 'ProgramStopped'
    | 'Heartbeat'
    | 'SpoolState'
    | 'PolicyRejected';
  readonly program: string;
  readonly version: string;
  readonly detail?: string;
  /** Heartbeat: open sessions and their last sequence numbers. */
  readonly sessions?: Readonly<Record<string, number>>;
}

export type EventBody =
  | SessionOpened
  | OperationDecided
  | OperationCompleted
  | LimitReached
  | ProtocolViolation
  | CredentialLeased
  | PolicyApplied
  | SessionClosed
  | RecordGap
  | RecordRead
  | RecordPurged
  | LegalHoldChanged
  | ProgramEvent;

/** What an event carries apart from its line; each in its own retention class (decisions 20). */
export interface EventParts {
  /** The statement text; literals redacted unless the recording level is Full. */
  readonly statement?: string;
  /** Parameter values as text, masked as the policy says; only when the policy records them. */
  readonly parameters?: readonly (string | null)[];
}

export type { Durability, Recording };
