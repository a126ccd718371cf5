/**
 * What the policy API and its clients say to each other over HTTPS, as JSON. `api/policy-api.openapi.yaml`
 * describes the same for others. Errors are `ControlProblem` with the status that fits.
 */
import type { PolicyBundle } from '../policy/types.ts';
import type { BackendReport, CallerProof } from './types.ts';

/** The bundle forms that this version reads and writes. */
export const bundleVersions: readonly number[] = [1];

/** The version of the last change seen, per kind. A vector dominates another if none of its parts is lower. */
export type VersionVector = Readonly<Record<string, number>>;

/** `POST /v1/attest`, with a ServiceAccount token of our audience as bearer token. */
export interface AttestRequest {
  readonly program: { readonly name: 'sidecar' | 'gateway'; readonly version: string };
  /** Those that the program reads. */
  readonly bundleVersions: readonly number[];
}

/** The machine that a program runs on behalf of; goes into the record. */
export interface AttestedSource {
  readonly namespace: string;
  readonly serviceAccount: string;
  readonly pod: { readonly name: string; readonly uid: string };
  readonly node?: string;
  /** The pod's own; absent where it has its node's, and where nothing is known of it. */
  readonly address?: string;
}

export interface AttestResponse {
  readonly role: 'Pod' | 'Gateway';
  /** For the other calls; 10 minutes. */
  readonly controlToken: string;
  /** RFC 3339. */
  readonly controlExpiresAt: string;
  /** For the collector: append to this source's sessions alone; maxPolicyAge and a day. */
  readonly ingestToken: string;
  readonly ingestExpiresAt: string;
  readonly source: AttestedSource;
  /** Base64, 32 bytes: the key of the record's digests. Kept in memory. */
  readonly recordKey: string;
  /** How long a snapshot holds without word from the policy API. */
  readonly maxPolicyAgeMs: number;
}

/**
 * `GET /v1/policy`: server-sent events. A pod's stream is that of the identity that its ServiceAccount has at
 * the time; a gateway names one: `?identity=UID`. The header `Last-Event-ID` carries the vector that the
 * client holds, as JSON; a replica that is behind it says nothing but heartbeats until it has caught up.
 *
 * `event: policy`, `id:` the vector as JSON, `data:` a PolicyEvent; the first at once, then at every change.
 * `event: heartbeat`, `data: {}`, every 5 s, and only from a replica that knows itself to be up to date: the
 * snapshot's age counts from the last event of either kind. With an `id:`, the snapshot that the client holds
 * is as new as that vector.
 *
 * A stream ends when the control token is over that it was opened with: the client opens the next one with a
 * new token. It also ends when the replica is not up to date any more or stops; another one serves then.
 */
export interface PolicyEvent {
  readonly versions: VersionVector;
  /** Null: no identity (any more). `refusal` then says what to do, fit for the caller. */
  readonly bundle: PolicyBundle | null;
  readonly refusal?: ControlProblem;
}

/** `GET /v1/targets`, for gateways: server-sent `event: targets`, same id and heartbeats. */
export interface TargetsEvent {
  readonly versions: VersionVector;
  /** Those that a gateway serves, sorted by namespace and name. */
  readonly targets: readonly {
    readonly uid: string;
    readonly namespace: string;
    readonly name: string;
    readonly protocol: 'PostgreSQL';
    readonly host: string;
    readonly port: number;
  }[];
}

/** `POST /v1/credentials/{targetUid}`. */
export interface CredentialRequest {
  /** A gateway says for whom. */
  readonly identityUid?: string;
  /**
   * Of the Target that it was told of: the credential of now is not lent for the server of before. Left out by
   * programs of earlier versions.
   */
  readonly targetGeneration?: number;
}

export interface CredentialResponse {
  readonly name: string;
  readonly version: string;
  readonly username: string;
  readonly password: string;
  /** RFC 3339: serves new sessions of that identity until then. */
  readonly expiresAt: string;
}

/**
 * `POST /v1/backends/{targetUid}`: what became of connecting to a target that is open to the caller, told when
 * it changes and now and then. The answer is an empty object.
 */
export type BackendReportRequest = Omit<BackendReport, 'targetUid'>;

/** `POST /v1/certificates`: a serving certificate for the names of the targets that the caller may stand in for. */
export interface CertificateRequest {
  /** SubjectPublicKeyInfo as PEM; the private key stays with the caller. */
  readonly publicKey: string;
}

export interface CertificateResponse {
  /** PEM: the leaf, then the intermediates. */
  readonly certificateChain: string;
  /** RFC 3339. */
  readonly expiresAt: string;
}

/** `POST /v1/authenticate`, for gateways: a caller's password. */
export interface AuthenticateRequest {
  /** `name` or `namespace/name` of the identity, as the caller gave it. */
  readonly user: string;
  readonly secret: string;
  readonly targetUid: string;
}

export interface AuthenticateResponse {
  readonly identityUid: string;
  readonly proof: CallerProof;
  /** RFC 3339. */
  readonly sessionEndsAt?: string;
}

/** Body of every answer but 2xx: fit to be shown to the caller. */
export interface ControlProblem {
  readonly code: string;
  readonly message: string;
  readonly hint: string;
}
