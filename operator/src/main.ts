import { helpText } from '@chaperone/runtime/config/help.ts';
import { describeConfig } from '@chaperone/runtime/config/load.ts';
import { loadProgramConfig } from '@chaperone/runtime/config/program-config.ts';
import type { ConfigSchema } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError, formatError } from '@chaperone/runtime/errors/chaperone-error.ts';
import manifest from '../package.json' with { type: 'json' };
import { controllersSchema, policyApiSchema, webhookSchema } from './config.ts';
import { startControllers } from './roles/controllers.ts';
import { startPolicyApiRole } from './roles/policy-api.ts';
import { openProgram, type Program, type RoleName } from './roles/program.ts';
import { startWebhookRole } from './roles/webhook.ts';

/** The lead was lost: not a failure of the program, and yet it has to begin anew. */
const lostLeadCode = 2;

/** A role that runs; `close` ends what it serves, before the manager stops the rest. */
interface RunningRole {
  close(): Promise<void>;
}

interface Role {
  readonly summary: string;
  readonly schema: ConfigSchema;
  /** Reads the configuration and opens the program; undefined when help was asked for. */
  readonly open: (args: readonly string[]) => Promise<OpenRole | undefined>;
}

interface OpenRole {
  readonly program: Program;
  readonly config: Record<string, unknown>;
  readonly start: () => Promise<RunningRole>;
}

const roles: Readonly<Record<RoleName, Role>> = {
  controllers: {
    summary: 'keep statuses, certificates, roots and what governance finds; one replica leads',
    schema: controllersSchema,
    async open(args) {
      const config = loadProgramConfig(controllersSchema, args, process.env);
      if (config === undefined) return undefined;
      const program = await openProgram('controllers', config, config.leaseName);
      return {
        program,
        config: describeConfig(controllersSchema, config),
        start: () => startControllers(program, config),
      };
    },
  },
  webhook: {
    summary: 'admission: inject sidecars, check pods and resources; every replica serves',
    schema: webhookSchema,
    async open(args) {
      const config = loadProgramConfig(webhookSchema, args, process.env);
      if (config === undefined) return undefined;
      const program = await openProgram('webhook', config);
      return {
        program,
        config: describeConfig(webhookSchema, config),
        start: () => startWebhookRole(program, config),
      };
    },
  },
  'policy-api': {
    summary: 'attest sidecars and gateways, and serve them policy; every replica serves',
    schema: policyApiSchema,
    async open(args) {
      const config = loadProgramConfig(policyApiSchema, args, process.env);
      if (config === undefined) return undefined;
      const program = await openProgram('policy-api', config);
      return {
        program,
        config: describeConfig(policyApiSchema, config),
        start: () => startPolicyApiRole(program, config),
      };
    },
  },
};

/** Runs until a signal, a lost lead or a failure; a second signal ends it at once. Resolves with the exit code. */
async function run({ program, config, start }: OpenRole): Promise<number> {
  const { logger, opsPort, role, version } = program;
  let asked = false;
  const signalled = new Promise<number>((resolve) => {
    const onSignal = (signal: NodeJS.Signals): void => {
      if (asked) process.exit(signal === 'SIGINT' ? 130 : 143);
      asked = true;
      logger.info({ signal }, 'stopping');
      resolve(0);
    };
    process.on('SIGINT', onSignal).on('SIGTERM', onSignal);
  });
  logger.info({ version, role, opsPort, config }, 'starting');
  let running: RunningRole | undefined;
  const started = start();
  const failed = started.then(
    (role) => {
      running = role;
      if (!asked) logger.info({}, 'serving');
      return signalled;
    },
    (error: unknown) => {
      logger.fatal({ err: error }, 'cannot serve');
      return 1;
    },
  );
  const lost = program.lost.then((reason) => {
    logger.error({ reason }, 'the lead is lost');
    return lostLeadCode;
  });
  const code = await Promise.race([signalled, failed, lost]);
  await running?.close();
  await program.close();
  // A start that waited for the API server has ended with the manager.
  const late = await started.catch(() => undefined);
  if (late !== running) await late?.close();
  logger.info({}, 'stopped');
  return code;
}

function help(): string {
  const width = Math.max(...Object.keys(roles).map((name) => name.length));
  const lines = Object.entries(roles).map(
    ([name, { summary }]) => `  ${name.padEnd(width)}  ${summary}`,
  );
  return [
    `operator ROLE: Chaperone ${manifest.version} on Kubernetes, in three roles that run apart`,
    '',
    ...lines,
    '',
    '`operator ROLE --help` lists the options of a role.',
    `It ends with 0 when asked to, with 1 on a failure, and with ${lostLeadCode} when the lead is lost.`,
    '',
  ].join('\n');
}

async function main([name, ...args]: readonly string[]): Promise<number> {
  if (name === undefined || name === '--help' || name === '-h') {
    process.stdout.write(help());
    return name === undefined ? 1 : 0;
  }
  if (name === '--version') {
    process.stdout.write(`${manifest.version}\n`);
    return 0;
  }
  if (!Object.hasOwn(roles, name)) {
    throw new ChaperoneError('CHP-1001', `there is no role ${name}`, {
      hint: `Name one of ${Object.keys(roles).join(', ')}.`,
    });
  }
  const { open, schema, summary } = roles[name as RoleName];
  const role = await open(args);
  if (role !== undefined) return run(role);
  process.stdout.write(helpText(`operator ${name}`, summary, schema));
  return 0;
}

try {
  // What is left, such as a connection that a peer keeps open, must not keep a stopped program.
  process.exit(await main(process.argv.slice(2)));
} catch (error) {
  process.stderr.write(`${formatError(error)}\n`);
  process.exit(1);
}
