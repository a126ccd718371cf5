import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { closeSync, fstatSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { AuthorizeIngest, AuthorizeRead, IngestPrincipal, Reader } from './http/access.ts';

/** Makes a file of mode 0600 with a fresh token of 256 bits, and returns the token. The file must not exist. */
export function createTokenFile(path: string): string {
  const token = randomBytes(32).toString('base64url');
  writeFileSync(path, `${token}\n`, { mode: 0o600, flag: 'wx' });
  return token;
}

/**
 * The token in a file that nobody but `readers` may read: its owner, or the group as well. Anything else is a
 * ChaperoneError CHP-1002 or CHP-1004.
 */
export function readTokenFile(path: string, readers: 'Owner' | 'Group' = 'Owner'): string {
  let descriptor: number;
  try {
    descriptor = openSync(path, 'r');
  } catch (cause) {
    throw new ChaperoneError('CHP-1004', `the token file ${path} cannot be read`, { cause });
  }
  try {
    const { mode } = fstatSync(descriptor);
    if ((mode & (readers === 'Owner' ? 0o077 : 0o037)) !== 0) {
      throw new ChaperoneError('CHP-1002', `the token file ${path} may be read by others`, {
        hint: `chmod 600 ${path}, and replace the token: others may have read it.`,
      });
    }
    const token = readFileSync(descriptor, 'utf8').trim();
    if (!/^[\x21-\x7e]{32,8192}$/.test(token)) {
      throw new ChaperoneError(
        'CHP-1002',
        `${path} does not hold a token of 32 characters or more`,
      );
    }
    return token;
  } finally {
    closeSync(descriptor);
  }
}

/** Compares by digest, in the same time wherever they differ. */
function isToken(expected: string): (token: string) => boolean {
  const digest = (text: string) => createHash('sha256').update(text).digest();
  const wanted = digest(expected);
  return (token) => timingSafeEqual(digest(token), wanted);
}

/** One shared token that may ship any session, as `principal`. */
export function ingestByToken(token: string, principal: IngestPrincipal): AuthorizeIngest {
  const matches = isToken(token);
  return (given) => (matches(given) ? principal : undefined);
}

/** One shared token that reads as `reader`. */
export function readByToken(token: string, reader: Reader): AuthorizeRead {
  const matches = isToken(token);
  return (given) => (matches(given) ? reader : undefined);
}
