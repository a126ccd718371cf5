import { type Operation, verbClasses } from '../operation.ts';

/** What setting a name means for the session and for policy. */
export type SettingVerdict =
  /** Comes with any access; `resolution` when later names may resolve differently. */
  | { readonly kind: 'Harmless'; readonly resolution: boolean }
  /** Needs a rule: verb Set on [database, name]. */
  | { readonly kind: 'Set' }
  /** Becomes another role: verb SetRole on [database, role]. */
  | { readonly kind: 'Role'; readonly role: string }
  /** Changes how text is parsed or encoded: never. */
  | { readonly kind: 'Pinned'; readonly reason: string };

const harmless: ReadonlySet<string> = new Set(
  `application_name array_nulls bytea_output check_function_bodies client_connection_check_interval
   client_min_messages cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost cursor_tuple_fraction datestyle
   default_statistics_target default_table_access_method default_tablespace default_toast_compression
   default_transaction_deferrable default_transaction_isolation default_transaction_read_only
   effective_cache_size enable_async_append enable_bitmapscan enable_gathermerge enable_group_by_reordering
   enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan enable_indexscan
   enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
   enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate
   enable_partitionwise_join enable_seqscan enable_sort enable_tidscan escape_string_warning
   extra_float_digits from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size geqo_seed
   geqo_selection_bias geqo_threshold idle_in_transaction_session_timeout idle_session_timeout
   intervalstyle jit jit_above_cost jit_inline_above_cost jit_optimize_above_cost join_collapse_limit
   lc_monetary lc_numeric lc_time lock_timeout parallel_setup_cost parallel_tuple_cost plan_cache_mode
   quote_all_identifiers random_page_cost restrict_nonsystem_relation_kind row_security seq_page_cost statement_timeout
   synchronize_seqscans tcp_user_timeout timezone timezone_abbreviations transaction_deferrable
   transaction_isolation transaction_read_only transaction_timeout xmlbinary xmloption`.split(
    /\s+/,
  ),
);

/** Settings that anyone may SHOW: drivers ask for them on connecting. */
const shown: ReadonlySet<string> = new Set(
  `client_encoding in_hot_standby integer_datetimes is_superuser max_identifier_length max_index_keys
   search_path server_encoding server_version server_version_num session_authorization role
   standard_conforming_strings lc_collate lc_ctype block_size`.split(/\s+/),
);

const trueWords: ReadonlySet<string> = new Set(['on', 'true', 'yes', '1', 't', 'tru', 'y', 'ye']);

/** PostgreSQL's names of settings are matched without regard to ASCII case. */
function canonicalName(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => letter.toLowerCase());
}

/**
 * What `SET name = value` means. `value` is undefined where it is not a plain constant, or where it is the
 * session's default (RESET, SET … TO DEFAULT).
 */
export function judgeSetting(name: string, value: string | undefined): SettingVerdict {
  const setting = canonicalName(name);
  switch (setting) {
    case 'search_path':
      return { kind: 'Harmless', resolution: true };
    case 'role':
    case 'session_authorization':
      return value === undefined || (setting === 'role' && value === 'none')
        ? { kind: 'Harmless', resolution: true }
        : { kind: 'Role', role: value };
    case 'standard_conforming_strings':
      return value !== undefined && trueWords.has(value.toLowerCase())
        ? { kind: 'Harmless', resolution: false }
        : pinned(setting, 'it must stay on');
    case 'client_encoding':
      return value !== undefined && isUtf8(value)
        ? { kind: 'Harmless', resolution: false }
        : pinned(setting, 'it must stay UTF8');
    case 'backslash_quote':
      return pinned(setting, 'it changes how strings are read');
    default:
      return harmless.has(setting) ? { kind: 'Harmless', resolution: false } : { kind: 'Set' };
  }
}

function pinned(setting: string, why: string): SettingVerdict {
  return { kind: 'Pinned', reason: `setting ${setting}: ${why}` };
}

function isUtf8(value: string): boolean {
  const name = value.toLowerCase().replace(/[^a-z0-9]/g, '');
  return name === 'utf8' || name === 'unicode';
}

/** The operation of setting `name`, or null when it comes with any access. */
export function settingOperation(
  name: string,
  value: string | undefined,
  database: string,
): Operation | null {
  const verdict = judgeSetting(name, value);
  switch (verdict.kind) {
    case 'Harmless':
      return null;
    case 'Role':
      return operation('SetRole', [database, verdict.role], `SET ${canonicalName(name)}`);
    case 'Set':
      return operation('Set', [database, canonicalName(name)]);
    case 'Pinned':
      return operation('Unknown', [database], verdict.reason);
  }
}

function operation(
  verb: 'Set' | 'SetRole' | 'Unknown' | 'Show',
  resource: readonly string[],
  reason?: string,
): Operation {
  const base = { verb, class: verbClasses[verb], resource, reach: 'Named' } as const;
  return reason === undefined ? base : { ...base, reason };
}

/** The operation of showing `name`, or null when it comes with any access. */
export function showOperation(name: string, database: string): Operation | null {
  const setting = canonicalName(name);
  return harmless.has(setting) || shown.has(setting)
    ? null
    : operation('Show', [database, setting]);
}

/**
 * A startup parameter, or one of `options=-c name=value`: the operation that it needs, or null when it
 * comes with any access. The same rules as for SET.
 */
export function startupSetting(name: string, value: string, database: string): Operation | null {
  return settingOperation(name, value, database);
}
