import { mkdirSync } from 'node:fs';
import type { Server as HttpsServer, ServerOptions } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { ShipTransport } from '@chaperone/runtime/recorder/transport.ts';
import type { AuthorizeIngest, AuthorizeRead } from './http/access.ts';
import { buildServer } from './http/server.ts';
import { Ingest } from './ingest/ingest.ts';
import { defaultIngestLimits, type IngestLimits } from './ingest/limits.ts';
import { localTransport } from './ingest/local-transport.ts';
import { RecordingFiles } from './ingest/recordings.ts';
import type { CollectorLogger } from './logger.ts';
import { CollectorMetrics, type MetricRegistry } from './metrics.ts';
import { OwnRecord } from './record/own-record.ts';
import { defaultRetention, purgeExpired, type Retention } from './retention.ts';
import { SqliteStore } from './store/sqlite-store.ts';
import type { Alert } from './store/types.ts';
import { every } from './timers.ts';

export interface CollectorOptions {
  /** Holds `record.db` and `recordings/`; made with mode 0700 if it is missing. */
  readonly directory: string;
  /** `socket`: an absolute path. */
  readonly listen: { readonly host: string; readonly port: number } | { readonly socket: string };
  readonly tls?: Pick<ServerOptions, 'key' | 'cert' | 'ca'>;
  readonly authorizeIngest: AuthorizeIngest;
  readonly authorizeRead: AuthorizeRead;
  readonly retention?: Partial<Retention>;
  readonly limits?: Partial<IngestLimits>;
  /** The source that in-process shipping counts as. Default `local`. */
  readonly localSource?: string;
  /** How long what is missing may still come before it is an alert. Default 15 s. */
  readonly gapGraceMs?: number;
  /** Bound of the database file in bytes; beyond it ingest is refused, as on a full disk. Default: none. */
  readonly maxStoreBytes?: number;
  /** Whether it answers /healthz, /readyz and /metrics beside the rest. Default true. */
  readonly servesOps?: boolean;
  readonly logger: CollectorLogger;
  readonly metrics: MetricRegistry;
  readonly clock: Clock;
  readonly version: string;
}

export interface Collector {
  /** `http://host:port`, `https://host:port`, or `unix:/path/of/socket`. */
  readonly url: string;
  /** For a recorder in the same process: what HTTP would do, without HTTP. */
  readonly transport: ShipTransport;
  /** Whether the record can be written. */
  ready(): Promise<boolean>;
  /** PEM: shown in later handshakes. Only of a collector that was started with one. */
  useCertificate(certificate: Pick<ServerOptions, 'key' | 'cert'>): void;
  /** Stops listening, ends what is under way, and closes the record. */
  close(): Promise<void>;
}

const gapCheckMs = 5000;
const purgeMs = 60 * 60 * 1000;
const pageBytes = 4096;

/** Starts a collector; it listens when this resolves. Throws ChaperoneError CHP-1020 or CHP-6006. */
export async function startCollector(options: CollectorOptions): Promise<Collector> {
  const { directory, logger, clock } = options;
  const { store, files } = openRecord(directory, options.maxStoreBytes);
  const metrics = new CollectorMetrics(options.metrics);
  const alerted = (alerts: readonly Alert[]) => {
    metrics.alerted(alerts);
    for (const { line: _line, ...alert } of alerts) {
      const code = alert.kind === 'Contradiction' ? 'CHP-6002' : 'CHP-6003';
      logger.warn({ code, ...alert }, 'the record is not whole');
    }
  };
  const ingest = new Ingest(store, files, clock, {
    appended: (result, seconds) => metrics.appended(result, seconds),
    alerted,
    recordingStored: (bytes) => metrics.recordingStored(bytes),
  });
  const record = new OwnRecord(ingest, () => clock.nowUs());
  const program = { program: 'collector', version: options.version } as const;
  const limits = { ...defaultIngestLimits, ...options.limits };
  const retention = { ...defaultRetention, ...options.retention };

  const server = buildServer({
    ingest,
    limits,
    authorizeIngest: options.authorizeIngest,
    query: { store, files, record, authorize: options.authorizeRead },
    registry: options.metrics,
    ...(options.tls && { tls: options.tls }),
    logger,
    metrics,
    ready: () => ingest.ready(),
    servesOps: options.servesOps ?? true,
  });
  const giveUp = async (code: 'CHP-1020' | 'CHP-6006', message: string, cause: unknown) => {
    await server.close();
    await store.close();
    throw new ChaperoneError(code, message, { cause });
  };
  try {
    await record.append({ type: 'ProgramStarted', ...program });
  } catch (cause) {
    await giveUp('CHP-6006', `the record in ${directory} cannot be written`, cause);
  }
  const { listen } = options;
  try {
    await server.listen('socket' in listen ? { path: listen.socket } : listen);
  } catch (cause) {
    const where = 'socket' in listen ? listen.socket : `${listen.host}:${listen.port}`;
    await giveUp('CHP-1020', `the collector cannot listen on ${where}`, cause);
  }

  const failed = (what: string) => (error: unknown) =>
    logger.error({ code: 'CHP-6006', err: error }, `${what} failed`);
  const graceMs = options.gapGraceMs ?? 15_000;
  const endGapChecks = every(
    clock,
    gapCheckMs,
    async () => {
      const nowMs = clock.nowMs();
      const alerts = await store.raiseGapAlerts(nowMs - graceMs, nowMs);
      if (alerts.length > 0) alerted(alerts);
    },
    failed('looking for gaps'),
  );
  const endPurges = every(
    clock,
    purgeMs,
    async () => metrics.purged(await purgeExpired(store, ingest, record, retention, clock.nowMs())),
    failed('the purge'),
  );
  const transport = localTransport(ingest, options.localSource ?? 'local', limits, (status) =>
    metrics.batch(status),
  );
  let closing: Promise<void> | undefined;

  async function close(): Promise<void> {
    await Promise.all([endGapChecks(), endPurges()]);
    await server.close();
    // A record that cannot be written any more is closed all the same: its end then has no event.
    await record.append({ type: 'ProgramStopped', ...program }).catch(failed('the last event'));
    await store.close();
  }

  return {
    url: addressOf(options, server.server.address()),
    transport,
    ready: () => ingest.ready(),
    useCertificate: (certificate) =>
      (server.server as unknown as HttpsServer).setSecureContext({
        ...certificate,
        minVersion: 'TLSv1.2',
      }),
    close: () => (closing ??= close()),
  };
}

function openRecord(directory: string, maxStoreBytes: number | undefined) {
  try {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    const maxPages =
      maxStoreBytes === undefined ? undefined : Math.floor(maxStoreBytes / pageBytes);
    const store = new SqliteStore(
      join(directory, 'record.db'),
      maxPages === undefined ? {} : { maxPages },
    );
    return { store, files: new RecordingFiles(join(directory, 'recordings')) };
  } catch (cause) {
    throw new ChaperoneError('CHP-6006', `the record in ${directory} cannot be opened`, { cause });
  }
}

function addressOf(
  { listen, tls }: CollectorOptions,
  address: AddressInfo | string | null,
): string {
  if ('socket' in listen) return `unix:${listen.socket}`;
  const { port } = address as AddressInfo;
  const host = listen.host.includes(':') ? `[${listen.host}]` : listen.host;
  return `${tls ? 'https' : 'http'}://${host}:${port}`;
}
