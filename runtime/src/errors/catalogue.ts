/** What a code means and what to do about it. `docs/reference/errors.md` is written from these. */
export interface ErrorEntry {
  readonly title: string;
  /** What whoever meets it should do, in one or two sentences. */
  readonly remedy: string;
}

/**
 * Every error code of Chaperone. A code, once released, keeps its meaning and is never used again.
 * 1xxx configuration and resources · 2xxx identity and credentials · 3xxx policy, decisions, masking and
 * limits · 4xxx recorder · 5xxx protocols · 6xxx collector · 7xxx policy API.
 */
export const errorCatalogue = {
  'CHP-1001': {
    title: 'Unknown configuration key',
    remedy:
      'Correct the name; `--help` lists every key. Nothing is started with a key that has no effect.',
  },
  'CHP-1002': {
    title: 'Configuration value not valid',
    remedy:
      'Give a value of the form that the message names; `--help` shows each key with its form.',
  },
  'CHP-1003': {
    title: 'Configuration value missing',
    remedy: 'Give the value by flag, environment variable or file; the message names all three.',
  },
  'CHP-1004': {
    title: 'Configuration file not readable',
    remedy: 'Check the path, its permissions and that it is well-formed YAML or JSON.',
  },
  'CHP-1010': {
    title: 'Resource not valid',
    remedy:
      'Correct the field that the message names. In a running program the last valid state of the resource holds until then; a program that has none does not start.',
  },
  'CHP-1011': {
    title: 'Reference does not resolve',
    remedy:
      'Create the object that is referred to, or correct namespace and name. Until then nothing is allowed by it.',
  },
  'CHP-1012': {
    title: 'Resource exists twice',
    remedy: 'Remove one of the two objects of that kind, namespace and name.',
  },
  'CHP-1013': {
    title: 'Resource changed meanwhile',
    remedy: 'Read the object again and repeat the change on its newest version.',
  },
  'CHP-1014': {
    title: 'Resource not found',
    remedy: 'Check kind, namespace and name.',
  },
  'CHP-1020': {
    title: 'Address in use or not available',
    remedy: 'Choose another listening address, or stop the program that holds it.',
  },
  'CHP-1021': {
    title: 'Egress lockdown not installed',
    remedy:
      'The pod does not start before the rules stand. The message names the host that does not resolve, or what iptables said: the container needs the capability NET_ADMIN and an image with iptables.',
  },
  'CHP-1022': {
    title: 'Cluster not readable through kubectl',
    remedy:
      'Try the kubectl command of the message by itself: kubectl has to be on the PATH, its context has to reach the cluster, and you have to be allowed to read what is named.',
  },
  'CHP-2001': {
    title: 'Authentication failed',
    remedy:
      'Use a valid ticket for this identity and target (`chaperone ticket create`). The cause is in the log of the program, not in the message.',
  },
  'CHP-2002': {
    title: 'Identity suspended',
    remedy:
      'Ask the owner of the identity; it can be used again when `suspended` of the MachineIdentity is false.',
  },
  'CHP-2003': {
    title: 'Identity expired',
    remedy: 'Ask the owner to extend `expiresAt` of the MachineIdentity.',
  },
  'CHP-2004': {
    title: 'Identity unknown',
    remedy: 'Create a MachineIdentity for the caller, or correct the name it connects with.',
  },
  'CHP-2005': {
    title: 'Workload without identity',
    remedy:
      'Create a MachineIdentity in the namespace of the workload with its ServiceAccount as a subject; the message names both.',
  },
  'CHP-2006': {
    title: 'Attestation refused',
    remedy:
      'Start the pod anew, so that it is injected again. If that does not help, the log of the policy API tells what about the pod is not as it should be.',
  },
  'CHP-2007': {
    title: 'Token of the policy API not valid',
    remedy: 'Programs attest anew by themselves. If it lasts, compare the clocks of both machines.',
  },
  'CHP-2008': {
    title: 'Certificate not issued',
    remedy:
      'The message says why. Check that a Target is open to the namespace, and that the intermediate certificate of the policy API is valid.',
  },
  'CHP-2010': {
    title: 'Credential not available',
    remedy:
      'Check that the Target names an existing credential that carries its label and has both keys.',
  },
  'CHP-2011': {
    title: 'Backend refused the credential',
    remedy: 'Renew the credential of the Target; the caller cannot mend this.',
  },
  'CHP-2012': {
    title: 'Target not open to this identity',
    remedy: 'Add an AccessPolicy that names the identity and the target.',
  },
  'CHP-2013': {
    title: 'Backend certificate not trusted',
    remedy:
      'Set the CA and the host of the Target so that they match the certificate of the server.',
  },
  'CHP-2014': {
    title: 'Target changed meanwhile',
    remedy:
      'Connect again. Where it goes on, the proxy does not hear of changes: see its policy age, and CHP-2020.',
  },
  'CHP-2020': {
    title: 'Policy API not reachable',
    remedy:
      'Check that the policy API runs and can be reached from the proxy; it is asked again by itself.',
  },
  'CHP-2021': {
    title: 'Answer of the policy API not usable',
    remedy:
      'Check that sidecar and policy API have matching versions; what was held before stays in force for maxPolicyAge.',
  },
  'CHP-3001': {
    title: 'Not allowed by any policy',
    remedy: 'Add an AccessPolicy rule that allows the operation, or use another identity.',
  },
  'CHP-3002': {
    title: 'Denied by a rule',
    remedy: 'The message names policy and rule. A Deny is not overridden by any Allow.',
  },
  'CHP-3003': {
    title: 'Statement not understood',
    remedy:
      'Write the statement so that it can be analyzed, or have a rule name the verb Unknown for this identity.',
  },
  'CHP-3004': {
    title: 'Column not allowed',
    remedy: 'Leave the column out of the statement, or ask for a rule that includes it.',
  },
  'CHP-3005': {
    title: 'Approval required',
    remedy: 'Ask for approval of this statement; until approvals exist it is refused.',
  },
  'CHP-3006': {
    title: 'Result cannot be masked',
    remedy:
      'Select the protected column itself, without computing on it; or use a masking rule of strictness BestEffort.',
  },
  'CHP-3007': {
    title: 'Use of a protected column not allowed',
    remedy:
      'Do not filter, join or sort by the protected column beyond what `usage` of the rule allows.',
  },
  'CHP-3008': {
    title: 'Limit reached',
    remedy: 'Ask for less at once, wait, or have the limit of the rule raised.',
  },
  'CHP-3009': {
    title: 'No policy held',
    remedy: 'Check that the policy API is reachable; nothing is allowed without a policy snapshot.',
  },
  'CHP-3010': {
    title: 'Policy too old',
    remedy:
      'Check that the policy API is reachable; the last snapshot is older than `maxPolicyAge`.',
  },
  'CHP-3011': {
    title: 'Policy withdrawn',
    remedy: 'The policy that carried this session is gone; connect again once there is one.',
  },
  'CHP-3012': {
    title: 'Session time over',
    remedy: 'Connect again; the policy limits how long a session may last or stay idle.',
  },
  'CHP-3013': {
    title: 'Catalog not readable',
    remedy:
      'Check that the backend role may read the system catalogs, and that nobody holds a lock on them or on tables with views for longer than 30 s; names cannot be resolved without.',
  },
  'CHP-4001': {
    title: 'Spool not writable',
    remedy:
      'Free space on the volume of the spool or mend it. Statements are refused until a write succeeds; then they go on by themselves.',
  },
  'CHP-4002': {
    title: 'Spool full',
    remedy:
      'Make the collector reachable, or raise the bound of the spool. Statements are refused until the collector has taken some events.',
  },
  'CHP-4003': {
    title: 'Spool not flushed to disk',
    remedy:
      'Check the volume of the spool for errors: fdatasync failed, and durability Disk cannot be given.',
  },
  'CHP-4004': {
    title: 'Collector did not acknowledge in time',
    remedy: 'Make the collector reachable, or choose durability Process or Disk for this policy.',
  },
  'CHP-4005': {
    title: 'Spool directory in use',
    remedy: 'Give each program a spool directory of its own.',
  },
  'CHP-4006': {
    title: 'Recorder closed',
    remedy: 'The program is stopping; connect again.',
  },
  'CHP-4007': {
    title: 'Result recording not kept',
    remedy: 'Free space for the spool; recording Full cannot be given, so the result is cut.',
  },
  'CHP-4008': {
    title: 'Spool damaged',
    remedy:
      'The events in the named range could not be read back and are reported as a gap; the damaged bytes are kept beside the spool. Check the volume.',
  },
  'CHP-4009': {
    title: 'Collector refused events',
    remedy:
      'The refused events are kept in the directory `rejected` of the spool. Check that versions match, and the log of the collector for the reason.',
  },
  'CHP-4010': {
    title: 'Events left when the program ended',
    remedy:
      'They are in the spool, and sent if the program starts again over it; with the pod they are gone. Check the collector, and the policy API, which takes them meanwhile.',
  },
  'CHP-5001': {
    title: 'Protocol violation',
    remedy:
      'The peer sent what the protocol does not allow; the connection was closed. The record has the details.',
  },
  'CHP-5002': {
    title: 'Message too large',
    remedy:
      'Send smaller messages or statements; the caps are in the documentation of the protocol.',
  },
  'CHP-5003': {
    title: 'Feature not supported',
    remedy: 'Connect without the feature that the message names.',
  },
  'CHP-5004': {
    title: 'Backend not reachable',
    remedy: 'Check host, port and network of the Target.',
  },
  'CHP-5005': {
    title: 'Backend closed the connection',
    remedy: 'Connect again; look into the log of the backend if it repeats.',
  },
  'CHP-5006': {
    title: 'Backend version not tested',
    remedy: 'Use a tested version, or set `untestedVersions: Allow` on the Target.',
  },
  'CHP-5007': {
    title: 'TLS required',
    remedy: 'Connect with TLS (`sslmode=require` or stricter).',
  },
  'CHP-5008': {
    title: 'Handshake took too long',
    remedy: 'Connect again; check the network between caller and proxy.',
  },
  'CHP-5009': {
    title: 'Too many callers at their login',
    remedy:
      'Connect again in a moment; if it lasts, look for who opens connections without logging in.',
  },
  'CHP-6001': {
    title: 'Event not valid',
    remedy:
      'The collector could not read an event; check that recorder and collector have matching versions.',
  },
  'CHP-6002': {
    title: 'Contradicting event',
    remedy:
      'Two different events carry the same session and number: someone or something changed the record. Investigate; the first one is kept.',
  },
  'CHP-6003': {
    title: 'Gap in a session',
    remedy: 'Events of the named range are missing; look for spool reports of that program.',
  },
  'CHP-6004': {
    title: 'Ingest not authorized',
    remedy:
      'The ingest token is missing, expired or not for this session; the program asks for a new one by itself.',
  },
  'CHP-6005': {
    title: 'Recording does not match its digest',
    remedy: 'The bytes received are not those named; they were not stored.',
  },
  'CHP-6006': {
    title: 'Store not writable',
    remedy:
      'Free space or mend the volume of the collector; programs keep their events in the spool meanwhile.',
  },
  'CHP-6007': {
    title: 'Query not valid',
    remedy: 'Correct the parameter that the message names.',
  },
  'CHP-6008': {
    title: 'Query not authorized',
    remedy: 'Present a reader token of a role that may see this.',
  },
  'CHP-6009': {
    title: 'Server answered with an error',
    remedy: 'Look into the log of the server that the message names.',
  },
  'CHP-6010': {
    title: 'Collector busy',
    remedy: 'Try again after the time in Retry-After; programs do so by themselves.',
  },
  'CHP-6011': {
    title: 'Body too large',
    remedy: 'Send smaller batches; the limits are in the description of the API.',
  },
  'CHP-6012': {
    title: 'Ingest tokens cannot be checked',
    remedy:
      'Check that the collector reaches the policy API, whose public keys it needs; programs keep their events in the spool meanwhile.',
  },
  'CHP-7001': {
    title: 'Request to the policy API not valid',
    remedy: 'Check that the program and the policy API have matching versions.',
  },
  'CHP-7002': {
    title: 'Policy API busy',
    remedy: 'Try again after the time in Retry-After; programs do so by themselves.',
  },
  'CHP-7003': {
    title: 'Policy API not up to date',
    remedy:
      'Programs turn to another replica by themselves. If it lasts, check that the policy API reaches the API server.',
  },
  'CHP-7004': {
    title: 'Versions too far apart',
    remedy:
      'Bring program and policy API to versions that are at most two apart: pods get the current sidecar when they start anew.',
  },
  'CHP-7005': {
    title: 'Fault of the policy API',
    remedy: 'Try again; if it lasts, look into the log of the policy API.',
  },
  'CHP-7006': {
    title: 'Relay full',
    remedy:
      'Bring the collector back: what the policy API keeps for it is bounded (--relay-max-bytes) and goes out as soon as it answers.',
  },
  'CHP-7007': {
    title: 'Relayed events not delivered',
    remedy:
      'Look into the log of the policy API for what the collector said. The events are not in the record.',
  },
  'CHP-8001': {
    title: 'Pod not admitted',
    remedy:
      'Change what the message names. docs/guide/onboarding.md says which pods can be governed, and docs/guide/lockdown.md what lockdown asks of them.',
  },
  'CHP-8002': {
    title: 'Resource not admitted',
    remedy: 'Correct the fields that the message names.',
  },
  'CHP-8003': {
    title: 'Admission failed',
    remedy:
      'Nothing was decided about the object, so it is refused. Try again; if it lasts, look into the log of the webhook.',
  },
  'CHP-8004': {
    title: 'Admission review not valid',
    remedy: 'Send an AdmissionReview of admission.k8s.io/v1, as API servers do.',
  },
} as const satisfies Record<`CHP-${number}`, ErrorEntry>;

export type ErrorCode = keyof typeof errorCatalogue;
