import { systemClock } from '@chaperone/runtime/clock.ts';
import { helpText } from '@chaperone/runtime/config/help.ts';
import { describeConfig } from '@chaperone/runtime/config/load.ts';
import { loadProgramConfig } from '@chaperone/runtime/config/program-config.ts';
import { formatError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import manifest from '../package.json' with { type: 'json' };
import { type SidecarConfig, sidecarSchema } from './config.ts';
import { startSidecar } from './program/start.ts';

const summary =
  'stand between a pod (or the callers of a gateway) and its targets, and enforce policy';

/** Runs until a signal; a second one ends it at once. Resolves with the exit code. */
async function run(config: SidecarConfig): Promise<number> {
  const clock = systemClock();
  const program = config.mode === 'Pod' ? 'sidecar' : 'gateway';
  const logger = createLogger({ program, level: config.logLevel, clock });
  let asked = false;
  const signalled = new Promise<void>((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve();
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
  const { version } = manifest;
  logger.info({ version, config: describeConfig(sidecarSchema, config) }, 'starting');
  const sidecar = await startSidecar({ config, version, clock, random: Math.random, logger });
  logger.info({ port: sidecar.opsPort }, 'probes are answered');
  let code = 0;
  const failed = sidecar.serving.then(
    () => {
      if (!asked) logger.info({ targets: Object.fromEntries(sidecar.targets()) }, 'serving');
      return signalled;
    },
    (error: unknown) => {
      logger.fatal({ err: error }, 'cannot serve');
      code = 1;
    },
  );
  await Promise.race([signalled, failed]);
  await sidecar.stop();
  logger.info({}, 'stopped');
  return code;
}

try {
  const config = loadProgramConfig(sidecarSchema, process.argv.slice(2), process.env);
  if (config === undefined) {
    process.stdout.write(helpText('sidecar', summary, sidecarSchema));
  } else {
    process.exit(await run(config));
  }
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  process.exitCode = 1;
}
