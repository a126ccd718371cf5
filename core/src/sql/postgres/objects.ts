import type { ObjectType, RangeVar } from 'libpg-query';
import { bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
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

/** Kinds with a name of their own in a schema. */
const schemaTypes: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_AGGREGATE',
  'OBJECT_COLLATION',
  'OBJECT_CONVERSION',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_OPERATOR',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_TSCONFIGURATION',
  'OBJECT_TSDICTIONARY',
  'OBJECT_TSPARSER',
  'OBJECT_TSTEMPLATE',
  'OBJECT_TYPE',
]);

/** Of those, the ones whose names the catalog holds. */
const toldTypes: ReadonlySet<ObjectType> = new Set<ObjectType>([
  'OBJECT_AGGREGATE',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_OPERATOR',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
  'OBJECT_TYPE',
]);

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
  if (schemaTypes.has(type)) {
    // Of the others the catalog does not tell where they are, so one may be where it would be made.
    const told = toldTypes.has(type);
    return { resource: schemaObject(run, parts, mayBeAbsent || !told), relation: undefined };
  }
  return undefined;
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
 * [database, schema, name] of a function, type or operator; unqualified, where the path finds one. One that is found
 * in no schema of the path is pg_catalog's, but with `mayBeAbsent` (IF EXISTS), where it would be made.
 */
export function schemaObject(
  run: Run,
  parts: readonly string[],
  mayBeAbsent = false,
): readonly string[] {
  const { catalog, database, searchPath } = run.context;
  const name = parts.at(-1) ?? '';
  if (parts.length > 1) return [database, ...parts.slice(-2)];
  const schemas = new Set([
    ...catalog.functionSchemas(name),
    ...catalog.typeSchemas(name),
    ...catalog.operatorSchemas(name),
  ]);
  const schema =
    searchPath.find((candidate) => schemas.has(candidate)) ??
    (mayBeAbsent ? creationSchema(run) : 'pg_catalog');
  return schema === undefined ? [database, name] : [database, schema, name];
}
