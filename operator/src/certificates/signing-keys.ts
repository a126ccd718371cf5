/**
 * The keys that tokens are signed with: one in use, and beside it the one to come or the one before. A key is
 * published a day before it signs, and stays published for four weeks after: longer than any token lives.
 */
import { createPrivateKey } from 'node:crypto';
import { newSigningKey } from '@chaperone/control/policy-api/signing-keys.ts';
import type { SecretTexts } from './secrets.ts';

const dayMs = 24 * 60 * 60 * 1000;
/** How long a key signs. */
export const signingKeyPeriodMs = 30 * dayMs;
/** How long before it signs a key is published. */
export const signingKeyPublishMs = dayMs;

/**
 * The Secret's values as they should be now; undefined where they are so already. Without a usable current
 * key everything begins anew: tokens out there are then no longer taken, and programs attest again.
 */
export async function rotateSigningKeys(
  texts: SecretTexts | undefined,
  nowMs: number,
): Promise<SecretTexts | undefined> {
  const current = texts?.['current.json'];
  const next = texts?.['next.json'];
  const sinceMs = Date.parse(texts?.['current-since'] ?? '');
  const now = new Date(nowMs).toISOString();
  if (!isKey(current) || Number.isNaN(sinceMs)) {
    return { 'current.json': await newKey(), 'current-since': now };
  }
  const ageMs = nowMs - sinceMs;
  if (isKey(next)) {
    const publishedMs = Date.parse(texts?.['next-since'] ?? '');
    const published = nowMs - publishedMs >= signingKeyPublishMs;
    if (Number.isNaN(publishedMs)) return { ...texts, 'next-since': now };
    if (ageMs < signingKeyPeriodMs || !published) return undefined;
    return { 'current.json': next, 'previous.json': current, 'current-since': now };
  }
  if (ageMs < signingKeyPeriodMs - signingKeyPublishMs) return undefined;
  // The one before goes now: what it signed has ended long ago.
  return {
    'current.json': current,
    'current-since': texts!['current-since']!,
    'next.json': await newKey(),
    'next-since': now,
  };
}

async function newKey(): Promise<string> {
  return `${JSON.stringify(await newSigningKey())}\n`;
}

function isKey(text: string | undefined): text is string {
  if (text === undefined) return false;
  try {
    createPrivateKey({ key: JSON.parse(text), format: 'jwk' });
    return true;
  } catch {
    return false;
  }
}
