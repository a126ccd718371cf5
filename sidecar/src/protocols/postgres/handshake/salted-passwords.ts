import { createHash, pbkdf2 } from 'node:crypto';
import { promisify } from 'node:util';

const derive = promisify(pbkdf2);
const keyBytes = 32;
const maxRemembered = 64;

/** By password, salt and iteration count; oldest first. */
const remembered = new Map<string, Buffer>();

/** A SaltedPassword (RFC 5802 §3) and what it was derived from. */
export interface SaltedPassword {
  readonly bytes: Buffer;
  readonly derivedFrom: string;
}

/**
 * Derives a SaltedPassword off the event loop, which costs thousands of hashes, or finds the one remembered:
 * a server gives a role the same salt at each login (RFC 5802 §5.1 lets a client keep it).
 */
export async function saltedPassword(
  password: string,
  salt: Buffer,
  iterations: number,
): Promise<SaltedPassword> {
  const derivedFrom = createHash('sha256')
    .update(`${iterations} ${salt.toString('base64')} ${password}`)
    .digest('base64');
  const known = remembered.get(derivedFrom);
  const bytes = known ?? (await derive(password, salt, iterations, keyBytes, 'sha256'));
  return { bytes, derivedFrom };
}

/** Keeps it for the next login; only of a server that has proven to know the password. */
export function rememberSaltedPassword({ bytes, derivedFrom }: SaltedPassword): void {
  remembered.delete(derivedFrom);
  remembered.set(derivedFrom, bytes);
  for (const oldest of remembered.keys()) {
    if (remembered.size <= maxRemembered) break;
    remembered.delete(oldest);
  }
}

/** Whether it would be found; for tests. */
export function isRemembered({ derivedFrom }: SaltedPassword): boolean {
  return remembered.has(derivedFrom);
}
