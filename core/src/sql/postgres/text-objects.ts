import type {
  AlterOwnerStmt,
  AlterSeqStmt,
  CreateFunctionStmt,
  CreateSeqStmt,
  GrantStmt,
  Node,
  RangeVar,
} from 'libpg-query';
import type { StatementAnalysis } from '../operation.ts';
import { type Body, bodyOf, nameParts, stringOf } from './ast.ts';
import { relationOf } from './objects.ts';
import {
  columnType,
  definedColumn,
  dependencies,
  looksNamesUp,
  type Place,
} from './text-columns.ts';
import { namedRelation, newName } from './text-tables.ts';

/** CREATE SEQUENCE. */
export function followSequence(place: Place, body: CreateSeqStmt): boolean {
  const made = newName(place, body.sequence);
  if (made === undefined) return false;
  const { text } = place;
  if (text.relation(made.schema, made.name) !== undefined) return body.if_not_exists === true;
  const sequence = text.add({ ...made, kind: 'S' });
  return sequence !== undefined && own(place, sequence.oid, body.options);
}

/** ALTER SEQUENCE. */
export function followAlterSequence(place: Place, body: AlterSeqStmt): boolean {
  const sequence = namedRelation(place, body.sequence);
  if (sequence === undefined) return body.missing_ok === true;
  return own(place, sequence.oid, body.options);
}

/** OWNED BY table.column: the sequence goes with the table. */
function own(place: Place, oid: number, options: readonly Node[] | undefined): boolean {
  for (const node of options ?? []) {
    const option = bodyOf(node, 'DefElem');
    if (option?.defname === 'sequence_name') return false;
    if (option?.defname !== 'owned_by') continue;
    // It no longer goes with another.
    if (place.text.isOwned(oid)) return false;
    const parts = nameParts(bodyOf(option.arg, 'List')?.items).slice(0, -1);
    if (parts.length === 0) continue;
    const owner = relationOf(place.run, parts)?.relation;
    if (owner === undefined) return false;
    place.text.tie(owner.oid, ['dependents'], oid);
  }
  return true;
}

/** Where an enum, a domain or a function by that name is made. */
function nameInSchema(
  place: Place,
  names: readonly Node[] | undefined,
): { readonly schema: string; readonly name: string } | undefined {
  const parts = nameParts(names);
  const [relname = '', schemaname] = [...parts].reverse();
  if (parts.length > 2) return undefined;
  return newName(place, {
    relname,
    relpersistence: 'p',
    ...(schemaname === undefined ? undefined : { schemaname }),
  });
}

/** CREATE TYPE … AS ENUM; CREATE DOMAIN over a built-in type, whose checks were understood. */
export function followPlainType(
  place: Place,
  names: readonly Node[] | undefined,
  domain?: Pick<Body<'CreateDomainStmt'>, 'typeName' | 'constraints'>,
): boolean {
  const made = nameInSchema(place, names);
  if (made === undefined) return false;
  if (domain !== undefined) {
    const type = columnType(place, domain.typeName);
    if (type === undefined || type.typeOid === 0) return false;
    const checks = domain.constraints?.map((node) => bodyOf(node, 'Constraint')?.raw_expr);
    // A sequence that a check takes from is not told where the type is used.
    if (checks?.some((check) => dependencies(place, check)?.length !== 0)) return false;
  }
  place.text.addType(made.schema, made.name, true);
  return true;
}

/** CREATE TYPE … AS (…). */
export function followCompositeType(place: Place, body: Body<'CompositeTypeStmt'>): boolean {
  const made = newName(place, body.typevar);
  if (made === undefined) return false;
  const columns = (body.coldeflist ?? []).map((node, index) => {
    const definition = bodyOf(node, 'ColumnDef');
    return definition && definedColumn(place, definition, index + 1)?.column;
  });
  const known = columns.filter((column) => column !== undefined);
  if (known.length !== columns.length) return false;
  return place.text.add({ ...made, kind: 'c', columns: known }) !== undefined;
}

/**
 * CREATE FUNCTION and PROCEDURE: from there on the name is the owner's. Not where it hangs on a relation, by its
 * types, the defaults of its parameters, or a body that is kept as a parsed one.
 */
export function followFunction(place: Place, body: CreateFunctionStmt): boolean {
  const made = nameInSchema(place, body.funcname);
  if (made === undefined || body.sql_body !== undefined) return false;
  const parameters = (body.parameters ?? []).map((node) => bodyOf(node, 'FunctionParameter'));
  if (parameters.some((one) => one === undefined || one.defexpr !== undefined)) return false;
  const types = [...parameters.map((one) => one?.argType), body.returnType];
  for (const type of types) {
    // SETOF says nothing of the type itself.
    if (type !== undefined && columnType(place, { ...type, setof: false }) === undefined) {
      return false;
    }
  }
  place.text.addFunction(made.schema, made.name);
  return true;
}

/**
 * CREATE VIEW and MATERIALIZED VIEW: it hangs on what it names. What it reads is not followed, so that whatever
 * reads it in the same text is Unknown.
 */
export function followView(
  place: Place,
  name: RangeVar | undefined,
  kind: 'v' | 'm',
  query: Node | undefined,
  { operations }: StatementAnalysis,
): boolean {
  const { text } = place;
  if (looksNamesUp(query)) return false;
  const made = newName(place, name);
  if (made === undefined) return false;
  const view = text.add({ ...made, kind });
  if (view === undefined) return false;
  for (const { reach, resource, class: operationClass } of operations) {
    const [, schema = '', relation] = resource;
    if (reach !== 'Named' || relation === undefined || operationClass === 'Catalog') continue;
    // A view of what is temporary is temporary.
    if (schema.startsWith('pg_temp')) return false;
    const source = text.relation(schema, relation);
    if (source !== undefined && source.oid !== view.oid) {
      text.tie(source.oid, ['dependents'], view.oid);
    }
  }
  return true;
}

/** CREATE TRIGGER on a table by itself. */
export function followTrigger(place: Place, body: Body<'CreateTrigStmt'>): boolean {
  const relation = namedRelation(place, body.relation);
  if (relation === undefined || relation.parents.length > 0 || relation.children.length > 0) {
    return false;
  }
  if (dependencies(place, body.whenClause) === undefined) return false;
  place.text.change(relation.oid, { hasTriggers: true });
  return true;
}

/** Kinds of which neither privileges nor the owner decide how a name is looked up. */
const withoutNames: ReadonlySet<string> = new Set([
  'OBJECT_TABLE',
  'OBJECT_VIEW',
  'OBJECT_MATVIEW',
  'OBJECT_SEQUENCE',
  'OBJECT_TYPE',
  'OBJECT_DOMAIN',
  'OBJECT_FUNCTION',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
]);

/** GRANT and REVOKE: those on a schema decide whether it is in the search path. */
export function followGrant({ run }: Place, body: GrantStmt): boolean {
  if (withoutNames.has(body.objtype ?? '')) return true;
  if (body.objtype !== 'OBJECT_SCHEMA' || body.is_grant !== true) return false;
  const schemas = (body.objects ?? []).map((node) => stringOf(node) ?? '');
  return schemas.every((schema) => run.context.searchPath.includes(schema));
}

/** ALTER … OWNER TO: who owns a schema may use it. */
export function followOwner(body: AlterOwnerStmt): boolean {
  return withoutNames.has(body.objectType ?? '');
}
