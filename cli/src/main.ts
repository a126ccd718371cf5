import { basename } from 'node:path';
import { formatError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { Command } from 'commander';
import manifest from '../package.json' with { type: 'json' };
import { registerEvents } from './commands/events.ts';
import { registerPolicy } from './commands/policy.ts';
import { registerPolicyApi } from './commands/policy-api.ts';
import { registerReplay } from './commands/replay.ts';
import { registerSessions } from './commands/sessions.ts';
import { registerStandalone } from './commands/standalone.ts';
import { registerStatus } from './commands/status.ts';
import { registerTicket } from './commands/ticket.ts';
import { registerWhy } from './commands/why.ts';

/** Each command adds itself; they appear in the help in this order. */
const commands: readonly ((program: Command) => void)[] = [
  registerStandalone,
  registerPolicyApi,
  registerTicket,
  registerPolicy,
  registerSessions,
  registerEvents,
  registerReplay,
  registerStatus,
  registerWhy,
];

// kubectl finds its plug-ins by that name.
const plugin = basename(process.argv[1] ?? '').startsWith('kubectl-chaperone');

const program = new Command(plugin ? 'kubectl chaperone' : 'chaperone')
  .description('An enforcement point in the data path of every machine’s connection')
  .version(manifest.version)
  .showHelpAfterError();
for (const register of commands) register(program);

// A pager or `head` that closes early has seen enough.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  process.exit(error.code === 'EPIPE' ? 0 : 1);
});

try {
  await program.parseAsync();
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  process.exitCode = 1;
}
