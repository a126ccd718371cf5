/** The sidecar program, in a pod and as a gateway: from its configuration to its end. */
import { randomFillSync } from 'node:crypto';
import type { ControlRefusal } from '@chaperone/core/control/types.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { type OpsServer, startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness, type ReadinessGate } from '@chaperone/runtime/http/readiness.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry, recorderMetricsFor } from '@chaperone/runtime/metrics/metrics.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import type { SidecarConfig } from '../config.ts';
import { Attestation } from '../control-client/attestation.ts';
import { PolicyApi } from '../control-client/policy-api.ts';
import { serveGateway } from '../gateway-mode/serve-gateway.ts';
import type { ListenAddress } from '../listener.ts';
import { ProxyMetrics } from '../metrics.ts';
import { servePod } from '../pod/serve-pod.ts';
import { collectorTransport } from './collector-transport.ts';
import { relayTransport } from './relay-transport.ts';
import type { Serving } from './serving.ts';

export interface SidecarOptions {
  readonly config: SidecarConfig;
  readonly version: string;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

export interface RunningSidecar {
  readonly opsPort: number;
  /**
   * Resolves once it serves, or was stopped before. Rejects with what keeps it from serving for good: the
   * program should then end.
   */
  readonly serving: Promise<void>;
  /** Where each target is listened for, by `namespace/name`. */
  targets(): ReadonlyMap<string, ListenAddress>;
  /**
   * Takes no more connections (a gateway: after a while), lets statements end, ships what is recorded, within
   * `shutdownGrace` for all of it.
   */
  stop(): Promise<void>;
}

/** Of the time to stop in, what sessions may take of it; shipping has the rest. */
const drainShare = 0.6;
/** And how long a gateway takes callers before: who sends them has to hear first that it is not ready. */
const announceShare = 0.2;

/**
 * Starts it; resolves when probes are answered. It serves once the policy API has attested it: the key of the
 * record's digests comes from there. Throws ChaperoneError CHP-1020.
 */
export async function startSidecar(options: SidecarOptions): Promise<RunningSidecar> {
  const { config } = options;
  const readiness = new Readiness();
  const registry = createRegistry(config.mode === 'Pod' ? 'sidecar' : 'gateway', options.version);
  const ops = await startOpsServer({
    host: config.opsHost,
    port: config.opsPort,
    registry,
    readiness,
  });
  return new SidecarProgram(options, ops, readiness, registry);
}

class SidecarProgram implements RunningSidecar {
  readonly opsPort: number;
  readonly serving: Promise<void>;
  readonly #options: SidecarOptions;
  readonly #ops: OpsServer;
  readonly #readiness: Readiness;
  readonly #metrics: ProxyMetrics;
  readonly #recorderMetrics: ReturnType<typeof recorderMetricsFor>;
  readonly #running: ReadinessGate;
  readonly #api: PolicyApi;
  readonly #ca: FollowedFile;
  readonly #attestation: Attestation;
  readonly #stopping = new AbortController();
  #serve: Serving | undefined;
  #recorder: SpoolRecorder | undefined;
  #closeTransport: (() => void) | undefined;
  #stopped: Promise<void> | undefined;

  constructor(
    options: SidecarOptions,
    ops: OpsServer,
    readiness: Readiness,
    registry: ReturnType<typeof createRegistry>,
  ) {
    const { config, version } = options;
    this.#options = options;
    this.#ops = ops;
    this.opsPort = ops.port;
    this.#readiness = readiness;
    this.#running = readiness.gate('program');
    this.#metrics = new ProxyMetrics(registry);
    this.#recorderMetrics = recorderMetricsFor(registry);
    this.#ca = new FollowedFile(config.caFile);
    this.#api = new PolicyApi({ ...options, url: config.policyApiUrl, ca: this.#ca });
    this.#attestation = new Attestation({
      ...options,
      api: this.#api,
      token: new FollowedFile(config.tokenFile),
      program: { name: config.mode === 'Pod' ? 'sidecar' : 'gateway', version },
      role: config.mode,
      onRevoked: (refusal: ControlRefusal) => this.#serve?.revoke(refusal),
    });
    readiness.check('attestation', () => this.#attestation.reason());
    this.serving = this.#begin();
  }

  targets(): ReadonlyMap<string, ListenAddress> {
    return this.#serve?.targets() ?? new Map();
  }

  stop(): Promise<void> {
    this.#stopped ??= this.#stop();
    return this.#stopped;
  }

  async #begin(): Promise<void> {
    const { config, version, clock, logger } = this.#options;
    const { signal } = this.#stopping;
    const [attested] = await Promise.all([this.#attestation.first(signal), loadParser()]).catch(
      (error: unknown) => {
        if (signal.aborted) return [undefined];
        throw error;
      },
    );
    if (attested === undefined || signal.aborted) return;
    const transport = collectorTransport({
      url: config.collectorUrl,
      ca: this.#ca,
      attestation: this.#attestation,
      clock,
    });
    const relay = relayTransport({
      url: config.policyApiUrl,
      ca: this.#ca,
      attestation: this.#attestation,
      clock,
    });
    this.#closeTransport = () => {
      transport.close();
      relay.close();
    };
    const recorder = createRecorder({
      directory: config.spoolDirectory,
      maxBytes: config.spoolMaxBytes,
      transport,
      relay,
      installationKey: attested.recordKey,
      program: { name: config.mode === 'Pod' ? 'sidecar' : 'gateway', version },
      clock,
      random: (target) => void randomFillSync(target),
      logger,
      metrics: this.#recorderMetrics,
    });
    this.#recorder = recorder;
    this.#recorderMetrics.follow(recorder);
    this.#readiness.check('recorder', () => recorder.state().failure?.code);
    const serve = config.mode === 'Pod' ? servePod : serveGateway;
    this.#serve = await serve({
      ...this.#options,
      api: this.#api,
      attestation: this.#attestation,
      attested,
      recorder,
      metrics: this.#metrics,
      readiness: this.#readiness,
    });
    this.#running.ready();
  }

  async #stop(): Promise<void> {
    const { config, clock, logger } = this.#options;
    this.#running.notReady('stopping');
    this.#stopping.abort(new Error('the program was stopped'));
    await this.serving.catch(() => {}); // told to whoever waits for it
    const deadlineMs = clock.nowMs() + config.shutdownGrace;
    if (this.#serve !== undefined) {
      if (config.mode === 'Gateway') await this.#pause(config.shutdownGrace * announceShare);
      const drained = await this.#within(config.shutdownGrace * drainShare, this.#serve.drain());
      if (!drained) logger.warn({}, 'sessions were still busy and are cut');
      this.#serve.close();
    }
    if (this.#recorder !== undefined) {
      const recorder = this.#recorder;
      await recorder.close(Math.max(0, deadlineMs - clock.nowMs()));
    }
    this.#attestation.close();
    this.#closeTransport?.();
    this.#api.close();
    await this.#ops.close();
  }

  #pause(delayMs: number): Promise<void> {
    return new Promise((resolve) => void this.#options.clock.setTimer(delayMs, resolve));
  }

  /** Whether `work` was done in time. */
  #within(timeoutMs: number, work: Promise<void>): Promise<boolean> {
    return new Promise((resolve, reject) => {
      const timer = this.#options.clock.setTimer(timeoutMs, () => resolve(false));
      work.then(() => resolve(true), reject).finally(() => timer.cancel());
    });
  }
}
