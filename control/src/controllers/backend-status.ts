/** The condition of a Target that only connecting tells: whether its backend can be reached and logged in to. */
import type { Condition } from '@chaperone/core/resources/types.ts';
import type { Stored } from '../store/resource-store.ts';
import {
  type BackendFailure,
  type BackendReports,
  type BackendTally,
  reportWindowMs,
  worstOf,
} from './backend-reports.ts';
import type { Finding } from './conditions.ts';
import { resolveAuthorities, resolveCredential } from './secrets.ts';
import type { Snapshot } from './snapshot.ts';

export const backendCondition = 'BackendReachable';

type Target = Stored<'Target'>;

/** Whether it says that nobody could connect, or not everybody. */
export const isBackendTrouble = ({
  status,
  reason,
}: Pick<Condition, 'status' | 'reason'>): boolean =>
  status === 'False' || reason === 'PartlyReachable';

/** What of a Target the outcome of connecting depends on. */
export interface BackendBasis {
  readonly generation: number;
  /** Undefined: there is none, and nobody can try. */
  readonly credentialVersion: string | undefined;
  /** All of it, authorities included. */
  readonly key: string;
}

export function backendBasis(target: Target, snapshot: Snapshot): BackendBasis {
  const credential = resolveCredential(target, snapshot);
  const authorities = resolveAuthorities(target, snapshot);
  const { generation } = target.metadata;
  const credentialVersion = credential.ok ? credential.value.version : undefined;
  const trusted = authorities.ok ? authorities.value : authorities.reason;
  return {
    generation,
    credentialVersion,
    key: JSON.stringify([generation, credentialVersion, trusted]),
  };
}

/** Undefined: nobody has tried, and nothing is said. What was said before holds until something tells otherwise. */
export function backendFinding(
  target: Target,
  snapshot: Snapshot,
  reports: BackendReports,
): Finding | undefined {
  const { uid } = target.metadata;
  const basis = backendBasis(target, snapshot);
  const tally = reports.tally(uid, basis.key);
  if (tally !== undefined) return findingOf(target, tally);
  const before = target.status?.conditions?.find(({ type }) => type === backendCondition);
  if (before === undefined) return undefined;
  const isOther =
    reports.isUntried(uid, basis.key) ||
    before.observedGeneration !== basis.generation ||
    (target.status?.credentialVersion ?? undefined) !== basis.credentialVersion;
  if (isOther) {
    return unknown(
      'NotTried',
      'nobody has connected yet with the Target, its Secret and its authorities as they are now',
    );
  }
  const { status, reason, message } = before;
  if (isBackendTrouble(before) && reports.complete) {
    return unknown(
      'NotTriedLately',
      `nobody has connected in the last ${windowMinutes} minutes; before that: ${message}`,
    );
  }
  const holds = status === 'Unknown' ? undefined : status === 'True';
  return { type: backendCondition, holds, reason, message };
}

const windowMinutes = reportWindowMs / 60_000;

const unknown = (reason: string, message: string): Finding => ({
  type: backendCondition,
  holds: undefined,
  reason,
  message,
});

function findingOf(target: Target, tally: BackendTally): Finding {
  const { connected } = tally;
  const worst = worstOf(tally);
  if (worst === undefined) {
    return {
      type: backendCondition,
      holds: true,
      reason: 'Reachable',
      message: 'sidecars and gateways connect to it and log in',
    };
  }
  const failing = [...tally.failed.values()].reduce((sum, sources) => sum + sources, 0);
  const message = `${who(failing, failing + connected)} could not connect: ${mends[worst](target)}`;
  return {
    type: backendCondition,
    // Where others can, it is more likely their network, or they are not to be believed.
    holds: connected > 0,
    reason: connected > 0 ? 'PartlyReachable' : worst,
    message,
  };
}

function who(failing: number, all: number): string {
  const tried = `that tried in the last ${windowMinutes} minutes`;
  if (all === 1) return `the one sidecar or gateway ${tried}`;
  if (failing === all) return `all ${all} sidecars and gateways ${tried}`;
  return `${failing} of the ${all} sidecars and gateways ${tried}`;
}

/** What happened, and what to do. */
const mends: Readonly<Record<BackendFailure, (target: Target) => string>> = {
  CertificateNotTrusted: ({ spec }) =>
    `the server offers no TLS, or its certificate is not trusted: have ${
      spec.tls.caRef === undefined
        ? 'spec.tls.caRef name'
        : `${spec.tls.caRef.kind} ${spec.tls.caRef.name} hold`
    } the authority that it comes from${
      spec.tls.mode === 'VerifyFull' ? ', and the certificate be for spec.host' : ''
    }`,
  CredentialsRejected: ({ spec }) =>
    `the server does not take the login in Secret ${spec.credentials.secretRef.name}: put the user and password of a role there that may log in`,
  Unreachable: ({ spec }) =>
    `nothing answers at ${spec.host.startsWith('/') ? `${spec.host}/.s.PGSQL.` : `${spec.host}:`}${spec.port}: start the server, correct spec.host and spec.port, or let network policies pass governed pods`,
  SessionsRefused: () =>
    'the server closes connections or takes no more sessions: its log says why; it may be starting, or at max_connections',
  ServerNotSupported: () =>
    'the server does not speak PostgreSQL as it is spoken here: check spec.host, its version (or set spec.untestedVersions: Allow) and how it wants logins',
};
