/**
 * What the analyzer knows of one PostgreSQL database: relations, columns, view definitions, inheritance,
 * rules, foreign keys, and what shadows pg_catalog. Read in-band by the session (decisions 4) as one JSON
 * document (`catalogQuery`), compiled here; pure.
 */

/** pg_class.relkind: r table, p partitioned, v view, m materialized view, f foreign, S sequence, c composite. */
export type RelationKind = 'r' | 'p' | 'v' | 'm' | 'f' | 'S' | 'c' | 't' | 'i' | 'I';

export interface CatalogColumn {
  readonly attnum: number;
  readonly name: string;
  readonly typeOid: number;
  /** Its default or generated expression calls a function or operator that is not built in. */
  readonly hasDefault: boolean;
  /** Of a generated column: the columns of the same relation that its value is computed from. */
  readonly generatedFrom?: readonly number[];
}

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly columns: readonly CatalogColumn[];
  /** pg_get_viewdef for views and materialized views that initdb did not make. */
  readonly definition?: string;
  /**
   * Present with `definition`: the schemas in which its unqualified names are to be looked up, which are
   * pg_catalog and the reading session's own temporary one. All other names in it are qualified, whatever
   * the session's search path.
   */
  readonly definitionPath?: readonly string[];
  readonly parents: readonly number[];
  readonly children: readonly number[];
  /** Relations whose rows a DELETE (or key UPDATE) here changes by ON DELETE/UPDATE CASCADE, SET NULL, SET DEFAULT. */
  readonly cascadesTo: readonly number[];
  /** Of an index: the relation that it is of. */
  readonly indexOf?: number;
  /**
   * Relations that lose something, or go, when this one is dropped with CASCADE: views over it, tables whose keys,
   * defaults, triggers or policies name it, its sequences. 0 among them stands for what is no relation, and for
   * a part of a view.
   */
  readonly dependents: readonly number[];
  /** Relations with a foreign key to this one, whatever its actions: what TRUNCATE … CASCADE empties. */
  readonly referencedBy: readonly number[];
  readonly hasTriggers: boolean;
  /** Rules other than a view's own _RETURN. */
  readonly hasRules: boolean;
  readonly hasRowSecurity: boolean;
  /** A check, an index, a partition key or a column's domain calls what is not built in. */
  readonly hasConstraintFunctions: boolean;
}

/** Kinds of which the catalog holds only names: besides functions (procedures and aggregates), operators and types. */
export type OtherKind =
  | 'collation'
  | 'conversion'
  | 'statistics'
  | 'ts_config'
  | 'ts_dict'
  | 'ts_parser'
  | 'ts_template';

/** Kinds whose objects' names stand in a schema and are told apart by kind; relations aside. */
export type ObjectKind = 'function' | 'operator' | 'type' | OtherKind;

/** A compiled catalog. Lookups are by exact name; `undefined` means: does not resolve, so Unknown. */
export interface Catalog {
  /** Changes whenever anything in it does; part of every cache key. */
  readonly version: string;
  readonly database: string;
  /** server_version_num, e.g. 150018. */
  readonly serverVersion: number;
  readonly schemas: ReadonlySet<string>;
  /** The reading session's own temporary schema (pg_temp_N), once it has one. */
  readonly tempSchema: string | undefined;
  /** True when something stands in `tempSchema`: such a catalog serves the session that read it alone. */
  readonly isPrivate: boolean;
  /** True when event triggers exist: DDL runs code of the target's owner. */
  readonly hasEventTriggers: boolean;
  /** False when names beyond ASCII are cut and folded otherwise than the parser does (server_encoding). */
  readonly isUtf8: boolean;
  /** True when default privileges are set for schemas: whoever makes one may not be able to use it. */
  readonly hasSchemaDefaults: boolean;
  relationByOid(oid: number): CatalogRelation | undefined;
  relation(schema: string, name: string): CatalogRelation | undefined;
  /** All that initdb did not make. */
  relations(): Iterable<CatalogRelation>;
  /**
   * Schemas with a function or aggregate of that name that initdb did not make; pg_catalog itself among
   * them where somebody added one.
   */
  functionSchemas(name: string): readonly string[];
  /** The same for operators. */
  operatorSchemas(name: string): readonly string[];
  /** The same for types, domains and the row types of relations. */
  typeSchemas(name: string): readonly string[];
  /**
   * Those of `typeSchemas` in which it is an enum, or a domain over a built-in type whose checks are built in: a
   * cast to one runs no code of the owner's.
   */
  plainTypeSchemas(name: string): readonly string[];
  /** The same for objects of the other kinds that have names of their own in a schema. */
  otherSchemas(kind: OtherKind, name: string): readonly string[];
  /** True when initdb made an object of that kind and name in pg_catalog. */
  isBuiltin(kind: ObjectKind, name: string): boolean;
  /** True when any user-defined cast exists from or to a type of that OID. */
  hasUserCast(typeOid: number): boolean;
  /** The base type of a domain, or the type itself. */
  baseType(typeOid: number): number;
  /**
   * Of a catalog that follows a text (text-catalog.ts): whether something may have that name which `relation` does
   * not tell.
   */
  readonly mayHold?: (schema: string, name: string) => boolean;
}
