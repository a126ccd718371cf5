/** The options of `chaperone policy-api`. */
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { logLevels } from '@chaperone/runtime/logging/logger.ts';
import { configOption, readDirectoryConfig } from '../directory-config.ts';

const port = { type: 'integer', min: 0, max: 65535, placeholder: 'PORT' } as const;
const directory = { type: 'string', placeholder: 'DIR' } as const;
const names = { type: 'list', placeholder: 'NAME' } as const;

export const policyApiSchema = {
  config: configOption,
  listenHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '127.0.0.1',
    help: 'Where gateways and the collector connect.',
  },
  listenPort: { ...port, default: 8443, help: 'Port of the policy API, HTTPS; 0: any free.' },
  opsHost: {
    type: 'string',
    placeholder: 'ADDRESS',
    default: '127.0.0.1',
    help: 'Where probes and metrics answer, in plain HTTP.',
  },
  opsPort: { ...port, default: 9790, help: 'Port of /metrics, /healthz and /readyz; 0: any free.' },
  state: {
    ...directory,
    help: 'Tickets, keys and certificates. Default: .chaperone in the directory of resources.',
  },
  gatewayDirectory: {
    ...directory,
    help: 'What a gateway needs is put here: ca.crt and token. Default: gateway in the state.',
  },
  collectorDirectory: {
    ...directory,
    help: 'What the collector needs is put here: ca.crt, tls.crt and tls.key. Default: collector in the state.',
  },
  tlsDirectory: {
    ...directory,
    help: 'Holds tls.crt and tls.key of the policy API, and ca.crt that gateways are to trust. Without it, all are made here.',
  },
  hostNames: {
    ...names,
    default: ['localhost', 'policy-api'],
    help: 'Host names of the policy API, for its certificate; 127.0.0.1 is always in it.',
  },
  collectorNames: {
    ...names,
    default: ['localhost', 'collector'],
    help: 'Host names of the collector, for its certificate; 127.0.0.1 is always in it.',
  },
  gatewayNames: {
    ...names,
    default: ['localhost', 'gateway'],
    help: 'Host names that callers reach gateways under, for their certificates.',
  },
  maxPolicyAge: {
    type: 'duration',
    default: '1h',
    minMs: 60_000,
    help: 'How long gateways enforce a snapshot without word from here.',
  },
  logLevel: { type: 'choice', choices: logLevels, default: 'info', help: 'From this level on.' },
} as const satisfies ConfigSchema;

export type PolicyApiCommandConfig = ConfigValues<typeof policyApiSchema> & {
  /** Of resources. */
  readonly directory: string;
};

/** As readDirectoryConfig. */
export function readPolicyApiConfig(
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): PolicyApiCommandConfig | undefined {
  const config = readDirectoryConfig('policy-api', policyApiSchema, args, environment);
  if (config === undefined) return undefined;
  for (const key of ['hostNames', 'collectorNames', 'gatewayNames'] as const) {
    const wrong = config[key].find((name) => !/^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$/i.test(name));
    if (wrong !== undefined) {
      throw new ChaperoneError('CHP-1002', `${key}: ${JSON.stringify(wrong)} is no host name`);
    }
  }
  return config;
}
