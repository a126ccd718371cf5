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
  /** A generated or default expression of the owner's that calls functions. */
  readonly hasDefault: boolean;
}

export interface CatalogRelation {
  readonly oid: number;
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly columns: readonly CatalogColumn[];
  /** pg_get_viewdef for views and materialized views. */
  readonly definition?: string;
  readonly parents: readonly number[];
  readonly children: readonly number[];
  /** Relations whose rows a DELETE (or key UPDATE) here changes by ON DELETE/UPDATE CASCADE, SET NULL, SET DEFAULT. */
  readonly cascadesTo: readonly number[];
  readonly hasTriggers: boolean;
  /** Rules other than a view's own _RETURN. */
  readonly hasRules: boolean;
  readonly hasRowSecurity: boolean;
  readonly hasConstraintFunctions: boolean;
}

/** A compiled catalog. Lookups are by exact name; `undefined` means: does not resolve, so Unknown. */
export interface Catalog {
  /** Changes whenever anything in it does; part of every cache key. */
  readonly version: string;
  readonly database: string;
  /** server_version_num, e.g. 150018. */
  readonly serverVersion: number;
  readonly schemas: ReadonlySet<string>;
  relationByOid(oid: number): CatalogRelation | undefined;
  relation(schema: string, name: string): CatalogRelation | undefined;
  /** Schemas other than pg_catalog and information_schema with a function or aggregate of that name. */
  functionSchemas(name: string): readonly string[];
  /** Schemas other than pg_catalog with an operator of that name. */
  operatorSchemas(name: string): readonly string[];
  /** Schemas other than pg_catalog with a type or domain of that name. */
  typeSchemas(name: string): readonly string[];
  /** True when any user-defined cast exists from or to a type of that OID. */
  hasUserCast(typeOid: number): boolean;
  /** The base type of a domain, or the type itself. */
  baseType(typeOid: number): number;
}
