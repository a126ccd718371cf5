import type { DropStmt, ObjectType } from 'libpg-query';
import { bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { isRelationType, relationOf } from './objects.ts';
import type { Place } from './text-columns.ts';

/** Parts of a relation whose loss the catalog need not know: it may go on claiming that the code runs. */
const parts: ReadonlySet<string> = new Set<ObjectType>([
  'OBJECT_POLICY',
  'OBJECT_RULE',
  'OBJECT_TRIGGER',
]);

/** What goes without anything else, unless CASCADE is said. */
const dropped: ReadonlySet<string> = new Set(['r', 'p', 'v', 'm', 'i', 'S']);
/** What goes whole when something that it needs goes by CASCADE; others lose a part. */
const droppedWhole: ReadonlySet<string> = new Set(['v', 'm', 'S']);

/** DROP of relations and their parts, and of anything that is not there, with IF EXISTS. */
export function followDrop(place: Place, body: DropStmt): boolean {
  const { removeType, objects = [], missing_ok, behavior } = body;
  const cascade = behavior === 'DROP_CASCADE';
  if (isRelationType(removeType)) {
    // All names are looked up before anything is dropped.
    const found = objects.map((node) =>
      relationOf(place.run, nameParts(bodyOf(node, 'List')?.items)),
    );
    if (found.some((one) => one === undefined || (!one.relation && missing_ok !== true))) {
      return false;
    }
    return found.every((one) => !one?.relation || drop(place, one.relation, cascade));
  }
  if (removeType !== undefined && parts.has(removeType)) return !cascade;
  return missing_ok === true && objects.every((node) => isAbsent(place, removeType, node));
}

/** The relation with its indexes and sequences, which PostgreSQL drops with it, and what CASCADE takes along. */
function drop({ text }: Place, relation: CatalogRelation, cascade: boolean): boolean {
  const waiting = [relation.oid];
  const doubted = new Set<number>();
  for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
    const next = text.relationByOid(oid);
    if (next === undefined) continue;
    const { kind, parents, children, dependents } = next;
    if (!dropped.has(kind) || parents.length > 0 || children.length > 0) return false;
    waiting.push(...text.indexesOf(oid));
    for (const other of dependents) {
      const dependentKind = text.relationByOid(other)?.kind ?? '';
      // Without CASCADE only its own sequences can be left of what hangs on it.
      if (cascade ? droppedWhole.has(dependentKind) : dependentKind === 'S') waiting.push(other);
      // A view of this text's own may have the sequence's name as a mere text: it stands then, and hides another.
      if (other < 0 && (kind === 'S' || doubted.has(oid))) doubted.add(other);
    }
    text.drop(next);
    if (doubted.has(oid)) text.doubt(next);
  }
  return true;
}

/** True where nothing of that name is there, in any schema that the name may mean. */
function isAbsent({ run, text }: Place, type: ObjectType | undefined, node: Node): boolean {
  const { catalog } = run.context;
  switch (type) {
    case 'OBJECT_SCHEMA': {
      const schema = stringOf(node);
      return schema !== undefined && !text.hasSchema(schema);
    }
    case 'OBJECT_TYPE':
    case 'OBJECT_DOMAIN': {
      const name = nameParts(bodyOf(node, 'TypeName')?.names).at(-1);
      return name !== undefined && catalog.typeSchemas(name).length === 0;
    }
    case 'OBJECT_FUNCTION':
    case 'OBJECT_PROCEDURE':
    case 'OBJECT_ROUTINE':
    case 'OBJECT_AGGREGATE': {
      const name = nameParts(bodyOf(node, 'ObjectWithArgs')?.objname).at(-1);
      return name !== undefined && catalog.functionSchemas(name).length === 0;
    }
    default:
      return false;
  }
}
