import { readFileSync } from 'node:fs';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { loadConfig } from './load.ts';
import type { ConfigOption, ConfigSchema, ConfigValues } from './schema.ts';

/** The option that every program of its own has: where its file is. */
export const configFileOption = {
  type: 'string',
  placeholder: 'FILE',
  help: 'JSON file with any of these options, names in camelCase.',
} as const;

/**
 * The configuration of a program that takes no arguments but flags, from flags, environment and the JSON file
 * that `config` names. Undefined when help was asked for. Throws ChaperoneError CHP-1001 to CHP-1004.
 */
export function loadProgramConfig<
  const Schema extends ConfigSchema & { readonly config: typeof configFileOption },
>(
  schema: Schema,
  args: readonly string[],
  environment: Readonly<Record<string, string | undefined>>,
): ConfigValues<Schema> | undefined {
  // Where the file is has to be known before it can be told what is missing.
  const optional: ConfigSchema = Object.fromEntries(
    Object.entries<ConfigOption>(schema).map(([key, { required: _, ...option }]) => [key, option]),
  );
  const first = loadConfig(optional, { args, environment });
  if (first.help) return undefined;
  const path = first.values.config as string | undefined;
  const loaded = loadConfig(schema, {
    args,
    environment,
    ...(path !== undefined && { file: { name: path, content: read(path) } }),
  });
  const [extra] = loaded.positionals;
  if (extra !== undefined) {
    throw new ChaperoneError('CHP-1001', `the argument ${extra} is not known`);
  }
  return loaded.values;
}

function read(path: string): unknown {
  let content: unknown;
  try {
    content = JSON.parse(readFileSync(path, 'utf8'));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message.split('\n')[0] : String(cause);
    throw new ChaperoneError('CHP-1004', `${path} cannot be read: ${reason}`, { cause });
  }
  if (typeof content === 'object' && content !== null && 'config' in content) {
    throw new ChaperoneError('CHP-1001', `${path} may not name another file by config`);
  }
  return content;
}
