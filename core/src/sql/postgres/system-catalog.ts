/**
 * Which relations of pg_catalog and information_schema come with any access (decisions 7): definitions and
 * counters that drivers, ORMs and psql read. What is not listed is Unknown. Never to be listed: what shows
 * values (pg_stats*, pg_statistic, pg_statistic_ext_data, pg_largeobject itself), other sessions' texts
 * (pg_stat_activity, pg_stat_statements, pg_prepared_statements, pg_cursors), and secrets or places of
 * secrets (pg_authid, pg_shadow, pg_user_mapping*, pg_subscription, pg_db_role_setting, pg_hba_file_rules,
 * pg_file_settings). pg_statistic_ext is listed: it holds definitions only, and psql's \d reads it.
 */
const reviewedCatalog: ReadonlySet<string> = new Set(
  `pg_aggregate pg_am pg_amop pg_amproc pg_attrdef pg_attribute pg_auth_members
   pg_available_extensions pg_available_extension_versions pg_cast pg_class pg_collation pg_constraint
   pg_conversion pg_database pg_default_acl pg_depend pg_description pg_enum pg_event_trigger pg_extension
   pg_foreign_data_wrapper pg_foreign_server pg_foreign_table pg_group pg_index pg_indexes pg_inherits
   pg_init_privs pg_language pg_largeobject_metadata pg_locks pg_matviews pg_namespace pg_opclass pg_operator pg_opfamily
   pg_partitioned_table pg_policies pg_policy pg_proc pg_publication pg_publication_namespace
   pg_publication_rel pg_publication_tables pg_range pg_rewrite pg_roles pg_rules pg_seclabel pg_seclabels
   pg_sequence pg_sequences pg_settings pg_shdepend pg_shdescription pg_shseclabel pg_statistic_ext
   pg_stat_all_indexes pg_stat_all_tables pg_stat_bgwriter pg_stat_checkpointer pg_stat_database
   pg_stat_database_conflicts pg_stat_io pg_stat_sys_indexes pg_stat_sys_tables
   pg_stat_user_functions pg_stat_user_indexes pg_stat_user_tables pg_stat_wal pg_statio_all_indexes pg_statio_all_sequences
   pg_statio_all_tables pg_statio_user_indexes pg_statio_user_sequences pg_statio_user_tables
   pg_stat_xact_user_tables pg_tables pg_tablespace pg_timezone_abbrevs pg_timezone_names pg_transform
   pg_trigger pg_ts_config pg_ts_config_map pg_ts_dict pg_ts_parser pg_ts_template pg_type pg_user
   pg_views`.split(/\s+/),
);

/** Without user mappings, foreign options and the like, where passwords stand. */
const reviewedInformationSchema: ReadonlySet<string> = new Set(
  `administrable_role_authorizations applicable_roles attributes character_sets
   check_constraint_routine_usage check_constraints collation_character_set_applicability collations
   column_column_usage column_domain_usage column_privileges column_udt_usage columns
   constraint_column_usage constraint_table_usage data_type_privileges domain_constraints
   domain_udt_usage domains element_types enabled_roles information_schema_catalog_name key_column_usage
   parameters referential_constraints role_column_grants role_routine_grants role_table_grants
   role_udt_grants role_usage_grants routine_column_usage routine_privileges routine_routine_usage
   routine_sequence_usage routine_table_usage routines schemata sequences sql_features
   sql_implementation_info sql_parts sql_sizing table_constraints table_privileges tables transforms
   triggered_update_columns triggers udt_privileges usage_privileges user_defined_types
   view_column_usage view_routine_usage view_table_usage views`.split(/\s+/),
);

/** True when reading that relation comes with any access. */
export function isReviewedRelation(schema: string, name: string): boolean {
  if (schema === 'pg_catalog') return reviewedCatalog.has(name);
  return schema === 'information_schema' && reviewedInformationSchema.has(name);
}

/**
 * True when the name may be a relation of that system schema. pg_catalog's all begin with `pg_`, which no
 * other schema's may hide, since pg_catalog is searched first unless the path says otherwise.
 */
export function isSystemRelationName(schema: string, name: string): boolean {
  return schema === 'pg_catalog' ? name.startsWith('pg_') : isReviewedRelation(schema, name);
}
