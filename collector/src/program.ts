/** The collector as a program of its own, from its configuration to its end. */
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { createSecureContext } from 'node:tls';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { ingestByPolicyApi } from './auth/ingest-tokens.ts';
import { PublicKeys } from './auth/public-keys.ts';
import type { CollectorConfig } from './config.ts';
import { type Collector, startCollector } from './index.ts';
import type { CollectorLogger } from './logger.ts';
import { every } from './timers.ts';
import { createTokenFile, readByToken, readTokenFile } from './tokens.ts';

export interface CollectorProgramOptions {
  readonly config: CollectorConfig;
  readonly version: string;
  readonly clock: Clock;
  readonly logger: CollectorLogger;
}

export interface CollectorProgram {
  /** `https://host:port`. */
  readonly url: string;
  readonly opsPort: number;
  close(): Promise<void>;
}

/** How often changed certificates and a record that can be written again are looked for. */
const checkMs = 1000;

/** Starts it; it listens when this resolves. Throws ChaperoneError. */
export async function startCollectorProgram(
  options: CollectorProgramOptions,
): Promise<CollectorProgram> {
  const { config, version, clock, logger } = options;
  // Where SQLite puts what it cannot hold in memory: of a container's file system, this alone may be writable.
  process.env.SQLITE_TMPDIR ??= config.directory;
  const registry = createRegistry('collector', version);
  const readiness = new Readiness();
  const gate = readiness.gate('record');
  const ops = await startOpsServer({
    host: config.opsHost,
    port: config.opsPort,
    registry,
    readiness,
  });
  let collector: Collector;
  const certificate = new Certificate(config.tlsDirectory);
  try {
    const keys = new PublicKeys({
      url: config.policyApiUrl,
      ca: new FollowedFile(config.caFile),
      clock,
      onProblem: (error, starting) =>
        starting
          ? logger.info({ why: String(error) }, 'waiting for the public keys of the policy API')
          : logger.warn({ err: error }, 'the public keys of the policy API could not be fetched'),
    });
    keys.refresh();
    collector = await startCollector({
      directory: config.directory,
      listen: { host: config.listenHost, port: config.listenPort },
      tls: certificate.read(),
      authorizeIngest: ingestByPolicyApi(keys, clock),
      authorizeRead: readByToken(readerToken(config), { name: 'reader', role: 'auditor' }),
      retention: config,
      ...(config.maxStoreBytes !== undefined && { maxStoreBytes: config.maxStoreBytes }),
      servesOps: false,
      logger,
      metrics: registry,
      clock,
      version,
    });
  } catch (error) {
    await ops.close();
    throw error;
  }
  gate.ready();
  const endChecks = every(
    clock,
    checkMs,
    async () => {
      if (await collector.ready()) gate.ready();
      else gate.notReady('the record cannot be written');
      const changed = certificate.changed();
      if (changed !== undefined) collector.useCertificate(changed);
    },
    (error) => logger.error({ err: error }, 'the certificate before is kept'),
  );
  return {
    url: collector.url,
    opsPort: ops.port,
    async close() {
      gate.notReady('stopping');
      await endChecks();
      await collector.close();
      await ops.close();
    },
  };
}

interface Pair {
  readonly cert: string;
  readonly key: string;
}

/** tls.crt and tls.key of a directory. */
class Certificate {
  readonly #cert: FollowedFile;
  readonly #key: FollowedFile;
  /** What was read last, usable or not: it is complained about once. */
  #seen: Pair | undefined;

  constructor(directory: string) {
    this.#cert = new FollowedFile(join(directory, 'tls.crt'));
    this.#key = new FollowedFile(join(directory, 'tls.key'));
  }

  /** Throws ChaperoneError CHP-1004 when they cannot be used. */
  read(): Pair {
    const pair = { cert: this.#cert.text(), key: this.#key.text() };
    this.#seen = pair;
    try {
      createSecureContext(pair);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ChaperoneError('CHP-1004', `${this.#cert.path} cannot be used: ${reason}`, {
        cause,
      });
    }
    return pair;
  }

  /** Undefined when they are as before. Throws as `read`. */
  changed(): Pair | undefined {
    const isSame = this.#seen?.cert === this.#cert.text() && this.#seen.key === this.#key.text();
    return isSame ? undefined : this.read();
  }
}

/** From the file that was given, or from one of our own, made at the first start. */
function readerToken({ readerTokenFile, directory }: CollectorConfig): string {
  // A mounted Secret belongs to root and is read by the group.
  if (readerTokenFile !== undefined) return readTokenFile(readerTokenFile, 'Group');
  const path = join(directory, 'reader.token');
  if (!existsSync(path)) {
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    createTokenFile(path);
  }
  return readTokenFile(path);
}
