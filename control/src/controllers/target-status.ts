import type { Stored } from '../store/resource-store.ts';
import type { Finding } from './conditions.ts';
import { resolveAuthorities, resolveCredential } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';

export function targetFindings(
  target: Stored<'Target'>,
  snapshot: Snapshot,
): { readonly findings: Finding[]; readonly credentialVersion?: string } {
  const credential = resolveCredential(target, snapshot);
  const authorities = resolveAuthorities(target, snapshot);
  const observing = target.spec.enforcement === 'Observe';
  const failed = credential.ok ? (authorities.ok ? undefined : authorities) : credential;
  return {
    findings: [
      failed === undefined
        ? {
            type: 'Ready',
            holds: true,
            reason: observing ? 'Observing' : 'Ready',
            message: observing
              ? 'everything passes, nothing is masked: verdicts are only recorded'
              : 'sessions can be opened',
          }
        : { type: 'Ready', holds: false, reason: failed.reason, message: failed.message },
      credential.ok
        ? {
            type: 'CredentialsResolved',
            holds: true,
            reason: 'Resolved',
            message: `the credential is that of Secret ${credential.value.name}`,
          }
        : {
            type: 'CredentialsResolved',
            holds: false,
            reason: credential.reason,
            message: credential.message,
          },
    ],
    ...(credential.ok && { credentialVersion: credential.value.version }),
  };
}
