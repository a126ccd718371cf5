import type { RangeVar } from 'libpg-query';
import type { OpenOperation } from './findings.ts';
import { derive, type Lineage, rowLineage } from './lineage.ts';

/** One column of something in FROM. `entry` collects the read of a relation's column under `column`. */
export interface Field {
  readonly name: string;
  readonly lineage: Lineage;
  readonly entry?: OpenOperation | undefined;
  readonly column?: string;
}

/**
 * One thing in FROM, as PostgreSQL's ParseNamespaceItem: it may be addressed by its own name, and its
 * columns by theirs alone, each as far as visible.
 */
export interface Item {
  readonly alias: string | undefined;
  /** The relation's schema, only when it has no alias: `schema.relation.column` then names it. */
  readonly schema: string | undefined;
  readonly fields: readonly Field[];
  /** A relation whose columns are not known: any column name may be its. Only for system catalogs. */
  readonly open: boolean;
  /** For a relation's system columns. */
  readonly entry: OpenOperation | undefined;
  /** Has ctid, xmin and the like. */
  readonly systemColumns: boolean;
  readonly named: boolean;
  readonly columnsVisible: boolean;
  /** A sub-query in FROM: FOR UPDATE goes through to what it reads. */
  readonly subquery?: boolean;
}

/** A WITH query: its columns once it is analyzed, and the way to get there. */
export interface Cte {
  state: 'Waiting' | 'Running' | 'Done';
  fields: readonly Field[] | undefined;
  /** Analyzes it on first use: WITH RECURSIVE lets a query name a later one. */
  readonly analyze: () => void;
}

export interface Scope {
  readonly parent: Scope | undefined;
  items: readonly Item[];
  ctes: Map<string, Cte> | undefined;
}

export function newScope(parent: Scope | undefined): Scope {
  return { parent, items: [], ctes: undefined };
}

const systemColumnNames: ReadonlySet<string> = new Set([
  'ctid',
  'xmin',
  'xmax',
  'cmin',
  'cmax',
  'tableoid',
]);

/** How many entries looking a name up in the scope and those around it may go through. */
export function searchSize(scope: Scope): number {
  let size = 0;
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    size += 1 + level.items.length;
    for (const item of level.items) size += item.fields.length;
  }
  return size;
}

/** The outcome of looking a name up. `Ambiguous` and `undefined` both mean that it is not understood. */
export type Found = Lineage | 'Ambiguous' | undefined;

/** Reads a field: its relation's operation gets the column. */
export function readField(field: Field): Lineage {
  if (field.entry !== undefined) field.entry.columns?.add(field.column ?? field.name);
  return field.lineage;
}

function fieldOf(item: Item, name: string): Found {
  let found: Field | undefined;
  for (const field of item.fields) {
    if (field.name !== name) continue;
    if (found !== undefined) return 'Ambiguous';
    found = field;
  }
  if (found !== undefined) return readField(found);
  if (item.open) {
    item.entry?.columns?.add(name);
    return rowLineage;
  }
  if (item.systemColumns && systemColumnNames.has(name)) {
    item.entry?.columns?.add(name);
    return rowLineage;
  }
  return undefined;
}

/** Resolves an unqualified column name, from the innermost query outwards. */
export function findColumn(scope: Scope, name: string): Found {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    let found: Found;
    let openItem: Item | undefined;
    for (const item of level.items) {
      if (!item.columnsVisible) continue;
      if (item.open) {
        openItem = openItem === undefined ? item : openItem;
        continue;
      }
      const match = fieldOf(item, name);
      if (match === undefined) continue;
      if (found !== undefined) return 'Ambiguous';
      found = match;
    }
    if (found !== undefined) return found;
    // An unknown relation may or may not have the column; an outer one of that name is not sure either.
    if (openItem !== undefined) {
      return level.parent === undefined || findColumn(level.parent, name) === undefined
        ? fieldOf(openItem, name)
        : 'Ambiguous';
    }
  }
  return undefined;
}

/**
 * Resolves an unqualified column name in a view's definition. PostgreSQL prints one where a query has just one table, and
 * for what USING has merged; of the latter without a look at the queries within, whose own columns may have that name.
 */
export function findColumnOfDefinition(scope: Scope, name: string): Found {
  let found: Found;
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    const here = findColumn({ ...level, parent: undefined }, name);
    if (here === undefined) continue;
    if (found !== undefined) return 'Ambiguous';
    found = here;
  }
  return found;
}

/** Resolves a name of something in FROM, from the innermost query outwards. */
export function findItem(
  scope: Scope,
  name: string,
  schema: string | undefined,
): Item | 'Ambiguous' | undefined {
  for (let level: Scope | undefined = scope; level !== undefined; level = level.parent) {
    let found: Item | undefined;
    for (const item of level.items) {
      if (!item.named || item.alias !== name) continue;
      if (schema !== undefined && item.schema !== schema) continue;
      if (found !== undefined) return 'Ambiguous';
      found = item;
    }
    if (found !== undefined) return found;
  }
  return undefined;
}

/** Resolves a column of one item. */
export function findFieldOf(item: Item, name: string): Found {
  return fieldOf(item, name);
}

/** The row as such: everything of it is read. */
export function wholeRow(item: Item): Lineage {
  const lineage = { ...derive(item.fields.map(readField)), constant: false };
  // Elsewhere a relation's row has the names that its columns were given by the relation, not by this query.
  const renamed = item.fields.some(({ name, column = name }) => name !== column);
  if (item.open || renamed) return lineage;
  const row = item.fields.map(({ name, lineage: field }) => ({
    name,
    lineage: field.constant ? { ...field, constant: false } : field,
  }));
  return { ...lineage, row };
}

/** The CTE of that name in scope; only an unqualified name can be one. */
export function findCte(scope: Scope | undefined, name: RangeVar): Cte | undefined {
  if (name.schemaname !== undefined || name.relname === undefined) return undefined;
  for (let level = scope; level !== undefined; level = level.parent) {
    const cte = level.ctes?.get(name.relname);
    if (cte !== undefined) return cte;
  }
  return undefined;
}
