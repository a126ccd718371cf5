import { createHash, createHmac, createSecretKey, type KeyObject, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
const keyBytes = 32;
const maxRemembered = 64;

/** By password, salt and iteration count; oldest first. */
const remembered = new Map<string, ScramKeys>();

/** The keys of RFC 5802 §3, and what they were derived from. */
export interface ScramKeys {
  readonly clientKey: Buffer;
  readonly storedKey: KeyObject;
  readonly serverKey: KeyObject;
  readonly derivedFrom: string;
}

/**
 * Derives the keys off the event loop, which costs thousands of hashes, or finds those remembered: a server gives
 * a role the same salt at each login (RFC 5802 §5.1 lets a client keep ClientKey and ServerKey).
 */
export async function scramKeys(
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<ScramKeys> {
  const derivedFrom = createHash('sha256')
    .update(`${iterations} ${salt.toString('base64')} ${password}`)
    .digest('base64');
  const known = remembered.get(derivedFrom);
  if (known !== undefined) return known;
  const salted = await derive(password, salt, iterations, keyBytes, 'sha256');
  const clientKey = hmac(createSecretKey(salted), 'Client Key');
  return {
    clientKey,
    storedKey: createSecretKey(createHash('sha256').update(clientKey).digest()),
    serverKey: createSecretKey(hmac(createSecretKey(salted), 'Server Key')),
    derivedFrom,
  };
}

/** Keeps them for the next login; only of a server that has proven to know the password. */
export function rememberScramKeys(keys: ScramKeys): void {
  remembered.delete(keys.derivedFrom);
  remembered.set(keys.derivedFrom, keys);
  for (const oldest of remembered.keys()) {
    if (remembered.size <= maxRemembered) break;
    remembered.delete(oldest);
  }
}

/** Whether they would be found; for tests. */
export function isRemembered({ derivedFrom }: ScramKeys): boolean {
  return remembered.has(derivedFrom);
}

/** HMAC-SHA-256. A key as bytes would be made an object of each time, which takes longer than the hashes. */
export function hmac(key: KeyObject, data: string): Buffer {
  return createHmac('sha256', key).update(data).digest();
}
