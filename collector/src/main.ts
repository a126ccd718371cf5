import { systemClock } from '@chaperone/runtime/clock.ts';
import { helpText } from '@chaperone/runtime/config/help.ts';
import { describeConfig } from '@chaperone/runtime/config/load.ts';
import { loadProgramConfig } from '@chaperone/runtime/config/program-config.ts';
import { formatError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import manifest from '../package.json' with { type: 'json' };
import { type CollectorConfig, collectorSchema } from './config.ts';
import { startCollectorProgram } from './program.ts';

const summary = 'take events and recordings, keep the record, and answer questions about it';

/** Runs until a signal; a second one ends it at once. */
async function run(config: CollectorConfig): Promise<void> {
  const clock = systemClock();
  const logger = createLogger({ program: 'collector', level: config.logLevel, clock });
  const signalled = new Promise<void>((resolve) => {
    let asked = false;
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      resolve();
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
  const { version } = manifest;
  logger.info({ version, config: describeConfig(collectorSchema, config) }, 'starting');
  const { url, opsPort, close } = await startCollectorProgram({ config, version, clock, logger });
  logger.info({ url, opsPort }, 'serving');
  await signalled;
  await close();
  logger.info({}, 'stopped');
}

try {
  const config = loadProgramConfig(collectorSchema, process.argv.slice(2), process.env);
  if (config === undefined) {
    process.stdout.write(helpText('collector', summary, collectorSchema));
  } else {
    await run(config);
    process.exit(0);
  }
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  process.exitCode = 1;
}
