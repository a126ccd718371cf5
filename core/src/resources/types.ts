// Generated from crds/ by scripts/generate-resource-types.ts. Do not edit.

// Shapes of validated objects: fields with a default are always present.
import type { ObjectMeta } from './object.ts';

export const resourceKinds = ['AccessPolicy', 'MachineIdentity', 'MaskingRule', 'Target'] as const;
export type ResourceKind = (typeof resourceKinds)[number];
export type Resource = AccessPolicy | MachineIdentity | MaskingRule | Target;

/** Who may do what on which targets, under which conditions and limits. Nothing is allowed that no policy allows. */
export interface AccessPolicy {
  readonly apiVersion: 'chaperone.dev/v1alpha1';
  readonly kind: 'AccessPolicy';
  readonly metadata: ObjectMeta;
  readonly spec: AccessPolicySpec;
  readonly status?: AccessPolicyStatus;
}

/** A machine that opens connections: who answers for it, what it is for, and how it is recognised. Every session and every record names one. */
export interface MachineIdentity {
  readonly apiVersion: 'chaperone.dev/v1alpha1';
  readonly kind: 'MachineIdentity';
  readonly metadata: ObjectMeta;
  readonly spec: MachineIdentitySpec;
  readonly status?: MachineIdentityStatus;
}

/** Which columns and which kinds of data are protected on which targets, and what callers see in their place. */
export interface MaskingRule {
  readonly apiVersion: 'chaperone.dev/v1alpha1';
  readonly kind: 'MaskingRule';
  readonly metadata: ObjectMeta;
  readonly spec: MaskingRuleSpec;
  readonly status?: MaskingRuleStatus;
}

/** Something that is protected: a database, where it is reached, the credential that is lent to sessions, and who may use and govern it. */
export interface Target {
  readonly apiVersion: 'chaperone.dev/v1alpha1';
  readonly kind: 'Target';
  readonly metadata: ObjectMeta;
  readonly spec: TargetSpec;
  readonly status?: TargetStatus;
}

/** One MachineIdentity. */
export interface AccessPolicySubjectsIdentity {
  /** Name of the MachineIdentity. */
  readonly name: string;
  /** Its namespace. */
  readonly namespace: string;
}

/** A condition on one label. */
export interface LabelSelectorMatchExpression {
  /** The label. */
  readonly key: string;
  /** How the label is compared. */
  readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist';
  /** What it is compared with. */
  readonly values?: readonly string[];
}

export interface LabelSelector {
  /** Labels and the values that they must have. All of them have to match. */
  readonly matchLabels?: Readonly<Record<string, string>>;
  /** Conditions on labels. All of them have to hold. */
  readonly matchExpressions?: readonly LabelSelectorMatchExpression[];
}

/** Whom the rules are about: the identities listed, and those that namespaces, groups and selector pick. Absent: nobody. */
export interface AccessPolicySubjects {
  /** Identities by name. */
  readonly identities?: readonly AccessPolicySubjectsIdentity[];
  /** Every identity of these namespaces; if groups or selector are set, those of them that meet both. */
  readonly namespaces?: readonly string[];
  /** Of the identities in namespaces, those in at least one of these groups. */
  readonly groups?: readonly string[];
  /** Of the identities in namespaces, those whose labels match. */
  readonly selector?: LabelSelector;
}

/** One Target. */
export interface AccessPolicyTargetRef {
  /** Name of the Target. */
  readonly name: string;
  /** Its namespace. Without it, this object's own. */
  readonly namespace?: string;
}

/** Which columns the rule is about. An Allow that meets a column outside of them does not allow the statement. */
export interface AccessPolicyRuleColumns {
  /** These columns alone. * stands for any characters. */
  readonly only?: readonly string[];
  /** All columns but these. * stands for any characters. */
  readonly except?: readonly string[];
}

/** How much an allowed operation may do. */
export interface AccessPolicyRuleLimits {
  /** Rows that one statement may return or change. */
  readonly rowsPerStatement?: number;
  /** Bytes of result that one statement may return. */
  readonly bytesPerStatement?: number;
  /** Rows returned or changed within an hour. */
  readonly rowsPerHour?: number;
  /** Statements within a second. */
  readonly statementsPerSecond?: number;
  /** Sessions open at the same time. */
  readonly concurrentSessions?: number;
  /** What becomes of a statement that would exceed a limit. Without it, Deny. */
  readonly onExceed?: 'Deny' | 'RequireApproval';
  /** Whether the limits hold for each pod or for all of the identity's together. Without it, Identity if rowsPerHour is set, else Pod. */
  readonly scope?: 'Pod' | 'Identity';
}

/** Who may decide. */
export interface AccessPolicyRuleApprovalApprovers {
  /** Members of any of these groups, as the API server authenticated them. */
  readonly groups: readonly string[];
}

/** What the caller sees meanwhile. Without it, mode Fail. */
export interface AccessPolicyRuleApprovalWait {
  /** Fail refuses with the request's name, and the same statement passes once approved; Hold keeps the statement waiting up to holdTimeout. */
  readonly mode: 'Fail' | 'Hold';
  /** How long a held statement waits, such as 5m. */
  readonly holdTimeout?: string;
}

/** Who has to say yes, and how long the statement waits. */
export interface AccessPolicyRuleApproval {
  /** Who may decide. */
  readonly approvers: AccessPolicyRuleApprovalApprovers;
  /** How many different people have to approve. Never the requester or the identity itself. Without it, 1. */
  readonly minimum?: number;
  /** What the caller sees meanwhile. Without it, mode Fail. */
  readonly wait?: AccessPolicyRuleApprovalWait;
  /** How long an undecided request stays open, and a yes can be used. Without it, 30m. */
  readonly expiresAfter?: string;
  /** Whether a request has to name a ticket of the organisation's tracker. Without it, false. */
  readonly requireTicket?: boolean;
}

/** One rule. */
export interface AccessPolicyRule {
  /** Name of the rule, unique within the policy. Messages and records show it. */
  readonly name: string;
  /** What becomes of an operation that the rule matches. */
  readonly action: 'Allow' | 'Deny' | 'RequireApproval';
  /** Classes of operations. The rule matches an operation of one of these classes or verbs. Verbs that cannot be analysed or reach beyond the database (Unknown, Do, Call, FunctionCall, ServerFile, ServerProgram, Replication, SetRole) are in no class: name them in verbs. */
  readonly classes?: readonly (
    | 'Read'
    | 'Write'
    | 'Schema'
    | 'Privilege'
    | 'Session'
    | 'Procedure'
    | 'Export'
    | 'Admin'
    | 'Catalog'
  )[];
  /** Single operations, such as Select, Update, CopyOut or Drop. */
  readonly verbs?: readonly string[];
  /** What the operation is about, as database.schema.relation. Within a part, * stands for any characters; ** as the last part stands for all that remain. */
  readonly resources: readonly string[];
  /** Which columns the rule is about. An Allow that meets a column outside of them does not allow the statement. */
  readonly columns?: AccessPolicyRuleColumns;
  /** A CEL expression that has to be true for the rule to match, over identity, target, operation, statement and request. matches() is refused; re2() takes its place. An expression that fails never allows. */
  readonly when?: string;
  /** How much an allowed operation may do. */
  readonly limits?: AccessPolicyRuleLimits;
  /** Who has to say yes, and how long the statement waits. */
  readonly approval?: AccessPolicyRuleApproval;
}

/** What holds for whole sessions. Over all policies that apply, the shortest times and the most thorough record win. */
export interface AccessPolicySession {
  /** How long a session may last, such as 8h. */
  readonly maxDuration?: string;
  /** How long a session may be idle, such as 10m. */
  readonly idleTimeout?: string;
  /** What is recorded: Metadata, who did what to which resources; Statements, the statement's text with literals redacted as well; Full, the literals and the masked results too. Where no policy says, Statements. */
  readonly recording?: 'Metadata' | 'Statements' | 'Full';
  /** How safe a decision's record is before the statement goes out: Process survives the death of the program; Disk, of the machine; Collector, of the disk. Where no policy says, Process. */
  readonly durability?: 'Process' | 'Disk' | 'Collector';
}

/** Who may do what on which targets. */
export interface AccessPolicySpec {
  /** Enforce decides. DryRun is decided, recorded and counted as what it would have done, and not enforced: its rules neither allow nor refuse. */
  readonly mode: 'Enforce' | 'DryRun';
  /** Whom the rules are about: the identities listed, and those that namespaces, groups and selector pick. Absent: nobody. */
  readonly subjects?: AccessPolicySubjects;
  /** Targets by name. A policy grants on targets of its own namespace and of those whose policyNamespaces name it; on others it can only deny, to identities of its own namespace. */
  readonly targetRefs?: readonly AccessPolicyTargetRef[];
  /** Targets by their labels, among those that this policy's namespace may grant on: its own, and those whose policyNamespaces name it. */
  readonly selector?: LabelSelector;
  /** What is allowed, denied or needs a person's approval. What no rule allows is refused; Deny beats RequireApproval beats Allow, over all policies. */
  readonly rules?: readonly AccessPolicyRule[];
  /** What holds for whole sessions. Over all policies that apply, the shortest times and the most thorough record win. */
  readonly session?: AccessPolicySession;
}

export interface Condition {
  /** Name of the condition, in PascalCase. */
  readonly type: string;
  /** Whether the condition holds. */
  readonly status: 'True' | 'False' | 'Unknown';
  /** The generation that this condition speaks of. */
  readonly observedGeneration?: number;
  /** When status last changed. */
  readonly lastTransitionTime: string;
  /** Why, as one PascalCase word. */
  readonly reason: string;
  /** Why, in a sentence. */
  readonly message: string;
}

/** What the controllers observed. */
export interface AccessPolicyStatus {
  /** The generation that this status speaks of. */
  readonly observedGeneration?: number;
  /** Ready; Accepted (its targets exist and its rules are understood). */
  readonly conditions?: readonly Condition[];
  /** Targets for which it counts. */
  readonly targets?: number;
  /** Identities that its subjects pick now, and for whom it counts. */
  readonly identities?: number;
}

/** Who answers for this identity. Recorded with every session. */
export interface MachineIdentityOwner {
  /** Name of the team. */
  readonly team: string;
  /** Where the team is reached, such as an e-mail address or a chat channel. */
  readonly contact?: string;
}

/** Pods of this identity's namespace that run under this ServiceAccount. */
export interface MachineIdentitySubjectServiceAccount {
  /** Name of the ServiceAccount. */
  readonly name: string;
}

/** A caller outside the cluster that shows an OpenID Connect token, such as a CI job. The administrator has to have bound the issuer to this namespace. */
export interface MachineIdentitySubjectOidc {
  /** The issuer's https URL, exactly as in the token's iss claim. Keys are fetched from it alone. */
  readonly issuer: string;
  /** The value that the token's aud claim must contain. */
  readonly audience: string;
  /** Claims and the exact values that they must have. All of them have to match; there are no patterns. */
  readonly match: Readonly<Record<string, string>>;
  /** A claim with a list of group names, added to spec.groups. */
  readonly groupsClaim?: string;
}

/** One way to be recognised, either a ServiceAccount or an OpenID Connect token. */
export interface MachineIdentitySubject {
  /** Pods of this identity's namespace that run under this ServiceAccount. */
  readonly serviceAccount?: MachineIdentitySubjectServiceAccount;
  /** A caller outside the cluster that shows an OpenID Connect token, such as a CI job. The administrator has to have bound the issuer to this namespace. */
  readonly oidc?: MachineIdentitySubjectOidc;
}

/** How often the owner has to confirm that the identity is still needed. */
export interface MachineIdentityReview {
  /** The interval as hours, minutes and seconds, such as 2160h for 90 days. It runs from the annotation chaperone.dev/reviewed-at (RFC 3339), or from the identity's creation. */
  readonly every: string;
}

/** Who calls, for whom and for what purpose. */
export interface MachineIdentitySpec {
  /** Who answers for this identity. Recorded with every session. */
  readonly owner: MachineIdentityOwner;
  /** What the identity is for, in one sentence that an auditor understands. */
  readonly purpose: string;
  /** How the identity is recognised: any one of these proves it. A subject belongs to one identity only; of two that claim the same, the older keeps it. */
  readonly subjects: readonly MachineIdentitySubject[];
  /** Groups of this identity, which policies can name. A groupsClaim adds to them. */
  readonly groups?: readonly string[];
  /** When the identity stops working (RFC 3339). Its sessions end then. */
  readonly expiresAt?: string;
  /** How often the owner has to confirm that the identity is still needed. */
  readonly review?: MachineIdentityReview;
  /** If true, the identity's sessions end within a second and new ones are refused. */
  readonly suspended: boolean;
}

/** What the controllers observed. */
export interface MachineIdentityStatus {
  /** The generation that this status speaks of. */
  readonly observedGeneration?: number;
  /** Ready; Expiring (within 14 days of expiresAt, or past it); ReviewDue; Conflict (another, older identity has one of its subjects). */
  readonly conditions?: readonly Condition[];
  /** Running pods that are recognised as this identity. */
  readonly boundPods?: number;
  /** Open sessions. */
  readonly activeSessions?: number;
  /** When it last opened a session. */
  readonly lastSeenTime?: string;
}

/** One Target. */
export interface MaskingRuleTargetRef {
  /** Name of the Target. */
  readonly name: string;
  /** Its namespace. Without it, this object's own. */
  readonly namespace?: string;
}

/** What becomes of a protected value. Its type, its format and NULL stay. If two rules meet on one column, the stricter one wins. */
export interface MaskingRuleTransform {
  /** Redact replaces every character; Partial all but the first or last few; Hash gives a keyed digest, equal for equal values; Pseudonym a keyed value of the same format; Generalize rounds dates and numbers; Null gives NULL; Fixed a given text. */
  readonly type: 'Redact' | 'Partial' | 'Hash' | 'Pseudonym' | 'Generalize' | 'Null' | 'Fixed';
  /** Partial: characters kept at the start. */
  readonly keepFirst?: number;
  /** Partial: characters kept at the end. */
  readonly keepLast?: number;
  /** Fixed: what stands in the value's place. */
  readonly fixed?: string;
  /** Generalize: to what dates and timestamps are rounded down. */
  readonly dateUnit?: 'Year' | 'Month';
  /** Generalize: numbers are rounded down to a multiple of it. */
  readonly step?: number;
}

/** A Secret of this namespace with the key for Hash and Pseudonym, at least 16 bytes. It has to carry the label or annotation chaperone.dev/use with the value MaskingKey. A key for each target is derived from it; without it, from the installation's own key. */
export interface MaskingRuleKeyRef {
  /** Name of the Secret. */
  readonly name: string;
  /** The Secret's key that holds it. */
  readonly key: string;
}

/** One MachineIdentity. */
export interface MaskingRuleExemptionIdentity {
  /** Name of the MachineIdentity. */
  readonly name: string;
  /** Its namespace. */
  readonly namespace: string;
}

/** One exemption. */
export interface MaskingRuleExemption {
  /** The identities that are exempt. */
  readonly identities: readonly MaskingRuleExemptionIdentity[];
  /** Why they need the values. */
  readonly reason: string;
  /** The ticket of the organisation's tracker where it was agreed. */
  readonly ticket?: string;
  /** When the exemption ends (RFC 3339). */
  readonly expiresAt: string;
}

/** What is masked, how, and for whom not. */
export interface MaskingRuleSpec {
  /** Targets by name. The rule counts on targets of its own namespace and of those whose policyNamespaces name it. */
  readonly targetRefs?: readonly MaskingRuleTargetRef[];
  /** Targets by their labels, among those of this rule's namespace and those whose policyNamespaces name it. */
  readonly selector?: LabelSelector;
  /** Protected columns, as database.schema.relation.column. Within a part, * stands for any characters. */
  readonly columns?: readonly string[];
  /** What is looked for in every text and JSON value that comes from the resources below. */
  readonly detectors?: readonly ('PaymentCard' | 'Email' | 'IBAN')[];
  /** Where the detectors look, as database.schema.relation; * and ** as in an AccessPolicy. */
  readonly resources?: readonly string[];
  /** What becomes of a protected value. Its type, its format and NULL stay. If two rules meet on one column, the stricter one wins. */
  readonly transform: MaskingRuleTransform;
  /** A Secret of this namespace with the key for Hash and Pseudonym, at least 16 bytes. It has to carry the label or annotation chaperone.dev/use with the value MaskingKey. A key for each target is derived from it; without it, from the installation's own key. */
  readonly keyRef?: MaskingRuleKeyRef;
  /** How far a protected column may be used outside the select list, where it leaks by guessing: None, not at all; Lookup, equality, IN and equi-joins, each one counted; Any, ranges, LIKE, sorting and grouping too. */
  readonly usage: 'None' | 'Lookup' | 'Any';
  /** What becomes of an output that depends on a protected column and cannot be masked with its type kept: Strict refuses the statement before it runs; BestEffort gives NULL, but refuses as well what may fail for some values, such as a division or a cast: whether it fails is an answer (see usage). */
  readonly strictness: 'Strict' | 'BestEffort';
  /** Who sees the values in clear, why, and until when. Each use is recorded. */
  readonly exemptions?: readonly MaskingRuleExemption[];
}

/** What the controllers observed. */
export interface MaskingRuleStatus {
  /** The generation that this status speaks of. */
  readonly observedGeneration?: number;
  /** Ready; Accepted (its targets exist and its key resolves). */
  readonly conditions?: readonly Condition[];
  /** Targets for which it counts. */
  readonly targets?: number;
}

/** The authorities that the backend's certificate may come from, in this namespace. Without it, the system's. */
export interface TargetTlsCaRef {
  /** Kind of the object that holds them. */
  readonly kind: 'ConfigMap' | 'Secret';
  /** Name of that object. */
  readonly name: string;
  /** The key that holds the certificates, as PEM. */
  readonly key: string;
}

/** How the connection to the backend is protected. */
export interface TargetTls {
  /** VerifyFull checks the certificate's chain and host name; VerifyCA the chain alone; Disable speaks plain text, fit for a backend on the same machine only. */
  readonly mode: 'VerifyFull' | 'VerifyCA' | 'Disable';
  /** The authorities that the backend's certificate may come from, in this namespace. Without it, the system's. */
  readonly caRef?: TargetTlsCaRef;
}

/** A Secret of this namespace with a user name and a password. It has to carry the label or annotation chaperone.dev/target with this target's name. */
export interface TargetCredentialsSecretRef {
  /** Name of the Secret. */
  readonly name: string;
  /** The key that holds the user name. */
  readonly usernameKey: string;
  /** The key that holds the password. */
  readonly passwordKey: string;
}

/** What Chaperone shows to the backend. The caller never sees it. */
export interface TargetCredentials {
  /** A Secret of this namespace with a user name and a password. It has to carry the label or annotation chaperone.dev/target with this target's name. */
  readonly secretRef: TargetCredentialsSecretRef;
}

/** Whose identities may connect at all. Access itself still needs a policy. */
export interface TargetAllowedNamespaces {
  /** Same is this namespace alone; All every namespace; Selector those that the selector matches. */
  readonly from: 'Same' | 'All' | 'Selector';
  /** Which namespaces, by their labels. */
  readonly selector?: LabelSelector;
}

/** What is protected and how it is reached. */
export interface TargetSpec {
  /** What is spoken with the target. */
  readonly protocol: 'PostgreSQL';
  /** Fully qualified host name or address of the backend. In a cluster, a Service of this namespace or a host that the administrator allowed for it. Outside of clusters also the directory of the backend's UNIX socket, from the root on: /run/postgresql. */
  readonly host: string;
  /** TCP port of the backend, and what the name of its UNIX socket ends in. */
  readonly port: number;
  /** Further host names that workloads use for this target. */
  readonly aliases?: readonly string[];
  /** How the connection to the backend is protected. */
  readonly tls: TargetTls;
  /** What Chaperone shows to the backend. The caller never sees it. */
  readonly credentials: TargetCredentials;
  /** Whose identities may connect at all. Access itself still needs a policy. */
  readonly allowedNamespaces: TargetAllowedNamespaces;
  /** Further namespaces whose AccessPolicies may grant on this target, and whose MaskingRules count. Policies elsewhere can only deny, and only identities of their own namespace. */
  readonly policyNamespaces?: readonly string[];
  /** Enforce refuses and masks. Observe forwards everything, records the verdict that it would have had, and masks nothing: the way in for a running system. */
  readonly enforcement: 'Enforce' | 'Observe';
  /** Free labels of the data, such as pci, usable in conditions. */
  readonly classification?: readonly string[];
  /** TCP ports that pods with the annotation chaperone.dev/egress: Lockdown reach at no address at all but through their sidecar, since the target's addresses may change while they run. Without it, such pods are kept from the addresses that the host has when they start. */
  readonly lockdownPorts?: readonly number[];
  /** When the knowledge of the database's tables, views and functions is revalidated: Interval, about once a second and after a session's own changes; Statement, before every statement outside a transaction, at the price of a round trip. What others commit while a statement waits or runs is seen by neither. */
  readonly catalogCheck: 'Interval' | 'Statement';
  /** Whether server versions that Chaperone is not tested on are refused. */
  readonly untestedVersions: 'Refuse' | 'Allow';
}

/** What the controllers observed. */
export interface TargetStatus {
  /** The generation that this status speaks of. */
  readonly observedGeneration?: number;
  /** Ready; CredentialsResolved (the Secret is there, complete and marked for this target); BackendReachable (sidecars and gateways that tried lately could connect and log in; absent before anybody has tried). */
  readonly conditions?: readonly Condition[];
  /** Version of the credential that is lent now. */
  readonly credentialVersion?: string;
}
