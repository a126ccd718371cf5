import { refusalReasons, skipReasons, unmappedReasons } from '@chaperone/core/injection/reasons.ts';

/**
 * Every metric of Chaperone; `docs/reference/metrics.md` is written from these. A label's values are listed,
 * so that every series exists from the start and none can come from what a peer sends.
 */
export interface MetricEntry {
  readonly type: 'counter' | 'gauge' | 'histogram';
  readonly name: string;
  readonly help: string;
  readonly labels: Readonly<Record<string, readonly string[]>>;
  /** Histograms: upper bounds. */
  readonly buckets?: readonly number[];
}

const injectionReasons = [...new Set(['None' as const, ...skipReasons, ...refusalReasons])];

const classes = [
  'Read',
  'Write',
  'Schema',
  'Privilege',
  'Session',
  'Procedure',
  'Export',
  'Admin',
  'Catalog',
  'Unknown',
] as const;

/** What the enforcement proxy counts. */
export const proxyMetrics = {
  decisions: {
    type: 'counter',
    name: 'chaperone_decisions_total',
    help: 'Operations decided, by verdict and class of operation.',
    labels: { verdict: ['Allow', 'Deny', 'RequireApproval'], class: classes },
  },
  wouldDeny: {
    type: 'counter',
    name: 'chaperone_would_deny_total',
    help: 'Statements that went out although a DryRun policy, or any policy under enforcement Observe, would have refused them.',
    labels: { mode: ['DryRun', 'Observe'] },
  },
  refusals: {
    type: 'counter',
    name: 'chaperone_refusals_total',
    help: 'Statements and sessions refused, by reason.',
    labels: {
      reason: [
        'DefaultDeny',
        'DeniedByRule',
        'Unknown',
        'Syntax',
        'ColumnNotAllowed',
        'Masking',
        'Usage',
        'Limit',
        'ApprovalRequired',
        'Suspended',
        'Expired',
        'NoPolicy',
        'StalePolicy',
        'Recorder',
        'Protocol',
        'Internal',
      ],
    },
  },
  decisionSeconds: {
    type: 'histogram',
    name: 'chaperone_decision_duration_seconds',
    help: 'Time from a whole message to its decision, waiting for the record excluded, by whether the decision was cached.',
    labels: { cache: ['hit', 'miss'] },
    buckets: [5e-6, 1e-5, 2e-5, 5e-5, 1e-4, 2e-4, 5e-4, 1e-3, 5e-3, 0.05],
  },
  statements: {
    type: 'counter',
    name: 'chaperone_statements_total',
    help: 'Statements completed, by outcome.',
    labels: {
      outcome: ['Ok', 'Error', 'Cut', 'Cancelled', 'Suspended', 'Skipped', 'Unknown', 'Refused'],
    },
  },
  rows: {
    type: 'counter',
    name: 'chaperone_rows_total',
    help: 'Rows delivered to clients.',
    labels: {},
  },
  bytes: {
    type: 'counter',
    name: 'chaperone_bytes_total',
    help: 'Bytes read from clients (in) and written to clients (out).',
    labels: { direction: ['in', 'out'] },
  },
  maskedCells: {
    type: 'counter',
    name: 'chaperone_masked_cells_total',
    help: 'Values masked, by transform.',
    labels: {
      transform: ['Redact', 'Partial', 'Hash', 'Pseudonym', 'Generalize', 'Null', 'Fixed'],
    },
  },
  sessions: {
    type: 'gauge',
    name: 'chaperone_sessions',
    help: 'Open sessions.',
    labels: {},
  },
  sessionsOpened: {
    type: 'counter',
    name: 'chaperone_sessions_opened_total',
    help: 'Sessions opened.',
    labels: {},
  },
  sessionsClosed: {
    type: 'counter',
    name: 'chaperone_sessions_closed_total',
    help: 'Sessions closed, by reason.',
    labels: {
      reason: [
        'Client',
        'Backend',
        'Suspended',
        'Expired',
        'PolicyWithdrawn',
        'IdleTimeout',
        'MaxDuration',
        'Shutdown',
        'ProtocolViolation',
        'Refused',
        'Recorder',
        'Error',
      ],
    },
  },
  authentications: {
    type: 'counter',
    name: 'chaperone_authentications_total',
    help: 'Proofs of identity presented, by result.',
    labels: { result: ['Accepted', 'Refused'] },
  },
  backendFailures: {
    type: 'counter',
    name: 'chaperone_backend_failures_total',
    help: 'Sessions refused because no connection to their target could be opened, by error code: CHP-2011 credential refused, CHP-2013 certificate not trusted, CHP-5004 not reachable.',
    labels: {
      code: ['CHP-2011', 'CHP-2013', 'CHP-5001', 'CHP-5003', 'CHP-5004', 'CHP-5005', 'CHP-5008'],
    },
  },
  violations: {
    type: 'counter',
    name: 'chaperone_protocol_violations_total',
    help: 'Connections closed because a peer broke the protocol, by side.',
    labels: { side: ['Client', 'Backend'] },
  },
  unfinishedLogins: {
    type: 'gauge',
    name: 'chaperone_unfinished_logins',
    help: 'Connections whose caller has not proven yet who it is.',
    labels: {},
  },
  turnedAway: {
    type: 'counter',
    name: 'chaperone_logins_turned_away_total',
    help: 'Connections ended because too many callers were at their login: refused when they came, or evicted for others.',
    labels: { how: ['Refused', 'Evicted'] },
  },
  policyUpdates: {
    type: 'counter',
    name: 'chaperone_policy_updates_total',
    help: 'Policy bundles received, by result.',
    labels: { result: ['Applied', 'Rejected'] },
  },
  policyAge: {
    type: 'gauge',
    name: 'chaperone_policy_age_seconds',
    help: 'Time since the policy source was last heard of.',
    labels: {},
  },
} as const satisfies Record<string, MetricEntry>;

/** What every recording program counts. */
export const recorderMetrics = {
  recorded: {
    type: 'counter',
    name: 'chaperone_recorder_events_total',
    help: 'Events recorded, by type.',
    labels: {
      type: [
        'SessionOpened',
        'OperationDecided',
        'OperationCompleted',
        'LimitReached',
        'ProtocolViolation',
        'CredentialLeased',
        'PolicyApplied',
        'SessionClosed',
        'RecordGap',
        'RecordRead',
        'RecordPurged',
        'LegalHoldChanged',
        'ProgramStarted',
        'ProgramStopped',
        'Heartbeat',
        'SpoolState',
        'PolicyRejected',
      ],
    },
  },
  shipped: {
    type: 'counter',
    name: 'chaperone_recorder_events_shipped_total',
    help: 'Events that the collector acknowledged.',
    labels: {},
  },
  lost: {
    type: 'counter',
    name: 'chaperone_recorder_events_lost_total',
    help: 'Events lost because the spool could not be written; each is in a reported gap. Statements are refused meanwhile.',
    labels: {},
  },
  shipFailures: {
    type: 'counter',
    name: 'chaperone_recorder_ship_failures_total',
    help: 'Attempts to reach the collector that failed and are tried again.',
    labels: {},
  },
  spoolBytes: {
    type: 'gauge',
    name: 'chaperone_spool_bytes',
    help: 'Bytes in the spool, recordings included.',
    labels: {},
  },
  spoolMaxBytes: {
    type: 'gauge',
    name: 'chaperone_spool_max_bytes',
    help: 'Bound of the spool; statements are refused short of it.',
    labels: {},
  },
  spoolAge: {
    type: 'gauge',
    name: 'chaperone_spool_age_seconds',
    help: 'Age of the oldest event that the collector has not acknowledged.',
    labels: {},
  },
  recorderFailed: {
    type: 'gauge',
    name: 'chaperone_recorder_failed',
    help: '1 while nothing can be recorded and statements are refused.',
    labels: {},
  },
} as const satisfies Record<string, MetricEntry>;

/** What the collector counts. */
export const collectorMetrics = {
  ingestEvents: {
    type: 'counter',
    name: 'chaperone_ingest_events_total',
    help: 'Events received, by whether they were new.',
    labels: { result: ['Stored', 'Duplicate'] },
  },
  ingestBatches: {
    type: 'counter',
    name: 'chaperone_ingest_batches_total',
    help: 'Batches received: acknowledged, refused as not valid or not authorized, or failed for want of the store.',
    labels: { result: ['Acknowledged', 'Refused', 'Failed'] },
  },
  ingestAlerts: {
    type: 'counter',
    name: 'chaperone_ingest_alerts_total',
    help: 'Integrity alerts raised, by kind. Any but AnnouncedGap asks for an investigation.',
    labels: { kind: ['Contradiction', 'Gap', 'AnnouncedGap', 'AfterClose', 'ForeignSession'] },
  },
  ingestRecordings: {
    type: 'counter',
    name: 'chaperone_ingest_recordings_total',
    help: 'Recorded chunks stored.',
    labels: {},
  },
  ingestRecordingBytes: {
    type: 'counter',
    name: 'chaperone_ingest_recording_bytes_total',
    help: 'Bytes of recorded chunks stored, compressed.',
    labels: {},
  },
  commitSeconds: {
    type: 'histogram',
    name: 'chaperone_ingest_commit_duration_seconds',
    help: 'Time to commit a batch durably.',
    labels: {},
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  },
  purged: {
    type: 'counter',
    name: 'chaperone_purged_total',
    help: 'Events, parts and recorded chunks deleted because their retention was over, by class.',
    labels: { class: ['Metadata', 'Statements', 'Recordings'] },
  },
  queries: {
    type: 'counter',
    name: 'chaperone_queries_total',
    help: 'Questions about the record, by result.',
    labels: { result: ['Answered', 'Refused', 'Failed'] },
  },
} as const satisfies Record<string, MetricEntry>;

/**
 * What a program on Kubernetes counts about its caches, queues and requests, under the names that dashboards
 * for client-go and controller-runtime expect. A label without values here is named by the program itself:
 * its controllers, its caches, its API server.
 */
export const kubernetesMetrics = {
  queueDepth: {
    type: 'gauge',
    name: 'workqueue_depth',
    help: 'Keys that wait to be worked on.',
    labels: { name: [], controller: [] },
  },
  queueAdds: {
    type: 'counter',
    name: 'workqueue_adds_total',
    help: 'Keys put into the queue.',
    labels: { name: [], controller: [] },
  },
  queueRetries: {
    type: 'counter',
    name: 'workqueue_retries_total',
    help: 'Keys put into the queue again after a failure.',
    labels: { name: [], controller: [] },
  },
  queueSeconds: {
    type: 'histogram',
    name: 'workqueue_queue_duration_seconds',
    help: 'How long a key waited before it was worked on.',
    labels: { name: [], controller: [] },
    buckets: [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000],
  },
  workSeconds: {
    type: 'histogram',
    name: 'workqueue_work_duration_seconds',
    help: 'How long the work on a key took.',
    labels: { name: [], controller: [] },
    buckets: [1e-4, 1e-3, 1e-2, 0.1, 1, 10, 100, 1000],
  },
  unfinishedSeconds: {
    type: 'gauge',
    name: 'workqueue_unfinished_work_seconds',
    help: 'Sum of how long the keys that are being worked on have been so.',
    labels: { name: [], controller: [] },
  },
  longestSeconds: {
    type: 'gauge',
    name: 'workqueue_longest_running_processor_seconds',
    help: 'How long the longest work under way has been so.',
    labels: { name: [], controller: [] },
  },
  reconciles: {
    type: 'counter',
    name: 'controller_runtime_reconcile_total',
    help: 'Reconciliations, by controller and result.',
    labels: { controller: [], result: ['success', 'error', 'requeue_after', 'terminal_error'] },
  },
  reconcileErrors: {
    type: 'counter',
    name: 'controller_runtime_reconcile_errors_total',
    help: 'Reconciliations that failed, by controller.',
    labels: { controller: [] },
  },
  terminalErrors: {
    type: 'counter',
    name: 'controller_runtime_terminal_reconcile_errors_total',
    help: 'Reconciliations that failed for good: another try would not help.',
    labels: { controller: [] },
  },
  reconcileSeconds: {
    type: 'histogram',
    name: 'controller_runtime_reconcile_time_seconds',
    help: 'Time of a reconciliation, by controller.',
    labels: { controller: [] },
    buckets: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
  },
  maxWorkers: {
    type: 'gauge',
    name: 'controller_runtime_max_concurrent_reconciles',
    help: 'How many reconciliations a controller runs at once at the most.',
    labels: { controller: [] },
  },
  activeWorkers: {
    type: 'gauge',
    name: 'controller_runtime_active_workers',
    help: 'Reconciliations under way, by controller.',
    labels: { controller: [] },
  },
  leader: {
    type: 'gauge',
    name: 'leader_election_master_status',
    help: '1 in the replica that leads under the Lease of that name, 0 in the others.',
    labels: { name: [] },
  },
  requests: {
    type: 'counter',
    name: 'rest_client_requests_total',
    help: 'Requests to the API server, by method and HTTP status; `<error>` for those without an answer.',
    labels: { code: [], method: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], host: [] },
  },
  requestSeconds: {
    type: 'histogram',
    name: 'rest_client_request_duration_seconds',
    help: 'Time of a request to the API server, watches excluded.',
    labels: { verb: ['GET', 'POST', 'PUT', 'PATCH', 'DELETE'], host: [] },
    buckets: [0.005, 0.025, 0.1, 0.25, 0.5, 1, 2, 4, 8, 15, 30],
  },
  lists: {
    type: 'counter',
    name: 'reflector_lists_total',
    help: 'Whole lists taken of a kind: one at the start, and one each time a watch could not be resumed.',
    labels: { name: [] },
  },
  watches: {
    type: 'counter',
    name: 'reflector_watches_total',
    help: 'Watches opened on a kind.',
    labels: { name: [] },
  },
  watchFailures: {
    type: 'counter',
    name: 'chaperone_cache_failures_total',
    help: 'Lists and watches of a kind that failed, by the cache they feed.',
    labels: { name: [] },
  },
  handlerErrors: {
    type: 'counter',
    name: 'chaperone_cache_handler_errors_total',
    help: 'Changes whose handler threw: a fault of the program.',
    labels: { name: [] },
  },
  cacheObjects: {
    type: 'gauge',
    name: 'chaperone_cache_objects',
    help: 'Objects held in a cache.',
    labels: { name: [] },
  },
  cacheAge: {
    type: 'gauge',
    name: 'chaperone_cache_age_seconds',
    help: 'Time since a cache was last known to be up to date; -1 before its first list.',
    labels: { name: [] },
  },
  eventsDropped: {
    type: 'counter',
    name: 'chaperone_kubernetes_events_dropped_total',
    help: 'Kubernetes Events not written, because there were too many or the API server refused them.',
    labels: { cause: ['RateLimit', 'QueueFull', 'Failed'] },
  },
} as const satisfies Record<string, MetricEntry>;

/** What the policy API counts. */
export const policyApiMetrics = {
  requests: {
    type: 'counter',
    name: 'chaperone_policy_api_requests_total',
    help: 'Requests answered, by route and class of HTTP status; streams when they begin.',
    labels: {
      route: [
        'attest',
        'policy',
        'targets',
        'credentials',
        'backends',
        'certificates',
        'authenticate',
        'relay',
        'jwks',
        'other',
      ],
      status: ['2xx', '4xx', '5xx'],
    },
  },
  attestations: {
    type: 'counter',
    name: 'chaperone_policy_api_attestations_total',
    help: 'Programs that asked to be recognised, by outcome.',
    labels: { outcome: ['Pod', 'Gateway', 'Refused', 'Failed'] },
  },
  streams: {
    type: 'gauge',
    name: 'chaperone_policy_api_streams',
    help: 'Streams open now.',
    labels: { stream: ['policy', 'targets'] },
  },
  streamEnds: {
    type: 'counter',
    name: 'chaperone_policy_api_stream_ends_total',
    help: 'Streams ended from here: the token was over, the source opened too many, its end was too slow to read, its pod is gone, this replica was not up to date, or it stopped.',
    labels: { cause: ['TokenOver', 'Displaced', 'Slow', 'SourceGone', 'Stale', 'Stopping'] },
  },
  snapshots: {
    type: 'counter',
    name: 'chaperone_policy_api_snapshots_total',
    help: 'Snapshots sent on streams.',
    labels: { stream: ['policy', 'targets'] },
  },
  heldBack: {
    type: 'gauge',
    name: 'chaperone_policy_api_held_back_streams',
    help: 'Streams that get no snapshot because their reader has seen newer ones than this replica.',
    labels: {},
  },
  reloadFailures: {
    type: 'counter',
    name: 'chaperone_policy_api_key_reload_failures_total',
    help: 'Changed files of keys or certificates that could not be used; those before stay in force.',
    labels: { files: ['SigningKeys', 'Serving', 'Issuer'] },
  },
  relayHeldBytes: {
    type: 'gauge',
    name: 'chaperone_policy_api_relay_held_bytes',
    help: 'Events of programs that have ended, kept until the collector takes them.',
    labels: {},
  },
  relayBatches: {
    type: 'counter',
    name: 'chaperone_policy_api_relay_batches_total',
    help: 'Batches of events offered to the relay: taken, refused for want of room, forwarded to the collector, or lost because the collector would not have them.',
    labels: { outcome: ['Taken', 'Refused', 'Forwarded', 'Lost'] },
  },
} as const satisfies Record<string, MetricEntry>;

/** What recognising programs and callers by their ServiceAccount tokens counts, in a cluster. */
export const attestMetrics = {
  tokenReviews: {
    type: 'counter',
    name: 'chaperone_policy_api_token_reviews_total',
    help: 'ServiceAccount tokens shown, by call: what the API server said (Valid, Invalid, Failed: it could not be asked), or why it was not asked (Cached; Unlikely: by its own claims no token of ours that is still good; Overloaded).',
    labels: {
      call: ['attest', 'authenticate'],
      outcome: ['Valid', 'Invalid', 'Failed', 'Cached', 'Unlikely', 'Overloaded'],
    },
  },
} as const satisfies Record<string, MetricEntry>;

/** What the admission webhooks count. */
export const admissionMetrics = {
  injections: {
    type: 'counter',
    name: 'chaperone_injection_total',
    help: 'Pods whose admission ended, by outcome and reason, each once; dry runs excluded.',
    labels: {
      outcome: ['Injected', 'Skipped', 'Refused'],
      reason: injectionReasons,
    },
  },
  unmapped: {
    type: 'counter',
    name: 'chaperone_injection_unmapped_total',
    help: 'Targets, or names of them, that an injected pod did not get, by reason; dry runs excluded.',
    labels: {
      reason: unmappedReasons,
    },
  },
  reviews: {
    type: 'counter',
    name: 'chaperone_admission_reviews_total',
    help: 'Admission reviews answered, by webhook and result: Malformed were no reviews, Failed are faults of this program, and refused.',
    labels: {
      webhook: ['mutate', 'verify', 'validate'],
      result: ['Allowed', 'Denied', 'Failed', 'Malformed'],
    },
  },
  reviewSeconds: {
    type: 'histogram',
    name: 'chaperone_admission_review_duration_seconds',
    help: 'Time to answer an admission review, by webhook.',
    labels: { webhook: ['mutate', 'verify', 'validate'] },
    buckets: [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5],
  },
  certificateFailures: {
    type: 'counter',
    name: 'chaperone_admission_certificate_reload_failures_total',
    help: 'Changed files of the serving certificate that could not be used; the one before stays in force.',
    labels: {},
  },
} as const satisfies Record<string, MetricEntry>;

/** What governance finds, and what the leader keeps. */
export const governanceMetrics = {
  governedPods: {
    type: 'gauge',
    name: 'chaperone_governance_governed_pods',
    help: 'Live pods with a sidecar.',
    labels: {},
  },
  podFindings: {
    type: 'gauge',
    name: 'chaperone_governance_pods',
    help: 'Live pods by what is to be said of them; a pod may count under several.',
    labels: {
      finding: [
        'Ungoverned',
        'OldSidecar',
        'MissingTarget',
        'NoIdentity',
        'CredentialAccess',
        'SharedProcesses',
        'HostNetwork',
        'OpenEgress',
      ],
    },
  },
  identityFindings: {
    type: 'gauge',
    name: 'chaperone_governance_identities',
    help: 'Machine identities that cannot be used (NotReady), expire soon, are to be confirmed, or claim what an older one has.',
    labels: { finding: ['NotReady', 'Expiring', 'ReviewDue', 'Conflict'] },
  },
  certificateExpiry: {
    type: 'gauge',
    name: 'chaperone_certificate_expiry_timestamp_seconds',
    help: 'When a certificate that the leader keeps ends, in seconds since 1970; 0 where it keeps none.',
    labels: { certificate: ['root', 'webhook', 'policy-api', 'collector', 'workload-issuer'] },
  },
  keeperFailures: {
    type: 'counter',
    name: 'chaperone_certificates_failures_total',
    help: 'Attempts to keep certificates and keys that failed and are made again.',
    labels: {},
  },
} as const satisfies Record<string, MetricEntry>;
