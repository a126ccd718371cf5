/**
 * What the enforcement proxy asks of the control plane. Standalone gives it in process; in a cluster it is
 * the policy API over HTTPS.
 */
import type { BundleTarget, PolicyBundle } from '../policy/types.ts';

/** How a caller proved who it is, for the record: never a secret. */
export type CallerProof =
  | { readonly method: 'Ticket'; readonly ticket: string }
  /** The connection came from within the attested pod. */
  | ({ readonly method: 'Pod' } & AttestedPod)
  /** A ServiceAccount token shown to a gateway; without a pod where the token is bound to none. */
  | ({ readonly method: 'ServiceAccountToken'; readonly issuer: string } & Pick<
      AttestedPod,
      'namespace' | 'serviceAccount'
    > &
      Partial<Pick<AttestedPod, 'pod' | 'podUid'>>);

export interface AttestedPod {
  readonly namespace: string;
  readonly serviceAccount: string;
  /** Its name. */
  readonly pod: string;
  readonly podUid: string;
  readonly node?: string;
}

/** Who a caller proved to be. */
export interface AuthenticatedCaller {
  readonly identityUid: string;
  readonly proof: CallerProof;
  /** Epoch ms: the session ends then at the latest, where the proof says so. */
  readonly sessionEndsMs?: number;
}

/** A backend credential: in memory only, never logged, never shown to the caller. */
export interface LeasedCredential {
  /** Name of the Secret it came from, and its version, for the record. */
  readonly name: string;
  readonly version: string;
  readonly username: string;
  readonly password: string;
}

/**
 * What became of an attempt to connect and log in to a backend. A closed list: what a proxy says of a Target ends
 * in an object of another namespace, and must not carry words of its own there.
 */
export const backendOutcomes = [
  'Connected',
  /** No TLS is offered, or its certificate does not come from the Target's authority or is for another host. */
  'CertificateNotTrusted',
  'CredentialsRejected',
  /** The name does not resolve, nothing listens there, or nothing is answered in time. */
  'Unreachable',
  /** It closed the connection or took no session, and not for what the caller asked for. */
  'SessionsRefused',
  /** Another protocol, a version that was not tested, or a login that is not spoken. */
  'ServerNotSupported',
] as const;

export type BackendOutcome = (typeof backendOutcomes)[number];

/** An outcome, and what of the Target it was an outcome with: it says nothing of any other. */
export interface BackendReport {
  readonly targetUid: string;
  readonly targetGeneration: number;
  /** Of the LeasedCredential. */
  readonly credentialVersion: string;
  readonly outcome: BackendOutcome;
}

/** What a credential is lent for: this very server, reached and verified like this, as the Target said then. */
export type LeaseTarget = Pick<BundleTarget, 'uid' | 'generation' | 'host' | 'port' | 'tls'>;

/** A refusal by the control plane: fit to be shown to the caller. */
export class ControlRefusal extends Error {
  readonly code: string;
  readonly hint: string;
  /** For the log alone: what the caller must not learn. */
  readonly logDetail: string | undefined;
  constructor(code: string, message: string, hint: string, logDetail?: string) {
    super(message);
    this.logDetail = logDetail;
    this.name = 'ControlRefusal';
    this.code = code;
    this.hint = hint;
  }
}

export interface ControlClient {
  /**
   * `Password`: a caller shows one, which `authenticate` checks. `Connection`: that it reached us proves it
   * (within a pod); it is asked for nothing, and `authenticate` gets empty texts.
   */
  readonly proof: 'Password' | 'Connection';
  /** Checks a ticket or token presented as a password. `user` is `name` or `namespace/name`. Throws ControlRefusal; the same one for every wrong proof. */
  authenticate(user: string, secret: string, targetUid: string): Promise<AuthenticatedCaller>;
  /** The newest bundle of that identity, or undefined when it is gone. Synchronous: kept in memory. */
  bundle(identityUid: string): PolicyBundle | undefined;
  /** Calls back on every newer bundle of that identity (undefined: withdrawn); returns the unsubscriber. */
  subscribe(identityUid: string, onBundle: (bundle: PolicyBundle | undefined) => void): () => void;
  /** Whether that bundle is too old to be enforced: nothing new is then let through. */
  isStale(identityUid: string): boolean;
  /**
   * Throws ControlRefusal when the credential does not resolve or the target is not open to the identity.
   * `refused`: one that the backend did not take, which is not to be answered from memory.
   */
  lease(
    identityUid: string,
    target: LeaseTarget,
    refused?: LeasedCredential,
  ): Promise<LeasedCredential>;
  /** Takes note of what became of connecting to a backend, and tells it on later. Never throws. */
  reportBackend(report: BackendReport): void;
}
