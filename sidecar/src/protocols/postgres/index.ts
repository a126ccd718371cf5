/**
 * PostgreSQL connections of one target, from accept to close: who calls, what they may do, which credential
 * the backend sees. A caller and its backend never see each other's proof.
 */
import type { Socket } from 'node:net';
import {
  type AuthenticatedCaller,
  type BackendOutcome,
  type ControlClient,
  ControlRefusal,
  type LeasedCredential,
} from '@chaperone/core/control/types.ts';
import type { PolicyBundle, Refusal } from '@chaperone/core/policy/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { addressKey } from '@chaperone/runtime/limits/address-key.ts';
import { type Logger, sessionLogger } from '@chaperone/runtime/logging/logger.ts';
import type { Recorder, SessionRecorder } from '@chaperone/runtime/recorder/types.ts';
import type { Gatekeeper } from '../../gatekeeper.ts';
import type { ProxyMetrics } from '../../metrics.ts';
import type { PolicyView, PolicyViews } from '../../policy-views.ts';
import { UnfinishedLogins } from '../../unfinished-logins.ts';
import { ViolationRecords } from '../../violation-records.ts';
import { Catalogs } from './backend/catalogs.ts';
import { controlRefusalResponse, notOpen, refusalReason } from './errors/control-refusal.ts';
import { refusalResponse } from './errors/refusal.ts';
import { DecisionContexts } from './frontend/decision-context.ts';
import { acceptClient } from './handshake/accept.ts';
import {
  askForTicket,
  refuseSession,
  refuseTicket,
  sendSessionReady,
} from './handshake/authenticate-client.ts';
import { BackendError } from './handshake/backend-error.ts';
import { outcomeOf } from './handshake/backend-outcome.ts';
import { CancelRegistry, forwardCancel } from './handshake/cancel.ts';
import {
  type BackendSession,
  connectBackend,
  type ServerVersion,
} from './handshake/connect-backend.ts';
import type { OpenBackendOptions } from './handshake/open-backend.ts';
import type { Resolve } from './handshake/resolve-host.ts';
import type { ServerTls } from './handshake/server-tls.ts';
import type { ProtocolError } from './messages/protocol-error.ts';
import { type CallerConnection, closeUnopened, Opening, sessionOpened } from './opening.ts';
import { PostgresSession } from './session.ts';
import { startupRefusal } from './startup-refusal.ts';
import { TurnAway } from './turn-away.ts';

export interface PostgresProxyOptions {
  readonly control: ControlClient;
  readonly views: PolicyViews;
  readonly recorder: Recorder;
  readonly gatekeeper: Gatekeeper;
  readonly metrics: ProxyMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly tls?: ServerTls;
  readonly requireTls?: boolean;
  readonly resolve?: Resolve;
  /** In a pod a target's name leads back to the sidecar itself; a gateway may stand beside its target. */
  readonly refuseLoopback?: boolean;
  /** Default 1000 (decisions 4). */
  readonly catalogMaxAgeMs?: number;
  /** Default 16 MiB (decisions 9). */
  readonly maxMaskedRowBytes?: number;
  /** Default 1 MiB: what the analyzer takes at most. */
  readonly maxStatementBytes?: number;
  /** Default 500: connections whose caller has not proven who it is. */
  readonly maxUnfinishedLogins?: number;
  /** In a pod every connection comes from loopback: the pod's own address stands for that, where it is known. */
  readonly podAddress?: () => string | undefined;
}

/** The target that a listener stands for. */
export interface ServedTarget {
  /** `namespace/name`, for the caller and the log. */
  readonly name: string;
  /** Undefined while no target of that name is open to whoever may connect there. Asked for at each login. */
  readonly uid: () => string | undefined;
}

/** Major versions that every release is tested against (decisions 6). */
const testedVersions: ReadonlySet<number> = new Set([15, 18]);

export class PostgresProxy {
  readonly #options: PostgresProxyOptions;
  readonly #contexts: DecisionContexts;
  readonly #catalogs = new Catalogs();
  readonly #cancels = new CancelRegistry<PostgresSession>();
  readonly #sessions = new Set<PostgresSession>();
  /** Connections that have not become sessions. */
  readonly #opening = new Set<AbortController>();
  readonly #logins: UnfinishedLogins;
  readonly #violations: ViolationRecords;
  readonly #turnAway: TurnAway;
  readonly #whenEmpty: (() => void)[] = [];

  constructor(options: PostgresProxyOptions) {
    const { clock, recorder, metrics, logger, maxUnfinishedLogins: max = 500 } = options;
    this.#options = options;
    this.#logins = new UnfinishedLogins({ max, clock });
    this.#turnAway = new TurnAway(clock);
    metrics.followUnfinishedLogins(() => this.#logins.size);
    this.#violations = new ViolationRecords({
      recorder,
      clock,
      onRecorded: ({ code, message, address, count }) =>
        logger.warn({ code, address, ...(count !== undefined && { count }) }, message),
    });
    this.#contexts = new DecisionContexts((normalForm) => options.recorder.fingerprint(normalForm));
  }

  /** Open sessions. */
  get size(): number {
    return this.#sessions.size;
  }

  /** Serves one connection to a target; never throws. */
  async serve(socket: Socket, target: ServedTarget): Promise<void> {
    const abort = new AbortController();
    const { metrics } = this.#options;
    const proven = this.#logins.admit(addressKey(socket.remoteAddress ?? 'unix'), () => {
      metrics.turnedAway('Evicted');
      abort.abort();
      socket.destroy();
    });
    if (proven === undefined) {
      metrics.turnedAway('Refused');
      this.#turnAway.end(socket);
      return;
    }
    this.#opening.add(abort);
    try {
      await this.#serve(socket, target, abort.signal, proven);
    } catch (error) {
      this.#options.logger.error({ err: error }, 'a connection failed');
      socket.destroy();
    } finally {
      proven();
      this.#opening.delete(abort);
    }
  }

  /**
   * Ends each session as soon as nothing runs in it and no transaction is open; resolves when all have ended.
   * `close` ends the rest.
   */
  async drain(): Promise<void> {
    for (const abort of this.#opening) abort.abort();
    for (const session of [...this.#sessions]) session.drain();
    if (this.#sessions.size === 0) return;
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Ends every session; what runs is cancelled and recorded as unfinished. */
  close(): void {
    for (const abort of this.#opening) abort.abort();
    for (const session of [...this.#sessions]) session.shutDown();
    this.#violations.close();
  }

  /** `proven`: to be called once the caller has proven who it is. */
  async #serve(
    socket: Socket,
    target: ServedTarget,
    signal: AbortSignal,
    proven: () => void,
  ): Promise<void> {
    const { clock, tls, requireTls, metrics, logger, podAddress, control } = this.#options;
    // Asked for now: a socket that is gone has none.
    const address = podAddress?.() ?? socket.remoteAddress;
    const where = { ...(address !== undefined && { address }) };
    const violated = (violation: ProtocolError): void => {
      metrics.violation('Client');
      this.#violations.add(addressKey(address ?? 'unix'), violation);
    };
    const accepted = await acceptClient(socket, {
      clock,
      signal,
      ...(tls && { tls }),
      ...(requireTls !== undefined && { requireTls }),
    });
    if (accepted.kind === 'closed') {
      if (accepted.violation !== undefined) violated(accepted.violation);
      return;
    }
    if (accepted.kind === 'cancel') {
      try {
        await this.#cancels.find(accepted.key)?.cancel();
      } catch (error) {
        logger.warn({ err: error }, 'a cancel request could not be forwarded');
      } finally {
        // Ended, not cut: libpq takes TLS without its close for a failed cancellation.
        accepted.socket.end(() => accepted.socket.destroy());
      }
      return;
    }
    const presented =
      control.proof === 'Password'
        ? await askForTicket(accepted.socket, accepted.leftover, { clock, signal })
        : ({ kind: 'ticket', secret: '', leftover: accepted.leftover } as const);
    if (presented.kind === 'closed') {
      if (presented.violation !== undefined) violated(presented.violation);
      return;
    }
    const connection = { ...accepted, ...where, leftover: presented.leftover };
    await this.#login(connection, presented.secret, target, signal, proven);
  }

  async #login(
    accepted: CallerConnection,
    secret: string,
    target: ServedTarget,
    signal: AbortSignal,
    proven: () => void,
  ): Promise<void> {
    const { control, clock, metrics, logger } = this.#options;
    const { socket, startup } = accepted;
    const where = {
      user: startup.user.slice(0, 128),
      database: startup.database.slice(0, 128),
      target: target.name,
      address: accepted.address ?? 'unix',
    };
    const caller = await this.#prove(accepted, secret, target, where);
    // Evicted meanwhile, or told to stop.
    if (caller === undefined || signal.aborted) {
      if (signal.aborted) socket.destroy();
      return;
    }
    proven();
    const bundle = control.bundle(caller.identityUid);
    const targetUid = target.uid();
    const view =
      bundle && targetUid !== undefined ? this.#options.views.get(bundle, targetUid) : undefined;
    if (bundle === undefined || view === undefined) {
      metrics.refused('NoPolicy');
      refuseSession(
        socket,
        clock,
        refusalResponse('NoPolicy', 'Login', notOpen(target.name, bundle)),
      );
      return;
    }
    const refusal =
      startupRefusal(view, accepted, clock.nowMs()) ??
      this.#options.gatekeeper.openSession(view.policy);
    if (refusal !== undefined) {
      metrics.refused(refusal.reason);
      this.#recordRefused(accepted, caller, bundle, view, refusal);
      refuseSession(socket, clock, refusalResponse(refusal.reason, 'Login', refusal));
      return;
    }
    const opened = new Opening(() => this.#options.gatekeeper.closeSession(view.policy));
    try {
      await this.#open(accepted, caller, bundle, view, opened, signal);
    } catch (error) {
      opened.abandon();
      if (error instanceof BackendError) {
        metrics.backendFailed(error.code);
        logger.warn(
          { code: error.code, detail: error.logDetail, ...where },
          'no backend for a session',
        );
        refuseSession(socket, clock, error.report());
      } else if (error instanceof ControlRefusal) {
        logger.warn({ code: error.code, detail: error.logDetail, ...where }, 'no credential');
        refuseSession(socket, clock, controlRefusalResponse(error));
      } else throw error;
    }
  }

  /** Who calls; undefined when the caller did not prove it, was told so, and is gone. */
  async #prove(
    { socket, startup }: CallerConnection,
    secret: string,
    target: ServedTarget,
    where: Readonly<Record<string, string>>,
  ): Promise<AuthenticatedCaller | undefined> {
    const { control, clock, metrics, logger } = this.#options;
    const asked = control.proof === 'Password';
    try {
      // A name that nothing asks a proof for says nothing.
      const user = asked ? startup.user : '';
      const caller = await control.authenticate(user, secret, target.uid() ?? '');
      metrics.authenticated('Accepted');
      return caller;
    } catch (error) {
      metrics.authenticated('Refused');
      if (!(error instanceof ControlRefusal)) throw error;
      logger.warn({ code: error.code, detail: error.logDetail, ...where }, 'a caller was refused');
      if (asked && refusalReason(error) === 'NoPolicy') {
        refuseTicket(socket, clock, {
          message: `${error.message} (${error.code})`,
          hint: error.hint,
        });
      } else {
        metrics.refused(refusalReason(error));
        refuseSession(socket, clock, controlRefusalResponse(error));
      }
      return undefined;
    }
  }

  async #open(
    accepted: CallerConnection,
    caller: AuthenticatedCaller,
    bundle: PolicyBundle,
    view: PolicyView,
    opening: Opening,
    signal: AbortSignal,
  ): Promise<void> {
    const { control, clock, metrics, recorder: recorders } = this.#options;
    const { startup } = accepted;
    const { target } = view.policy.bundle;
    const where = this.#whereIs(view);
    const connect = ({ username, password }: LeasedCredential): Promise<BackendSession> =>
      connectBackend({
        ...where,
        username,
        password,
        database: startup.database,
        parameters: backendParameters(startup.parameters),
        clock,
        signal,
        checkVersion: (version) => checkVersion(version, view),
      });
    let credential = await control.lease(caller.identityUid, target);
    const report = (outcome: BackendOutcome): void =>
      control.reportBackend({
        targetUid: target.uid,
        targetGeneration: target.generation,
        credentialVersion: credential.version,
        outcome,
      });
    const connectNewest = async (): Promise<BackendSession> => {
      try {
        return await connect(credential);
      } catch (error) {
        if (!(error instanceof BackendError) || error.code !== 'CHP-2011') throw error;
        // It may have been replaced since it was lent.
        const newer = await control.lease(caller.identityUid, target, credential);
        if (newer.version === credential.version) throw error;
        credential = newer;
        return connect(credential);
      }
    };
    let backend: BackendSession;
    try {
      backend = await connectNewest();
    } catch (error) {
      const outcome =
        error instanceof BackendError && !signal.aborted ? outcomeOf(error) : undefined;
      if (outcome !== undefined) report(outcome);
      throw error;
    }
    opening.backend = backend;
    report('Connected');
    const recorder = recorders.openSession();
    opening.recorder = recorder;
    this.#recordOpened(recorder, accepted, caller, bundle, view, credential);
    metrics.opened();
    opening.counted = () => metrics.closed('Error');

    const cancelBackend = async (): Promise<void> => {
      if (backend.cancelKey === undefined) return;
      await forwardCancel(backend.cancelKey, sameServer(where, backend, target.host, clock));
    };
    // Nobody was told while the backend was being connected to, and a socket that is gone does not tell again.
    const isGone = accepted.socket.destroyed;
    let unsubscribe = (): void => {};
    const session: PostgresSession = new PostgresSession({
      client: accepted.socket,
      clientLeftover: accepted.leftover,
      backend,
      database: startup.database,
      sourceIP: accepted.address ?? '',
      view,
      recorder,
      gatekeeper: this.#options.gatekeeper,
      contexts: this.#contexts,
      catalogs: this.#catalogs,
      metrics,
      clock,
      logger: sessionLogger(this.#options.logger, recorder.id),
      catalogMaxAgeMs: this.#options.catalogMaxAgeMs ?? 1000,
      maxMaskedRowBytes: this.#options.maxMaskedRowBytes ?? 16 * 1024 * 1024,
      maxStatementBytes: this.#options.maxStatementBytes ?? 1024 * 1024,
      ...(caller.sessionEndsMs !== undefined && { proofEndsMs: caller.sessionEndsMs }),
      cancelBackend,
      onReady: (client) =>
        sendSessionReady(client, {
          parameterStatus: backend.parameterStatus,
          key,
          notices: view.policy.anyMask ? [] : backend.notices,
        }),
      onClosed: () => {
        unsubscribe();
        this.#cancels.remove(key);
        this.#sessions.delete(session);
        this.#options.gatekeeper.closeSession(view.policy);
        if (this.#sessions.size > 0) return;
        for (const resolve of this.#whenEmpty.splice(0)) resolve();
      },
    });
    const key = this.#cancels.issue(session, startup.minor);
    this.#sessions.add(session);
    const follow = (newer: PolicyBundle | undefined): void => {
      if (newer === undefined) {
        session.identityGone();
        return;
      }
      const current = this.#options.views.get(newer, target.uid);
      if (current === undefined) session.withdrawn();
      else session.policyChanged(current);
    };
    unsubscribe = control.subscribe(caller.identityUid, follow);
    opening.done();
    if (isGone) {
      session.terminate('Client');
      return;
    }
    session.start();
    // What changed while the backend was being connected to.
    follow(control.bundle(caller.identityUid));
  }

  #whereIs(view: PolicyView): OpenBackendOptions {
    const { resolve, refuseLoopback } = this.#options;
    const { host, port, tls } = view.policy.bundle.target;
    return {
      address: host.startsWith('/') ? { socketPath: `${host}/.s.PGSQL.${port}` } : { host, port },
      tls: { mode: tls.mode, ...(tls.ca !== undefined && { ca: tls.ca }) },
      ...(resolve && { resolve }),
      ...(refuseLoopback !== undefined && { refuseLoopback }),
    };
  }

  /** A session that its caller proved to be entitled to ask for, and was not given. */
  #recordRefused(
    accepted: CallerConnection,
    caller: AuthenticatedCaller,
    bundle: PolicyBundle,
    view: PolicyView,
    refusal: Refusal,
  ): void {
    const recorder = this.#options.recorder.openSession();
    recorder.append(sessionOpened(accepted, caller, bundle, view));
    recorder.append({
      type: 'OperationDecided',
      verdict: 'Deny',
      enforced: true,
      rules: refusal.rule ? [refusal.rule] : [],
      reason: refusal.reason,
      operations: refusal.operation ? [refusal.operation] : [],
      wouldDeny: refusal.wouldDeny,
      policyDigest: view.digest,
      masks: [],
      exemptions: [],
      protocol: 'Startup',
    });
    closeUnopened(recorder, 'Refused', 1);
  }

  #recordOpened(
    recorder: SessionRecorder,
    accepted: CallerConnection,
    caller: AuthenticatedCaller,
    bundle: PolicyBundle,
    view: PolicyView,
    credential: LeasedCredential,
  ): void {
    const named = { name: credential.name, version: credential.version };
    recorder.append({ ...sessionOpened(accepted, caller, bundle, view), credential: named });
    recorder.append({ type: 'CredentialLeased', credential: named });
  }
}

/**
 * The startup parameters for the backend: the client's, with the two pinned that decide how text parses;
 * what stands last in the packet wins, whatever ALTER ROLE says.
 */
function* backendParameters(
  parameters: ReadonlyMap<string, string>,
): Generator<readonly [string, string]> {
  for (const [name, value] of parameters) {
    if (name !== 'client_encoding' && name !== 'standard_conforming_strings') yield [name, value];
  }
  yield ['client_encoding', 'UTF8'];
  yield ['standard_conforming_strings', 'on'];
}

function checkVersion(version: ServerVersion, view: PolicyView): void {
  const { untestedVersions } = view.policy.bundle.target;
  if (testedVersions.has(version.major) || untestedVersions === 'Allow') return;
  throw new BackendError('CHP-5003', {
    message: `the target is PostgreSQL ${version.text}, which this version was not tested with`,
    sqlstate: '0A000',
    logDetail: `server version ${version.text}`,
    hint: 'Set spec.untestedVersions: Allow on the Target to use it all the same.',
  });
}

/** A cancel request must reach the very server that the session is on. */
function sameServer(
  where: OpenBackendOptions,
  backend: BackendSession,
  host: string,
  clock: Clock,
): OpenBackendOptions & { clock: Clock } {
  if (backend.remoteAddress === undefined || 'socketPath' in where.address)
    return { ...where, clock };
  return {
    ...where,
    clock,
    address: { host: backend.remoteAddress, port: where.address.port },
    tls: { ...where.tls, servername: where.tls.servername ?? host },
  };
}
