/** The options of the collector program. */
import { configFileOption } from '@chaperone/runtime/config/program-config.ts';
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { defaultRetention } from './retention.ts';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const file = { type: 'string', placeholder: 'FILE' } as const;
const days = { type: 'integer', min: 1, max: 36_500, placeholder: 'DAYS' } as const;

export const collectorSchema = {
  config: configFileOption,
  directory: {
    type: 'string',
    placeholder: 'DIR',
    default: '/var/lib/chaperone/record',
    help: 'Holds the record. Made when it is missing.',
  },
  maxStoreBytes: {
    type: 'bytes',
    minBytes: 64 * 1024 * 1024,
    help: 'Bound of the database in it; beyond it nothing is taken, as on a full disk. Default: none.',
  },
  listenHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '0.0.0.0',
    help: 'Where events are taken and questions answered.',
  },
  listenPort: { ...port, default: 8443, help: 'Port of it, HTTPS; 0: any free.' },
  tlsDirectory: {
    type: 'string',
    placeholder: 'DIR',
    default: '/var/run/chaperone/tls',
    help: 'Holds tls.crt and tls.key. Read again when they change.',
  },
  policyApiUrl: {
    type: 'string',
    placeholder: 'URL',
    required: true,
    help: 'The policy API, whose public keys (/v1/jwks) ingest tokens are checked by.',
  },
  caFile: {
    ...file,
    default: '/var/run/chaperone/tls/ca.crt',
    help: 'PEM of the authorities of the policy API. Read again when it changes.',
  },
  readerTokenFile: {
    ...file,
    help: 'Token of those who may read the record. Default: reader.token in the directory, made at the first start.',
  },
  metadataDays: {
    ...days,
    default: defaultRetention.metadataDays,
    help: 'How long events are kept.',
  },
  statementsDays: {
    ...days,
    default: defaultRetention.statementsDays,
    help: 'How long the texts of statements and their parameters are kept.',
  },
  recordingsDays: {
    ...days,
    default: defaultRetention.recordingsDays,
    help: 'How long recorded results are kept.',
  },
  opsHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '0.0.0.0',
    help: 'Where probes and metrics answer.',
  },
  opsPort: { ...port, default: 9790, help: 'Port of /metrics, /healthz and /readyz; 0: any free.' },
  logLevel: { type: 'choice', choices: logLevels, default: 'info', help: 'From this level on.' },
} as const satisfies ConfigSchema;

export type CollectorConfig = ConfigValues<typeof collectorSchema>;
