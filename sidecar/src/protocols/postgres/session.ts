/**
 * One session: a caller on one side, its backend on the other, and between them the decisions. It ends when
 * either side does, when the identity or its policy does, or when nothing can be recorded.
 */
import type { Socket } from 'node:net';
import type { OperationCompleted, SessionClosed } from '@chaperone/core/events/types.ts';
import type { Hold, Refusal, RequestContext, RuleRef } from '@chaperone/core/policy/types.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { SessionRecorder } from '@chaperone/runtime/recorder/types.ts';
import type { Gatekeeper } from '../../gatekeeper.ts';
import type { ProxyMetrics } from '../../metrics.ts';
import type { PolicyView } from '../../policy-views.ts';
import type { Catalogs } from './backend/catalogs.ts';
import type { Execution } from './backend/expectation.ts';
import { Resolution } from './backend/resolution.ts';
import type { Outcome } from './backend/response-flow.ts';
import { Responses } from './backend/responses.ts';
import { refusalResponse } from './errors/refusal.ts';
import {
  type ContextKey,
  type DecidedStatement,
  type DecisionContexts,
  emptyContext,
} from './frontend/decision-context.ts';
import { Frontend } from './frontend/frontend.ts';
import { reservedPrefix } from './frontend/refusals.ts';
import type { BackendSession } from './handshake/connect-backend.ts';
import { endWhenWritten, endWith } from './handshake/end-with.ts';
import {
  flush,
  parse,
  query,
  sync,
  terminate as terminateMessage,
} from './messages/frontend-writer.ts';
import { ProtocolError } from './messages/protocol-error.ts';
import { cutBy, mayHear } from './newer-policy.ts';
import { readReusing } from './read-reusing.ts';
import { SessionCancel } from './session-cancel.ts';
import {
  catalogNotReadable,
  identityGone,
  internalError,
  policyWithdrawn,
  protocolViolation,
  resultNotRecorded,
  shutdownReport,
  statementNotRecorded,
  targetClosed,
  undeliverable,
} from './session-reports.ts';
import { SessionState } from './session-state.ts';
import { SessionTime } from './session-time.ts';

export interface SessionOptions {
  readonly client: Socket;
  readonly clientLeftover: Buffer;
  readonly backend: BackendSession;
  readonly database: string;
  readonly sourceIP: string;
  readonly view: PolicyView;
  readonly recorder: SessionRecorder;
  readonly gatekeeper: Gatekeeper;
  readonly contexts: DecisionContexts;
  readonly catalogs: Catalogs;
  readonly metrics: ProxyMetrics;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly catalogMaxAgeMs: number;
  readonly maxMaskedRowBytes: number;
  /** Epoch ms: the end of the proof of who calls. */
  readonly proofEndsMs?: number;
  readonly maxStatementBytes: number;
  /** Makes the backend stop what it does; resolves once it was told. */
  readonly cancelBackend: () => Promise<void>;
  /** The login is complete: the client may be told. */
  readonly onReady: (client: Socket) => void;
  /** Both sides are closed. */
  readonly onClosed: () => void;
}

/** What a session reads into. Most see short statements and results only; long ones are read in long pieces. */
const clientReadBytes = { first: 4 * 1024, most: 64 * 1024 };
const backendReadBytes = { first: 8 * 1024, most: 64 * 1024 };

interface Forward {
  pieces: readonly Buffer[];
  durable: boolean;
}

export class PostgresSession {
  readonly #options: SessionOptions;
  readonly #clientLeftover: Buffer;
  readonly #backendLeftover: Buffer;
  readonly #state: SessionState;
  readonly #frontend: Frontend;
  readonly #responses: Responses;
  readonly #resolution: Resolution;
  readonly #time: SessionTime;
  readonly #cancel: SessionCancel;
  readonly #forwards: Forward[] = [];
  #view: PolicyView;
  #closed = false;
  #ready = false;
  #resuming = false;
  #draining = false;
  #statements = 0;
  #refused = 0;
  #rows = 0;
  #bytes = 0;

  constructor(options: SessionOptions) {
    // A chunk is free again when all that was made of it has been written: what waits for a record is copied.
    const client = readReusing(
      options.client,
      clientReadBytes,
      (chunk) => this.#onClient(chunk),
      () => backend.socket.writableLength === 0,
    );
    const backend = readReusing(
      options.backend.socket,
      backendReadBytes,
      (chunk) => this.#onBackend(chunk),
      () => client.socket.writableLength === 0,
    );
    this.#options = {
      ...options,
      client: client.socket,
      backend: { ...options.backend, socket: backend.socket },
    };
    this.#clientLeftover = Buffer.concat([options.clientLeftover, client.pending]);
    this.#backendLeftover = Buffer.concat([options.backend.leftover, backend.pending]);
    this.#view = options.view;
    this.#time = new SessionTime({
      clock: options.clock,
      ...(options.proofEndsMs !== undefined && { proofEndsMs: options.proofEndsMs }),
      isBusy: () => this.#state.inflight.length > 0,
      end: (reason, report) => this.terminate(reason, report),
    });
    this.#state = new SessionState(emptyContext(options.view, options.database));
    this.#cancel = new SessionCancel({
      clock: options.clock,
      cancelBackend: options.cancelBackend,
      sentLast: () => {
        const { inflight } = this.#state;
        return inflight.length === 0 ? undefined : inflight.nextNumber - 1;
      },
      isAnswered: (number) => this.#state.inflight.firstNumber > number,
      isSent: () => this.#isSent(),
      ended: () => this.#resumeFrontend(),
      failed: (err) => options.logger.warn({ err }, 'a statement could not be cancelled'),
    });
    this.#frontend = new Frontend(this.#state, this.#frontendEvents());
    this.#responses = new Responses(this.#state, this.#responseEvents(), {
      maxMaskedRowBytes: options.maxMaskedRowBytes,
    });
    this.#resolution = new Resolution({
      targetUid: options.view.policy.bundle.target.uid,
      database: options.database,
      catalogs: options.catalogs,
      clock: options.clock,
      catalogMaxAgeMs: options.catalogMaxAgeMs,
      cancel: () => this.#cancel.cancel(),
      send: (bytes) => this.#frontend.inject(bytes),
      changed: (catalog, currentUser, searchPath, pathSetting) =>
        this.#resolve({ catalog, currentUser, searchPath, pathSetting }),
      failed: (error) => this.#resolutionFailed(error),
    });
  }

  /** Reads what names resolve by, tells the client that it may begin, and lets both sides run. */
  start(): void {
    const { client, backend } = this.#options;
    backend.socket.on('drain', () => this.#resumeClient());
    backend.socket.on('close', () => this.#onBackendClose());
    client.on('drain', () => {
      backend.socket.resume();
      this.#resumeClient();
    });
    client.on('end', () => this.#end('Client'));
    client.on('close', () => this.#end('Client'));
    this.#time.follow(this.#view.policy);
    this.#resolution.start(this.#state, () => {
      if (this.#closed) return;
      this.#ready = true;
      this.#options.onReady(client);
      if (this.#clientLeftover.length > 0) this.#onClient(this.#clientLeftover);
      this.#resumeClient();
    });
    if (this.#backendLeftover.length > 0) this.#onBackend(this.#backendLeftover);
    backend.socket.resume();
  }

  /** A newer policy: in force for the next statement, and for what runs now. */
  policyChanged(view: PolicyView): void {
    if (this.#closed || view.digest === this.#view.digest) return;
    const former = this.#view.policy;
    this.#view = view;
    const { key } = this.#state.context;
    this.#options.recorder.append({
      type: 'PolicyApplied',
      policy: { version: view.version, digest: view.digest },
    });
    this.#resolve(key);
    this.#time.follow(this.#view.policy);
    const gone = this.#identityRefusal();
    if (gone !== undefined) {
      const reason =
        gone.reason === 'Suspended'
          ? 'Suspended'
          : gone.reason === 'Expired'
            ? 'Expired'
            : 'PolicyWithdrawn';
      this.terminate(reason, refusalResponse(gone.reason, 'End', gone));
      return;
    }
    if (!view.policy.hasAccess && view.policy.bundle.target.enforcement === 'Enforce') {
      this.withdrawn();
      return;
    }
    const stopped = this.#responses.cutRunning(cutBy(former, this.#state.context, this.#request()));
    if (stopped === 'Queued' || (stopped === 'Running' && !this.#failUnsent())) this.withdrawn();
  }

  /**
   * What waits for its record has not been sent, and would go out: no cancellation stops that. A simple Query by itself
   * is made one that fails; false where something else would go out.
   */
  #failUnsent(): boolean {
    const [forward, ...others] = this.#forwards;
    if (forward === undefined) return true;
    const { inflight } = this.#state;
    if (others.length > 0 || inflight.length > 1 || inflight.first?.kind !== 'Query') return false;
    forward.pieces = [query(`Refused by Chaperone: session ${this.#options.recorder.id}`)];
    return true;
  }

  /** The caller no longer counts as the identity: it, its subject or our attestation is gone. */
  identityGone(): void {
    this.terminate('PolicyWithdrawn', identityGone(this.#view.policy.identity));
  }

  /** No policy opens the target to the identity any more. */
  withdrawn(): void {
    this.terminate('PolicyWithdrawn', policyWithdrawn(this.#view.policy.identity));
  }

  /** The caller's own cancel request. */
  cancel(): Promise<void> {
    return this.#cancel.request();
  }

  /** Ends once nothing runs and no transaction is open. */
  drain(): void {
    this.#draining = true;
    if (this.#state.idle) this.shutDown();
  }

  /** Ends now, because the program does. */
  shutDown(): void {
    this.terminate('Shutdown', shutdownReport);
  }

  /** Ends the session from our side; the client is told why. */
  terminate(reason: SessionClosed['reason'], report?: Buffer): void {
    if (this.#closed) return;
    const { client, clock } = this.#options;
    const canBeTold = report !== undefined && !this.#responses.isMidMessage;
    if (canBeTold) endWith(client, report, clock);
    const running = this.#state.inflight.length > 0;
    this.#end(reason, canBeTold);
    // What runs at the backend is stopped, not only forgotten.
    if (running) this.#options.cancelBackend().catch(() => {});
  }

  // ── Bytes ───────────────────────────────────────────────────────────────────────────────────────────

  #onClient(chunk: Buffer): void {
    if (this.#closed) return;
    this.#options.metrics.bytesIn(chunk.length);
    this.#time.touch();
    try {
      this.#frontend.feed(chunk);
    } catch (error) {
      this.#violation('Client', error);
      return;
    }
    if (this.#mustPauseClient()) this.#options.client.pause();
  }

  /** Goes on with messages that waited for answers. */
  #resumeFrontend(): void {
    if (this.#closed || !this.#ready) return;
    try {
      this.#frontend.resume();
    } catch (error) {
      this.#violation('Client', error);
      return;
    }
    this.#cancel.sendWaiting();
    this.#resumeClient();
  }

  #mustPauseClient(): boolean {
    return (
      this.#frontend.waiting ||
      this.#forwards.length > 16 ||
      this.#options.backend.socket.writableNeedDrain ||
      // One who does not read its answers is not listened to either: refusals cost us memory, too.
      this.#options.client.writableNeedDrain
    );
  }

  #resumeClient(): void {
    if (this.#closed || !this.#ready) return;
    if (!this.#mustPauseClient()) this.#options.client.resume();
  }

  #onBackend(chunk: Buffer): void {
    if (this.#closed) return;
    try {
      this.#responses.feed(chunk);
    } catch (error) {
      this.#violation('Backend', error);
    }
  }

  #toClient(pieces: readonly Buffer[]): void {
    if (this.#closed) return;
    const { client, backend, metrics } = this.#options;
    let flowing = true;
    if (pieces.length > 1) client.cork();
    for (const piece of pieces) {
      metrics.bytesOut(piece.length);
      flowing = client.write(piece);
    }
    if (pieces.length > 1) client.uncork();
    if (!flowing) backend.socket.pause();
  }

  /** Sends in order; what follows a record that is not durable yet waits behind it. */
  #send(pieces: readonly Buffer[], recorded: boolean): void {
    if (!recorded && this.#forwards.length === 0) {
      this.#write(pieces);
      return;
    }
    // Bytes that wait must not stand in memory that is read into meanwhile.
    const waiting = pieces.map((piece) => Buffer.from(piece));
    const forward: Forward = { pieces: waiting, durable: !recorded };
    this.#forwards.push(forward);
    if (!recorded) return;
    const { durability } = this.#view.policy.bundle.session;
    this.#options.gatekeeper.whenDurable(durability, (failure) => {
      if (this.#closed) return;
      if (failure !== undefined) {
        this.terminate('Recorder', statementNotRecorded(failure.code));
        return;
      }
      forward.durable = true;
      while (this.#forwards[0]?.durable) this.#write(this.#forwards.shift()!.pieces);
      this.#cancel.sendWaiting();
      this.#resumeClient();
    });
  }

  /** The backend has all that was allowed, and no question of ours before it. */
  #isSent(): boolean {
    const { first } = this.#state.inflight;
    return this.#forwards.length === 0 && first?.kind !== 'InBand' && first?.kind !== 'InBandSync';
  }

  #write(pieces: readonly Buffer[]): void {
    const { socket } = this.#options.backend;
    if (pieces.length > 1) socket.cork();
    for (const piece of pieces) socket.write(piece);
    if (pieces.length > 1) socket.uncork();
    if (socket.writableNeedDrain) this.#options.client.pause();
  }

  // ── Deciding ────────────────────────────────────────────────────────────────────────────────────────

  #resolve({
    catalog,
    currentUser,
    searchPath,
    pathSetting,
  }: Omit<ContextKey, 'policy' | 'policyDigest' | 'database'>): void {
    this.#state.context = this.#options.contexts.get({
      policy: this.#view.policy,
      policyDigest: this.#view.digest,
      catalog,
      database: this.#options.database,
      currentUser,
      searchPath,
      pathSetting,
    });
  }

  #request(): RequestContext {
    return { nowMs: this.#options.clock.nowMs(), sourceIP: this.#options.sourceIP };
  }

  #frontendEvents(): ConstructorParameters<typeof Frontend>[1] {
    const { recorder, clock, metrics, maxStatementBytes } = this.#options;
    return {
      maxStatementBytes,
      toBackend: (pieces, recorded) => this.#send(pieces, recorded),
      toClient: (bytes) => this.#toClient([bytes]),
      readyToDecide: () => {
        const { catalogCheck } = this.#view.policy.bundle.target;
        return !this.#cancel.isUnderWay && this.#resolution.isCurrent(catalogCheck === 'Statement');
      },
      request: () => this.#request(),
      admit: (decided) => this.#admit(decided),
      record: (event, text, raw) => {
        metrics.decided(event);
        if (event.verdict === 'Allow' || !event.enforced) this.#statements += 1;
        else {
          this.#refused += 1;
          metrics.refused(event.reason ?? 'DefaultDeny');
        }
        const { recording } = this.#view.policy.bundle.session;
        const statement =
          recording === 'Metadata' || text === undefined
            ? undefined
            : recording === 'Full' && !this.#view.policy.anyMask
              ? raw
              : text.redacted;
        return recorder.append(event, statement === undefined ? undefined : { statement });
      },
      begin: (decision, obligations) => ({
        decision,
        obligations,
        startedUs: clock.monotonicUs(),
        recordResults: this.#view.policy.bundle.session.recording === 'Full',
        rows: 0,
        bytes: 0,
      }),
      eventName: (decision) => `session ${recorder.id}, event ${decision}`,
      decidedIn: (cache, microseconds) => metrics.decisionSeconds(cache, microseconds / 1e6),
      monotonicUs: () => clock.monotonicUs(),
      terminate: () => queueMicrotask(() => this.#end('Client')),
    };
  }

  #admit(decided: DecidedStatement): Refusal | Hold | undefined {
    return this.#options.gatekeeper.admit(this.#view.policy, decided);
  }

  #identityRefusal(): Refusal | undefined {
    return this.#options.gatekeeper.identityRefusal(this.#view.policy);
  }

  // ── Results ─────────────────────────────────────────────────────────────────────────────────────────

  #responseEvents(): ConstructorParameters<typeof Responses>[1] {
    const { recorder, clock, metrics, gatekeeper } = this.#options;
    return {
      nowMs: () => clock.nowMs(),
      toClient: (pieces) => this.#toClient(pieces),
      completed: (execution, outcome) => this.#completed(execution, outcome),
      recordResult: (execution, bytes) => {
        const failure = recorder.appendResult(execution.decision, bytes);
        if (failure !== undefined && execution.cut === undefined) {
          execution.cut = { sqlstate: '53000', error: resultNotRecorded(failure.code) };
          this.#cancel.cancel();
        }
      },
      overLimit: (execution, run, rows, bytes) => {
        // At its first row all that came before it has been counted.
        execution.rowsLeft ??= gatekeeper.remainingRows(this.#view.policy, execution.obligations);
        const over =
          gatekeeper.overLimit(run.decided, rows, bytes) ??
          (execution.rows < execution.rowsLeft
            ? undefined
            : gatekeeper.overHour(execution.obligations));
        if (over === undefined) return undefined;
        metrics.refused('Limit');
        recorder.append({ type: 'LimitReached', ...over.limit });
        return { error: refusalResponse('Limit', 'Statement', over), sqlstate: '54000' };
      },
      overWritten: (run, rows) => {
        const over = gatekeeper.overLimit(run.decided, rows, 0);
        if (over === undefined) return undefined;
        metrics.refused('Limit');
        recorder.append({ type: 'LimitReached', ...over.limit });
        const message = over.message.replace('the result was cut', 'the change was undone');
        return {
          error: refusalResponse('Limit', 'Statement', { ...over, message }),
          sqlstate: '54000',
        };
      },
      failBackend: (ending) => {
        const refused = `${reservedPrefix}refused`;
        this.#state.inflight.push({ kind: 'Refused', replacement: Buffer.alloc(0), barrier: true });
        if (ending === 'Sync') this.#state.inflight.push({ kind: 'Sync', barrier: true });
        const failing = parse(refused, `Undone by Chaperone: session ${recorder.id}`, []);
        this.#frontend.inject(Buffer.concat([failing, ending === 'Sync' ? sync : flush]));
      },
      cancelBackend: () => this.#cancel.cancel(),
      settled: () => {
        if (this.#resuming) return;
        this.#resuming = true;
        queueMicrotask(() => {
          this.#resuming = false;
          if (this.#draining && this.#state.idle) this.shutDown();
          else this.#resumeFrontend();
        });
      },
      inBandFailure: () => internalError(catalogNotReadable),
      undeliverable: (rule, why) => ({
        error: undeliverable(rule, why),
        sqlstate: '42501',
      }),
      leaking: (rule, why) => this.#leaking(rule, why),
      parameterChanged: (name, value) => this.#parameterChanged(name, value),
      mayHear: (channel) => mayHear(this.#state.context, channel, this.#request()),
    };
  }

  #completed(execution: Execution, outcome: Outcome | 'Unknown'): void {
    const { recorder, clock, metrics, gatekeeper } = this.#options;
    // Idleness is counted from the end of a statement, however long it took.
    this.#time.touch();
    this.#rows += execution.rows;
    this.#bytes += execution.bytes;
    metrics.completed(outcome, execution.rows);
    const { masked } = execution;
    if (masked !== undefined) {
      for (const { ref, transform } of this.#view.policy.bundle.masks) {
        const cells = masked.get(`${ref.namespace}/${ref.object}`);
        if (cells !== undefined) metrics.maskedCells(transform.type, cells);
      }
    }
    gatekeeper.countRows(this.#view.policy, execution.obligations, execution.rows);
    const completed: { -readonly [key in keyof OperationCompleted]: OperationCompleted[key] } = {
      type: 'OperationCompleted',
      decision: execution.decision,
      outcome: execution.sqlstate === '57014' && outcome === 'Error' ? 'Cancelled' : outcome,
      rows: execution.rows,
      bytes: execution.bytes,
      masked: masked === undefined ? [] : Array.from(masked, ([rule, cells]) => ({ rule, cells })),
      durationUs: clock.monotonicUs() - execution.startedUs,
    };
    if (outcome === 'Error' && execution.sqlstate) completed.sqlstate = execution.sqlstate;
    recorder.appendCompleted(completed);
  }

  #leaking(rule: RuleRef, why: string): void {
    this.#options.logger.error(
      { rule: `${rule.namespace}/${rule.object}`, why },
      'the analysis missed a protected column',
    );
    this.terminate('Error', internalError(`${why} (CHP-3006)`, 'FATAL'));
  }

  /** Text is parsed under two settings; a server that has them otherwise reads other statements than we. */
  #parameterChanged(name: string, value: string): void {
    const pinned =
      (name === 'client_encoding' && value.toUpperCase() !== 'UTF8') ||
      (name === 'standard_conforming_strings' && value !== 'on');
    if (!pinned) return;
    this.terminate(
      'ProtocolViolation',
      internalError(
        `the server set ${name} to a value under which statements cannot be analyzed`,
        'FATAL',
      ),
    );
  }

  #resolutionFailed(error: Error): void {
    this.#options.logger.warn({ err: error }, 'the catalog could not be read');
    this.terminate('Error', internalError(catalogNotReadable, 'FATAL'));
  }

  // ── The end ─────────────────────────────────────────────────────────────────────────────────────────

  #violation(side: 'Client' | 'Backend', error: unknown): void {
    // What stands in the same bytes behind what has ended the session.
    if (this.#closed) return;
    const { recorder, logger, metrics } = this.#options;
    if (!(error instanceof ProtocolError)) {
      logger.error({ err: error }, 'a session failed');
      this.terminate('Error', internalError('the session failed', 'FATAL'));
      return;
    }
    metrics.violation(side);
    recorder.append({ type: 'ProtocolViolation', side, code: error.code, message: error.message });
    logger.warn({ side, code: error.code }, error.message);
    this.terminate('ProtocolViolation', protocolViolation(side, error.message));
  }

  #onBackendClose(): void {
    if (this.#closed) return;
    this.terminate('Backend', this.#ready ? undefined : targetClosed);
  }

  #end(reason: SessionClosed['reason'], clientToldWhy = false): void {
    if (this.#closed) return;
    this.#closed = true;
    const { client, backend, recorder, onClosed, metrics, clock } = this.#options;
    this.#time.stop();
    this.#cancel.stop();
    this.#resolution.stop();
    for (const item of this.#state.inflight) {
      if (item.kind === 'Query' || item.kind === 'Execute' || item.kind === 'FunctionCall') {
        const { execution } = item;
        // A client may leave on the error, before the ReadyForQuery behind it.
        const outcome = execution?.sqlstate === undefined ? 'Unknown' : 'Error';
        if (execution !== undefined) this.#completed(execution, outcome);
      }
    }
    recorder.append({
      type: 'SessionClosed',
      reason,
      statements: this.#statements,
      refused: this.#refused,
      rows: this.#rows,
      bytes: this.#bytes,
      lastSeq: recorder.lastSeq + 1, // this event itself
    });
    recorder.close();
    metrics.closed(reason);
    if (!clientToldWhy) endWhenWritten(client, clock);
    endWhenWritten(backend.socket, clock, terminateMessage);
    onClosed();
  }
}
