import type { ObjectType, RangeVar } from 'libpg-query';
import { bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import type { Catalog, CatalogRelation, ObjectKind } from './catalog.ts';
import { creationSchema, newResource, relationResource, resolveRelation } from './names.ts';
import type { Run } from './run.ts';

/** What a DDL statement names: its resource, and the relation where it is one that the catalog knows. */
export interface NamedObject {
  readonly resource: readonly string[];
  readonly relation: CatalogRelation | undefined;
}

/** Kinds whose name is [schema.]name and that are relations. */
const relationTypes: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_INDEX',
  'OBJECT_FOREIGN_TABLE',
]);

/** Kinds named as the last part after their relation's name. */
const partTypes: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_COLUMN',
  'OBJECT_TRIGGER',
  'OBJECT_RULE',
  'OBJECT_POLICY',
  'OBJECT_TABCONSTRAINT',
]);

/** Kinds with a name of their own in a schema, and under what the catalog holds them. */
const schemaTypes: Readonly<Partial<Record<ObjectType, ObjectKind>>> = {
  OBJECT_AGGREGATE: 'function',
  OBJECT_COLLATION: 'collation',
  OBJECT_CONVERSION: 'conversion',
  OBJECT_DOMAIN: 'type',
  OBJECT_FUNCTION: 'function',
  OBJECT_OPERATOR: 'operator',
  OBJECT_PROCEDURE: 'function',
  OBJECT_ROUTINE: 'function',
  OBJECT_STATISTIC_EXT: 'statistics',
  OBJECT_TSCONFIGURATION: 'ts_config',
  OBJECT_TSDICTIONARY: 'ts_dict',
  OBJECT_TSPARSER: 'ts_parser',
  OBJECT_TSTEMPLATE: 'ts_template',
  OBJECT_TYPE: 'type',
};

export function isRelationType(type: ObjectType | undefined): boolean {
  return type !== undefined && relationTypes.has(type);
}

/** The parts of an object's name, however the grammar holds it. */
function objectParts(node: Node): string[] {
  const name = stringOf(node);
  if (name !== undefined) return [name];
  const list = bodyOf(node, 'List');
  if (list !== undefined) {
    const parts = nameParts(list.items);
    // A domain's constraint stands after its type.
    return parts.length > 0 ? parts : nameParts(bodyOf(list.items?.[0], 'TypeName')?.names);
  }
  const withArgs = bodyOf(node, 'ObjectWithArgs');
  if (withArgs !== undefined) return nameParts(withArgs.objname);
  return nameParts(bodyOf(node, 'TypeName')?.names);
}

/** The object of a DROP, COMMENT, ALTER … or the like; undefined for kinds that stand in no schema. */
export function namedObject(
  run: Run,
  type: ObjectType | undefined,
  node: Node,
  mayBeAbsent = false,
): NamedObject | undefined {
  const { database } = run.context;
  const parts = objectParts(node);
  if (type === undefined || parts.length === 0) return undefined;
  if (relationTypes.has(type)) return relationOf(run, parts);
  if (partTypes.has(type)) return relationOf(run, parts.slice(0, -1));
  if (type === 'OBJECT_SCHEMA') return { resource: [database, ...parts], relation: undefined };
  const kind = schemaTypes[type];
  if (kind === undefined) return undefined;
  return { resource: schemaObject(run, kind, parts, mayBeAbsent), relation: undefined };
}

/** A relation by its parts; one that is not there is named as if it were to be created. */
export function relationOf(run: Run, parts: readonly string[]): NamedObject | undefined {
  const [relname, schemaname, catalogname] = [...parts].reverse();
  if (relname === undefined || parts.length > 3) return undefined;
  return rangeObject(run, {
    relname,
    ...(schemaname === undefined ? undefined : { schemaname }),
    ...(catalogname === undefined ? undefined : { catalogname }),
  });
}

/**
 * A relation that a DDL statement names. Where the catalog has none of that name (IF EXISTS, or a kind
 * that it does not hold), the resource is where it would be; a system relation is never one.
 */
export function rangeObject(run: Run, name: RangeVar): NamedObject | undefined {
  const resolved = resolveRelation(run, name);
  if (resolved?.kind === 'System') {
    run.unknown(`DDL on system relation ${resolved.schema}.${resolved.name}`);
    return undefined;
  }
  if (resolved !== undefined) {
    return {
      resource: relationResource(run, resolved.relation),
      relation: resolved.relation,
    };
  }
  const resource = newResource(run, name);
  return resource === undefined ? undefined : { resource, relation: undefined };
}

/**
 * [database, schema, name] of an object other than a relation; unqualified, where the path finds one of its kind. One
 * that is found in no schema of the path is pg_catalog's, but with `mayBeAbsent` (IF EXISTS), where it would be made.
 * Which one is meant may hang on the types of arguments: with more than one of that name it is not known.
 */
export function schemaObject(
  run: Run,
  kind: ObjectKind,
  parts: readonly string[],
  mayBeAbsent = false,
): readonly string[] {
  const { catalog, database, searchPath } = run.context;
  const name = parts.at(-1) ?? '';
  if (parts.length > 1) return [database, ...parts.slice(-2)];
  if (searchPath.length === 0) {
    run.unknown(`${name} is looked up by a search_path that is not known`);
    return [database, name];
  }
  const schemas = new Set(schemasOf(catalog, kind, name));
  if (catalog.isBuiltin(kind, name)) schemas.add('pg_catalog');
  run.budget.search(searchPath.length + schemas.size);
  const [found, ...others] = searchPath.filter((schema) => schemas.has(schema));
  // A type is the first of its name; of those that a text drops, its catalog goes on to tell.
  const isFirst = kind === 'type' && catalog.mayHold === undefined;
  if (others.length > 0 && !isFirst) {
    run.unknown(`${name} may be that of schema ${[found, ...others].join(' or ')}`);
  }
  const schema = found ?? (mayBeAbsent ? creationSchema(run) : 'pg_catalog');
  return schema === undefined ? [database, name] : [database, schema, name];
}

function schemasOf(catalog: Catalog, kind: ObjectKind, name: string): readonly string[] {
  switch (kind) {
    case 'function':
      return catalog.functionSchemas(name);
    case 'operator':
      return catalog.operatorSchemas(name);
    case 'type':
      return catalog.typeSchemas(name);
    default:
      return catalog.otherSchemas(kind, name);
  }
}
