import type { MaskPlan } from '../masking/types.ts';
import type { Operation } from '../sql/operation.ts';

/** Which object said so: for messages, records and metrics. */
export interface RuleRef {
  /** `AccessPolicy`, `MaskingRule` or `Builtin`. */
  readonly kind: 'AccessPolicy' | 'MaskingRule' | 'Builtin';
  readonly namespace: string;
  /** The object's name. */
  readonly object: string;
  /** The rule's name within an AccessPolicy; empty for a MaskingRule. */
  readonly rule: string;
  readonly generation: number;
}

export type Recording = 'Metadata' | 'Statements' | 'Full';
export type Durability = 'Process' | 'Disk' | 'Collector';

export interface LimitSpec {
  readonly rowsPerStatement?: number;
  readonly bytesPerStatement?: number;
  readonly rowsPerHour?: number;
  readonly statementsPerSecond?: number;
  readonly concurrentSessions?: number;
  readonly onExceed: 'Deny' | 'RequireApproval';
  readonly scope: 'Pod' | 'Identity';
}

/** Limits that come with a permit, and the rule that sets them. */
export interface LimitObligation {
  readonly rule: RuleRef;
  readonly limits: LimitSpec;
}

// ─── What the policy API sends: plain JSON, already narrowed to one identity and its targets ──────────

export interface BundleIdentity {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  readonly owner: { readonly team: string; readonly contact?: string };
  readonly purpose: string;
  readonly groups: readonly string[];
  readonly suspended: boolean;
  /** RFC 3339. */
  readonly expiresAt?: string;
}

export interface BundleTarget {
  readonly uid: string;
  readonly namespace: string;
  readonly name: string;
  readonly generation: number;
  readonly protocol: 'PostgreSQL';
  readonly host: string;
  readonly port: number;
  readonly aliases: readonly string[];
  readonly tls: {
    readonly mode: 'VerifyFull' | 'VerifyCA' | 'Disable';
    /** PEM. */
    readonly ca?: string;
  };
  readonly enforcement: 'Observe' | 'Enforce';
  readonly classification: readonly string[];
  /** `Statement` revalidates the catalog before every statement (decisions 4). */
  readonly catalogCheck: 'Interval' | 'Statement';
  readonly untestedVersions: 'Refuse' | 'Allow';
}

export interface BundleRule {
  readonly ref: RuleRef;
  /** The policy's mode. */
  readonly mode: 'Enforce' | 'DryRun';
  readonly action: 'Allow' | 'Deny' | 'RequireApproval';
  readonly classes: readonly string[];
  readonly verbs: readonly string[];
  readonly resources: readonly string[];
  readonly columns?: { readonly only?: readonly string[]; readonly except?: readonly string[] };
  readonly when?: string;
  readonly limits?: LimitSpec;
  /**
   * Set when a field was not understood (a newer bundle) or an expression does not compile: the rule then
   * never allows; an Allow is dropped, a Deny or RequireApproval holds for all it might have matched.
   */
  readonly invalid?: string;
}

export type TransformType =
  | 'Redact'
  | 'Partial'
  | 'Hash'
  | 'Pseudonym'
  | 'Generalize'
  | 'Null'
  | 'Fixed';

export interface TransformSpec {
  readonly type: TransformType;
  readonly keepFirst?: number;
  readonly keepLast?: number;
  readonly fixed?: string;
  /** Generalize: dates and timestamps to `year` or `month`; numbers to multiples of `step`. */
  readonly dateUnit?: 'Year' | 'Month';
  readonly step?: number;
}

export interface BundleMask {
  readonly ref: RuleRef;
  readonly columns: readonly string[];
  readonly detectors: readonly string[];
  readonly resources: readonly string[];
  readonly transform: TransformSpec;
  readonly usage: 'None' | 'Lookup' | 'Any';
  readonly strictness: 'Strict' | 'BestEffort';
  /** Exemptions of this identity only. */
  readonly exemptions: readonly {
    readonly reason: string;
    readonly ticket?: string;
    readonly expiresAt: string;
  }[];
  /** Key for Hash and Pseudonym, derived per target; base64, 32 bytes. Never logged. */
  readonly key?: string;
}

export interface BundleSession {
  readonly maxDurationMs?: number;
  readonly idleTimeoutMs?: number;
  readonly recording: Recording;
  readonly durability: Durability;
}

export interface TargetBundle {
  readonly target: BundleTarget;
  readonly rules: readonly BundleRule[];
  readonly masks: readonly BundleMask[];
  readonly session: BundleSession;
}

/** A whole policy snapshot of one identity. */
export interface PolicyBundle {
  readonly bundleVersion: 1;
  /** Monotonic within one policy source; a lower one is never taken after a higher one. */
  readonly version: number;
  /** SHA-256, hex, of what the record keeps of the bundle: see snapshotText. */
  readonly digest: string;
  readonly identity: BundleIdentity;
  readonly targets: readonly TargetBundle[];
}

// ─── What a decision is ───────────────────────────────────────────────────────────────────────────────

/** What is known of the request besides the statement. Times are epoch milliseconds. */
export interface RequestContext {
  readonly nowMs: number;
  readonly sourceIP?: string;
  readonly ticket?: string;
}

declare const permitBrand: unique symbol;

/**
 * A statement may go out, under these obligations. Only `decide` makes one (`permit()` in decide.ts), and
 * only with one in hand does a session forward bytes.
 */
export interface Permit {
  readonly verdict: 'Allow';
  readonly [permitBrand]: true;
  /** The rules that allowed it, each once; several for one operation where together they allow its columns. */
  readonly rules: readonly RuleRef[];
  /** Of every Allow rule that matched, whichever allowed it: a limit holds for all that its rule matches. */
  readonly limits: readonly LimitObligation[];
  readonly masks: MaskPlan;
  /** Verdicts that DryRun policies would have given, had they been enforced. */
  readonly wouldDeny: readonly RuleRef[];
}

/** Refused: which rule, why, and what to do. `rule` is absent for the default deny. */
export interface Refusal {
  readonly verdict: 'Deny';
  readonly rule?: RuleRef;
  /** A stable word for metrics: DefaultDeny, DeniedByRule, Unknown, ColumnNotAllowed, Masking, Suspended … */
  readonly reason: RefusalReason;
  /** One sentence for the caller: what was refused, by which policy and rule. */
  readonly message: string;
  /** What to do about it. */
  readonly hint: string;
  /** The operation that decided it, where there is one. */
  readonly operation?: Operation;
  readonly wouldDeny: readonly RuleRef[];
}

/** A person must say yes first. Until approvals exist it is recorded as such and refused. */
export interface Hold {
  readonly verdict: 'RequireApproval';
  readonly rule: RuleRef;
  readonly message: string;
  readonly hint: string;
  readonly operation: Operation;
  readonly wouldDeny: readonly RuleRef[];
}

export type Decision = Permit | Refusal | Hold;

export type RefusalReason =
  | 'DefaultDeny'
  | 'DeniedByRule'
  | 'Unknown'
  | 'ColumnNotAllowed'
  | 'Masking'
  | 'Usage'
  | 'Limit'
  | 'ApprovalRequired'
  | 'Suspended'
  | 'Expired'
  | 'NoPolicy'
  | 'StalePolicy'
  | 'Recorder'
  | 'Protocol'
  | 'Internal';

/** A decision and how long it may be served from a cache: epoch ms; 0 never, Infinity until the snapshot changes. */
export interface Decided {
  readonly decision: Decision;
  readonly validUntilMs: number;
}
