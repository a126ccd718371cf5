import { ingestAudience, tokenIssuer } from '@chaperone/core/control/tokens.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { errors, jwtVerify } from 'jose';
import type { AuthorizeIngest, IngestPrincipal } from '../http/access.ts';
import { Problem } from '../http/problem.ts';
import type { PublicKeys } from './public-keys.ts';

interface Verified {
  readonly principal: IngestPrincipal;
  /** Epoch ms. */
  readonly expiresMs: number;
  readonly generation: number;
}

/** Verifying costs 0.3 ms, and each batch shows a token. */
const maxCached = 5000;
const clockToleranceSeconds = 5;

/**
 * Takes the ingest tokens that the policy API signs. What ships is the pod that the token was made for; a
 * session belongs to the one that shipped it first.
 */
export function ingestByPolicyApi(keys: PublicKeys, clock: Clock): AuthorizeIngest {
  const cache = new Map<string, Verified>();
  return async (token) => {
    keys.refresh();
    const known = cache.get(token);
    if (known !== undefined) {
      if (known.generation === keys.generation && clock.nowMs() < known.expiresMs) {
        return known.principal;
      }
      cache.delete(token);
    }
    const verified = await verify(token, keys, clock);
    if (verified === undefined) return undefined;
    if (cache.size >= maxCached) cache.delete(cache.keys().next().value!);
    cache.set(token, verified);
    return verified.principal;
  };
}

async function verify(
  token: string,
  keys: PublicKeys,
  clock: Clock,
): Promise<Verified | undefined> {
  try {
    const { payload } = await jwtVerify(
      token,
      async ({ kid }) => {
        const key = kid === undefined ? undefined : await keys.find(kid);
        if (key === undefined) throw new errors.JWKSNoMatchingKey();
        return key;
      },
      {
        algorithms: ['ES256'],
        issuer: tokenIssuer,
        audience: ingestAudience,
        requiredClaims: ['sub', 'exp', 'iat'],
        clockTolerance: clockToleranceSeconds,
        currentDate: new Date(clock.nowMs()),
      },
    );
    if (payload.sub === '') return undefined;
    return {
      principal: { source: `pod:${payload.sub}` },
      expiresMs: payload.exp! * 1000,
      generation: keys.generation,
    };
  } catch (error) {
    if (error instanceof errors.JOSEError) return undefined;
    // Not the shipper's fault: it keeps the token, and its events.
    throw new Problem(503, 'CHP-6012', 'tokens cannot be checked now', {
      cause: error,
      retryAfterSeconds: 5,
    });
  }
}
