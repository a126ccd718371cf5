/** What the policy API's tokens say: JWTs signed with ES256, whose public keys stand at `/v1/jwks`. */

export const tokenIssuer = 'chaperone.dev/policy-api';
/** Of tokens that the policy API itself takes. */
export const controlAudience = 'policy-api';
/** Of tokens that the collector takes. */
export const ingestAudience = 'collector';

/**
 * Claims of both tokens, beside `iss`, `aud`, `iat` and `exp` (NumericDate). What the bearer runs on behalf
 * of was checked when the token was made.
 */
export interface TokenClaims {
  /** The pod's uid: in ingest tokens, the source whose sessions may be appended to. */
  readonly sub: string;
  readonly role: 'Pod' | 'Gateway';
  readonly namespace: string;
  readonly serviceAccount: string;
  /** The pod's name. */
  readonly pod: string;
  /** Only where it is so: the pod has name servers of its own. */
  readonly ownNameServers?: true;
}
