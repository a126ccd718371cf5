import { parseBytes, parseDuration } from './units.ts';

interface OptionBase<Value> {
  /** One sentence for `--help`. */
  readonly help: string;
  /** In the form in which it would be given; absent: the option is optional unless `required`. */
  readonly default?: Value;
  readonly required?: true;
  /** Never shown, and not taken from a flag, where everyone on the machine reads it. */
  readonly secret?: true;
  /** What stands for the value in `--help`. */
  readonly placeholder?: string;
}

export type ConfigOption =
  | (OptionBase<string> & {
      readonly type: 'string';
      readonly pattern?: { readonly form: RegExp; readonly description: string };
    })
  | (OptionBase<number> & {
      readonly type: 'integer';
      readonly min?: number;
      readonly max?: number;
    })
  | (OptionBase<boolean> & { readonly type: 'boolean' })
  /** `10m`, `1h30m`, `250ms` → milliseconds. */
  | (OptionBase<string> & {
      readonly type: 'duration';
      readonly minMs?: number;
      readonly maxMs?: number;
    })
  /** `256Mi`, `1G`, `4096` → bytes. */
  | (OptionBase<string> & {
      readonly type: 'bytes';
      readonly minBytes?: number;
      readonly maxBytes?: number;
    })
  | (OptionBase<string> & { readonly type: 'choice'; readonly choices: readonly string[] })
  /** A list in a file, a comma-separated text elsewhere; a repeated flag adds to it. */
  | (OptionBase<readonly string[]> & { readonly type: 'list' });

/** Key (camelCase) → option. `spoolMaxBytes` is `--spool-max-bytes` and `CHAPERONE_SPOOL_MAX_BYTES`. */
export type ConfigSchema = Readonly<Record<string, ConfigOption>>;

type ValueOf<Option extends ConfigOption> = Option extends { type: 'choice' }
  ? Option['choices'][number]
  : Option extends { type: 'string' }
    ? string
    : Option extends { type: 'boolean' }
      ? boolean
      : Option extends { type: 'list' }
        ? readonly string[]
        : number;

type IsGiven<Option extends ConfigOption> = Option extends { required: true }
  ? true
  : Option extends { default: string | number | boolean | readonly string[] }
    ? true
    : false;

/** What `loadConfig` yields for a schema: durations in ms, sizes in bytes. */
export type ConfigValues<Schema extends ConfigSchema> = {
  readonly [Key in keyof Schema]: IsGiven<Schema[Key]> extends true
    ? ValueOf<Schema[Key]>
    : ValueOf<Schema[Key]> | undefined;
};

/** A value read, or what it should have been (`expected`, to stand behind "must be"). */
export type ReadValue = { readonly value: unknown } | { readonly expected: string };

function inRange(value: number, min = Number.NEGATIVE_INFINITY, max = Number.POSITIVE_INFINITY) {
  return value >= min && value <= max;
}

function rangeText(min: string | number | undefined, max: string | number | undefined): string {
  if (min !== undefined && max !== undefined) return ` from ${min} to ${max}`;
  if (min !== undefined) return ` of at least ${min}`;
  return max === undefined ? '' : ` of at most ${max}`;
}

/** Reads `raw`: text from a flag or the environment, any JSON value from a file. */
export function readValue(option: ConfigOption, raw: unknown): ReadValue {
  switch (option.type) {
    case 'string': {
      const { pattern } = option;
      const good = typeof raw === 'string' && (pattern?.form.test(raw) ?? true);
      return good ? { value: raw } : { expected: pattern?.description ?? 'text' };
    }
    case 'integer': {
      const { min, max } = option;
      const isText = typeof raw === 'string' && /^-?\d+$/.test(raw);
      const value = isText ? Number(raw) : raw;
      const good = Number.isSafeInteger(value) && inRange(value as number, min, max);
      return good ? { value } : { expected: `a whole number${rangeText(min, max)}` };
    }
    case 'boolean': {
      const value = raw === 'true' ? true : raw === 'false' ? false : raw;
      return typeof value === 'boolean' ? { value } : { expected: 'true or false' };
    }
    case 'duration': {
      const { minMs, maxMs } = option;
      const value = typeof raw === 'string' ? parseDuration(raw) : undefined;
      if (value !== undefined && inRange(value, minMs, maxMs)) return { value };
      const range = rangeText(minMs && `${minMs}ms`, maxMs && `${maxMs}ms`);
      return { expected: `a duration such as 10m or 250ms${range}` };
    }
    case 'bytes': {
      const { minBytes, maxBytes } = option;
      const text = typeof raw === 'number' ? String(raw) : raw;
      const value = typeof text === 'string' ? parseBytes(text) : undefined;
      if (value !== undefined && inRange(value, minBytes, maxBytes)) return { value };
      return { expected: `a size in bytes such as 256Mi or 4096${rangeText(minBytes, maxBytes)}` };
    }
    case 'choice': {
      const good = typeof raw === 'string' && option.choices.includes(raw);
      return good ? { value: raw } : { expected: `one of ${option.choices.join(', ')}` };
    }
    case 'list': {
      // An empty variable is an empty list: templates of deployments write it so.
      const items = typeof raw === 'string' && raw.trim() === '' ? [] : raw;
      const list = typeof items === 'string' ? items.split(',').map((item) => item.trim()) : items;
      const good =
        Array.isArray(list) && list.every((item) => typeof item === 'string' && item !== '');
      return good ? { value: list } : { expected: 'a list of non-empty texts' };
    }
  }
}
