/**
 * `chaperone standalone`: control plane, gateway and collector in one process, over a directory of the same
 * YAML that a cluster would hold. Its state stands in `DIR/.chaperone`.
 */
import { randomFillSync } from 'node:crypto';
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Collector, startCollector } from '@chaperone/collector/index.ts';
import { createTokenFile, readByToken, readTokenFile } from '@chaperone/collector/tokens.ts';
import { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import {
  createInProcessControl,
  type InProcessControl,
} from '@chaperone/control/policy-api/in-process.ts';
import type { DirectoryStore } from '@chaperone/control/store/directory-store.ts';
import { installationKey, openStateDatabase } from '@chaperone/control/store/state-database.ts';
import { Listeners } from '@chaperone/control/tickets/listeners.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type OpsServer, startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry, recorderMetricsFor } from '@chaperone/runtime/metrics/metrics.ts';
import { lockDirectory } from '@chaperone/runtime/recorder/lock.ts';
import type { SpoolRecorder } from '@chaperone/runtime/recorder/options.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import { Gateway } from '@chaperone/sidecar/gateway.ts';
import type { ListenAddress } from '@chaperone/sidecar/listener.ts';
import { ProxyMetrics } from '@chaperone/sidecar/metrics.ts';
import type { ServerTls } from '@chaperone/sidecar/protocols/postgres/handshake/server-tls.ts';
import { type SocketAccess, targetSocketPath } from '@chaperone/sidecar/unix-socket.ts';
import type { Registry } from 'prom-client';
import { openDirectoryStore, requireDirectory, watchResources } from '../directory-resources.ts';

export interface StandaloneOptions {
  /** Of resources; watched. */
  readonly directory: string;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: Logger;
  /** Where callers connect. Default 127.0.0.1. */
  readonly listenHost?: string;
  /** Port of the first target by name, the next ones following; 0: any free port for each. Default 0. */
  readonly listenPort?: number;
  /** UNIX sockets instead: `NAMESPACE.NAME/.s.PGSQL.5432` in this directory. */
  readonly socketDirectory?: string;
  /** Who may connect to them; default Owner. */
  readonly socketAccess?: SocketAccess;
  readonly tls?: ServerTls;
  readonly requireTls?: boolean;
  /** Collector, and metrics and health. Default 127.0.0.1 and any free port. */
  readonly opsHost?: string;
  readonly opsPort?: number;
  readonly collectorPort?: number;
  /** Bound of the spool, bytes. Default 256 MiB. */
  readonly spoolMaxBytes?: number;
}

export interface Standalone {
  /** Where each target is, by `namespace/name`. */
  targets(): ReadonlyMap<string, ListenAddress>;
  readonly collectorUrl: string;
  readonly opsUrl: string;
  readonly control: InProcessControl;
  readonly store: DirectoryStore;
  readonly recorder: SpoolRecorder;
  readonly gateway: Gateway;
  readonly collector: Collector;
  readonly registry: Registry;
  /** Ends sessions, ships what is recorded, and stops. */
  close(): Promise<void>;
}

/** Starts everything, and resolves when callers can connect. Throws ChaperoneError. */
export async function startStandalone(options: StandaloneOptions): Promise<Standalone> {
  const { directory, clock, logger, version } = options;
  requireDirectory(directory);
  const state = join(directory, '.chaperone');
  mkdirSync(state, { recursive: true, mode: 0o700 });
  await loadParser();
  const closers: (() => Promise<void> | void)[] = [holdState(state, directory)];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start();
  } catch (error) {
    await closeAll();
    throw error;
  }

  async function start(): Promise<Standalone> {
    const key = installationKey(state);
    const registry = createRegistry('standalone', version);
    const readiness = new Readiness();
    const serving = readiness.gate('gateway');
    const opsHost = options.opsHost ?? '127.0.0.1';

    const run = join(state, 'run');
    mkdirSync(run, { recursive: true, mode: 0o700 });
    const tokenFile = join(run, 'reader.token');
    if (!existsSync(tokenFile)) createTokenFile(tokenFile);
    const token = readTokenFile(tokenFile);
    const collector = await startCollector({
      directory: join(state, 'record'),
      listen: { host: opsHost, port: options.collectorPort ?? 0 },
      // Nothing ships over the network here: the recorder hands its events over in process.
      authorizeIngest: () => undefined,
      authorizeRead: readByToken(token, { name: 'standalone', role: 'auditor' }),
      logger,
      metrics: registry,
      clock,
      version,
    });
    closers.push(() => collector.close());

    const recorderMetrics = recorderMetricsFor(registry);
    const recorder = createRecorder({
      directory: join(state, 'spool'),
      transport: collector.transport,
      installationKey: key,
      program: { name: 'gateway', version },
      clock,
      random: (target) => void randomFillSync(target),
      logger,
      metrics: recorderMetrics,
      ...(options.spoolMaxBytes !== undefined && { maxBytes: options.spoolMaxBytes }),
    });
    recorderMetrics.follow(recorder);
    closers.push(() => recorder.close());
    readiness.check('recorder', () => recorder.state().failure?.code);

    const database = openStateDatabase(state);
    closers.push(() => database.close());
    const store = await openDirectoryStore({ directory, database, key, clock }, logger);
    closers.push(() => store.close());
    const tickets = new TicketStore(database, () => clock.nowMs());
    const backends = new BackendReports(() => clock.nowMs());
    const control = createInProcessControl({
      store,
      tickets,
      backends,
      installationKey: key,
      nowMs: () => clock.nowMs(),
      onError: (error) => logger.error({ err: error }, 'a policy could not be applied'),
    });
    closers.push(() => control.close());
    closers.push(watchResources(store, { clock, logger, backends }));

    const gateway = new Gateway({
      control,
      recorder,
      metrics: new ProxyMetrics(registry),
      clock,
      logger,
      ...(options.tls && { tls: options.tls }),
      ...(options.requireTls !== undefined && { requireTls: options.requireTls }),
    });
    closers.push(() => gateway.close());
    const listeners = new Listeners(database);
    let addresses: ReadonlyMap<string, ListenAddress> = new Map();
    let following: Promise<void> = Promise.resolve();
    const follow = (): Promise<void> => {
      following = following.then(async () => {
        const targets = [...control.targets()].sort((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1));
        const found = await gateway.setTargets(
          targets.map((target, index) => ({
            uid: target.metadata.uid,
            name: nameOf(target),
            listen: addressFor(options, target, index),
          })),
        );
        const before = addresses;
        addresses = new Map(
          targets.flatMap((target) => {
            const address = found.get(target.metadata.uid);
            return address === undefined ? [] : [[nameOf(target), address] as const];
          }),
        );
        for (const [name, listening] of addresses) {
          if (!before.has(name))
            logger.info({ target: name, listening }, 'a target is listened for');
        }
        listeners.replace(new Map([...found].map(([uid, address]) => [uid, hostAndPort(address)])));
      });
      return following;
    };
    await follow();
    const unfollow = control.onTargets(() => {
      follow().catch((error: unknown) =>
        logger.error({ err: error }, 'targets could not be followed'),
      );
    });
    closers.push(() => {
      unfollow();
      listeners.replace(new Map());
    });

    const ops: OpsServer = await startOpsServer({
      host: opsHost,
      port: options.opsPort ?? 0,
      registry,
      readiness,
    });
    closers.push(() => ops.close());
    const opsUrl = `http://${opsHost}:${ops.port}`;
    const runFile = join(run, 'collector.json');
    writeFileSync(
      `${runFile}.tmp`,
      JSON.stringify({ url: collector.url, tokenFile: 'reader.token', opsUrl }),
    );
    renameSync(`${runFile}.tmp`, runFile);
    closers.push(() => rmSync(runFile, { force: true }));
    serving.ready();

    return {
      targets: () => addresses,
      collectorUrl: collector.url,
      opsUrl,
      control,
      store,
      recorder,
      gateway,
      collector,
      registry,
      close: closeAll,
    };
  }
}

/** Before the record and the spool are opened; returns what lets go. Throws ChaperoneError. */
function holdState(state: string, directory: string): () => void {
  try {
    return lockDirectory(state);
  } catch (cause) {
    throw new ChaperoneError('CHP-4005', `chaperone standalone runs over ${directory} already`, {
      hint: 'Use that one, or stop it first: one process at a time runs over a directory.',
      cause,
    });
  }
}

/** As libpq takes it: the directory of a UNIX socket stands in the host's place. */
function hostAndPort(address: ListenAddress): { host: string; port: number } {
  return 'socketPath' in address ? { host: dirname(address.socketPath), port: 5432 } : address;
}

interface Named {
  readonly metadata: { readonly namespace: string; readonly name: string };
}

const nameOf = ({ metadata }: Named): string => `${metadata.namespace}/${metadata.name}`;

function addressFor(options: StandaloneOptions, target: Named, index: number): ListenAddress {
  const { socketDirectory, socketAccess: access = 'Owner' } = options;
  if (socketDirectory !== undefined) {
    return { socketPath: targetSocketPath(socketDirectory, nameOf(target)), access };
  }
  const first = options.listenPort ?? 0;
  return { host: options.listenHost ?? '127.0.0.1', port: first === 0 ? 0 : first + index };
}
