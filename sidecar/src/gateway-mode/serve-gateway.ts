/** The program as a gateway: callers prove who they are, targets come and go. */
import type { TargetsEvent } from '@chaperone/core/control/wire.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { readTargetsEvent } from '../control-client/answers.ts';
import { BackendReporter } from '../control-client/backend-reporter.ts';
import { EventSource } from '../control-client/event-source.ts';
import { GatewayControl } from '../control-client/gateway-control.ts';
import { Leases } from '../control-client/leases.ts';
import { PolicyStream } from '../control-client/policy-stream.ts';
import { ServingCertificate } from '../control-client/serving-certificate.ts';
import { Gateway } from '../gateway.ts';
import type { ListenAddress } from '../listener.ts';
import type { ProgramParts, Serving } from '../program/serving.ts';
import { cachedDns } from '../protocols/postgres/handshake/resolve-host.ts';
import type { ServerTls } from '../protocols/postgres/handshake/server-tls.ts';
import { serveTlsFiles } from '../tls-files.ts';
import { targetSocketPath } from '../unix-socket.ts';
import { assignPorts, parseListenPorts } from './ports.ts';

/** Resolves once the policy API is being followed; listeners come as it names targets. Throws ChaperoneError. */
export async function serveGateway(parts: ProgramParts): Promise<Serving> {
  const { config, api, attestation: tokens, attested, metrics, readiness, clock, logger } = parts;
  const plan = { fixed: parseListenPorts(config.listenPorts), first: config.listenPort };
  const listening = readiness.gate('listeners');
  const leases = new Leases({ ...parts, tokens });
  const reporter = new BackendReporter({ ...parts, tokens });
  const certificate = new ServingCertificate({ ...parts, tokens });
  const { socketDirectory, socketAccess: access } = config;
  const control = new GatewayControl({
    api,
    tokens,
    leases,
    reporter,
    clock,
    follow: (identityUid) =>
      new PolicyStream({
        ...parts,
        tokens,
        identityUid,
        maxPolicyAgeMs: () => tokens.current?.maxPolicyAgeMs ?? attested.maxPolicyAgeMs,
        onUnusable: () => metrics.policyRejected(),
        onEvent: () => {
          leases.changed(identityUid);
          reporter.changed();
        },
      }),
  });
  metrics.followPolicyAge(() => control.oldestAgeMs());
  const fromFiles = filesTls(parts);
  // Nobody asks for TLS over a UNIX socket.
  const issued = fromFiles === undefined && socketDirectory === undefined;
  const tls = issued ? certificate : fromFiles;
  const gateway = new Gateway({
    ...parts,
    control,
    ...(tls !== undefined && { tls }),
    resolve: cachedDns({ clock, clusterDomain: config.clusterDomain }),
  });

  let addresses: ReadonlyMap<string, ListenAddress> = new Map();
  let ports: ReadonlyMap<string, number> = new Map();
  const wantedAddresses = (names: readonly string[]): ReadonlyMap<string, ListenAddress> => {
    if (socketDirectory !== undefined) {
      return new Map(
        names.map((name) => [
          name,
          { socketPath: targetSocketPath(socketDirectory, name), access },
        ]),
      );
    }
    ports = assignPorts(names, ports, plan);
    return new Map([...ports].map(([name, port]) => [name, { host: config.listenHost, port }]));
  };
  let following: Promise<void> = Promise.resolve();
  const follow = async ({ targets }: TargetsEvent): Promise<void> => {
    if (issued) certificate.require(targets.map(({ host }) => host).join(' '));
    const uids = new Map(
      targets.map((target) => [`${target.namespace}/${target.name}`, target.uid]),
    );
    const wanted = wantedAddresses([...uids.keys()]);
    const found = await gateway.setTargets(
      [...wanted].map(([name, listen]) => ({ uid: uids.get(name)!, name, listen })),
    );
    const before = addresses;
    addresses = new Map(
      [...wanted.keys()].flatMap((name) => {
        const address = found.get(uids.get(name)!);
        return address === undefined ? [] : [[name, address] as const];
      }),
    );
    for (const [name, address] of addresses) {
      if (!before.has(name)) logger.info({ target: name, address }, 'a target is listened for');
    }
    if (addresses.size === wanted.size) listening.ready();
    else listening.notReady('a target cannot be listened for');
  };
  const targets = new EventSource<TargetsEvent>({
    ...parts,
    tokens,
    path: '/v1/targets',
    event: 'targets',
    read: readTargetsEvent,
    onContent: (event) => {
      following = following
        .then(() => follow(event))
        .catch((error: unknown) => logger.error({ err: error }, 'targets could not be followed'));
    },
    onRefused: () => {}, // what the attestation says decides
    onUnusable: () => metrics.policyRejected(),
  });
  const stopFollowing = (): void => {
    targets.close();
    certificate.close();
  };
  return {
    targets: () => addresses,
    revoke: (refusal) => control.revoke(refusal),
    async drain() {
      targets.close();
      await following;
      await gateway.drain();
    },
    close() {
      stopFollowing();
      void gateway.close();
      control.close();
      reporter.close();
    },
  };
}

function filesTls({ config, logger }: ProgramParts): ServerTls | undefined {
  const { tlsCertFile: certFile, tlsKeyFile: keyFile } = config;
  if (certFile === undefined && keyFile === undefined) return undefined;
  if (certFile === undefined || keyFile === undefined) {
    throw new ChaperoneError('CHP-1003', 'tlsCertFile and tlsKeyFile are needed both or neither');
  }
  const onProblem = (error: ChaperoneError): void =>
    logger.error({ err: error }, 'the certificate before is kept');
  return serveTlsFiles({ certFile, keyFile, onProblem });
}
