import { hkdfSync } from 'node:crypto';

const keyBytes = 32;

/**
 * The key for Hash and Pseudonym on one target, base64. It hangs on the target's name, not on its uid: a
 * target that is made anew keeps the pseudonyms that others have stored.
 */
export function maskingKey(
  secret: Buffer,
  target: { readonly namespace: string; readonly name: string },
): string {
  const info = `chaperone.dev/masking/v1\0${target.namespace}\0${target.name}`;
  return Buffer.from(hkdfSync('sha256', secret, '', info, keyBytes)).toString('base64');
}
