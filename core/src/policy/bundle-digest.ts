import { createHash } from 'node:crypto';
import { canonicalJson } from '../canonical-json.ts';
import type { PolicyBundle } from './types.ts';

/** SHA-256, hex, over the RFC 8785 bytes of a bundle without its digest and version. */
export function bundleDigest(bundle: Omit<PolicyBundle, 'digest' | 'version'>): string {
  const { digest: _, version: __, ...content } = bundle as PolicyBundle;
  return createHash('sha256').update(canonicalJson(content)).digest('hex');
}
