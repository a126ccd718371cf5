import { parseDurationMs } from '@chaperone/core/resources/duration.ts';
import type { SubjectConflict } from '@chaperone/core/resources/subjects.ts';
import type { Stored } from '../store/resource-store.ts';
import type { Finding } from './conditions.ts';

/** On a MachineIdentity: when its owner last confirmed that it is needed (RFC 3339). */
export const reviewedAtMark = 'chaperone.dev/reviewed-at';

const dayMs = 24 * 60 * 60 * 1000;
const expiringDays = 14;

type Identity = Stored<'MachineIdentity'>;

/**
 * What is to be said of an identity. `conflicts` are its subjects that an older identity has; `unbound`, by
 * index, those whose issuer is not bound to its namespace.
 */
export function identityFindings(
  identity: Identity,
  conflicts: readonly SubjectConflict[],
  unbound: readonly number[],
  nowMs: number,
): Finding[] {
  return [
    readiness(identity, conflicts, unbound, nowMs),
    expiring(identity, nowMs),
    reviewDue(identity, nowMs),
    conflict(conflicts),
  ];
}

function readiness(
  { spec, metadata }: Identity,
  conflicts: readonly SubjectConflict[],
  unbound: readonly number[],
  nowMs: number,
): Finding {
  const no = (reason: string, message: string): Finding => ({
    type: 'Ready',
    holds: false,
    reason,
    message,
  });
  if (spec.suspended) return no('Suspended', 'spec.suspended is true');
  if (spec.expiresAt !== undefined && Date.parse(spec.expiresAt) <= nowMs) {
    return no('Expired', `it expired at ${spec.expiresAt}`);
  }
  if (conflicts.length === spec.subjects.length) {
    return no('SubjectConflict', 'older identities have all of its subjects');
  }
  const unboundMessage = unbound
    .map((at) => {
      const issuer = spec.subjects[at]?.oidc?.issuer;
      return `spec.subjects[${at}]: an administrator has to add ${metadata.namespace}=${issuer} to oidcIssuers`;
    })
    .join('; ');
  if (conflicts.length + unbound.length === spec.subjects.length) {
    return no('IssuerNotBound', unboundMessage);
  }
  const message = unbound.length === 0 ? 'it can be used' : `it can be used, but ${unboundMessage}`;
  return { type: 'Ready', holds: true, reason: 'Ready', message };
}

function expiring({ spec }: Identity, nowMs: number): Finding {
  const type = 'Expiring';
  if (spec.expiresAt === undefined) {
    return { type, holds: false, reason: 'NoExpiry', message: 'spec.expiresAt is not set' };
  }
  const leftMs = Date.parse(spec.expiresAt) - nowMs;
  if (leftMs <= 0) {
    return { type, holds: true, reason: 'Expired', message: `it expired at ${spec.expiresAt}` };
  }
  const soon = leftMs <= expiringDays * dayMs;
  const message = `it expires at ${spec.expiresAt}`;
  return { type, holds: soon, reason: soon ? 'ExpiresSoon' : 'NotSoon', message };
}

function reviewDue({ spec, metadata }: Identity, nowMs: number): Finding {
  const type = 'ReviewDue';
  const everyMs = spec.review === undefined ? undefined : parseDurationMs(spec.review.every);
  if (everyMs === undefined) {
    return { type, holds: false, reason: 'NoReview', message: 'spec.review is not set' };
  }
  const reviewed = Date.parse(metadata.annotations?.[reviewedAtMark] ?? '');
  // A review dated ahead would put off the next one for good.
  const lastMs = reviewed <= nowMs ? reviewed : Date.parse(metadata.creationTimestamp);
  const due = new Date(lastMs + everyMs).toISOString();
  return lastMs + everyMs <= nowMs
    ? {
        type,
        holds: true,
        reason: 'Overdue',
        message: `it was to be confirmed by ${due}: set the annotation ${reviewedAtMark}`,
      }
    : { type, holds: false, reason: 'NotDue', message: `it is to be confirmed by ${due}` };
}

function conflict(conflicts: readonly SubjectConflict[]): Finding {
  if (conflicts.length === 0) {
    return {
      type: 'Conflict',
      holds: false,
      reason: 'NoConflict',
      message: 'its subjects are its own',
    };
  }
  const parts = conflicts.map(
    ({ subject, namespace, name }) =>
      `spec.subjects[${subject}] belongs to the older MachineIdentity ${namespace}/${name}`,
  );
  return { type: 'Conflict', holds: true, reason: 'SubjectTaken', message: parts.join('; ') };
}
