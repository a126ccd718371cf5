import { systemClock } from '@chaperone/runtime/clock.ts';
import { helpText } from '@chaperone/runtime/config/help.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import type { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { writeLine } from '../output.ts';
import { policyApiSchema, readPolicyApiConfig } from '../policy-api/config.ts';
import { startDirectoryPolicyApi } from '../policy-api/start.ts';

const summary = 'serve the policies of a directory of resources to gateways';

/** Runs until a signal; a second one ends at once. */
async function run(args: readonly string[]): Promise<void> {
  const config = readPolicyApiConfig(args, process.env);
  if (config === undefined) {
    process.stdout.write(help());
    return;
  }
  const stopped = new Promise<void>((resolve) => {
    let asked = false;
    const stop = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve();
    };
    process.on('SIGINT', stop).on('SIGTERM', stop);
  });
  const clock = systemClock();
  const logger = createLogger({ program: 'policy-api', level: config.logLevel, clock });
  const api = await startDirectoryPolicyApi(config, { version: manifest.version, clock, logger });
  const lines = [
    `chaperone ${manifest.version} serves the policies of ${config.directory}`,
    `  policy API  ${api.url}`,
    `  metrics     ${api.opsUrl}/metrics`,
    `  gateway     ca.crt and token in ${api.gatewayDirectory}`,
    `  collector   ca.crt, tls.crt and tls.key in ${api.collectorDirectory}; keys of tokens at ${api.url}/v1/jwks`,
  ];
  for (const line of lines) await writeLine(process.stdout, line);
  await stopped;
  await api.close();
}

function help(): string {
  return helpText('chaperone policy-api DIR', summary, policyApiSchema);
}

export function registerPolicyApi(program: Command): void {
  const command = program
    .command('policy-api')
    .description(summary)
    .argument('[dir...]')
    .allowUnknownOption()
    .helpOption(false)
    .action((args: string[]) => run(args));
  // `chaperone help policy-api` asks commander, which does not know the options.
  command.helpInformation = help;
}
