import type { InvalidReference, Stored } from '../store/resource-store.ts';
import { closedBy } from './closed-targets.ts';
import type { Finding } from './conditions.ts';
import type { GovernanceRules } from './host-rules.ts';
import { claimRefusal, type Displacement } from './open-targets.ts';
import { resolveAuthorities, resolveCredential } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';

/** `displacement`: where another Target has its host; `rules`: who may claim which, undefined: anybody anything. */
export function targetFindings(
  target: Stored<'Target'>,
  snapshot: Snapshot,
  rules?: GovernanceRules,
  displacement?: Displacement,
): { readonly findings: Finding[]; readonly credentialVersion?: string } {
  const credential = resolveCredential(target, snapshot);
  const authorities = resolveAuthorities(target, snapshot);
  const observing = target.spec.enforcement === 'Observe';
  const closed = closedBy(target, snapshot);
  const refused = rules === undefined ? undefined : claimRefusal(target, rules);
  const failed = [
    closed === undefined ? undefined : closedReason(closed),
    refused ?? (displacement === undefined ? undefined : hostTaken(target, displacement)),
    credential.ok ? undefined : credential,
    authorities.ok ? undefined : authorities,
  ].find((doubt) => doubt !== undefined);
  return {
    findings: [
      failed === undefined
        ? {
            type: 'Ready',
            holds: true,
            reason: observing ? 'Observing' : 'Ready',
            message: observing
              ? 'everything passes, nothing is masked: verdicts are only recorded'
              : 'its host, credential and authorities are in order',
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

function closedReason({ kind, namespace, name }: InvalidReference): {
  readonly reason: string;
  readonly message: string;
} {
  return {
    reason: 'InvalidPolicy',
    message: `${kind} ${namespace}/${name} is not valid, and what it forbids or masks here is not known: correct or delete it; no sessions until then`,
  };
}

const maxNamespaces = 5;

function hostTaken(
  { spec }: Stored<'Target'>,
  { by, host, namespaces }: Displacement,
): { readonly reason: string; readonly message: string } {
  const shown = namespaces.slice(0, maxNamespaces).join(', ');
  const more =
    namespaces.length > maxNamespaces ? ` and ${namespaces.length - maxNamespaces} more` : '';
  const holder = `${by.metadata.namespace}/${by.metadata.name}`;
  return {
    reason: 'HostTaken',
    message:
      `Target ${holder} has ${host}:${spec.port} in namespaces ${shown}${more} (a namespace's own stands first, else the oldest): ` +
      'choose another host or port, or delete one of the two',
  };
}
