import { type Budget, checkWidth } from './budget.ts';
import type { Catalog, CatalogColumn, CatalogRelation, RelationKind } from './catalog.ts';

/** What is told of a relation that a statement makes; all else of it is none. */
export interface NewRelation {
  readonly schema: string;
  readonly name: string;
  readonly kind: RelationKind;
  readonly columns?: readonly CatalogColumn[];
  readonly indexOf?: number;
  readonly hasConstraintFunctions?: boolean;
}

type Schemas = ReadonlySet<string>;

const workPerColumn = 4;

/**
 * A catalog as the statements of one text leave it, one after the other: what they make, change and drop stands
 * over the catalog that was read before the text. What is made here has negative OIDs, which no database gives.
 */
export class TextCatalog {
  readonly #base: Catalog;
  readonly budget: Budget;
  /** Made or changed. */
  readonly #relations = new Map<number, CatalogRelation>();
  /** By schema and name: the OID, or 0 where the name is free by now. */
  readonly #names = new Map<string, number>();
  readonly #dropped = new Map<number, true>();
  readonly #types = new Map<string, Schemas>();
  readonly #plainTypes = new Map<string, Schemas>();
  readonly #functions = new Map<string, Schemas>();
  readonly #schemas = new Map<string, true>();
  /** Schema and last part of names that PostgreSQL chose itself, and that may be told only by reading them. */
  readonly #chosen = new Map<string, true>();
  /** Schema and name of what may have been dropped. */
  readonly #doubted = new Map<string, true>();
  readonly #indexes = new Map<number, readonly number[]>();
  #indexesRead = false;
  #lastOid = 0;
  #undo: (() => void)[] = [];
  #current: Catalog;

  constructor(base: Catalog, budget: Budget) {
    this.#base = base;
    this.budget = budget;
    this.#current = base;
  }

  /** The catalog as it is now; another object after each change, so that what is remembered of one stays true. */
  get current(): Catalog {
    return this.#current;
  }

  /** Makes the changes; those of a `change` that returns false are taken back. */
  attempt(change: () => boolean): boolean {
    this.#undo = [];
    // What is looked up meanwhile already sees the changes.
    const before = this.#current;
    this.#current = this.#view();
    const done = change();
    if (!done) for (const undo of this.#undo.toReversed()) undo();
    this.#current = done && this.#undo.length > 0 ? this.#view() : before;
    this.#undo = [];
    return done;
  }

  /** Adds a relation with its row type; undefined where the name is taken. */
  add(made: NewRelation): CatalogRelation | undefined {
    const { schema, name, kind } = made;
    if (this.relation(schema, name) !== undefined) return undefined;
    this.#lastOid -= 1;
    const relation: CatalogRelation = {
      columns: [],
      hasConstraintFunctions: false,
      ...made,
      oid: this.#lastOid,
      parents: [],
      children: [],
      cascadesTo: [],
      dependents: [],
      referencedBy: [],
      hasTriggers: false,
      hasRules: false,
      hasRowSecurity: false,
    };
    this.#set(this.#relations, relation.oid, relation);
    this.#set(this.#names, key(schema, name), relation.oid);
    checkWidth(relation.columns.length);
    if (relation.indexOf !== undefined) {
      this.budget.search(this.indexesOf(relation.indexOf).length);
      this.#set(this.#indexes, relation.indexOf, [
        ...this.indexesOf(relation.indexOf),
        relation.oid,
      ]);
    }
    if (!partKinds.has(kind)) this.addType(schema, name);
    return relation;
  }

  change(oid: number, changes: Partial<CatalogRelation>): void {
    const width = changes.columns?.length ?? 0;
    checkWidth(width);
    // What is remembered of each column by the catalog is made anew.
    this.budget.spend(width * workPerColumn);
    const relation = this.relationByOid(oid);
    if (relation !== undefined) this.#set(this.#relations, oid, { ...relation, ...changes });
  }

  /** Adds to the lists of relations that follow from one. */
  tie(
    oid: number,
    lists: readonly ('dependents' | 'referencedBy' | 'cascadesTo')[],
    other: number,
  ): void {
    const relation = this.relationByOid(oid);
    if (relation === undefined) return;
    const changes: Partial<Record<(typeof lists)[number], readonly number[]>> = {};
    for (const list of lists) {
      this.budget.search(relation[list].length);
      if (!relation[list].includes(other)) changes[list] = [...relation[list], other];
    }
    this.change(oid, changes);
  }

  rename(relation: CatalogRelation, name: string): boolean {
    const { schema, kind } = relation;
    if (this.relation(schema, name) !== undefined) return false;
    this.change(relation.oid, { name });
    this.#set(this.#names, key(schema, relation.name), 0);
    this.#set(this.#names, key(schema, name), relation.oid);
    if (!partKinds.has(kind)) this.addType(schema, name);
    return true;
  }

  drop(relation: CatalogRelation): void {
    this.#set(this.#names, key(relation.schema, relation.name), 0);
    this.#set(this.#dropped, relation.oid, true);
  }

  /** A type and the one of its arrays. Types are never taken away: where one may be, a name is not a built-in's. */
  addType(schema: string, name: string, isPlain = false): void {
    this.#addTo(this.#types, name, this.#base.typeSchemas(name), schema);
    const array = `_${name}`;
    this.#addTo(this.#types, array, this.#base.typeSchemas(array), schema);
    if (isPlain) this.#addTo(this.#plainTypes, name, this.#base.plainTypeSchemas(name), schema);
  }

  addFunction(schema: string, name: string): void {
    this.#addTo(this.#functions, name, this.#base.functionSchemas(name), schema);
  }

  addSchema(schema: string): void {
    this.#set(this.#schemas, schema, true);
  }

  isNewSchema(schema: string): boolean {
    return this.#schemas.has(schema);
  }

  hasSchema(schema: string): boolean {
    return this.#schemas.has(schema) || this.#base.schemas.has(schema);
  }

  /** An index of that schema has a name that PostgreSQL chose: one that ends so, and perhaps in a number. */
  addChosenName(schema: string, ending: string): void {
    this.#set(this.#chosen, key(schema, ending), true);
  }

  /** It may stand all the same. */
  doubt(relation: CatalogRelation): void {
    this.#set(this.#doubted, key(relation.schema, relation.name), true);
  }

  /** Whether a name that the catalog does not hold may be one that PostgreSQL chose in this text, or one in doubt. */
  mayHold(schema: string, name: string): boolean {
    if (this.#doubted.has(key(schema, name))) return true;
    const ending = /_([a-z]+)\d*$/.exec(name)?.[1];
    return ending !== undefined && this.#chosen.has(key(schema, ending));
  }

  relationByOid(oid: number): CatalogRelation | undefined {
    if (this.#dropped.has(oid)) return undefined;
    const relation = this.#relations.get(oid) ?? this.#base.relationByOid(oid);
    if (relation === undefined || this.#dropped.size === 0) return relation;
    return this.#withoutDropped(relation);
  }

  relation(schema: string, name: string): CatalogRelation | undefined {
    const oid = this.#names.get(key(schema, name)) ?? this.#base.relation(schema, name)?.oid;
    return oid === undefined || oid === 0 ? undefined : this.relationByOid(oid);
  }

  /** Whether a sequence goes with a relation. */
  isOwned(sequence: number): boolean {
    for (const { dependents } of this.#all()) {
      this.budget.search(1 + dependents.length);
      if (dependents.includes(sequence)) return true;
    }
    return false;
  }

  /** The indexes of a relation whose names are known. */
  indexesOf(oid: number): readonly number[] {
    if (!this.#indexesRead) {
      this.#indexesRead = true;
      for (const index of this.#base.relations()) {
        if (index.indexOf === undefined) continue;
        this.#indexes.set(index.indexOf, [...(this.#indexes.get(index.indexOf) ?? []), index.oid]);
      }
    }
    return this.#indexes.get(oid) ?? [];
  }

  #view(): Catalog {
    return {
      ...this.#base,
      relationByOid: (oid) => this.relationByOid(oid),
      relation: (schema, name) => this.relation(schema, name),
      relations: () => this.#all(),
      functionSchemas: (name) => listed(this.#functions, name, this.#base.functionSchemas),
      typeSchemas: (name) => listed(this.#types, name, this.#base.typeSchemas),
      plainTypeSchemas: (name) => listed(this.#plainTypes, name, this.#base.plainTypeSchemas),
      mayHold: (schema, name) => this.mayHold(schema, name),
    };
  }

  *#all(): Generator<CatalogRelation> {
    for (const { oid } of this.#base.relations()) {
      const relation = this.relationByOid(oid);
      if (relation !== undefined) yield relation;
    }
    for (const oid of this.#relations.keys()) {
      const relation = oid < 0 ? this.relationByOid(oid) : undefined;
      if (relation !== undefined) yield relation;
    }
  }

  #withoutDropped(relation: CatalogRelation): CatalogRelation {
    const stands = (oid: number): boolean => !this.#dropped.has(oid);
    const { cascadesTo, referencedBy, dependents } = relation;
    this.budget.search(cascadesTo.length + referencedBy.length + dependents.length);
    if ([cascadesTo, referencedBy, dependents].every((oids) => oids.every(stands))) {
      return relation;
    }
    return {
      ...relation,
      cascadesTo: cascadesTo.filter(stands),
      referencedBy: referencedBy.filter(stands),
      dependents: dependents.filter(stands),
    };
  }

  #addTo(map: Map<string, Schemas>, name: string, base: readonly string[], schema: string): void {
    const known = map.get(name);
    if (known?.has(schema)) return;
    this.#set(map, name, new Set([...(known ?? base), schema]));
  }

  #set<K, V>(map: Map<K, V>, at: K, value: V): void {
    const had = map.has(at);
    const before = map.get(at) as V;
    this.#undo.push(() => {
      if (had) map.set(at, before);
      else map.delete(at);
    });
    map.set(at, value);
  }
}

/** What has no row type. */
const partKinds: ReadonlySet<RelationKind> = new Set(['i', 'I', 'S']);

/** NUL cannot occur in a name. */
function key(schema: string, name: string): string {
  return `${schema}\0${name}`;
}

function listed(
  map: ReadonlyMap<string, Schemas>,
  name: string,
  base: (name: string) => readonly string[],
): readonly string[] {
  const own = map.get(name);
  return own === undefined ? base(name) : [...own];
}
