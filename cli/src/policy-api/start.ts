/**
 * `chaperone policy-api`: the policy API over a directory of the same YAML that a cluster would hold. Gateways
 * prove themselves by a token that is made here, and callers by tickets.
 */
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createTokenFile, readTokenFile } from '@chaperone/collector/tokens.ts';
import { BackendReports } from '@chaperone/control/controllers/backend-reports.ts';
import { type PolicyApi, startPolicyApi } from '@chaperone/control/policy-api/server.ts';
import { ensureSigningKey } from '@chaperone/control/policy-api/signing-keys.ts';
import { tokenAttestor } from '@chaperone/control/policy-api/token-attestor.ts';
import { installationKey, openStateDatabase } from '@chaperone/control/store/state-database.ts';
import { TicketStore } from '@chaperone/control/tickets/ticket-store.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { type OpsServer, startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import { openDirectoryStore, requireDirectory, watchResources } from '../directory-resources.ts';
import type { PolicyApiCommandConfig } from './config.ts';
import { type OwnAuthority, ownAuthority, replaceFile } from './own-certificates.ts';

/** How often it is looked whether a certificate ends soon. */
const renewCheckMs = 60 * 60 * 1000;

/** What all gateways of such an installation are in the record. */
const gatewaySource = {
  namespace: 'chaperone',
  serviceAccount: 'gateway',
  pod: { name: 'gateway', uid: 'gateway' },
} as const;

export interface DirectoryPolicyApi extends PolicyApi {
  readonly opsUrl: string;
  /** Where the files for the other programs are. */
  readonly gatewayDirectory: string;
  readonly collectorDirectory: string;
}

/** Starts it; it listens when this resolves. Throws ChaperoneError. */
export async function startDirectoryPolicyApi(
  config: PolicyApiCommandConfig,
  { version, clock, logger }: { version: string; clock: Clock; logger: Logger },
): Promise<DirectoryPolicyApi> {
  const { directory } = config;
  requireDirectory(directory);
  const closers: (() => Promise<void> | void)[] = [];
  const closeAll = async (): Promise<void> => {
    for (const close of closers.splice(0).reverse()) await close();
  };
  try {
    return await start();
  } catch (error) {
    await closeAll();
    throw error;
  }

  async function start(): Promise<DirectoryPolicyApi> {
    const state = config.state ?? join(directory, '.chaperone');
    mkdirSync(state, { recursive: true, mode: 0o700 });
    const { issuerDirectory, tlsDirectory, gatewayDirectory, collectorDirectory } =
      await provideFiles(state);
    const signingKeysDirectory = join(state, 'signing-keys');
    await ensureSigningKey(signingKeysDirectory);
    const key = installationKey(state);

    const database = openStateDatabase(state);
    closers.push(() => database.close());
    const store = await openDirectoryStore({ directory, database, key, clock }, logger);
    closers.push(() => store.close());
    const backends = new BackendReports(() => clock.nowMs());
    closers.push(watchResources(store, { clock, logger, backends }));

    const registry = createRegistry('policy-api', version);
    const readiness = new Readiness();
    const serving = readiness.gate('policy-api');
    const api = await startPolicyApi({
      host: config.listenHost,
      port: config.listenPort,
      tlsDirectory,
      issuerDirectory,
      signingKeysDirectory,
      installationKey: key,
      store,
      attestor: tokenAttestor(readTokenFile(join(gatewayDirectory, 'token')), gatewaySource),
      tickets: new TicketStore(database, () => clock.nowMs()),
      backends,
      gatewayNames: config.gatewayNames,
      maxPolicyAgeMs: config.maxPolicyAge,
      // Every change of a directory is known by itself, and there is no other replica.
      fresh: () => true,
      clock,
      logger,
      registry,
    });
    closers.push(() => api.close());
    const ops: OpsServer = await startOpsServer({
      host: config.opsHost,
      port: config.opsPort,
      registry,
      readiness,
    });
    closers.push(() => ops.close());
    serving.ready();
    const opsUrl = `http://${config.opsHost}:${ops.port}`;
    return { ...api, opsUrl, gatewayDirectory, collectorDirectory, close: closeAll };
  }

  /** Makes what is missing of keys and certificates, and keeps certificates in force. */
  async function provideFiles(state: string) {
    const gatewayDirectory = config.gatewayDirectory ?? join(state, 'gateway');
    const collectorDirectory = config.collectorDirectory ?? join(state, 'collector');
    for (const path of [gatewayDirectory, collectorDirectory]) {
      mkdirSync(path, { recursive: true, mode: 0o700 });
    }
    const tokenFile = join(gatewayDirectory, 'token');
    if (!existsSync(tokenFile)) createTokenFile(tokenFile);

    const authority = await ownAuthority(join(state, 'certificates'), () => clock.nowMs());
    const given = config.tlsDirectory;
    const tlsDirectory = given ?? join(state, 'certificates', 'policy-api');
    const roots = given === undefined ? authority.root : rootsOf(given, authority.root);
    for (const path of [gatewayDirectory, collectorDirectory]) {
      replaceFile(join(path, 'ca.crt'), roots, 0o644);
    }
    const renew = async (): Promise<void> => {
      await authority.renew();
      await serveAll(authority);
    };
    const serveAll = async ({ serve }: OwnAuthority): Promise<void> => {
      if (given === undefined) await serve(tlsDirectory, 'policy api', config.hostNames);
      await serve(collectorDirectory, 'collector', config.collectorNames);
    };
    await renew();
    let timer: Timer;
    const check = (): void => {
      timer = clock.setTimer(renewCheckMs, () => {
        renew().catch((error: unknown) =>
          logger.error({ err: error }, 'a certificate could not be renewed'),
        );
        check();
      });
    };
    check();
    closers.push(() => timer.cancel());
    const { issuerDirectory } = authority;
    return { issuerDirectory, tlsDirectory, gatewayDirectory, collectorDirectory };
  }
}

/** Those that vouch for the given certificate, and ours, which the collector's comes from. */
function rootsOf(tlsDirectory: string, own: string): string {
  const path = join(tlsDirectory, 'ca.crt');
  try {
    return `${readFileSync(path, 'utf8').trim()}\n${own}`;
  } catch (cause) {
    throw new ChaperoneError('CHP-1004', `${path} cannot be read`, {
      cause,
      hint: 'Put the PEM of the authority there that tls.crt comes from.',
    });
  }
}
