/**
 * The functions of pg_catalog that an analysis may pass, by name: every overload of a listed name reads
 * its arguments only, runs no SQL and no function given by name, and changes nothing. What is not listed
 * is Unknown. Not here on purpose: query_to_xml and its kin, ts_stat and ts_rewrite (they run SQL),
 * lo_*, pg_read_file and its kin, dblink, pg_terminate_backend, and whatever signals, logs, or reads
 * another session.
 */
function words(text: string): ReadonlySet<string> {
  return new Set(text.trim().split(/\s+/));
}

/** Functions, aggregates and window functions that compute from their arguments alone. */
export const pureFunctions: ReadonlySet<string> = words(`
  abs acos acosd acosh asin asind asinh atan atan2 atan2d atand atanh cbrt ceil ceiling cos cosd cosh cot
  cotd degrees div erf erfc exp factorial floor gamma gcd lcm lgamma ln log log10 min_scale mod pi pow power
  radians random random_normal round scale sign sin sind sinh sqrt tan tand tanh trim_scale trunc
  width_bucket dsqrt dpow int4larger int4smaller int8inc float8_accum

  ascii bit_length btrim casefold char_length character_length chr concat concat_ws convert convert_from
  convert_to crc32 crc32c decode encode format initcap left length like like_escape lower lpad ltrim md5
  normalize is_normalized notlike octet_length overlay parse_ident position quote_ident quote_literal
  quote_nullable regexp_count regexp_instr regexp_like regexp_match regexp_matches regexp_replace
  regexp_split_to_array regexp_split_to_table regexp_substr repeat replace reverse right rpad rtrim sha224
  sha256 sha384 sha512 similar_escape similar_to_escape split_part starts_with string_to_array
  string_to_table strpos substr substring textcat textlen to_ascii to_bin to_hex to_oct translate
  unicode_assigned unistr upper get_bit get_byte set_bit set_byte bit_count bytea_string_agg_finalfn

  age clock_timestamp date_add date_bin date_part date_subtract date_trunc extract isfinite justify_days
  justify_hours justify_interval make_date make_interval make_time make_timestamp make_timestamptz now
  overlaps statement_timestamp timeofday timezone transaction_timestamp to_char to_date to_number
  to_timestamp pg_sleep pg_sleep_for pg_sleep_until

  array_append array_cat array_dims array_fill array_length array_lower array_ndims array_position
  array_positions array_prepend array_remove array_replace array_reverse array_sample array_shuffle
  array_sort array_to_string array_upper cardinality trim_array unnest generate_series
  generate_subscripts

  array_to_json json_array_element json_array_element_text json_array_elements
  json_array_elements_text json_array_length json_build_array json_build_object json_each json_each_text
  json_extract_path json_extract_path_text json_object json_object_keys json_strip_nulls
  json_to_record json_to_recordset json_typeof jsonb_array_elements jsonb_array_elements_text
  jsonb_array_length jsonb_build_array jsonb_build_object jsonb_concat jsonb_contains jsonb_delete
  jsonb_delete_path jsonb_each jsonb_each_text jsonb_exists jsonb_exists_all jsonb_exists_any
  jsonb_extract_path jsonb_extract_path_text jsonb_insert jsonb_object jsonb_object_keys jsonb_path_exists
  jsonb_path_exists_tz jsonb_path_match jsonb_path_match_tz jsonb_path_query jsonb_path_query_array
  jsonb_path_query_array_tz jsonb_path_query_first jsonb_path_query_first_tz jsonb_path_query_tz
  jsonb_pretty jsonb_set jsonb_set_lax jsonb_strip_nulls jsonb_to_record jsonb_to_recordset jsonb_typeof
  row_to_json to_json to_jsonb

  isempty lower_inc lower_inf multirange range_merge upper_inc upper_inf int4range int8range numrange
  tsrange tstzrange daterange int4multirange int8multirange nummultirange tsmultirange tstzmultirange
  datemultirange

  abbrev broadcast family host hostmask inet_merge inet_same_family macaddr8_set7bit masklen netmask
  network set_masklen

  area bound_box box center circle diagonal diameter height isclosed isopen line lseg npoints path pclose
  point polygon popen radius slope width

  array_to_tsvector get_current_ts_config json_to_tsvector jsonb_to_tsvector numnode phraseto_tsquery
  plainto_tsquery querytree setweight strip to_tsquery to_tsvector ts_delete ts_filter ts_headline ts_lexize
  ts_rank ts_rank_cd tsquery_phrase tsvector_to_array websearch_to_tsquery

  gen_random_uuid uuid_extract_timestamp uuid_extract_version uuidv4 uuidv7

  any_value array_agg avg bit_and bit_or bit_xor bool_and bool_or corr count covar_pop covar_samp every
  json_agg json_agg_strict json_object_agg json_object_agg_strict json_object_agg_unique
  json_object_agg_unique_strict jsonb_agg jsonb_agg_strict jsonb_object_agg jsonb_object_agg_strict
  jsonb_object_agg_unique jsonb_object_agg_unique_strict max min mode percentile_cont percentile_disc
  range_agg range_intersect_agg regr_avgx regr_avgy regr_count regr_intercept regr_r2 regr_slope regr_sxx
  regr_sxy regr_syy stddev stddev_pop stddev_samp string_agg sum var_pop var_samp variance xmlagg

  cume_dist dense_rank first_value lag last_value lead nth_value ntile percent_rank rank row_number

  enum_first enum_last enum_range
  num_nonnulls num_nulls pg_collation_for pg_column_compression pg_column_size
  pg_size_bytes pg_size_pretty pg_typeof hashtext hashtextextended xml xml_is_well_formed
  xml_is_well_formed_content xml_is_well_formed_document xmlcomment xmlexists xmltext xpath xpath_exists
  setseed texteq textne int4eq int4ne booleq
`);

/** Of the pure ones, those whose result differs from call to call or row to row. */
export const volatileFunctions: ReadonlySet<string> = words(`
  random random_normal gen_random_uuid uuidv4 uuidv7 clock_timestamp timeofday array_sample array_shuffle
  nextval setval
`);

/**
 * Functions that read definitions, sizes and the session's own state, never rows: class Catalog, with any
 * access (decisions 7).
 */
export const catalogFunctions: ReadonlySet<string> = words(`
  col_description format_type has_any_column_privilege has_column_privilege has_database_privilege
  has_foreign_data_wrapper_privilege has_function_privilege has_language_privilege has_parameter_privilege
  has_schema_privilege has_sequence_privilege has_server_privilege has_table_privilege
  has_tablespace_privilege has_type_privilege pg_has_role row_security_active
  aclexplode acldefault makeaclitem
  inet_client_addr inet_client_port inet_server_addr inet_server_port
  obj_description shobj_description
  pg_basetype pg_get_acl pg_settings_get_flags
  pg_available_extension_versions pg_available_extensions pg_backend_pid pg_blocking_pids
  pg_char_to_encoding pg_client_encoding pg_collation_actual_version pg_collation_is_visible
  pg_column_is_updatable pg_conf_load_time pg_conversion_is_visible pg_database_collation_actual_version
  pg_database_size pg_describe_object pg_encoding_max_length pg_encoding_to_char pg_extension_update_paths
  pg_function_is_visible pg_get_catalog_foreign_keys pg_get_constraintdef pg_get_expr
  pg_get_function_arg_default pg_get_function_arguments pg_get_function_identity_arguments
  pg_get_function_result pg_get_function_sqlbody pg_get_functiondef pg_get_indexdef pg_get_keywords
  pg_get_object_address pg_get_partition_constraintdef pg_get_partkeydef pg_get_publication_tables
  pg_get_replica_identity_index pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef
  pg_get_statisticsobjdef_columns pg_get_statisticsobjdef_expressions pg_get_triggerdef pg_get_userbyid
  pg_get_viewdef pg_identify_object pg_identify_object_as_address pg_index_column_has_property
  pg_index_has_property pg_indexam_has_property pg_indexes_size pg_is_in_recovery
  pg_is_other_temp_schema pg_is_wal_replay_paused
  pg_last_wal_receive_lsn pg_last_wal_replay_lsn pg_last_xact_replay_timestamp pg_my_temp_schema
  pg_opclass_is_visible pg_operator_is_visible pg_opfamily_is_visible pg_options_to_table
  pg_partition_ancestors pg_partition_root pg_partition_tree pg_postmaster_start_time
  pg_relation_filenode pg_relation_is_publishable pg_relation_is_updatable pg_relation_size
  pg_sequence_parameters pg_show_all_settings pg_statistics_obj_is_visible pg_stat_get_numscans
  pg_stat_get_analyze_count pg_stat_get_autoanalyze_count pg_stat_get_autovacuum_count pg_stat_get_blocks_fetched
  pg_stat_get_blocks_hit pg_stat_get_dead_tuples pg_stat_get_ins_since_vacuum pg_stat_get_last_analyze_time
  pg_stat_get_last_autoanalyze_time pg_stat_get_last_autovacuum_time pg_stat_get_last_vacuum_time
  pg_stat_get_live_tuples pg_stat_get_mod_since_analyze pg_stat_get_tuples_deleted pg_stat_get_tuples_fetched
  pg_stat_get_tuples_hot_updated pg_stat_get_tuples_inserted pg_stat_get_tuples_returned
  pg_stat_get_tuples_updated pg_stat_get_vacuum_count
  pg_table_is_visible pg_table_size pg_tablespace_location pg_tablespace_size pg_total_relation_size
  pg_ts_config_is_visible pg_ts_dict_is_visible pg_ts_parser_is_visible pg_ts_template_is_visible
  pg_type_is_visible to_regclass to_regcollation to_regnamespace to_regoper to_regoperator to_regproc
  to_regprocedure to_regrole to_regtype to_regtypemod
  current_database current_schema current_schemas current_user session_user system_user getpgusername version
  unicode_version icu_unicode_version pg_current_snapshot pg_current_xact_id pg_current_xact_id_if_assigned
  pg_visible_in_snapshot pg_snapshot_xip pg_snapshot_xmax pg_snapshot_xmin pg_xact_status txid_current
  txid_current_if_assigned txid_current_snapshot txid_snapshot_xip txid_snapshot_xmax txid_snapshot_xmin
  getdatabaseencoding current_query txid_status txid_visible_in_snapshot pg_current_wal_lsn pg_current_wal_insert_lsn pg_wal_lsn_diff
  pg_listening_channels pg_notification_queue_usage pg_trigger_depth
`);

/** Functions that take or release one advisory lock: verb Lock on [database, 'advisory']. */
export const advisoryLockFunctions: ReadonlySet<string> = words(`
  pg_advisory_lock pg_advisory_lock_shared pg_advisory_unlock pg_advisory_unlock_shared
  pg_advisory_xact_lock pg_advisory_xact_lock_shared pg_try_advisory_lock pg_try_advisory_lock_shared
  pg_try_advisory_xact_lock pg_try_advisory_xact_lock_shared
`);

/** Functions that return many rows: what they return is no constant. */
export const setReturningFunctions: ReadonlySet<string> = words(`
  generate_series generate_subscripts unnest regexp_matches regexp_split_to_table string_to_table
  json_array_elements json_array_elements_text json_each json_each_text json_object_keys
  json_to_recordset jsonb_array_elements jsonb_array_elements_text jsonb_each jsonb_each_text
  jsonb_object_keys jsonb_to_recordset jsonb_path_query jsonb_path_query_tz aclexplode pg_get_keywords
  pg_options_to_table pg_partition_tree pg_partition_ancestors pg_listening_channels
`);

/** Columns of functions that return rows; every other listed function returns one column. */
export const functionColumns: ReadonlyMap<string, readonly string[]> = new Map(
  Object.entries({
    json_each: ['key', 'value'],
    json_each_text: ['key', 'value'],
    jsonb_each: ['key', 'value'],
    jsonb_each_text: ['key', 'value'],
    json_array_elements: ['value'],
    json_array_elements_text: ['value'],
    jsonb_array_elements: ['value'],
    jsonb_array_elements_text: ['value'],
    aclexplode: ['grantor', 'grantee', 'privilege_type', 'is_grantable'],
    pg_options_to_table: ['option_name', 'option_value'],
    pg_partition_tree: ['relid', 'parentrelid', 'isleaf', 'level'],
    pg_partition_ancestors: ['relid'],
    pg_get_keywords: ['word', 'catcode', 'barelabel', 'catdesc', 'baredesc'],
    pg_available_extensions: ['name', 'default_version', 'comment'],
    pg_available_extension_versions: [
      'name',
      'version',
      'superuser',
      'trusted',
      'relocatable',
      'schema',
      'requires',
      'comment',
    ],
    pg_sequence_parameters: [
      'start_value',
      'minimum_value',
      'maximum_value',
      'increment',
      'cycle_option',
      'cache_size',
      'data_type',
    ],
    pg_identify_object: ['type', 'schema', 'name', 'identity'],
    pg_identify_object_as_address: ['type', 'object_names', 'object_args'],
    pg_get_object_address: ['classid', 'objid', 'objsubid'],
    _pg_expandarray: ['x', 'n'],
  }),
);

/** Functions whose columns a version or an argument decides: usable in FROM only with a column list. */
export const shapelessFunctions: ReadonlySet<string> = words(`
  json_to_record json_to_recordset jsonb_to_record jsonb_to_recordset pg_get_publication_tables
  pg_get_catalog_foreign_keys pg_show_all_settings pg_extension_update_paths
`);

/** Functions of information_schema that drivers call. */
export const informationSchemaFunctions: ReadonlySet<string> = words(`_pg_expandarray`);
