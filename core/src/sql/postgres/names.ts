import type { RangeVar } from 'libpg-query';
import type { CatalogRelation } from './catalog.ts';
import type { Run } from './run.ts';
import { isSystemRelationName } from './system-catalog.ts';

/** What a relation's name stands for. */
export type Resolved =
  | { readonly kind: 'Relation'; readonly relation: CatalogRelation }
  /** In pg_catalog, information_schema or pg_toast; `relation` where the catalog knows its columns. */
  | {
      readonly kind: 'System';
      readonly schema: string;
      readonly name: string;
      readonly relation: CatalogRelation | undefined;
    };

const systemSchemas: ReadonlySet<string> = new Set([
  'pg_catalog',
  'information_schema',
  'pg_toast',
]);

export function isSystemSchema(schema: string): boolean {
  return systemSchemas.has(schema) || schema.startsWith('pg_toast');
}

export function isTempSchema(schema: string): boolean {
  return schema.startsWith('pg_temp_');
}

/** `pg_temp` is an alias of the session's own temporary schema. */
function realSchema(run: Run, schema: string): string | undefined {
  return schema === 'pg_temp' ? run.context.searchPath.find(isTempSchema) : schema;
}

function lookUp(run: Run, schema: string, name: string): Resolved | undefined {
  const relation = run.context.catalog.relation(schema, name);
  if (isSystemSchema(schema)) {
    return relation !== undefined || isSystemRelationName(schema, name)
      ? { kind: 'System', schema, name, relation }
      : undefined;
  }
  if (relation === undefined && run.context.catalog.mayHold?.(schema, name)) {
    run.unknown(`${schema}.${name} may be what an earlier statement of the same text made`);
  }
  return relation === undefined ? undefined : { kind: 'Relation', relation };
}

/** Resolves a relation's name as PostgreSQL would, CTEs aside; undefined when it names nothing known. */
export function resolveRelation(run: Run, name: RangeVar): Resolved | undefined {
  const relname = name.relname ?? '';
  const { catalogname, schemaname } = name;
  if (catalogname !== undefined && catalogname !== run.context.database) return undefined;
  if (schemaname !== undefined) {
    const schema = realSchema(run, schemaname);
    return schema === undefined ? undefined : lookUp(run, schema, relname);
  }
  const { searchPath } = run.context;
  run.budget.search(searchPath.length);
  for (const schema of searchPath) {
    const found = lookUp(run, schema, relname);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** The schema in which an unqualified new name is created, or undefined when the path has none. */
export function creationSchema(run: Run): string | undefined {
  const { pathSetting = [], searchPath, currentUser } = run.context;
  run.budget.search(pathSetting.length * searchPath.length);
  const first = pathSetting.find(
    (name) => name === 'pg_temp' || searchPath.includes(name === '$user' ? currentUser : name),
  );
  // It need not be there yet.
  if (first === 'pg_temp') return realSchema(run, first) ?? first;
  // Made there it would hide what is PostgreSQL's own, which is not looked at.
  if (first !== undefined && isSystemSchema(first)) return undefined;
  return run.context.searchPath.find((schema) => !isTempSchema(schema) && !isSystemSchema(schema));
}

/** [database, schema, name] of something that is to be created. */
export function newResource(run: Run, name: RangeVar): readonly string[] | undefined {
  const { database, searchPath } = run.context;
  if (name.catalogname !== undefined && name.catalogname !== database) return undefined;
  let schema: string | undefined;
  if (name.schemaname !== undefined) schema = realSchema(run, name.schemaname) ?? name.schemaname;
  else if (name.relpersistence === 't') schema = searchPath.find(isTempSchema) ?? 'pg_temp';
  else schema = creationSchema(run);
  return schema === undefined ? undefined : [database, schema, name.relname ?? ''];
}

/** A name as written, for messages. */
export function written(name: RangeVar): string {
  return [name.catalogname, name.schemaname, name.relname ?? ''].filter(Boolean).join('.');
}

/** [database, schema, relation]. */
export function relationResource(run: Run, relation: CatalogRelation): readonly string[] {
  return [run.context.database, relation.schema, relation.name];
}

/** Splits a dotted name of at most three parts into schema and name; undefined for another database's. */
export function splitName(
  run: Run,
  parts: readonly string[],
): { schema: string | undefined; name: string } | undefined {
  const name = parts.at(-1);
  if (name === undefined || parts.length > 3) return undefined;
  if (parts.length === 3 && parts[0] !== run.context.database) return undefined;
  return { schema: parts.at(-2), name };
}
