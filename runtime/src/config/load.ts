import { ChaperoneError } from '../errors/chaperone-error.ts';
import { environmentName, flagName, isOurVariable, nearestName } from './names.ts';
import { type ConfigOption, type ConfigSchema, type ConfigValues, readValue } from './schema.ts';

export interface ConfigSources {
  /** What follows the program's (or command's) name. */
  readonly args?: readonly string[];
  readonly environment?: Readonly<Record<string, string | undefined>>;
  /** A parsed YAML or JSON file, and its name for messages. */
  readonly file?: { readonly name: string; readonly content: unknown };
}

export interface LoadedConfig<Schema extends ConfigSchema> {
  readonly values: ConfigValues<Schema>;
  /** Arguments that are no flags, in order. */
  readonly positionals: readonly string[];
  /** `--help` was among the flags; `values` then means nothing. */
  readonly help: boolean;
}

interface Given {
  readonly raw: unknown;
  /** Where it was given, for messages. */
  readonly source: string;
}

function unknownKey(given: string, what: string, known: readonly string[]): ChaperoneError {
  const nearest = nearestName(given, known);
  const suggestion = nearest === undefined ? '' : `; did you mean ${nearest}?`;
  return new ChaperoneError('CHP-1001', `${what} is not known${suggestion}`);
}

/** Reads flags: `--key value`, `--key=value`, `--key` and `--no-key` for booleans, `--` ends them. */
function readFlags(schema: ConfigSchema, args: readonly string[]) {
  const keys = new Map(
    Object.entries(schema)
      .filter(([, option]) => !option.secret)
      .map(([key]) => [flagName(key), key]),
  );
  const given = new Map<string, Given>();
  const positionals: string[] = [];
  let help = false;
  for (let at = 0; at < args.length; at += 1) {
    const arg = args[at]!;
    if (arg === '--') {
      positionals.push(...args.slice(at + 1));
      break;
    }
    if (!arg.startsWith('-') || arg === '-') {
      positionals.push(arg);
      continue;
    }
    if (arg === '--help' || arg === '-h') {
      help = true;
      continue;
    }
    const equals = arg.indexOf('=');
    const name = equals < 0 ? arg : arg.slice(0, equals);
    const inline = equals < 0 ? undefined : arg.slice(equals + 1);
    const positive = name.replace(/^--no-/, '--');
    const key = keys.get(name) ?? keys.get(positive);
    const option = key === undefined ? undefined : schema[key]!;
    const negated = key !== undefined && !keys.has(name);
    if (option === undefined || key === undefined || (negated && option.type !== 'boolean')) {
      throw unknownKey(name, `the flag ${name}`, [...keys.keys(), '--help']);
    }
    if (negated && inline !== undefined) {
      throw new ChaperoneError('CHP-1002', `${name} takes no value`);
    }
    let raw: string | undefined = inline;
    if (option.type === 'boolean') raw ??= negated ? 'false' : 'true';
    else raw ??= args[(at += 1)];
    if (raw === undefined) throw new ChaperoneError('CHP-1003', `${name} needs a value`);
    const before = given.get(key);
    if (before !== undefined && option.type !== 'list') {
      throw new ChaperoneError('CHP-1002', `${name} is given twice`);
    }
    given.set(key, { raw: before === undefined ? raw : `${before.raw},${raw}`, source: name });
  }
  return { given, positionals, help };
}

function readEnvironment(schema: ConfigSchema, environment: ConfigSources['environment'] = {}) {
  const keys = new Map(Object.keys(schema).map((key) => [environmentName(key), key]));
  const given = new Map<string, Given>();
  for (const [name, raw] of Object.entries(environment)) {
    const key = keys.get(name);
    if (key !== undefined) {
      if (raw !== undefined) given.set(key, { raw, source: name });
    } else if (isOurVariable(name)) {
      throw unknownKey(name, `the environment variable ${name}`, [...keys.keys()]);
    }
  }
  return given;
}

function readFile(schema: ConfigSchema, file: ConfigSources['file']) {
  const given = new Map<string, Given>();
  if (file === undefined || file.content === undefined || file.content === null) return given;
  if (typeof file.content !== 'object' || Array.isArray(file.content)) {
    throw new ChaperoneError('CHP-1004', `${file.name} does not hold keys and values`);
  }
  for (const [key, raw] of Object.entries(file.content)) {
    if (!Object.hasOwn(schema, key)) {
      throw unknownKey(key, `the key ${key} in ${file.name}`, Object.keys(schema));
    }
    given.set(key, { raw, source: `${key} in ${file.name}` });
  }
  return given;
}

function resolveValue(key: string, option: ConfigOption, given: Given | undefined): unknown {
  if (given === undefined && option.default === undefined) {
    if (!option.required) return undefined;
    const flag = option.secret ? '' : `${flagName(key)}, `;
    throw new ChaperoneError(
      'CHP-1003',
      `${key} is missing: give it by ${flag}${environmentName(key)} or the key ${key} of the file`,
    );
  }
  const { raw, source } = given ?? { raw: option.default, source: `the default of ${key}` };
  const read = readValue(option, raw);
  if ('value' in read) return read.value;
  const shown = option.secret ? '' : `, not ${JSON.stringify(raw)?.slice(0, 100)}`;
  throw new ChaperoneError('CHP-1002', `${source} must be ${read.expected}${shown}`);
}

/**
 * The configuration of a program: each value from its flag, else its environment variable, else the file,
 * else its default. Throws ChaperoneError CHP-1001 for a key that the schema does not have, CHP-1002 for a
 * value that does not fit, CHP-1003 for one that is missing, CHP-1004 for a file that is no mapping.
 */
export function loadConfig<const Schema extends ConfigSchema>(
  schema: Schema,
  sources: ConfigSources,
): LoadedConfig<Schema> {
  const flags = readFlags(schema, sources.args ?? []);
  const { positionals, help } = flags;
  const values: Record<string, unknown> = {};
  if (!help) {
    const environment = readEnvironment(schema, sources.environment);
    const file = readFile(schema, sources.file);
    for (const [key, option] of Object.entries(schema)) {
      const given = flags.given.get(key) ?? environment.get(key) ?? file.get(key);
      values[key] = resolveValue(key, option, given);
    }
  }
  return { values: values as ConfigValues<Schema>, positionals, help };
}

/** The values fit to be logged: secrets are only said to be set. */
export function describeConfig<Schema extends ConfigSchema>(
  schema: Schema,
  values: ConfigValues<Schema>,
): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(schema).map(([key, option]) => {
      const value = values[key];
      return [key, option.secret && value !== undefined ? '(set)' : value];
    }),
  );
}
