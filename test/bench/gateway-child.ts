/**
 * The data path alone, as a sidecar has it: gateway, recorder with spool, metrics and health, and nothing of
 * the control plane or the collector. One fixed bundle, one password; what is spooled is acknowledged and
 * thrown away. Reads its GatewaySettings as JSON from its first argument.
 */
import { randomFillSync } from 'node:crypto';
import { ControlRefusal } from '@chaperone/core/control/types.ts';
import { bundleDigest } from '@chaperone/core/policy/bundle-digest.ts';
import type { PolicyBundle, Recording } from '@chaperone/core/policy/types.ts';
import { loadParser } from '@chaperone/core/sql/postgres/parser.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { startOpsServer } from '@chaperone/runtime/http/ops-server.ts';
import { Readiness } from '@chaperone/runtime/http/readiness.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { createRegistry, recorderMetricsFor } from '@chaperone/runtime/metrics/metrics.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import { Gateway } from '@chaperone/sidecar/gateway.ts';
import type { ListenAddress } from '@chaperone/sidecar/listener.ts';
import { ProxyMetrics } from '@chaperone/sidecar/metrics.ts';
import { benchMasks, benchRules } from './bench-policy.ts';

export interface GatewaySettings {
  readonly spool: string;
  readonly listen: ListenAddress;
  /** Of the backend; a directory for its UNIX socket. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  /** Of the backend's user, and what callers present. */
  readonly password: string;
  readonly recording: Recording;
}

const settings = JSON.parse(process.argv[2]!) as GatewaySettings;

const content: Omit<PolicyBundle, 'digest' | 'version'> = {
  bundleVersion: 1,
  identity: {
    uid: 'identity',
    namespace: 'payments',
    name: 'bench',
    generation: 1,
    owner: { team: 'bench' },
    purpose: 'Benchmark',
    groups: [],
    suspended: false,
  },
  targets: [
    {
      target: {
        uid: 'target',
        namespace: 'data',
        name: 'orders-db',
        generation: 1,
        protocol: 'PostgreSQL',
        host: settings.host,
        port: settings.port,
        aliases: [],
        tls: { mode: 'Disable' },
        enforcement: 'Enforce',
        classification: [],
        catalogCheck: 'Interval',
        untestedVersions: 'Refuse',
      },
      rules: benchRules,
      masks: benchMasks,
      session: {
        maxDurationMs: 8 * 3_600_000,
        idleTimeoutMs: 1_800_000,
        recording: settings.recording,
        durability: 'Process',
      },
    },
  ],
};
const bundle: PolicyBundle = { ...content, version: 1, digest: bundleDigest(content) };

await loadParser();
const clock = systemClock();
const logger = createLogger({ program: 'bench', level: 'warn', clock });
const registry = createRegistry('bench', '0');
const metrics = recorderMetricsFor(registry);
const recorder = createRecorder({
  directory: settings.spool,
  transport: {
    ship: (events) => Promise.resolve(events.lastSeq),
    putRecording: () => Promise.resolve(),
    putSnapshot: () => Promise.resolve(),
  },
  installationKey: Buffer.alloc(32, 7),
  program: { name: 'bench', version: '0' },
  clock,
  random: (target) => void randomFillSync(target),
  logger,
  metrics,
});
metrics.follow(recorder);
const gateway = new Gateway({
  control: {
    proof: 'Password',
    authenticate: (_user, secret) => {
      if (secret !== settings.password) throw new ControlRefusal('CHP-2001', 'wrong', 'none');
      return Promise.resolve({
        identityUid: 'identity',
        proof: { method: 'Ticket', ticket: 'bench' },
      });
    },
    bundle: () => bundle,
    subscribe: () => () => {},
    isStale: () => false,
    lease: () =>
      Promise.resolve({
        name: 'bench',
        version: '1',
        username: settings.user,
        password: settings.password,
      }),
    reportBackend: () => {},
  },
  recorder,
  metrics: new ProxyMetrics(registry),
  clock,
  logger,
});
const ops = await startOpsServer({
  host: '127.0.0.1',
  port: 0,
  registry,
  readiness: new Readiness(),
});
const addresses = await gateway.setTargets([
  { uid: 'target', name: 'data/orders-db', listen: settings.listen },
]);
process.stdout.write(`listening ${JSON.stringify(addresses.get('target'))} ready\n`);
process.once('SIGTERM', async () => {
  await gateway.close();
  await recorder.close();
  await ops.close();
});
