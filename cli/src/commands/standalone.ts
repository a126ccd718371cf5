import { isIP } from 'node:net';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { helpText } from '@chaperone/runtime/config/help.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import type { ListenAddress } from '@chaperone/sidecar/listener.ts';
import { serveTlsFiles } from '@chaperone/sidecar/tls-files.ts';
import type { Command } from 'commander';
import manifest from '../../package.json' with { type: 'json' };
import { type Output, writeLine } from '../output.ts';
import {
  readStandaloneConfig,
  type StandaloneConfig,
  standaloneSchema,
} from '../standalone/config.ts';
import { type Standalone, startStandalone } from '../standalone/start.ts';

const summary =
  'govern the targets of a directory of resources: policy, gateway and collector in one process';

/** Starts as configured and says where everything is. Throws ChaperoneError. */
export async function openStandalone(
  config: StandaloneConfig,
  output: Output,
): Promise<Standalone> {
  const clock = systemClock();
  const logger = createLogger({ program: 'standalone', level: config.logLevel, clock });
  const { tlsCertFile: certFile, tlsKeyFile: keyFile, socketDirectory } = config;
  const standalone = await startStandalone({
    directory: config.directory,
    version: manifest.version,
    clock,
    logger,
    listenHost: config.listenHost,
    listenPort: config.listenPort,
    opsHost: config.opsHost,
    opsPort: config.opsPort,
    collectorPort: config.collectorPort,
    spoolMaxBytes: config.spoolMaxBytes,
    requireTls: config.requireTls,
    ...(socketDirectory !== undefined && { socketDirectory, socketAccess: config.socketAccess }),
    ...(certFile !== undefined &&
      keyFile !== undefined && {
        tls: serveTlsFiles({
          certFile,
          keyFile,
          onProblem: (error) => logger.error({ err: error }, 'the certificate before is kept'),
        }),
      }),
  });
  try {
    refuseUnheard(standalone, config);
    for (const line of greeting(standalone, config)) await writeLine(output, line);
    return standalone;
  } catch (error) {
    await standalone.close();
    throw error;
  }
}

/** On starting, an address that cannot be had is an error; later on it is logged, and the others go on. */
function refuseUnheard(
  { control, targets }: Standalone,
  { socketDirectory }: StandaloneConfig,
): void {
  const heard = targets();
  const unheard = control
    .targets()
    .map(({ metadata }) => `${metadata.namespace}/${metadata.name}`)
    .filter((name) => !heard.has(name));
  if (unheard.length === 0) return;
  throw new ChaperoneError('CHP-1020', `nothing can listen for ${unheard.join(', ')}`, {
    hint:
      socketDirectory === undefined
        ? 'Another program holds the port: the log above names it. Choose another --listen-port, or 0 for any.'
        : 'The log above says what is wrong with the socket or its directory. Correct that, or choose another --socket-directory.',
  });
}

function greeting(standalone: Standalone, config: StandaloneConfig): string[] {
  const { directory } = config;
  const targets = [...standalone.targets()];
  const width = Math.max('collector'.length, ...targets.map(([name]) => name.length));
  const line = (name: string, where: string): string => `  ${name.padEnd(width)}  ${where}`;
  const first = targets[0]?.[0];
  const lines = [
    `chaperone ${manifest.version} governs what ${directory} says`,
    ...targets.map(([name, address]) => line(name, place(address))),
    line('metrics', `${standalone.opsUrl}/metrics`),
    line('collector', standalone.collectorUrl),
    '',
    first === undefined
      ? 'There is no Target yet: add one, and it is listened for at once.'
      : `Callers connect with a ticket: chaperone ticket create IDENTITY --target ${first} --directory ${directory}`,
  ];
  if (config.tlsCertFile === undefined && config.socketDirectory === undefined) {
    if (!isLoopback(config.listenHost)) {
      lines.push(`Tickets cross the network in clear: set tlsCertFile, tlsKeyFile and requireTls.`);
    }
  }
  if (!isLoopback(config.opsHost)) {
    lines.push('The record can be read over the network in plain HTTP: keep opsHost on loopback.');
  }
  return [...lines, 'Ctrl-C ends it.'];
}

function place(address: ListenAddress): string {
  if ('socketPath' in address) return address.socketPath;
  return isIP(address.host) === 6
    ? `[${address.host}]:${address.port}`
    : `${address.host}:${address.port}`;
}

function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^127\./.test(host);
}

/**
 * Runs until a signal, then ends sessions, takes what is recorded into the store, and stops. A second signal
 * ends at once: what is in the spool then is taken at the next start.
 */
async function run(args: readonly string[]): Promise<void> {
  const config = readStandaloneConfig(args, process.env);
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
  const standalone = await openStandalone(config, process.stdout);
  await stopped;
  await writeLine(process.stdout, 'stopping: sessions end, and what is recorded is stored');
  await standalone.close();
}

function help(): string {
  return helpText('chaperone standalone DIR', summary, standaloneSchema);
}

export function registerStandalone(program: Command): void {
  const command = program
    .command('standalone')
    .description(summary)
    .argument('[dir...]')
    .allowUnknownOption()
    .helpOption(false)
    .action((args: string[]) => run(args));
  // `chaperone help standalone` asks commander, which does not know the options.
  command.helpInformation = help;
}
