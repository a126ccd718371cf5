/** The options of `chaperone standalone`: from flags, environment and file, in that order. */
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { socketAccesses } from '@chaperone/sidecar/unix-socket.ts';
import { configOption, readDirectoryConfig } from '../directory-config.ts';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const file = { type: 'string', placeholder: 'FILE' } as const;

export const standaloneSchema = {
  config: configOption,
  listenHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '127.0.0.1',
    help: 'Where callers connect. Beyond loopback, set a certificate: a ticket is a password.',
  },
  listenPort: {
    ...port,
    default: 6432,
    help: 'Port of the first Target by name; the next ones follow on the next ports. 0: any free port for each.',
  },
  socketDirectory: {
    type: 'string',
    placeholder: 'DIR',
    help: 'Listen on UNIX sockets instead, in DIR/NAMESPACE.NAME of each Target.',
  },
  socketAccess: {
    type: 'choice',
    choices: socketAccesses,
    default: 'Owner',
    help: 'Who may connect to the UNIX sockets: the user that this runs as, the group of DIR, or all users.',
  },
  tlsCertFile: {
    ...file,
    help: 'PEM certificate, with its chain, that callers are shown. Read again when it changes.',
  },
  tlsKeyFile: { ...file, help: 'PEM private key of the certificate.' },
  requireTls: {
    type: 'boolean',
    default: false,
    help: 'Refuse callers that connect without TLS.',
  },
  opsHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '127.0.0.1',
    help: 'Where metrics, health and the collector answer, in plain HTTP.',
  },
  opsPort: { ...port, default: 9464, help: 'Port of /metrics, /healthz and /readyz; 0: any free.' },
  collectorPort: {
    ...port,
    default: 9465,
    help: 'Port of the query API of the record; 0: any free.',
  },
  spoolMaxBytes: {
    type: 'bytes',
    minBytes: 16 * 1024 * 1024,
    default: '256Mi',
    help: 'Bound of what is recorded and not yet in the store. Statements are refused beyond it.',
  },
  logLevel: {
    type: 'choice',
    choices: logLevels,
    default: 'info',
    help: 'Least level of the log, which goes to standard error, one JSON object a line.',
  },
} as const satisfies ConfigSchema;

export type StandaloneConfig = ConfigValues<typeof standaloneSchema> & {
  /** Of resources. */
  readonly directory: string;
};

/**
 * `args`: what follows `chaperone standalone`. Undefined when help was asked for. Throws ChaperoneError
 * CHP-1001 to CHP-1004.
 */
export function readStandaloneConfig(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): StandaloneConfig | undefined {
  const config = readDirectoryConfig('standalone', standaloneSchema, args, environment);
  if (config === undefined) return undefined;
  if ((config.tlsCertFile === undefined) !== (config.tlsKeyFile === undefined)) {
    throw new ChaperoneError('CHP-1003', 'tlsCertFile and tlsKeyFile are needed both or neither');
  }
  if (config.requireTls && config.tlsCertFile === undefined) {
    throw new ChaperoneError('CHP-1003', 'requireTls needs tlsCertFile and tlsKeyFile');
  }
  if (config.requireTls && config.socketDirectory !== undefined) {
    throw new ChaperoneError('CHP-1003', 'requireTls has no meaning with socketDirectory');
  }
  return config;
}
