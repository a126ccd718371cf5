/** Issues the tokens of attested programs, and tells a program by its token. */
import { createHash } from 'node:crypto';
import {
  controlAudience,
  ingestAudience,
  type TokenClaims,
  tokenIssuer,
} from '@chaperone/core/control/tokens.ts';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import { errors, jwtVerify, SignJWT } from 'jose';
import type { AttestedProgram, PodReference } from './attestor.ts';
import type { KeySet, SigningKeys } from './signing-keys.ts';

export const controlTokenMs = 10 * 60 * 1000;
/** Beyond maxPolicyAge: events of a session that a program still ships when the policy API is away. */
const ingestExtraMs = 24 * 60 * 60 * 1000;
/** How far the clocks of two replicas may differ. */
const clockToleranceS = 5;
const maxTokenChars = 4096;
/** Verifying costs 0.3 ms; each program shows its token with every call. */
const maxCached = 10_000;

export interface IssuedToken {
  readonly token: string;
  readonly expiresMs: number;
}

/** A program that showed a valid control token. */
export interface TokenBearer extends TokenClaims {
  readonly expiresMs: number;
}

/** The pod that it runs in. */
export const podOf = ({ namespace, pod, sub }: TokenBearer): PodReference => ({
  namespace,
  name: pod,
  uid: sub,
});

export class Tokens {
  readonly #keys: SigningKeys;
  readonly #nowMs: () => number;
  readonly #maxPolicyAgeMs: number;
  /** By SHA-256 of audience and token; for one set of keys alone. */
  #verified = new Map<string, TokenBearer>();
  #verifiedBy: KeySet | undefined;

  constructor(keys: SigningKeys, maxPolicyAgeMs: number, nowMs: () => number) {
    this.#keys = keys;
    this.#maxPolicyAgeMs = maxPolicyAgeMs;
    this.#nowMs = nowMs;
  }

  control(program: AttestedProgram): Promise<IssuedToken> {
    return this.#issue(program, controlAudience, controlTokenMs);
  }

  ingest(program: AttestedProgram): Promise<IssuedToken> {
    return this.#issue(program, ingestAudience, this.#maxPolicyAgeMs + ingestExtraMs);
  }

  /** Whose control token that is. Throws ControlRefusal CHP-2007. */
  verify(token: string): Promise<TokenBearer> {
    return this.#bearerOf(token, controlAudience);
  }

  /** Whose ingest token that is: of the right to append to that source's sessions. Throws ControlRefusal CHP-2007. */
  verifyIngest(token: string): Promise<TokenBearer> {
    return this.#bearerOf(token, ingestAudience);
  }

  async #bearerOf(token: string, audience: string): Promise<TokenBearer> {
    const keys = this.#keys.keys();
    if (keys !== this.#verifiedBy) {
      this.#verifiedBy = keys;
      this.#verified = new Map();
    }
    const verified = this.#verified;
    const digest = createHash('sha256').update(`${audience} ${token}`).digest('base64');
    const bearer = verified.get(digest) ?? (await this.#check(token, keys, audience));
    if (bearer.expiresMs <= this.#nowMs()) throw notValid('it has expired');
    if (!verified.has(digest)) {
      // The oldest goes first; whoever still uses it is verified anew.
      if (verified.size >= maxCached) verified.delete(verified.keys().next().value!);
      verified.set(digest, bearer);
    }
    return bearer;
  }

  async #issue(
    { role, source, ownNameServers }: AttestedProgram,
    audience: string,
    validMs: number,
  ): Promise<IssuedToken> {
    const { namespace, serviceAccount, pod } = source;
    const { kid, privateKey } = this.#keys.keys().current;
    const nowS = Math.floor(this.#nowMs() / 1000);
    const expiresS = nowS + Math.floor(validMs / 1000);
    const claims: Omit<TokenClaims, 'sub'> = {
      role,
      namespace,
      serviceAccount,
      pod: pod.name,
      ...(ownNameServers && { ownNameServers }),
    };
    const token = await new SignJWT({ ...claims })
      .setProtectedHeader({ alg: 'ES256', kid, typ: 'JWT' })
      .setIssuer(tokenIssuer)
      .setAudience(audience)
      .setSubject(pod.uid)
      .setIssuedAt(nowS)
      .setExpirationTime(expiresS)
      .sign(privateKey);
    return { token, expiresMs: expiresS * 1000 };
  }

  async #check(token: string, keys: KeySet, audience: string): Promise<TokenBearer> {
    if (token.length > maxTokenChars) throw notValid('it is too long');
    try {
      const { payload } = await jwtVerify(
        token,
        ({ kid }) => {
          const key = kid === undefined ? undefined : keys.verifying.get(kid);
          if (key === undefined) throw new errors.JWKSNoMatchingKey();
          return key;
        },
        {
          algorithms: ['ES256'],
          issuer: tokenIssuer,
          audience,
          requiredClaims: ['sub', 'exp', 'iat'],
          clockTolerance: clockToleranceS,
          currentDate: new Date(this.#nowMs()),
        },
      );
      const { sub, exp, role, namespace, serviceAccount, pod, ownNameServers } =
        payload as typeof payload & TokenClaims;
      return {
        sub,
        role,
        namespace,
        serviceAccount,
        pod,
        ...(ownNameServers && { ownNameServers }),
        expiresMs: exp! * 1000,
      };
    } catch (error) {
      // jose's messages name the claim or the key, never the token.
      throw notValid(error instanceof errors.JOSEError ? error.message : 'it is no JWT');
    }
  }
}

/** For a token that is not to be taken (any more). */
export function notValid(why: string): ControlRefusal {
  return new ControlRefusal(
    'CHP-2007',
    'The token is not valid.',
    'Attest again for a new one.',
    why,
  );
}
