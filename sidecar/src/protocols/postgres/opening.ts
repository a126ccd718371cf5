/** What is recorded of a session that is asked for, and what is given back when it does not come about. */
import type { AuthenticatedCaller } from '@chaperone/core/control/types.ts';
import type { SessionClosed, SessionOpened } from '@chaperone/core/events/types.ts';
import type { PolicyBundle } from '@chaperone/core/policy/types.ts';
import type { SessionRecorder } from '@chaperone/runtime/recorder/types.ts';
import type { PolicyView } from '../../policy-views.ts';
import type { AcceptedSession } from './handshake/accept.ts';
import type { BackendSession } from './handshake/connect-backend.ts';

/** A caller's connection whose startup message has come. */
export interface CallerConnection extends AcceptedSession {
  /** Where the caller is, for policies and the record; absent for a UNIX socket. */
  readonly address?: string;
}

/** The event's body, without the credential: none is lent to a session that is refused. */
export function sessionOpened(
  { socket, startup, tls, address = 'unix' }: CallerConnection,
  caller: AuthenticatedCaller,
  { identity }: PolicyBundle,
  view: PolicyView,
): SessionOpened {
  const { target } = view.policy.bundle;
  const client = startup.parameters.get('application_name')?.slice(0, 64);
  return {
    type: 'SessionOpened',
    identity: {
      uid: identity.uid,
      namespace: identity.namespace,
      name: identity.name,
      owner: identity.owner.team,
      purpose: identity.purpose,
    },
    proof: caller.proof,
    target: { uid: target.uid, namespace: target.namespace, name: target.name },
    database: startup.database,
    source: { address, port: socket.remotePort ?? 0 },
    ...(client !== undefined && client !== '' && { client }),
    ...(tls && { tls }),
    policy: { version: view.version, digest: view.digest },
    enforcement: target.enforcement,
  };
}

/** Ends the record of a session in which nothing was carried out. */
export function closeUnopened(
  recorder: SessionRecorder,
  reason: SessionClosed['reason'],
  refused: number,
): void {
  const lastSeq = recorder.lastSeq + 1;
  recorder.append({
    type: 'SessionClosed',
    reason,
    statements: 0,
    refused,
    rows: 0,
    bytes: 0,
    lastSeq,
  });
  recorder.close();
}

/** What has to be given back when a session does not come about. */
export class Opening {
  recorder: SessionRecorder | undefined;
  backend: BackendSession | undefined;
  counted: (() => void) | undefined;
  #release: (() => void) | undefined;

  constructor(release: () => void) {
    this.#release = release;
  }

  /** The session has taken it all over. */
  done(): void {
    this.#release = undefined;
  }

  abandon(): void {
    if (this.#release === undefined) return;
    this.#release();
    this.#release = undefined;
    this.counted?.();
    this.backend?.socket.destroy();
    if (this.recorder !== undefined) closeUnopened(this.recorder, 'Error', 0);
  }
}
