/**
 * What the scratch server itself tells of the statement that ran last, as functions in a schema `oracle` that no
 * statement names. None of it uses Chaperone's own code, nor what Chaperone reads of the catalog.
 */

/** System catalogs whose rows belong to a relation: [catalog, OID of the object, OID of the relation]. */
const ofRelations: readonly (readonly [catalog: string, object: string, relation: string])[] = [
  ['pg_attribute', 'attrelid', 'attrelid'],
  ['pg_attrdef', 'oid', 'adrelid'],
  ['pg_constraint', 'oid', 'conrelid'],
  ['pg_index', 'indexrelid', 'indrelid'],
  ['pg_rewrite', 'oid', 'ev_class'],
  ['pg_policy', 'oid', 'polrelid'],
  ['pg_inherits', 'inhrelid', 'inhrelid'],
  ['pg_inherits', 'inhparent', 'inhparent'],
  ['pg_sequence', 'seqrelid', 'seqrelid'],
  ['pg_foreign_table', 'ftrelid', 'ftrelid'],
  ['pg_partitioned_table', 'partrelid', 'partrelid'],
];

/** System catalogs of what is no relation. */
const ofOthers =
  `pg_proc pg_namespace pg_operator pg_collation pg_conversion pg_ts_config pg_ts_dict pg_ts_parser
  pg_ts_template pg_language pg_cast pg_foreign_data_wrapper pg_foreign_server pg_user_mapping pg_extension
  pg_event_trigger pg_publication pg_am pg_opclass pg_opfamily pg_transform pg_default_acl
  pg_authid pg_database pg_tablespace pg_subscription`.split(/\s+/);

const objects = [
  `SELECT 'pg_class'::regclass::oid AS class, c.oid AS object, 0 AS part, c.oid AS relation, c.xmin
   FROM pg_class c WHERE c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
  `SELECT 'pg_class'::regclass, c.oid, 0, i.indrelid, c.xmin
   FROM pg_class c JOIN pg_index i ON i.indexrelid = c.oid`,
  ...ofRelations.map(
    ([catalog, object, relation]) =>
      `SELECT '${catalog}'::regclass, t.${object}, ${catalog === 'pg_attribute' ? 't.attnum' : '0'}, t.${relation}, t.xmin
       FROM ${catalog} t JOIN pg_class c ON c.oid = t.${relation} AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S')`,
  ),
  `SELECT 'pg_trigger'::regclass, t.oid, 0, t.tgrelid, t.xmin FROM pg_trigger t WHERE NOT t.tgisinternal`,
  `SELECT 'pg_description'::regclass, d.objoid, d.objsubid, d.objoid, d.xmin
   FROM pg_description d WHERE d.classoid = 'pg_class'::regclass`,
  // Row types and arrays come with what they are of.
  `SELECT 'pg_type'::regclass, t.oid, 0, 0, t.xmin FROM pg_type t LEFT JOIN pg_class c ON c.oid = t.typrelid
   WHERE t.typelem = 0 AND (c.oid IS NULL OR c.relkind = 'c')`,
  `SELECT 'pg_type'::regclass, e.enumtypid, 0, 0, e.xmin FROM pg_enum e`,
  `SELECT 'pg_type'::regclass, k.contypid, 0, 0, k.xmin FROM pg_constraint k WHERE k.contypid <> 0`,
  `SELECT 'pg_authid'::regclass, m.roleid, 0, 0, m.xmin FROM pg_auth_members m`,
  `SELECT 'pg_database'::regclass, s.setdatabase, 0, 0, s.xmin FROM pg_db_role_setting s`,
  `SELECT 'pg_largeobject'::regclass, t.oid, 0, 0, t.xmin FROM pg_largeobject_metadata t`,
  ...ofOthers.map(
    (catalog) => `SELECT '${catalog}'::regclass, t.oid, 0, 0, t.xmin FROM ${catalog} t`,
  ),
];

/**
 * `oracle.remember()`: to be called once, before anything is tried; `oracle.sequences()`: before a transaction;
 * `oracle.counters()`: just before a statement; `oracle.seen(everything)`: just after it, in its transaction, or after its end with `everything`, since locks and
 * counters are gone by then.
 */
export const watchSql = `
CREATE SCHEMA oracle;
GRANT USAGE ON SCHEMA oracle TO PUBLIC;
CREATE VIEW oracle.objects AS ${objects.join('\nUNION ALL ')};
CREATE FUNCTION oracle.name_of(relation oid) RETURNS text LANGUAGE sql AS
  $$SELECT regexp_replace(n.nspname, '^pg_temp_.*', 'pg_temp') || '.' || c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = relation$$;
CREATE FUNCTION oracle.hidden(relation oid) RETURNS boolean LANGUAGE sql AS
  $$SELECT EXISTS (SELECT FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
      WHERE c.oid = relation AND n.nspname ~ '^(oracle|pg_catalog|pg_toast.*|information_schema)$')$$;
-- Without arguments: functions and operators are named, not their signatures.
CREATE FUNCTION oracle.object_name(class oid, object oid) RETURNS text LANGUAGE sql AS
  $$SELECT coalesce(i.schema || '.' || i.name, nullif(regexp_replace(i.identity, '\\(.*$', ''), ''), class::regclass::text)
    FROM pg_identify_object(class, object, 0) i$$;
CREATE TABLE oracle.before (class oid, object oid, part int, relation oid, name text);
CREATE TABLE oracle.contents (relation oid, digest text);
CREATE TABLE oracle.since (xid bigint);

-- Sequences that belong to a relation: by the sequence's name, the relation's.
CREATE FUNCTION oracle.owned() RETURNS json LANGUAGE sql AS $$
  SELECT json_object_agg(oracle.name_of(d.objid), oracle.name_of(d.refobjid)) FROM pg_depend d
    JOIN pg_class s ON s.oid = d.objid AND s.relkind = 'S' WHERE d.classid = 'pg_class'::regclass AND d.deptype IN ('a', 'i') $$;

CREATE FUNCTION oracle.digest(relation oid) RETURNS text LANGUAGE plpgsql AS $$
DECLARE found text; kind "char";
BEGIN
  SELECT relkind INTO kind FROM pg_class WHERE oid = relation;
  IF kind NOT IN ('r', 'm') THEN RETURN NULL; END IF;
  IF kind = 'm' AND NOT (SELECT relispopulated FROM pg_class WHERE oid = relation) THEN RETURN 'none'; END IF;
  EXECUTE format('SELECT md5(string_agg(md5(t::text), '''' ORDER BY md5(t::text))) FROM ONLY %s t', relation::regclass) INTO found;
  RETURN coalesce(found, 'empty');
END $$;

CREATE FUNCTION oracle.remember() RETURNS void LANGUAGE sql SET search_path = pg_catalog AS $$
  INSERT INTO oracle.before SELECT o.class, o.object, o.part, o.relation,
      CASE WHEN o.relation <> 0 THEN oracle.name_of(o.relation) ELSE oracle.object_name(o.class, o.object) END
    FROM oracle.objects o
    WHERE o.relation = 0 OR NOT oracle.hidden(o.relation);
  INSERT INTO oracle.contents SELECT c.oid, oracle.digest(c.oid) FROM pg_class c
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'm') AND NOT oracle.hidden(c.oid);
  INSERT INTO oracle.since SELECT pg_current_xact_id()::text::bigint;
$$;

CREATE FUNCTION oracle.counters() RETURNS json LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog AS $$
  SELECT json_build_object(
    'tables', (SELECT json_object_agg(relid, json_build_array(seq_scan + coalesce(idx_scan, 0), n_tup_ins, n_tup_upd, n_tup_del))
      FROM pg_stat_xact_all_tables WHERE relid >= 16384),
    'functions', (SELECT json_object_agg(funcid, calls) FROM pg_stat_xact_user_functions),
    'maintained', (SELECT json_object_agg(relid, json_build_array(vacuum_count, analyze_count)) FROM pg_stat_all_tables WHERE relid >= 16384))
$$;

-- Not undone by a rollback, so to be read outside of a transaction too.
CREATE FUNCTION oracle.sequences() RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE sequence record; value text; found jsonb := '{}';
BEGIN
  FOR sequence IN SELECT c.oid FROM pg_class c JOIN oracle.before b ON b.class = 'pg_class'::regclass AND b.object = c.oid AND c.relkind = 'S' LOOP
    EXECUTE format('SELECT last_value || '' '' || is_called FROM %s', sequence.oid::regclass) INTO value;
    found := found || jsonb_build_object(sequence.oid::text, value);
  END LOOP;
  RETURN found;
END $$;

CREATE FUNCTION oracle.seen(everything boolean) RETURNS json LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog AS $$
DECLARE locks json; advisory boolean; counters json; changed boolean; definitions json; contents json;
BEGIN
  -- First, before this function locks anything itself.
  SELECT json_agg(json_build_array(coalesce(i.indrelid, l.relation), l.mode)),
      EXISTS (SELECT FROM pg_locks WHERE pid = pg_backend_pid() AND locktype = 'advisory')
    INTO locks, advisory
    FROM pg_locks l LEFT JOIN pg_index i ON i.indexrelid = l.relation
    WHERE l.pid = pg_backend_pid() AND l.locktype = 'relation' AND l.relation >= 16384
      AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database());
  counters := oracle.counters();
  changed := everything OR pg_current_xact_id_if_assigned() IS NOT NULL;
  IF changed THEN
    SELECT json_agg(DISTINCT ARRAY[d.change, d.kind, d.name]) INTO definitions FROM (
      -- What stands there since: made or changed.
      SELECT CASE WHEN b.object IS NOT NULL OR o.relation = 0 THEN 'changed' ELSE 'created' END AS change,
          CASE WHEN o.relation <> 0 THEN 'relation' ELSE 'object' END AS kind,
          CASE WHEN o.relation <> 0 THEN coalesce(b.name, oracle.name_of(o.relation))
            ELSE coalesce((SELECT b.name FROM oracle.before b WHERE b.class = o.class AND b.object = o.object LIMIT 1),
              oracle.object_name(o.class, o.object)) END AS name
        -- Few are new: OFFSET 0 has them found before anything is asked about each.
        FROM (SELECT * FROM oracle.objects n WHERE n.xmin::text::bigint > (SELECT xid FROM oracle.since) OFFSET 0) o
          LEFT JOIN oracle.before b ON b.class = 'pg_class'::regclass AND b.object = o.relation AND o.relation <> 0
        WHERE true
          -- What PostgreSQL makes as a part of something else, such as a range's functions.
          AND NOT (o.relation = 0 AND EXISTS (SELECT FROM pg_depend i WHERE i.classid = o.class AND i.objid = o.object AND i.deptype = 'i'))
          AND NOT (o.class = 'pg_namespace'::regclass AND EXISTS (SELECT FROM pg_namespace n WHERE n.oid = o.object AND n.nspname ~ '^pg_(toast_)?temp_'))
          AND (o.relation = 0 OR NOT oracle.hidden(o.relation))
      UNION ALL
      -- Relations under another name.
      SELECT 'created', 'relation', oracle.name_of(b.object) FROM oracle.before b
        WHERE b.class = 'pg_class'::regclass AND b.object = b.relation AND oracle.name_of(b.object) <> b.name
      UNION ALL
      -- What is gone: a relation, a part of one, or another object.
      SELECT CASE WHEN b.relation <> 0 AND (b.object <> b.relation OR b.class <> 'pg_class'::regclass) THEN 'changed' ELSE 'dropped' END,
          CASE WHEN b.relation <> 0 THEN 'relation' ELSE 'object' END, b.name
        FROM oracle.before b
        WHERE NOT EXISTS (SELECT FROM oracle.objects o WHERE o.class = b.class AND o.object = b.object AND o.part = b.part)
          -- What initdb made cannot be dropped, but for extensions and the like.
          AND (b.object >= 16384 OR b.object > 12000 AND b.class IN ('pg_extension'::regclass, 'pg_language'::regclass, 'pg_database'::regclass))
          AND (b.class = 'pg_class'::regclass AND b.object = b.relation OR b.relation = 0 OR EXISTS (SELECT FROM pg_class c WHERE c.oid = b.relation))
    ) d;
    SELECT json_agg(oracle.name_of(c.relation)) INTO contents
      FROM oracle.contents c
      WHERE oracle.name_of(c.relation) IS NOT NULL AND oracle.digest(c.relation) <> c.digest
        AND (everything OR EXISTS (SELECT FROM json_array_elements(locks) l
          WHERE (l->>0)::oid = c.relation AND l->>1 NOT IN ('AccessShareLock', 'RowShareLock')));
  END IF;
  RETURN json_build_object('locks', locks, 'advisory', advisory, 'counters', counters,
    'definitions', definitions, 'contents', contents,
    'keys', (SELECT json_agg(json_build_array(oracle.name_of(conrelid), oracle.name_of(confrelid))) FROM pg_constraint WHERE contype = 'f'),
    'owned', oracle.owned(),
    'sequences', oracle.sequences(),
    'names', CASE WHEN changed THEN (SELECT json_object_agg(c.oid, oracle.name_of(c.oid)) FROM pg_class c
      WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT oracle.hidden(c.oid)) END);
END $$;
GRANT EXECUTE ON FUNCTION oracle.counters(), oracle.sequences(), oracle.seen(boolean) TO PUBLIC;
`;

const watchedSettings = [
  'role',
  'session_authorization',
  'search_path',
  'standard_conforming_strings',
  'client_encoding',
  'backslash_quote',
  'work_mem',
];

/** One row: what was seen, and the settings as the session has them (within a function they are the function's). */
export const seenSql = `SELECT oracle.seen($1) AS seen, pg_catalog.json_build_object(${watchedSettings
  .map((name) => `'${name}', pg_catalog.current_setting('${name}')`)
  .join(', ')}) AS settings`;

/** What the oracle knows of the relations before anything is tried; read once. */
export const knowledgeSql = `SELECT json_build_object(
  'names', (SELECT json_object_agg(c.oid, oracle.name_of(c.oid)) FROM pg_class c
    WHERE c.oid >= 16384 AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND NOT oracle.hidden(c.oid)),
  'functions', (SELECT json_object_agg(p.oid, p.pronamespace::regnamespace || '.' || p.proname) FROM pg_proc p WHERE p.oid >= 16384),
  'keys', (SELECT json_agg(json_build_array(oracle.name_of(conrelid), oracle.name_of(confrelid))) FROM pg_constraint WHERE contype = 'f'),
  'partitions', (SELECT json_agg(oracle.name_of(oid)) FROM pg_class WHERE relispartition AND relkind IN ('r', 'p')),
  'sequences', oracle.owned(),
  'defaults', (SELECT json_object_agg(oracle.name_of(d.refobjid), oracle.name_of(f.adrelid)) FROM pg_depend d
    JOIN pg_attrdef f ON d.classid = 'pg_attrdef'::regclass AND f.oid = d.objid JOIN pg_class s ON s.oid = d.refobjid AND s.relkind = 'S')) AS known`;
