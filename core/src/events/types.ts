// Generated from api/events.schema.json by scripts/generate-event-types.ts. Do not edit.

import type { Durability, Recording, RuleRef } from '../policy/types.ts';
import type { Operation } from '../sql/operation.ts';

/** A caller has proven who it is and is connected to a target. The first event of its session. */
export interface SessionOpened {
  /** Which event this is. */
  readonly type: 'SessionOpened';
  /** The machine identity, as it was then. */
  readonly identity: {
    /** Its uid: names may be used again. */
    readonly uid: string;
    /** Its namespace. */
    readonly namespace: string;
    /** Its name. */
    readonly name: string;
    /** The team that answers for it. */
    readonly owner: string;
    /** What it is for. */
    readonly purpose: string;
  };
  /** How it was proven. */
  readonly proof:
    | {
        /** The kind of proof. */
        readonly method: 'Ticket';
        /** The ticket's id, never its secret. */
        readonly ticket: string;
      }
    | {
        /** The kind of proof. */
        readonly method: 'Pod';
        /** Namespace of the ServiceAccount. */
        readonly namespace: string;
        /** Its name. */
        readonly serviceAccount: string;
        /** Name of the pod. */
        readonly pod: string;
        /** Uid of the pod. */
        readonly podUid: string;
        /** The node it runs on. */
        readonly node?: string;
      }
    | {
        /** The kind of proof. */
        readonly method: 'ServiceAccountToken';
        /** Who issued the token. */
        readonly issuer: string;
        /** Namespace of the ServiceAccount. */
        readonly namespace: string;
        /** Its name. */
        readonly serviceAccount: string;
        /** Name of the pod that it is bound to. */
        readonly pod?: string;
        /** Uid of that pod. */
        readonly podUid?: string;
      };
  /** What it is connected to. */
  readonly target: {
    /** Its uid. */
    readonly uid: string;
    /** Its namespace. */
    readonly namespace: string;
    /** Its name. */
    readonly name: string;
  };
  /** The database named in the startup message. */
  readonly database: string;
  /** Where the connection came from. */
  readonly source: {
    /** IP address, or empty for a UNIX socket. */
    readonly address: string;
    /** TCP port, 0 for a UNIX socket. */
    readonly port: number;
  };
  /** application_name as the client sent it, at most 64 characters. */
  readonly client?: string;
  /** TLS between caller and proxy; absent when there is none. */
  readonly tls?: {
    /** Protocol version, e.g. `TLSv1.3`. */
    readonly version: string;
    /** Cipher suite. */
    readonly cipher: string;
  };
  /** The policy bundle in force. */
  readonly policy: {
    /** Its version. */
    readonly version: number;
    /** SHA-256, hex, of the policy, which the collector keeps under it. */
    readonly digest: string;
  };
  /** The backend credential, never its value; absent where the session was refused before one was lent. */
  readonly credential?: {
    /** Name of the Secret. */
    readonly name: string;
    /** Version of the Secret. */
    readonly version: string;
  };
  /** `Observe`: statements go out whatever the verdict. */
  readonly enforcement: 'Observe' | 'Enforce';
}

/** A statement was decided. Durable before the statement goes out. */
export interface OperationDecided {
  /** Which event this is. */
  readonly type: 'OperationDecided';
  /** The decision on the statement as a whole. */
  readonly verdict: 'Allow' | 'Deny' | 'RequireApproval';
  /** False under Observe: the statement went out whatever the verdict. */
  readonly enforced: boolean;
  /** The rules that decided it. */
  readonly rules: readonly RuleRef[];
  /** For a refusal: a stable word, e.g. `DefaultDeny`. */
  readonly reason?: string;
  /** What the statement does. */
  readonly operations: readonly Operation[];
  /** Keyed digest of the normal form (equal statements, equal fingerprint), hex, 32 characters. */
  readonly fingerprint?: string;
  /** DryRun policies that would have refused it. */
  readonly wouldDeny: readonly RuleRef[];
  /** SHA-256, hex, of the policy it was decided by, which the collector keeps under it. */
  readonly policyDigest: string;
  /** The masking rules in force on its result. */
  readonly masks: readonly RuleRef[];
  /** Exemptions from masking rules that were used. */
  readonly exemptions: readonly {
    /** The masking rule. */
    readonly rule: RuleRef;
    /** The ticket that granted the exemption. */
    readonly ticket?: string;
  }[];
  /** How the statement came. */
  readonly protocol: 'Simple' | 'Extended' | 'Startup' | 'FunctionCall';
}

/** A statement came to its end, whichever it was. */
export interface OperationCompleted {
  /** Which event this is. */
  readonly type: 'OperationCompleted';
  /** seq of the OperationDecided that it closes. */
  readonly decision: number;
  /** How the statement itself ended; what it changed may yet be undone with its transaction. `Suspended`: a part of its rows was returned. `Unknown`: the connection ended before the backend answered. */
  readonly outcome: 'Ok' | 'Error' | 'Cut' | 'Cancelled' | 'Suspended' | 'Skipped' | 'Unknown';
  /** SQLSTATE when `outcome` is Error. */
  readonly sqlstate?: string;
  /** Rows delivered, or affected where none are delivered. A write that returns its rows in parts is carried out with the first; each part counts what it delivered. */
  readonly rows: number;
  /** Bytes of rows delivered. */
  readonly bytes: number;
  /** How many values were masked, by rule. */
  readonly masked: readonly {
    /** The masking rule: `namespace/name`. */
    readonly rule: string;
    /** Values masked. */
    readonly cells: number;
  }[];
  /** From the statement's going out to its end, in microseconds. */
  readonly durationUs: number;
  /** SHA-256 of the recorded result's chunks in order (recording Full), hex; of index chunks where they are more than 64. A small result is the part `result` instead. */
  readonly recording?: readonly string[];
}

/** A limit was reached: a statement was refused or cut, or a session was. */
export interface LimitReached {
  /** Which event this is. */
  readonly type: 'LimitReached';
  /** seq of the OperationDecided, where it was about one statement. */
  readonly decision?: number;
  /** The rule that sets the limit. */
  readonly rule: RuleRef;
  /** The limit's field name, e.g. `rowsPerStatement`. */
  readonly limit: string;
  /** The limit's value. */
  readonly allowed: number;
}

/** A peer sent what the protocol does not allow; the connection was closed. */
export interface ProtocolViolation {
  /** Which event this is. */
  readonly type: 'ProtocolViolation';
  /** Which peer. */
  readonly side: 'Client' | 'Backend';
  /** A code of the error catalogue. */
  readonly code: string;
  /** What was wrong, in our words: none of the peer's bytes. */
  readonly message: string;
  /** Where the peer's connection came from, where nobody had logged in yet; of an IPv6 address its first 64 bits. `others` stands for addresses that are too many to be told apart. */
  readonly address?: string;
  /** How many further ones from there, within the minute after the first that was recorded, this event stands for; absent where it stands for itself. Code and message are those of the last. */
  readonly count?: number;
}

/** A backend credential was given to the session. */
export interface CredentialLeased {
  /** Which event this is. */
  readonly type: 'CredentialLeased';
  /** Which one; never its value. */
  readonly credential: {
    /** Name of the Secret. */
    readonly name: string;
    /** Version of the Secret. */
    readonly version: string;
  };
}

/** The session goes on under a newer policy bundle. */
export interface PolicyApplied {
  /** Which event this is. */
  readonly type: 'PolicyApplied';
  /** The bundle. */
  readonly policy: {
    /** Its version. */
    readonly version: number;
    /** SHA-256, hex, of the policy, which the collector keeps under it. */
    readonly digest: string;
  };
}

/** The session ended. Its last event. */
export interface SessionClosed {
  /** Which event this is. */
  readonly type: 'SessionClosed';
  /** Why. */
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
  /** Statements that went out. */
  readonly statements: number;
  /** Statements refused. */
  readonly refused: number;
  /** Rows delivered. */
  readonly rows: number;
  /** Bytes of rows delivered. */
  readonly bytes: number;
  /** The number of this event itself: nothing of the session comes after it. */
  readonly lastSeq: number;
}

/** Events of a session were lost before they reached a collector, as the recorder that had them says. The collector then acknowledges past them, and keeps the gap as an alert. */
export interface RecordGap {
  /** Which event this is. */
  readonly type: 'RecordGap';
  /** The session that lost them; absent: this one. */
  readonly ofSession?: string;
  /** The first one lost. */
  readonly from: number;
  /** The last one lost. */
  readonly to: number;
  /** What happened to them, in a few words. */
  readonly reason: string;
}

/** The collector answered a question about the record; written before the answer goes out. */
export interface RecordRead {
  /** Which event this is. */
  readonly type: 'RecordRead';
  /** Who asked, as authenticated. */
  readonly reader: string;
  /** In which role. */
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
  /** Which event this is. */
  readonly type: 'RecordPurged';
  /** The class of data. */
  readonly class: 'Metadata' | 'Statements' | 'Recordings';
  /** RFC 3339: what was received before it. */
  readonly before: string;
  /** How many events, parts or recordings. */
  readonly count: number;
}

/** A session was taken out of retention, or given back to it. */
export interface LegalHoldChanged {
  /** Which event this is. */
  readonly type: 'LegalHoldChanged';
  /** The session. */
  readonly heldSession: string;
  /** Whether it is held from now on. */
  readonly hold: boolean;
  /** Who decided it, as authenticated. */
  readonly reader: string;
  /** Why. */
  readonly reason: string;
}

/** Lifecycle of a program itself; forms a session of its own per process. */
export interface ProgramEvent {
  /** Which event this is. */
  readonly type:
    | 'ProgramStarted'
    | 'ProgramStopped'
    | 'Heartbeat'
    | 'SpoolState'
    | 'PolicyRejected';
  /** The program's name. */
  readonly program: string;
  /** The program's version. */
  readonly version: string;
  /** What happened, in words. */
  readonly detail?: string;
  /** Heartbeat: open sessions and their last sequence numbers. */
  readonly sessions?: Readonly<Record<string, number>>;
}

/** What an event carries apart from its line; each part in its own retention class. */
export interface EventParts {
  /** The statement text; literals redacted unless the recording level is Full. */
  readonly statement?: string;
  /** Parameter values as text, masked as the policy says; only when the policy records them. */
  readonly parameters?: readonly (string | null)[];
  /** Of an OperationCompleted: the whole recorded result, where it is small; the backend's messages as the client got them. As a part it is the base64 of these bytes, and its HMAC is of that text. */
  readonly result?: Uint8Array;
}

/** What a recorder turns into a metadata line by adding the envelope and the parts. */
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

export type { Durability, Recording };
