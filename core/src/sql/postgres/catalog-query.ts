/**
 * The statements that read what the analyzer must know of a database. They run on the session's own
 * connection (decisions 4), so whatever the client did to it must not change what they do:
 * every function, relation and type is qualified, every operator is written OPERATOR(pg_catalog.…) with
 * operands of exactly its types, and no construct is used that looks an operator up through search_path
 * (IN, BETWEEN, LIKE, CASE x WHEN, USING, NATURAL, IS DISTINCT FROM, NULLIF, row comparison). ORDER BY and
 * GROUP BY use the type's default operator class, which no path changes. The texts are ASCII without
 * backslashes, so neither standard_conforming_strings nor client_encoding matters.
 */

import type { ObjectKind, OtherKind } from './catalog.ts';

/** Operators of pg_catalog alone; both operands are always of one type. */
const eq = 'OPERATOR(pg_catalog.=)';
const ne = 'OPERATOR(pg_catalog.<>)';
const gt = 'OPERATOR(pg_catalog.>)';
const ge = 'OPERATOR(pg_catalog.>=)';
const lt = 'OPERATOR(pg_catalog.<)';

const oid = (value: number): string => `${value}::pg_catalog.oid`;
const name = (value: string): string => `'${value}'::pg_catalog.name`;
const letter = (value: string): string => `'${value}'::pg_catalog."char"`;
const int8 = (expression: string): string => `${expression}::pg_catalog.int8`;
const is = (expression: string, letters: string): string =>
  `(${[...letters].map((value) => `${expression} ${eq} ${letter(value)}`).join(' OR ')})`;
const array = (...items: readonly string[]): string =>
  `pg_catalog.json_build_array(${items.join(', ')})`;
const object = (entries: Readonly<Record<string, string>>): string =>
  `pg_catalog.json_build_object(${Object.entries(entries)
    .map(([key, value]) => `'${key}', ${value}`)
    .join(', ')})`;
/** A JSON array of what `from` yields, in a fixed order; `[]` for nothing. */
const list = (item: string, order: string, from: string): string =>
  `(SELECT COALESCE(pg_catalog.json_agg(${item} ORDER BY ${order}), '[]'::pg_catalog.json) FROM ${from})`;

/** What initdb made has an OID below this (access/transam.h: FirstNormalObjectId). */
const firstUserOid = oid(16384);

/** The fixed OIDs of pg_catalog itself, and of system catalogs, by which pg_depend names them. */
const catalogOid = {
  schema: oid(11),
  type: oid(1247),
  proc: oid(1255),
  relation: oid(1259),
  attrdef: oid(2604),
  constraint: oid(2606),
  operator: oid(2617),
  rewrite: oid(2618),
  trigger: oid(2620),
  policy: oid(3256),
};

/** Schemas that this session can name: not other sessions' temporary ones, and no TOAST. */
const schemas = `
  SELECT n.oid, n.nspname, n.xmin, n.ctid
  FROM pg_catalog.pg_namespace AS n
  WHERE NOT pg_catalog.pg_is_other_temp_schema(n.oid)
    AND n.nspname ${ne} ${name('pg_toast')}
    AND NOT pg_catalog.starts_with(n.nspname::pg_catalog.text, 'pg_toast_temp_'::pg_catalog.text)`;

/**
 * Which objects call a function or operator that initdb did not make: built-in ones are pinned, so
 * pg_depend does not hold them, and what it holds is the owner's code (or information_schema's).
 */
const code = `
  SELECT DISTINCT d.classid, d.objid
  FROM pg_catalog.pg_depend AS d
  WHERE d.refclassid ${eq} ${catalogOid.proc} OR d.refclassid ${eq} ${catalogOid.operator}`;

const columns = `
  SELECT a.attrelid,
    pg_catalog.json_agg(${array('a.attnum', 'a.attname', int8('a.atttypid'))} ORDER BY a.attnum) AS list
  FROM pg_catalog.pg_attribute AS a
    JOIN relations AS r ON (r.oid ${eq} a.attrelid)
  WHERE a.attnum ${gt} 0::pg_catalog.int2 AND NOT a.attisdropped
    AND NOT ${is('r.relkind', 'iIS')}
  GROUP BY a.attrelid`;

const relation = array(
  int8('r.oid'),
  'r.nspname',
  'r.relname',
  'r.relkind',
  'r.relrowsecurity',
  "COALESCE(c.list, '[]'::pg_catalog.json)",
  `CASE WHEN ${is('r.relkind', 'vm')} AND r.oid ${ge} ${firstUserOid} THEN pg_catalog.pg_get_viewdef(r.oid) END`,
);
const relationsWithColumns = `relations AS r LEFT JOIN columns AS c ON (c.attrelid ${eq} r.oid)`;

/** What needs a relation, its row type or an array of that without being a part of it; relations apart. */
function needing(): string {
  const found = (relation: string, from: string): string =>
    `SELECT d.classid, d.objid, ${relation} AS relation FROM pg_catalog.pg_depend AS d${from}
       AND d.deptype ${eq} ${letter('n')}
       AND NOT (d.classid ${eq} ${catalogOid.relation} AND d.objsubid ${eq} 0::pg_catalog.int4)`;
  const rowType = (type: string): string =>
    ` JOIN pg_catalog.pg_type AS t ON (${type} ${eq} d.refobjid)
      WHERE d.refclassid ${eq} ${catalogOid.type} AND t.typrelid ${ne} ${oid(0)} AND t.oid ${ge} ${firstUserOid}`;
  return `(${found('d.refobjid', ` WHERE d.refclassid ${eq} ${catalogOid.relation} AND d.refobjid ${ge} ${firstUserOid}`)}
    UNION ALL ${found('t.typrelid', rowType('t.oid'))}
    UNION ALL ${found('t.typrelid', `${rowType('t.typarray')} AND t.typarray ${ne} ${oid(0)}`)})`;
}

/**
 * What goes or changes with a relation or its row type under CASCADE: views by their rule, tables by a key, a default,
 * a trigger or a policy, sequences that belong to it; anything else is no relation. What is the relation's own
 * (dependent = referenced) and its children, which have a list of their own, are left out. Most of pg_depend is the
 * relations' own parts, so it is sifted before anything is joined to it; and not from `relations`, since of a CTE the
 * planner does not know the size, and would look through all of it once a row.
 */
const dependents = `
  (SELECT DISTINCT y.referenced, y.dependent, y.wholly
   FROM (SELECT o.relation AS referenced,
       COALESCE(w.ev_class, k.conrelid, f.adrelid, g.tgrelid, p.polrelid, ${oid(0)}) AS dependent,
       COALESCE(w.rulename ${eq} ${name('_RETURN')}, false) AS wholly
     FROM ${needing()} AS o
       LEFT JOIN pg_catalog.pg_rewrite AS w ON (o.classid ${eq} ${catalogOid.rewrite} AND w.oid ${eq} o.objid)
       LEFT JOIN pg_catalog.pg_constraint AS k ON (o.classid ${eq} ${catalogOid.constraint} AND k.oid ${eq} o.objid)
       LEFT JOIN pg_catalog.pg_attrdef AS f ON (o.classid ${eq} ${catalogOid.attrdef} AND f.oid ${eq} o.objid)
       LEFT JOIN pg_catalog.pg_trigger AS g ON (o.classid ${eq} ${catalogOid.trigger} AND g.oid ${eq} o.objid)
       LEFT JOIN pg_catalog.pg_policy AS p ON (o.classid ${eq} ${catalogOid.policy} AND p.oid ${eq} o.objid)
     UNION ALL
     SELECT d.refobjid, s.oid, true
     FROM pg_catalog.pg_class AS s
       JOIN pg_catalog.pg_depend AS d ON (d.classid ${eq} ${catalogOid.relation} AND d.objid ${eq} s.oid)
     WHERE s.relkind ${eq} ${letter('S')}
       AND d.refclassid ${eq} ${catalogOid.relation} AND d.refobjid ${ge} ${firstUserOid}) AS y
   WHERE y.dependent ${ne} y.referenced) AS x`;

/** Domains with their base and whether a check of theirs is somebody's code. */
const domains = (which: string): string =>
  list(
    array(
      int8('t.oid'),
      int8('t.typbasetype'),
      `EXISTS (SELECT FROM pg_catalog.pg_constraint AS k JOIN code AS d ON (d.objid ${eq} k.oid)
         WHERE d.classid ${eq} ${catalogOid.constraint} AND k.contypid ${eq} t.oid)`,
    ),
    't.oid',
    `pg_catalog.pg_type AS t WHERE t.typtype ${eq} ${letter('d')} AND t.oid ${which} ${firstUserOid}`,
  );

/** Kinds besides functions, operators and types whose objects have names of their own in a schema. */
const otherKinds = {
  collation: ['pg_collation', 'coll'],
  conversion: ['pg_conversion', 'con'],
  statistics: ['pg_statistic_ext', 'stx'],
  ts_config: ['pg_ts_config', 'cfg'],
  ts_dict: ['pg_ts_dict', 'dict'],
  ts_parser: ['pg_ts_parser', 'prs'],
  ts_template: ['pg_ts_template', 'tmpl'],
} as const satisfies Record<OtherKind, readonly [string, string]>;

const objectKinds: Readonly<Record<ObjectKind, readonly [catalog: string, prefix: string]>> = {
  function: ['pg_proc', 'pro'],
  operator: ['pg_operator', 'opr'],
  type: ['pg_type', 'typ'],
  ...otherKinds,
};

/** A JSON array of [kind, names] of what initdb made in pg_catalog; no name has a space. */
const builtins = array(
  ...Object.entries(objectKinds).map(([kind, [catalog, prefix]]) =>
    array(
      `'${kind}'`,
      `(SELECT COALESCE(pg_catalog.string_agg(x.name::pg_catalog.text, ' '::pg_catalog.text ORDER BY x.name), ''::pg_catalog.text)
        FROM (SELECT DISTINCT o.${prefix}name AS name FROM pg_catalog.${catalog} AS o
          WHERE o.oid ${lt} ${firstUserOid} AND o.${prefix}namespace ${eq} ${catalogOid.schema}) AS x)`,
    ),
  ),
);

/** What is the same in every database of one server version; a text, so that it is compiled once. */
const system = object({
  relations: list(relation, 'r.oid', `${relationsWithColumns} WHERE r.oid ${lt} ${firstUserOid}`),
  domains: domains(lt),
  builtins,
});

const named = (catalog: string, prefix: string, condition = ''): string =>
  list(
    array('n.nspname', `o.${prefix}name`),
    `n.nspname, o.${prefix}name, o.oid`,
    `${catalog} AS o JOIN schemas AS n ON (n.oid ${eq} o.${prefix}namespace)
     WHERE o.oid ${ge} ${firstUserOid}${condition}`,
  );

const document = object({
  format: '1',
  server: "pg_catalog.current_setting('server_version_num'::pg_catalog.text)::pg_catalog.int4",
  database: 'pg_catalog.current_database()',
  temp: `(SELECT n.nspname FROM schemas AS n WHERE n.oid ${eq} pg_catalog.pg_my_temp_schema())`,
  schemas: list('n.nspname', 'n.nspname', 'schemas AS n'),
  relations: list(relation, 'r.oid', `${relationsWithColumns} WHERE r.oid ${ge} ${firstUserOid}`),
  inherits: list(
    array(int8('i.inhrelid'), int8('i.inhparent')),
    'i.inhrelid, i.inhseqno',
    `pg_catalog.pg_inherits AS i JOIN relations AS r ON (r.oid ${eq} i.inhrelid)
     WHERE NOT ${is('r.relkind', 'iI')}`,
  ),
  foreignKeys: list(
    array(
      int8('k.confrelid'),
      int8('k.conrelid'),
      `(${is('k.confdeltype', 'cnd')} OR ${is('k.confupdtype', 'cnd')})`,
    ),
    'k.oid',
    `pg_catalog.pg_constraint AS k JOIN relations AS r ON (r.oid ${eq} k.conrelid)
     WHERE k.contype ${eq} ${letter('f')}`,
  ),
  triggers: list(
    int8('g.tgrelid'),
    'g.oid',
    `pg_catalog.pg_trigger AS g JOIN relations AS r ON (r.oid ${eq} g.tgrelid) WHERE NOT g.tgisinternal`,
  ),
  rules: list(
    int8('w.ev_class'),
    'w.oid',
    `pg_catalog.pg_rewrite AS w JOIN relations AS r ON (r.oid ${eq} w.ev_class)
     WHERE w.rulename ${ne} ${name('_RETURN')} AND r.oid ${ge} ${firstUserOid}`,
  ),
  defaultsWithCode: list(
    array(int8('a.adrelid'), 'a.adnum'),
    'a.oid',
    `pg_catalog.pg_attrdef AS a JOIN code AS d ON (d.objid ${eq} a.oid)
     WHERE d.classid ${eq} ${catalogOid.attrdef}`,
  ),
  generated: list(
    array(int8('a.attrelid'), 'a.attnum', 'g.source'),
    'a.attrelid, a.attnum, g.source',
    // Most defaults depend on their own column alone: OFFSET 0 has these left out first.
    `(SELECT f.adrelid, f.adnum, d.refobjsubid AS source
      FROM pg_catalog.pg_attrdef AS f
        JOIN pg_catalog.pg_depend AS d ON (d.classid ${eq} ${catalogOid.attrdef} AND d.objid ${eq} f.oid)
      WHERE d.refclassid ${eq} ${catalogOid.relation} AND d.refobjid ${eq} f.adrelid
        AND d.refobjsubid ${gt} 0::pg_catalog.int4 AND d.refobjsubid ${ne} f.adnum::pg_catalog.int4
      OFFSET 0) AS g
     JOIN pg_catalog.pg_attribute AS a ON (a.attrelid ${eq} g.adrelid AND a.attnum ${eq} g.adnum)
     JOIN relations AS r ON (r.oid ${eq} a.attrelid)
     WHERE a.attgenerated ${ne} ${letter('')} AND NOT a.attisdropped`,
  ),
  constraintsWithCode: list(
    int8('x.relation'),
    'x.relation',
    `(SELECT k.conrelid AS relation FROM pg_catalog.pg_constraint AS k JOIN code AS d ON (d.objid ${eq} k.oid)
        WHERE d.classid ${eq} ${catalogOid.constraint} AND k.conrelid ${ne} ${oid(0)}
      UNION ALL
      SELECT i.indrelid FROM pg_catalog.pg_index AS i JOIN code AS d ON (d.objid ${eq} i.indexrelid)
        WHERE d.classid ${eq} ${catalogOid.relation}
      UNION ALL
      SELECT r.oid FROM relations AS r JOIN code AS d ON (d.objid ${eq} r.oid)
        WHERE d.classid ${eq} ${catalogOid.relation} AND NOT ${is('r.relkind', 'iI')}) AS x`,
  ),
  indexes: list(
    array(int8('x.indexrelid'), int8('x.indrelid')),
    'x.indexrelid',
    `pg_catalog.pg_index AS x JOIN pg_catalog.pg_class AS r ON (r.oid ${eq} x.indrelid)
     WHERE x.indexrelid ${ge} ${firstUserOid} AND r.relkind ${ne} ${letter('t')}`,
  ),
  dependents: list(
    array(int8('x.referenced'), int8('x.dependent'), 'x.wholly'),
    'x.referenced, x.dependent, x.wholly',
    dependents,
  ),
  domains: domains(ge),
  functions: named('pg_catalog.pg_proc', 'pro'),
  operators: named('pg_catalog.pg_operator', 'opr'),
  types: named('pg_catalog.pg_type', 'typ'),
  plainTypes: named(
    'pg_catalog.pg_type',
    'typ',
    ` AND (o.typtype ${eq} ${letter('e')} OR o.typtype ${eq} ${letter('d')} AND o.typbasetype ${lt} ${firstUserOid}
       AND NOT EXISTS (SELECT FROM pg_catalog.pg_constraint AS k JOIN code AS d ON (d.objid ${eq} k.oid)
         WHERE d.classid ${eq} ${catalogOid.constraint} AND k.contypid ${eq} o.oid))`,
  ),
  casts: list(
    array(int8('s.castsource'), int8('s.casttarget')),
    's.oid',
    `pg_catalog.pg_cast AS s WHERE s.oid ${ge} ${firstUserOid}`,
  ),
  others: list(
    array('x.kind', 'x.nspname', 'x.name'),
    'x.kind, x.nspname, x.name',
    `(${Object.entries(otherKinds)
      .map(
        ([kind, [catalog, prefix]]) =>
          `SELECT '${kind}'::pg_catalog.text AS kind, n.nspname, o.${prefix}name AS name
           FROM pg_catalog.${catalog} AS o JOIN schemas AS n ON (n.oid ${eq} o.${prefix}namespace)
           WHERE o.oid ${ge} ${firstUserOid}`,
      )
      .join(' UNION ALL ')}) AS x`,
  ),
  eventTriggers: 'EXISTS (SELECT FROM pg_catalog.pg_event_trigger)',
  encoding: 'pg_catalog.getdatabaseencoding()',
  schemaDefaults: `EXISTS (SELECT FROM pg_catalog.pg_default_acl AS l WHERE l.defaclobjtype ${eq} ${letter('n')})`,
  system: `${system}::pg_catalog.text`,
});

/** Base64 of JSON in UTF-8: the client may have chosen an encoding in which a name cannot be written. */
const field = (json: string): string =>
  `pg_catalog.encode(pg_catalog.convert_to(${json}::pg_catalog.text, ${name('UTF8')}), 'base64'::pg_catalog.text)`;

/**
 * The search path while definitions are read, whatever the session's is: pg_get_viewdef looks up the
 * operators of a query of its own by that path (so a session could choose what it finds), and leaves out
 * a schema wherever a name resolves under it. Explicitly last, pg_temp hides nothing and is not created.
 */
const readingPath = "'pg_catalog, pg_temp'::pg_catalog.text";
const setPath = (value: string): string =>
  `pg_catalog.set_config('search_path'::pg_catalog.text, ${value}, true)`;

/**
 * One statement; one row with one text column, which `decodeField` turns into the JSON document for
 * `compileCatalog`. Needs no privilege beyond what PUBLIC has on pg_catalog.
 *
 * The search path is put back by the statement itself, innermost sub-select first (OFFSET 0 keeps them
 * apart): the old value is read, the path is set, the document is made, the old value is set. It is a
 * local setting, so an error or the end of the transaction restores what was there, too.
 *
 * pg_get_viewdef takes ACCESS SHARE locks on every view and what it names, until the transaction ends, and
 * waits for whoever holds ACCESS EXCLUSIVE on one: inside a client's transaction it runs between
 * `savepointStatements`.
 */
export const catalogQuery = squeeze(`
WITH schemas AS (${schemas}),
relations AS (
  SELECT r.oid, n.nspname, r.relname, r.relkind, r.relrowsecurity
  FROM pg_catalog.pg_class AS r JOIN schemas AS n ON (n.oid ${eq} r.relnamespace)
  WHERE r.relkind ${ne} ${letter('t')}
    AND NOT (${is('r.relkind', 'iI')} AND r.oid ${lt} ${firstUserOid})
),
columns AS (${columns}),
code AS (${code}),
before AS MATERIALIZED (SELECT pg_catalog.current_setting('search_path'::pg_catalog.text) AS path)
SELECT made.document
FROM (
  SELECT during.path, CASE WHEN during.changed IS NOT NULL THEN ${field(document)} END AS document
  FROM (SELECT before.path, ${setPath(readingPath)} AS changed FROM before OFFSET 0) AS during
  OFFSET 0
) AS made
WHERE ${setPath('made.path')} IS NOT NULL`);

/**
 * One catalog's contribution to the fingerprint: the number of rows and the sum of the hashes of where
 * each row version stands and who wrote it. A row changed in any way, even twice in one transaction, is
 * another version in another place; what VACUUM and ANALYZE overwrite in place is not read here.
 */
const versions = (alias: string, from: string): string =>
  `(SELECT pg_catalog.concat(pg_catalog.count(*), '/',
     pg_catalog.sum(pg_catalog.hash_record_extended(ROW(${alias}.xmin, ${alias}.ctid), 0::pg_catalog.int8)))
   FROM ${from})`;

const fingerprinted = [
  versions('n', 'schemas AS n'),
  versions('r', 'relations AS r'),
  versions(
    'a',
    `pg_catalog.pg_attribute AS a JOIN relations AS r ON (r.oid ${eq} a.attrelid)
     WHERE a.attnum ${gt} 0::pg_catalog.int2 AND NOT ${is('r.relkind', 'iIS')}`,
  ),
  versions('w', `pg_catalog.pg_rewrite AS w JOIN relations AS r ON (r.oid ${eq} w.ev_class)`),
  versions('i', `pg_catalog.pg_inherits AS i JOIN relations AS r ON (r.oid ${eq} i.inhrelid)`),
  versions('k', `pg_catalog.pg_constraint AS k WHERE k.oid ${ge} ${firstUserOid}`),
  versions('g', `pg_catalog.pg_trigger AS g WHERE NOT g.tgisinternal`),
  versions('p', 'pg_catalog.pg_policy AS p'),
  versions('q', 'pg_catalog.pg_sequence AS q'),
  versions('f', `pg_catalog.pg_attrdef AS f WHERE f.oid ${ge} ${firstUserOid}`),
  ...Object.values(objectKinds).map(([catalog, prefix]) =>
    versions(
      'o',
      `pg_catalog.${catalog} AS o JOIN schemas AS n ON (n.oid ${eq} o.${prefix}namespace)
       WHERE o.oid ${ge} ${firstUserOid}`,
    ),
  ),
  versions('s', `pg_catalog.pg_cast AS s WHERE s.oid ${ge} ${firstUserOid}`),
  versions('e', 'pg_catalog.pg_event_trigger AS e'),
  versions('l', `pg_catalog.pg_default_acl AS l WHERE l.defaclobjtype ${eq} ${letter('n')}`),
];

/**
 * One statement; one row with one short text (at most some 500 characters) that changes whenever what
 * `catalogQuery` reads does, the search path aside. Takes no lock beyond those of reading system catalogs.
 */
export const catalogFingerprintQuery = squeeze(`
WITH schemas AS (${schemas}),
relations AS (
  SELECT r.oid, r.relkind, r.xmin, r.ctid
  FROM pg_catalog.pg_class AS r JOIN schemas AS n ON (n.oid ${eq} r.relnamespace)
  WHERE r.relkind ${ne} ${letter('t')} AND r.oid ${ge} ${firstUserOid}
)
SELECT pg_catalog.concat_ws(' ', pg_catalog.current_setting('server_version_num'), pg_catalog.current_database(),
  ${fingerprinted.join(',\n  ')})`);

/**
 * Around the queries above inside a client's transaction block, each as a statement of its own: going
 * back to the savepoint gives up the locks, and a failure in between does not spoil the transaction.
 * After the queries, or after an error of theirs, run both of `after`.
 */
export const savepointStatements = {
  before: 'SAVEPOINT "chaperone catalog"',
  after: ['ROLLBACK TO SAVEPOINT "chaperone catalog"', 'RELEASE SAVEPOINT "chaperone catalog"'],
} as const;

/**
 * What a search_path means here. Not current_schemas(true): with pg_temp first in the path that function
 * creates the temporary schema, a write that needs a privilege and fails on a standby.
 */
const session = object({
  searchPath: "pg_catalog.current_setting('search_path')",
  currentUser: 'CURRENT_USER',
  sessionUser: 'SESSION_USER',
  temp: `(SELECT n.nspname FROM pg_catalog.pg_namespace AS n WHERE n.oid ${eq} pg_catalog.pg_my_temp_schema())`,
  usableSchemas: list(
    'n.nspname',
    'n.nspname',
    `pg_catalog.pg_namespace AS n
     WHERE pg_catalog.has_schema_privilege(n.oid, 'USAGE'::pg_catalog.text)`,
  ),
});

/**
 * One statement; one row with one text column for `readSessionState`: what the names of the session's next
 * statement resolve by.
 */
export const sessionStateQuery = squeeze(`SELECT ${field(session)}`);

/** No string above has spaces that matter, other than single ones. */
function squeeze(sql: string): string {
  return sql.trim().replace(/\s+/g, ' ');
}
