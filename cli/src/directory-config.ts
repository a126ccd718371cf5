/** Options of commands that work over a directory of resources: from flags, environment and file, in that order. */
import { readFileSync } from 'node:fs';
import { loadConfig } from '@chaperone/runtime/config/load.ts';
import type { ConfigSchema, ConfigValues } from '@chaperone/runtime/config/schema.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { parse } from 'yaml';

/** The option that each of them has. */
export const configOption = {
  type: 'string',
  placeholder: 'FILE',
  help: 'YAML or JSON file with any of these options, names in camelCase.',
} as const;

/** Variables that other commands read, which are no unknown keys here. */
const othersVariables: ReadonlySet<string> = new Set([
  'CHAPERONE_COLLECTOR_URL',
  'CHAPERONE_COLLECTOR_TOKEN_FILE',
]);

/**
 * `args`: what follows the name of the command. Undefined when help was asked for. Throws ChaperoneError
 * CHP-1001 to CHP-1004.
 */
export function readDirectoryConfig<
  const Schema extends ConfigSchema & { readonly config: typeof configOption },
>(
  command: string,
  schema: Schema,
  args: readonly string[],
  environment: NodeJS.ProcessEnv,
): (ConfigValues<Schema> & { readonly directory: string }) | undefined {
  const own = Object.fromEntries(
    Object.entries(environment).filter(([name]) => !othersVariables.has(name)),
  );
  const sources = { args, environment: own };
  const first = loadConfig(schema, sources);
  if (first.help) return undefined;
  const config = (first.values as { readonly config?: string }).config;
  const { values, positionals } =
    config === undefined
      ? first
      : loadConfig(schema, { ...sources, file: { name: config, content: read(config) } });
  const [directory, ...rest] = positionals;
  if (directory === undefined || rest.length > 0) {
    throw new ChaperoneError(
      'CHP-1003',
      directory === undefined
        ? 'the directory of resources is missing'
        : `${rest[0]} is one argument too many`,
      { hint: `chaperone ${command} DIR, where DIR holds the YAML files of the resources.` },
    );
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
