/** The options of the sidecar program, in a pod and as a gateway. */
import { configFileOption } from '@chaperone/runtime/config/program-config.ts';
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { socketAccesses } from './unix-socket.ts';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const file = { type: 'string', placeholder: 'FILE' } as const;
const url = { type: 'string', placeholder: 'URL' } as const;

export const sidecarSchema = {
  config: configFileOption,
  mode: {
    type: 'choice',
    choices: ['Pod', 'Gateway'],
    default: 'Pod',
    help: 'Pod: the callers are the pod that this runs in. Gateway: each caller proves who it is.',
  },
  policyApiUrl: { ...url, required: true, help: 'The policy API: https://host:port.' },
  collectorUrl: { ...url, required: true, help: 'The collector: https://host:port.' },
  caFile: {
    ...file,
    default: '/var/run/chaperone/ca/ca.crt',
    help: 'PEM of the authorities of both. Read again when it changes.',
  },
  tokenFile: {
    ...file,
    default: '/var/run/chaperone/token/token',
    help: 'The token that is shown to the policy API. Read again when it changes.',
  },
  listen: {
    type: 'string',
    placeholder: 'JSON',
    help: 'Pod: where each target is listened for: [{"target":"namespace/name","address":"127.0.1.1","port":5432}].',
  },
  listenHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '0.0.0.0',
    help: 'Gateway: where callers connect.',
  },
  listenPort: {
    ...port,
    default: 6432,
    help: 'Gateway: port of targets that have none in --listen-ports, counted up from here; 0: any free port for each.',
  },
  listenPorts: {
    type: 'list',
    default: [],
    placeholder: 'NAMESPACE/NAME=PORT',
    help: 'Gateway: ports of single targets. With it, no other target is listened for.',
  },
  socketDirectory: {
    type: 'string',
    placeholder: 'DIR',
    help: 'Gateway: listen on UNIX sockets instead, in DIR/NAMESPACE.NAME of each target.',
  },
  socketAccess: {
    type: 'choice',
    choices: socketAccesses,
    default: 'Owner',
    help: 'Gateway: who may connect to the UNIX sockets: the user that this runs as, the group of DIR, or all users.',
  },
  tlsCertFile: {
    ...file,
    help: 'Gateway: PEM certificate shown to callers instead of one that the policy API issues.',
  },
  tlsKeyFile: { ...file, help: 'PEM private key of that certificate.' },
  clusterDomain: {
    type: 'string',
    placeholder: 'DOMAIN',
    default: 'cluster.local',
    help: "The cluster's DNS domain: hosts that end in .svc are looked up under it.",
  },
  spoolDirectory: {
    type: 'string',
    placeholder: 'DIR',
    default: '/var/run/chaperone/spool',
    help: 'What is recorded and not yet with the collector.',
  },
  spoolMaxBytes: {
    type: 'bytes',
    minBytes: 16 * 1024 * 1024,
    default: '256Mi',
    help: 'Bound of the spool. Statements are refused beyond it.',
  },
  opsHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '0.0.0.0',
    help: 'Where probes and metrics answer.',
  },
  opsPort: {
    ...port,
    default: 15790,
    help: 'Port of /metrics, /healthz and /readyz; 0: any free.',
  },
  shutdownGrace: {
    type: 'duration',
    default: '25s',
    minMs: 1000,
    help: 'How long, once told to stop, statements in flight are waited for and what is recorded is shipped.',
  },
  logLevel: { type: 'choice', choices: logLevels, default: 'info', help: 'From this level on.' },
} as const satisfies ConfigSchema;

export type SidecarConfig = ConfigValues<typeof sidecarSchema>;

/** One entry of `listen`. */
export interface ListenEntry {
  /** `namespace/name`. */
  readonly target: string;
  readonly address: string;
  readonly port: number;
}
