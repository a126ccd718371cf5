/**
 * The init container of pods with the annotation chaperone.dev/egress: Lockdown. Runs as root with NET_ADMIN
 * alone; if it fails, the pod does not start.
 */
import { existsSync } from 'node:fs';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { helpText } from '@chaperone/runtime/config/help.ts';
import { loadConfig } from '@chaperone/runtime/config/load.ts';
import { formatError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { createLogger } from '@chaperone/runtime/logging/logger.ts';
import { lookupByDns } from './addresses.ts';
import { lockdownSchema, parseLockedTargets } from './config.ts';
import { installRules } from './install.ts';
import { lockDown } from './lockdown.ts';

const summary = 'Closes the way to the targets for every user of the pod but the sidecar.';

try {
  const { values, help } = loadConfig(lockdownSchema, {
    args: process.argv.slice(2),
    environment: process.env,
  });
  if (help) {
    process.stdout.write(helpText('lockdown', summary, lockdownSchema));
  } else {
    await lockDown(parseLockedTargets(values.lockdown), values.uid, {
      lookup: lookupByDns,
      hasIpv6: existsSync('/proc/net/if_inet6'),
      install: installRules,
      logger: createLogger({ program: 'lockdown', level: values.logLevel, clock: systemClock() }),
    });
  }
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  process.exitCode = 1;
}
