import type { Constraint, CreateStmt, IndexStmt, RangeVar } from 'libpg-query';
import { bodyOf, type Node } from './ast.ts';
import type { CatalogColumn, CatalogRelation } from './catalog.ts';
import { newResource, resolveRelation } from './names.ts';
import { maxNameBytes } from './search-path.ts';
import { type DefinedColumn, definedColumn, dependencies, type Place } from './text-columns.ts';

/** Schema and name of something new in a schema that stands; undefined for what is temporary. */
export function newName(
  { run, text }: Place,
  name: RangeVar | undefined,
): { readonly schema: string; readonly name: string } | undefined {
  if (name === undefined || name.relpersistence === 't') return undefined;
  const [, schema, relname] = newResource(run, name) ?? [];
  if (schema === undefined || relname === undefined || relname === '') return undefined;
  if (schema.startsWith('pg_') || !text.hasSchema(schema)) return undefined;
  // Whether the name is taken is not known, and so neither what comes of IF NOT EXISTS.
  return text.mayHold(schema, relname) ? undefined : { schema, name: relname };
}

/** A table or the like that a statement names. */
export function namedRelation(
  { run }: Place,
  name: RangeVar | undefined,
): CatalogRelation | undefined {
  const found = name === undefined ? undefined : resolveRelation(run, name);
  return found?.kind === 'Relation' ? found.relation : undefined;
}

/** True where what is done to a table is done to it alone. */
export function standsAlone({ kind, parents, children }: CatalogRelation): boolean {
  return (kind === 'r' || kind === 'p') && parents.length === 0 && children.length === 0;
}

/** CREATE TABLE of columns and constraints. */
export function followCreateTable(place: Place, body: CreateStmt): boolean {
  const { text } = place;
  const { inhRelations, partbound, partspec, ofTypename, tableElts = [], if_not_exists } = body;
  if (inhRelations !== undefined || partbound !== undefined || ofTypename !== undefined)
    return false;
  const partedBy = partspec?.partParams?.map((node) => bodyOf(node, 'PartitionElem')?.expr);
  if (partedBy?.some((expression) => dependencies(place, expression) === undefined)) return false;
  const made = newName(place, body.relation);
  if (made === undefined) return false;
  // What stands there stays as it is; without IF NOT EXISTS the statement fails, and the text with it.
  if (text.relation(made.schema, made.name) !== undefined) return if_not_exists === true;
  const columns: DefinedColumn[] = [];
  const constraints: Constraint[] = [];
  for (const element of tableElts) {
    const definition = bodyOf(element, 'ColumnDef');
    const constraint = bodyOf(element, 'Constraint');
    if (definition !== undefined) {
      const column = definedColumn(place, definition, columns.length + 1);
      if (column === undefined) return false;
      columns.push(column);
    } else if (constraint !== undefined) constraints.push(constraint);
    else return false;
  }
  const plain = columns.map(({ column }) => column);
  const relation = text.add({
    ...made,
    kind: partspec === undefined ? 'r' : 'p',
    columns: columns.map((column) => noted(column, plain)),
    hasConstraintFunctions: columns.some(({ mayRunCode }) => mayRunCode),
  });
  if (relation === undefined) return false;
  return (
    columns.every((column) => addParts(place, relation, column)) &&
    constraints.every((constraint) => addConstraint(place, relation, constraint))
  );
}

/** The column with what it is generated from among all of the table's. */
function noted(
  { column, generatedFrom }: DefinedColumn,
  all: readonly CatalogColumn[],
): CatalogColumn {
  if (generatedFrom === undefined) return column;
  const sources = all.filter(({ name }) => generatedFrom.includes(name));
  return { ...column, generatedFrom: sources.map(({ attnum }) => attnum) };
}

/** ALTER TABLE … ADD COLUMN. */
export function addColumn(place: Place, oid: number, definition: Node | undefined): boolean {
  const { text } = place;
  const relation = text.relationByOid(oid);
  const body = bodyOf(definition, 'ColumnDef');
  if (relation === undefined || body === undefined) return false;
  // Those of columns that are gone are not known, and no two of them are the same.
  const last = Math.max(0, ...relation.columns.map(({ attnum }) => attnum));
  const column = definedColumn(place, body, last + 1);
  if (column === undefined) return false;
  text.change(oid, {
    columns: [...relation.columns, noted(column, relation.columns)],
    hasConstraintFunctions: relation.hasConstraintFunctions || column.mayRunCode,
  });
  return addParts(place, relation, column);
}

/** What comes with a column: its sequence, what its default uses, its constraints. */
function addParts(place: Place, relation: CatalogRelation, added: DefinedColumn): boolean {
  const { column, hasSequence, uses, constraints } = added;
  for (const sequence of uses) place.text.tie(sequence.oid, ['dependents'], relation.oid);
  if (hasSequence && !addOwnSequence(place, relation, column.name)) return false;
  return constraints.every((constraint) => addConstraint(place, relation, constraint));
}

/** Of the budget, for a name that is tried. */
const workPerName = 8;

/** The sequence of a serial or identity column, under the first free name (ChooseRelationName). */
export function addOwnSequence(
  { text }: Place,
  { oid, schema, name }: CatalogRelation,
  column: string,
): boolean {
  for (let number = 0; ; number += 1) {
    text.budget.spend(workPerName);
    const chosen = `${name}_${column}_seq${number === 0 ? '' : number}`;
    // Longer ones are cut, in a way of its own.
    if (Buffer.byteLength(chosen) > maxNameBytes || text.mayHold(schema, chosen)) return false;
    const sequence = text.add({ schema, name: chosen, kind: 'S' });
    if (sequence === undefined) continue;
    text.tie(oid, ['dependents'], sequence.oid);
    // A serial column's default takes from it.
    text.tie(sequence.oid, ['dependents'], oid);
    return true;
  }
}

/** A constraint of a table: what index, or which tie to another table, it makes. */
export function addConstraint(
  place: Place,
  { oid }: CatalogRelation,
  constraint: Constraint,
): boolean {
  const relation = place.text.relationByOid(oid);
  if (relation === undefined) return false;
  switch (constraint.contype) {
    case 'CONSTR_CHECK':
      return dependencies(place, constraint.raw_expr) !== undefined;
    case 'CONSTR_NOTNULL':
      return true;
    case 'CONSTR_PRIMARY':
    case 'CONSTR_UNIQUE':
      // One that takes over an index gives it another name.
      if (constraint.indexname !== undefined) return false;
      return addIndex(
        place,
        relation,
        constraint.conname,
        constraint.contype === 'CONSTR_PRIMARY' ? 'pkey' : 'key',
      );
    case 'CONSTR_FOREIGN':
      return addForeignKey(place, relation, constraint);
    default:
      return false;
  }
}

/** An index by name, or with the ending of the name that PostgreSQL chooses. */
function addIndex(
  { text }: Place,
  { oid, schema, kind }: CatalogRelation,
  name: string | undefined,
  ending: string,
): boolean {
  if (name === undefined) {
    text.addChosenName(schema, ending);
    return true;
  }
  return text.add({ schema, name, kind: kind === 'p' ? 'I' : 'i', indexOf: oid }) !== undefined;
}

const cascading: ReadonlySet<string> = new Set(['c', 'n', 'd']);

function addForeignKey(place: Place, relation: CatalogRelation, constraint: Constraint): boolean {
  const { text } = place;
  const target = namedRelation(place, constraint.pktable);
  // Keys of and to partitioned tables are made for each of their partitions, too.
  if (target?.kind !== 'r' || relation.kind !== 'r') return false;
  if (!standsAlone(target) || !standsAlone(relation)) return false;
  const { fk_del_action = '', fk_upd_action = '' } = constraint;
  const cascades = cascading.has(fk_del_action) || cascading.has(fk_upd_action);
  text.tie(
    target.oid,
    ['referencedBy', ...(cascades ? (['cascadesTo'] as const) : [])],
    relation.oid,
  );
  if (target.oid !== relation.oid) text.tie(target.oid, ['dependents'], relation.oid);
  // The key leans on one of these.
  for (const index of text.indexesOf(target.oid)) text.tie(index, ['dependents'], relation.oid);
  return true;
}

/** CREATE INDEX. */
export function followIndex(place: Place, body: IndexStmt): boolean {
  const { text } = place;
  const table = namedRelation(place, body.relation);
  const { idxname, indexParams = [], whereClause } = body;
  if (table === undefined) return false;
  if (!standsAlone(table) && table.kind !== 'm') return false;
  const expressions = [...indexParams.map((node) => bodyOf(node, 'IndexElem')?.expr), whereClause];
  if (expressions.some((expression) => dependencies(place, expression) === undefined)) return false;
  if (idxname === undefined) {
    text.addChosenName(table.schema, 'idx');
    return true;
  }
  const taken = text.relation(table.schema, idxname) !== undefined;
  if (taken || body.if_not_exists === true) {
    // What has the name already stays; where that is not known, neither is what the index is of.
    if (text.mayHold(table.schema, idxname)) return false;
    if (taken) return body.if_not_exists === true;
  }
  return addIndex(place, table, idxname, 'idx');
}
