/** The options of `chaperone standalone`: from flags, environment and file, in that order. */
import { readFileSync } from 'node:fs';
import { loadConfig } from '@chaperone/runtime/config/load.ts';
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { parse } from 'yaml';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const file = { type: 'string', placeholder: 'FILE' } as const;

export const standaloneSchema = {
  config: { ...file, help: 'YAML or JSON file with any of these options, names in camelCase.' },
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

/** Variables that other commands read, which are no unknown keys here. */
const othersVariables: ReadonlySet<string> = new Set([
  'CHAPERONE_COLLECTOR_URL',
  'CHAPERONE_COLLECTOR_TOKEN_FILE',
]);

/**
 * `args`: what follows `chaperone standalone`. Undefined when help was asked for. Throws ChaperoneError
 * CHP-1001 to CHP-1004.
 */
export function readStandaloneConfig(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): StandaloneConfig | undefined {
  const own = Object.fromEntries(
    Object.entries(environment).filter(([name]) => !othersVariables.has(name)),
  );
  const sources = { args, environment: own };
  const first = loadConfig(standaloneSchema, sources);
  if (first.help) return undefined;
  const { config } = first.values;
  const { values, positionals } =
    config === undefined
      ? first
      : loadConfig(standaloneSchema, { ...sources, file: { name: config, content: read(config) } });
  const [directory, ...rest] = positionals;
  if (directory === undefined || rest.length > 0) {
    throw new ChaperoneError(
      'CHP-1003',
      directory === undefined
        ? 'the directory of resources is missing'
        : `${rest[0]} is one argument too many`,
      { hint: 'chaperone standalone DIR, where DIR holds the YAML files of the resources.' },
    );
  }
  if ((values.tlsCertFile === undefined) !== (values.tlsKeyFile === undefined)) {
    throw new ChaperoneError('CHP-1003', 'tlsCertFile and tlsKeyFile are needed both or neither');
  }
  if (values.requireTls && values.tlsCertFile === undefined) {
    throw new ChaperoneError('CHP-1003', 'requireTls needs tlsCertFile and tlsKeyFile');
  }
  return { ...values, directory };
}

function read(path: string): unknown {
  let content: unknown;
  try {
    content = parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new ChaperoneError('CHP-1004', `${path} cannot be read: ${reason}`, { cause });
  }
  if (typeof content === 'object' && content !== null && 'config' in content) {
    throw new ChaperoneError('CHP-1001', `${path} may not name another file by config`);
  }
  return content;
}
