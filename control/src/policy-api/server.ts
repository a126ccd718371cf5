/** The policy API over HTTPS. It knows no Kubernetes: who a program is, an Attestor says. */
import { readFileSync } from 'node:fs';
import type { Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { policyApiMetrics } from '@chaperone/runtime/metrics/catalogue.ts';
import { registerMetrics } from '@chaperone/runtime/metrics/metrics.ts';
import type { Registry } from 'prom-client';
import { type Issuer, readIssuer } from '../certificates/issue.ts';
import type { BackendReports } from '../controllers/backend-reports.ts';
import type { GovernanceRules } from '../controllers/host-rules.ts';
import { Relay, type RelayConfig } from '../relay/relay.ts';
import { relayRoutes } from '../relay/relay-routes.ts';
import type { ResourceStore } from '../store/resource-store.ts';
import type { TicketStore } from '../tickets/ticket-store.ts';
import type { Attestor } from './attestor.ts';
import { buildServer } from './http-server.ts';
import { PolicyState } from './policy-state.ts';
import { policyApiRoutes, tokenOf } from './routes.ts';
import { PolicyService } from './service.ts';
import { followCertificate, servingFiles } from './serving-certificate.ts';
import { SigningKeys } from './signing-keys.ts';
import { StreamHub } from './stream-hub.ts';
import { Tokens } from './tokens.ts';
import { WatchedFiles } from './watched-files.ts';

export interface PolicyApiOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  /** Holds tls.crt and tls.key; read again when they change, without dropping connections. */
  readonly tlsDirectory: string;
  /** The same for the intermediate that signs serving certificates; absent: none are issued. */
  readonly issuerDirectory?: string;
  /** See SigningKeys. */
  readonly signingKeysDirectory: string;
  /** See installationKey. */
  readonly installationKey: Buffer;
  readonly store: ResourceStore;
  readonly attestor: Attestor;
  /** Programs come from addresses that others come from, too: no address has a share of its own. Default: not. */
  readonly sharedAddresses?: boolean;
  /** Absent: gateways take ServiceAccount tokens alone. */
  readonly tickets?: TicketStore;
  /** What sidecars and gateways say of backends; absent: nobody asks. */
  readonly backends?: BackendReports;
  /** Who may claim which host; absent: each name is allowed. */
  readonly rules?: GovernanceRules;
  /** Default `cluster.local`. */
  readonly clusterDomain?: string;
  /** Host names that gateways are reached under, for their certificates. */
  readonly gatewayNames?: readonly string[];
  /** Nobody is certified for these, nor for what stands below them, whatever Targets say: names of our own. */
  readonly reservedNames?: readonly string[];
  /** How long sidecars enforce a snapshot without word from here. */
  readonly maxPolicyAgeMs: number;
  /** Absent: what programs cannot ship before their end is not taken here. */
  readonly relay?: RelayConfig;
  /** Whether the store is known to be up to date to within 5 s. */
  readonly fresh: () => boolean;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly registry: Registry;
}

export interface PolicyApi {
  /** `https://host:port`. */
  readonly url: string;
  readonly port: number;
  readonly state: PolicyState;
  /** Ends the streams, answers what is under way, and stops. */
  close(): Promise<void>;
}

/** What is under way when it closes gets this long. */
const closeTimeoutMs = 5000;
/** The collector gets this long to take what the relay holds. */
const relayCloseMs = 3000;

/** Starts it; it listens when this resolves. Throws ChaperoneError CHP-1004 or CHP-1020. */
export async function startPolicyApi(options: PolicyApiOptions): Promise<PolicyApi> {
  const { clock, logger, registry, fresh, installationKey, maxPolicyAgeMs } = options;
  const metrics = registerMetrics(registry, policyApiMetrics);
  const nowMs = (): number => clock.nowMs();
  const reloadFailed = (files: 'SigningKeys' | 'Serving' | 'Issuer') => (error: unknown) => {
    metrics.reloadFailures.inc({ files });
    logger.error(
      { err: error, files },
      'the reload of changed files failed: those before stay in force',
    );
  };
  const keys = new SigningKeys(options.signingKeysDirectory, reloadFailed('SigningKeys'));
  const serving = servingFiles(options.tlsDirectory, reloadFailed('Serving'));
  const issuer =
    options.issuerDirectory === undefined
      ? undefined
      : await issuerFiles(options.issuerDirectory, reloadFailed('Issuer'));

  const state = new PolicyState({
    store: options.store,
    installationKey,
    ...(options.rules !== undefined && { rules: options.rules }),
    nowMs,
    onError: (error) => logger.error({ err: error }, 'a change could not be told'),
  });
  const tokens = new Tokens(keys, maxPolicyAgeMs, nowMs);
  const service = new PolicyService({
    state,
    attestor: options.attestor,
    tokens,
    ...(options.tickets !== undefined && { tickets: options.tickets }),
    ...(options.backends !== undefined && { backends: options.backends }),
    installationKey,
    ...(issuer !== undefined && { issuer }),
    clusterDomain: options.clusterDomain ?? 'cluster.local',
    gatewayNames: options.gatewayNames ?? [],
    reservedNames: options.reservedNames ?? [],
    maxPolicyAgeMs,
    nowMs,
  });
  const hub = new StreamHub({
    state,
    clock,
    fresh,
    onEnd: ({ name }, cause) => {
      metrics.streams.dec({ stream: name });
      if (cause !== undefined) metrics.streamEnds.inc({ cause });
    },
    onError: (error) => logger.error({ err: error }, 'a stream could not be told its policy'),
  });
  Object.assign(metrics.heldBack, {
    collect: () => metrics.heldBack.set([...hub.streams].filter(({ heldBack }) => heldBack).length),
  });

  const server = buildServer(serving.current(), logger, (route, status) => {
    metrics.requests.inc({ route, status: `${Math.floor(status / 100)}xx` });
  });
  policyApiRoutes(server, {
    service,
    tokens,
    keys,
    hub,
    attestor: options.attestor,
    sharedAddresses: options.sharedAddresses ?? false,
    clock,
    fresh,
    onAttested: (outcome) => metrics.attestations.inc({ outcome }),
    onStream: (name) => {
      metrics.streams.inc({ stream: name });
      metrics.requests.inc({ route: name, status: '2xx' });
    },
    onSnapshot: (name) => metrics.snapshots.inc({ stream: name }),
  });
  const relay =
    options.relay &&
    new Relay({
      ...options.relay,
      clock,
      random: Math.random,
      logger,
      onOutcome: (outcome) => metrics.relayBatches.inc({ outcome }),
    });
  if (relay !== undefined) {
    relayRoutes(server, { relay, tokenOf, verifyIngest: (token) => tokens.verifyIngest(token) });
    Object.assign(metrics.relayHeldBytes, {
      collect: () => metrics.relayHeldBytes.set(relay.heldBytes),
    });
  }
  const stopFollowing = followCertificate(server.server as unknown as Server, serving, clock);

  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    stopFollowing();
    hub.close();
    const timer = clock.setTimer(closeTimeoutMs, () => server.server.closeAllConnections());
    await server.close();
    timer.cancel();
    await relay?.close(relayCloseMs);
    state.close();
  };
  try {
    await server.listen({ host: options.host, port: options.port });
  } catch (cause) {
    await close();
    const address = `${options.host}:${options.port}`;
    throw new ChaperoneError('CHP-1020', `the policy API cannot listen on ${address}`, { cause });
  }
  const { port } = server.server.address() as AddressInfo;
  const host = options.host.includes(':') ? `[${options.host}]` : options.host;
  return { url: `https://${host}:${port}`, port, state, close: () => (closing ??= close()) };
}

/** The issuer as its files say now; throws where they cannot be used at first. */
async function issuerFiles(
  directory: string,
  onProblem: (error: unknown) => void,
): Promise<() => Promise<Issuer>> {
  const [certFile, keyFile] = [join(directory, 'tls.crt'), join(directory, 'tls.key')];
  const read = async (): Promise<Issuer> => {
    try {
      return await readIssuer(readFileSync(certFile, 'utf8'), readFileSync(keyFile, 'utf8'));
    } catch (cause) {
      throw unusable(certFile, keyFile, cause);
    }
  };
  let usable = await read();
  const files = new WatchedFiles<Promise<Issuer>>({
    paths: [certFile, keyFile],
    load: () =>
      read().then(
        (issuer) => (usable = issuer),
        (error) => {
          onProblem(error);
          return usable;
        },
      ),
    onProblem,
  });
  return () => files.current();
}

function unusable(certFile: string, keyFile: string, cause: unknown): ChaperoneError {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return new ChaperoneError('CHP-1004', `${certFile} and ${keyFile} cannot be used: ${reason}`, {
    cause,
    hint: 'Give a PEM certificate with its chain, and the key that belongs to it.',
  });
}
