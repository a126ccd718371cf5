import type { ColumnId } from '../operation.ts';
import type { Catalog, CatalogColumn, CatalogRelation } from './catalog.ts';

/**
 * What an expression carries.
 * - `values`, `derived`: as in OutputColumn.
 * - `constant`: the same for every row of the statement, so that a comparison with it is one guess.
 * - `observable`: that it is evaluated can be noticed, since it may fail or does something (observable.ts).
 */
export interface Lineage {
  readonly values: readonly ColumnId[];
  readonly derived: readonly ColumnId[];
  readonly typeOid: number | undefined;
  readonly constant: boolean;
  readonly observable?: true;
  /** Of a row, where what `(row).field` finds is known: its fields. */
  readonly row?: readonly RowField[];
}

export interface RowField {
  readonly name: string;
  readonly lineage: Lineage;
}

const none: readonly ColumnId[] = [];

/** An expression that reads no column; `typeOid` as far as it is known. */
export function constantLineage(typeOid?: number): Lineage {
  if (typeOid === undefined) return untypedConstant;
  let lineage = constants.get(typeOid);
  if (lineage === undefined) {
    lineage = { ...untypedConstant, typeOid };
    // Parameters may be of the owner's types, of which there may be any number over time.
    if (typeOid < firstUserOid) constants.set(typeOid, lineage);
  }
  return lineage;
}

/** What initdb made has an OID below this. */
const firstUserOid = 16384;
/** Long lists are mostly of one type. */
const constants = new Map<number, Lineage>();

const untypedConstant: Lineage = {
  values: none,
  derived: none,
  typeOid: undefined,
  constant: true,
};

/** Something that differs from row to row but comes from no column: a set-returning function's result. */
export const rowLineage: Lineage = { ...untypedConstant, constant: false };

/** The union of column lists, each column once. */
export function unite(lists: readonly (readonly ColumnId[])[]): readonly ColumnId[] {
  let first: readonly ColumnId[] = none;
  let union: Set<ColumnId> | undefined;
  for (const list of lists) {
    if (list.length === 0 || list === first) continue;
    if (first.length === 0) first = list;
    else {
      union ??= new Set(first);
      for (const column of list) union.add(column);
    }
  }
  return union === undefined || union.size === first.length ? first : [...union];
}

/** Every column that the expression depends on. */
export function columnsOf(lineage: Lineage): readonly ColumnId[] {
  return unite([lineage.values, lineage.derived]);
}

/** The lineage of something computed from the parts. */
export function derive(parts: readonly Lineage[], typeOid?: number): Lineage {
  const lists: (readonly ColumnId[])[] = [];
  let constant = true;
  let observable = false;
  for (const part of parts) {
    lists.push(part.values, part.derived);
    if (!part.constant) constant = false;
    if (part.observable) observable = true;
  }
  const lineage = { values: none, derived: unite(lists), typeOid, constant };
  return observable ? { ...lineage, observable } : lineage;
}

/** The lineage of something that is one of the branches, unchanged. */
export function merge(branches: readonly Lineage[]): Lineage {
  const first = branches[0];
  if (first !== undefined && branches.length === 1) return first;
  let typeOid: number | undefined;
  let sameType = true;
  for (const branch of branches) {
    if (branch.typeOid === unknownType) continue;
    if (branch.typeOid === undefined) sameType = false;
    else if (typeOid === undefined) typeOid = branch.typeOid;
    else if (typeOid !== branch.typeOid) sameType = false;
  }
  const lineage = {
    values: unite(branches.map((branch) => branch.values)),
    derived: unite(branches.map((branch) => branch.derived)),
    typeOid: sameType ? typeOid : undefined,
    constant: branches.every((branch) => branch.constant),
  };
  return branches.some((branch) => branch.observable) ? { ...lineage, observable: true } : lineage;
}

/** pg_type's OID of `unknown`: string constants and NULL before they take a type. */
export const unknownType = 705;

interface RelationFacts {
  readonly ids: readonly ColumnId[];
  family: readonly CatalogRelation[] | undefined;
  lineages: readonly Lineage[] | undefined;
}

const factsByCatalog = new WeakMap<Catalog, Map<number, RelationFacts>>();

function factsOf(catalog: Catalog, relation: CatalogRelation): RelationFacts {
  let byOid = factsByCatalog.get(catalog);
  if (byOid === undefined) factsByCatalog.set(catalog, (byOid = new Map()));
  let facts = byOid.get(relation.oid);
  if (facts === undefined) {
    const ids = relation.columns.map(
      (column): ColumnId => ({
        relationOid: relation.oid,
        attnum: column.attnum,
        name: [catalog.database, relation.schema, relation.name, column.name],
        typeOid: column.typeOid,
      }),
    );
    byOid.set(relation.oid, (facts = { ids, family: undefined, lineages: undefined }));
  }
  return facts;
}

/** The relation's columns as ids, in the order of its columns; the same objects for the same catalog. */
export function columnIds(catalog: Catalog, relation: CatalogRelation): readonly ColumnId[] {
  return factsOf(catalog, relation).ids;
}

/** Every partition, child, parent and ancestor of a relation, without itself. */
export function familyOf(catalog: Catalog, relation: CatalogRelation): readonly CatalogRelation[] {
  if (relation.parents.length === 0 && relation.children.length === 0) return noFamily;
  const facts = factsOf(catalog, relation);
  if (facts.family !== undefined) return facts.family;
  const found = new Map<number, CatalogRelation>();
  const collect = (oids: readonly number[], next: (of: CatalogRelation) => readonly number[]) => {
    const waiting = [...oids];
    for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
      const member = catalog.relationByOid(oid);
      if (member === undefined || member.oid === relation.oid || found.has(oid)) continue;
      found.set(oid, member);
      waiting.push(...next(member));
    }
  };
  collect(relation.children, (of) => of.children);
  collect(relation.parents, (of) => of.parents);
  return (facts.family = [...found.values()]);
}

const noFamily: readonly CatalogRelation[] = [];

/** The names of the columns that a generated column is computed from. */
function sourcesOf(
  relation: CatalogRelation,
  column: CatalogColumn | undefined,
): readonly string[] {
  const { generatedFrom = [] } = column ?? {};
  if (generatedFrom.length === 0) return [];
  return relation.columns
    .filter(({ attnum }) => generatedFrom.includes(attnum))
    .map(({ name }) => name);
}

/**
 * What each column of a relation carries: itself, and the column of the same name in every relation of its
 * family, since a rule on a partition or on a parent speaks of the same stored value. A generated column
 * is also derived from the columns that it is computed from.
 */
export function columnLineages(catalog: Catalog, relation: CatalogRelation): readonly Lineage[] {
  const facts = factsOf(catalog, relation);
  if (facts.lineages !== undefined) return facts.lineages;
  const family = familyOf(catalog, relation);
  facts.lineages = relation.columns.map((column, index): Lineage => {
    const values = [facts.ids[index] as ColumnId];
    const sources = new Set<string>(sourcesOf(relation, column));
    for (const member of family) {
      const at = member.columns.findIndex((candidate) => candidate.name === column.name);
      const id = at < 0 ? undefined : columnIds(catalog, member)[at];
      if (id !== undefined) values.push(id);
      for (const name of sourcesOf(member, member.columns[at])) sources.add(name);
    }
    // A generated column tells of those that it is computed from, and a child may compute it otherwise.
    const derived =
      sources.size === 0
        ? none
        : [relation, ...family].flatMap((member) =>
            columnIds(catalog, member).filter((id) => sources.has(id.name[3])),
          );
    // 0 in a catalog that follows a text, which does not tell all types.
    return { values, derived, typeOid: column.typeOid || undefined, constant: false };
  });
  return facts.lineages;
}
