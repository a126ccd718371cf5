/** What a ServiceAccount token says of itself; only to be believed once it is reviewed. */

export interface TokenClaims {
  readonly issuer: string;
  /** `system:serviceaccount:NAMESPACE:NAME`. */
  readonly subject: string;
  /** Epoch ms. */
  readonly expiresMs: number;
}

const maxTokenChars = 16 * 1024;
/** The API server's clock may be behind by this. */
const clockToleranceMs = 60_000;
const base64url = /^[\w-]+$/;
const serviceAccount = /^system:serviceaccount:[a-z0-9.-]+:[a-z0-9.-]+$/;

/**
 * Undefined for what cannot be a good token of that audience by its own claims: a ticket, a mistyped password,
 * a token for others or one that is over. The API server is then not asked.
 */
export function likelyClaims(
  token: string,
  audience: string,
  nowMs: number,
): TokenClaims | undefined {
  if (token.length > maxTokenChars) return undefined;
  const parts = token.split('.');
  if (parts.length !== 3 || !parts.every((part) => base64url.test(part))) return undefined;
  const header = fieldsOf(parts[0]!);
  const claims = fieldsOf(parts[1]!);
  if (header === undefined || claims === undefined) return undefined;
  const { iss, sub, aud, exp } = claims;
  if (typeof header.alg !== 'string' || header.alg === 'none') return undefined;
  if (typeof iss !== 'string' || typeof sub !== 'string') return undefined;
  if (!serviceAccount.test(sub) || !Number.isSafeInteger(exp)) return undefined;
  const audiences: readonly unknown[] = Array.isArray(aud) ? aud : [aud];
  const expiresMs = (exp as number) * 1000;
  if (!audiences.includes(audience) || expiresMs + clockToleranceMs <= nowMs) return undefined;
  return { issuer: iss, subject: sub, expiresMs };
}

function fieldsOf(part: string): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(part, 'base64url').toString('utf8'));
    const isObject = typeof value === 'object' && value !== null && !Array.isArray(value);
    return isObject ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
