/** The program in a pod: one identity, one stream of policy, a listener for each target that was injected. */
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { BackendReporter } from '../control-client/backend-reporter.ts';
import { Leases } from '../control-client/leases.ts';
import { PodControl } from '../control-client/pod-control.ts';
import { PolicyStream } from '../control-client/policy-stream.ts';
import { ServingCertificate } from '../control-client/serving-certificate.ts';
import type { ListenAddress } from '../listener.ts';
import type { ProgramParts, Serving } from '../program/serving.ts';
import { cachedDns } from '../protocols/postgres/handshake/resolve-host.ts';
import { parseListenEntries } from './listen-entries.ts';
import { PodProxy } from './pod-proxy.ts';

/** Listens when this resolves. Throws ChaperoneError CHP-1002, CHP-1003, CHP-1020. */
export async function servePod(parts: ProgramParts): Promise<Serving> {
  const { config, attestation: tokens, attested, metrics, readiness, clock } = parts;
  if (config.listen === undefined) {
    throw new ChaperoneError('CHP-1003', 'listen is missing: it names the targets of the pod');
  }
  const entries = parseListenEntries(config.listen);
  const listening = readiness.gate('listeners');
  const leases = new Leases({ ...parts, tokens });
  const reporter = new BackendReporter({ ...parts, tokens });
  const certificate = new ServingCertificate({ ...parts, tokens });
  const stream = new PolicyStream({
    ...parts,
    tokens,
    maxPolicyAgeMs: () => tokens.current?.maxPolicyAgeMs ?? attested.maxPolicyAgeMs,
    onUnusable: () => metrics.policyRejected(),
    onEvent: () => {
      leases.changed(undefined);
      reporter.changed();
      const { bundle } = stream;
      // A pod without an identity has no targets to stand in for.
      if (bundle !== undefined) {
        certificate.require(
          bundle.targets.map(({ target }) => [target.host, ...target.aliases].join(',')).join(' '),
        );
      }
    },
  });
  readiness.check('policy', () => (stream.answered ? undefined : 'no policy yet'));
  // A caller that insists on TLS would be turned away.
  readiness.check('certificate', () => (certificate.pending ? 'no certificate yet' : undefined));
  const startedUs = clock.monotonicUs();
  metrics.followPolicyAge(() => Math.min(stream.ageMs(), (clock.monotonicUs() - startedUs) / 1000));
  const control = new PodControl({ stream, leases, reporter, source: attested.source });
  const proxy = new PodProxy({
    ...parts,
    control,
    tls: certificate,
    podAddress: () => tokens.current?.source.address,
    resolve: cachedDns({ clock, clusterDomain: config.clusterDomain }),
  });
  const close = (): void => {
    proxy.close();
    stream.close();
    certificate.close();
    reporter.close();
  };
  let addresses: ReadonlyMap<string, ListenAddress>;
  try {
    addresses = await proxy.listen(entries);
  } catch (error) {
    close();
    throw error;
  }
  listening.ready();
  return {
    targets: () => addresses,
    revoke: (refusal) => stream.revoke(refusal),
    drain: () => proxy.drain(),
    close,
  };
}
