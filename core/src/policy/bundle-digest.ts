import { createHash, createHmac } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { BundleMask, PolicyBundle } from './types.ts';

const keyIdInfo = 'chaperone.dev/masking-key-id/v1';

/**
 * A bundle as the record keeps it: its RFC 8785 bytes without `digest` and `version`, and for each masking key a
 * name that it cannot be found by. The keys have 16 bytes or more that nobody can guess. Throws TypeError where the
 * bundle is none.
 */
export function snapshotText(bundle: Omit<PolicyBundle, 'digest' | 'version'>): string {
  const { digest: _, version: __, ...content } = bundle as PolicyBundle;
  const targets = content.targets?.map((target) => ({
    ...target,
    masks: target.masks?.map(withoutKey),
  }));
  return canonicalJson({ ...content, targets });
}

/** SHA-256, hex, of the snapshot's UTF-8: what events name the policy by that decided. */
export function bundleDigest(bundle: Omit<PolicyBundle, 'digest' | 'version'>): string {
  return createHash('sha256').update(snapshotText(bundle)).digest('hex');
}

function withoutKey({ key, ...mask }: BundleMask): object {
  if (typeof key !== 'string') return mask;
  const keyId = createHmac('sha256', Buffer.from(key, 'base64')).update(keyIdInfo).digest('hex');
  return { ...mask, keyId: keyId.slice(0, 32) };
}
