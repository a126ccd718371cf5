import { hash } from 'node:crypto';
import type {
  Catalog,
  CatalogColumn,
  CatalogRelation,
  ObjectKind,
  RelationKind,
} from './catalog.ts';
import * as read from './catalog-document.ts';

type Mutable<T> = { -readonly [K in keyof T]: T[K] };

/** A relation while the lists that concern it are still being added. */
interface OpenRelation extends Mutable<Omit<CatalogRelation, 'columns'>> {
  readonly columns: Mutable<CatalogColumn>[];
  readonly parents: number[];
  readonly children: number[];
  readonly cascadesTo: number[];
  readonly referencedBy: number[];
  readonly dependents: number[];
}

/** The part that is the same in every database of one server version. */
interface SystemPart {
  readonly relations: ReadonlyMap<number, CatalogRelation>;
  readonly byName: NameIndex;
  readonly domains: ReadonlyMap<number, Domain>;
  readonly builtins: ReadonlyMap<ObjectKind, ReadonlySet<string>>;
}

interface Domain {
  readonly base: number;
  readonly hasCode: boolean;
}

type NameIndex = Map<string, Map<string, CatalogRelation>>;

/**
 * Compiles the document of `catalogQuery`. The version is a digest of the document, so equal documents
 * give equal versions; the system part is compiled once and shared.
 * @throws TypeError when the document has not the expected form.
 */
export function compileCatalog(json: string): Catalog {
  const document = read.document(json);
  const system = systemPart(document.system);
  const domains = new Map([...system.domains, ...readDomains(document.domains)]);
  const { temp } = document;
  const relations = readRelations(
    document.relations,
    temp === null ? ['pg_catalog'] : ['pg_catalog', temp],
  );
  connect(relations, document);
  for (const relation of relations.values()) {
    const checked = relation.columns.some((column) => domainHasCode(column.typeOid, domains));
    relation.hasConstraintFunctions ||= checked;
  }
  const byName = indexByName(relations.values());
  const functions = schemasByName(document.functions);
  const operators = schemasByName(document.operators);
  const types = schemasByName(document.types);
  const plainTypes = schemasByName(document.plainTypes);
  const others = schemasByName(
    document.others.map(([kind, schema, name]) => [schema, `${kind} ${name}`]),
  );
  const casts = new Set(document.casts.flat());
  const standsInTemp = ([schema]: readonly [string, string]): boolean => schema === temp;

  return {
    version: hash('sha256', json, 'hex'),
    database: document.database,
    serverVersion: document.server,
    schemas: new Set(document.schemas),
    tempSchema: temp ?? undefined,
    isPrivate:
      temp !== null &&
      (byName.has(temp) ||
        [document.functions, document.operators, document.types].some((all) =>
          all.some(standsInTemp),
        ) ||
        document.others.some(([, schema]) => schema === temp)),
    hasEventTriggers: document.eventTriggers,
    isUtf8: document.encoding === 'UTF8',
    hasSchemaDefaults: document.schemaDefaults,
    relationByOid: (oid) => relations.get(oid) ?? system.relations.get(oid),
    relation: (schema, name) =>
      byName.get(schema)?.get(name) ?? system.byName.get(schema)?.get(name),
    relations: () => relations.values(),
    functionSchemas: (name) => functions.get(name) ?? [],
    operatorSchemas: (name) => operators.get(name) ?? [],
    typeSchemas: (name) => types.get(name) ?? [],
    plainTypeSchemas: (name) => plainTypes.get(name) ?? [],
    otherSchemas: (kind, name) => others.get(`${kind} ${name}`) ?? [],
    isBuiltin: (kind, name) => system.builtins.get(kind)?.has(name) ?? false,
    hasUserCast: (typeOid) => casts.has(typeOid),
    baseType: (typeOid) => baseType(typeOid, domains),
  };
}

/** Few server versions stand behind one process; the bound is against a backend that invents them. */
const maxSystemParts = 8;
const systemParts = new Map<string, SystemPart>();

function systemPart(json: string): SystemPart {
  let part = systemParts.get(json);
  if (part === undefined) {
    const document = read.systemDocument(json);
    const relations = readRelations(document.relations, []);
    part = {
      relations,
      byName: indexByName(relations.values()),
      domains: readDomains(document.domains),
      builtins: new Map(
        document.builtins.map(([kind, names]) => [kind, new Set(names.split(' '))]),
      ),
    };
    if (systemParts.size >= maxSystemParts) {
      systemParts.delete(systemParts.keys().next().value as string);
    }
    systemParts.set(json, part);
  }
  return part;
}

function readRelations(
  rows: readonly read.RelationRow[],
  definitionPath: readonly string[],
): Map<number, OpenRelation> {
  const relations = new Map<number, OpenRelation>();
  for (const [oid, schema, name, kind, hasRowSecurity, columns, definition] of rows) {
    relations.set(oid, {
      oid,
      schema,
      name,
      kind: kind as RelationKind,
      columns: columns.map(([attnum, column, typeOid]) => ({
        attnum,
        name: column,
        typeOid,
        hasDefault: false,
      })),
      ...(definition === null ? undefined : { definition, definitionPath }),
      parents: [],
      children: [],
      cascadesTo: [],
      referencedBy: [],
      dependents: [],
      hasTriggers: false,
      hasRules: false,
      hasRowSecurity,
      hasConstraintFunctions: false,
    });
  }
  return relations;
}

/** Adds to each relation what the document lists apart. */
function connect(
  relations: ReadonlyMap<number, OpenRelation>,
  document: read.CatalogDocument,
): void {
  for (const [child, parent] of document.inherits) {
    add(relations.get(child)?.parents, parent);
    add(relations.get(parent)?.children, child);
  }
  for (const [referenced, referencing, cascades] of document.foreignKeys) {
    const relation = relations.get(referenced);
    add(relation?.referencedBy, referencing);
    if (cascades) add(relation?.cascadesTo, referencing);
  }
  for (const [index, of] of document.indexes) {
    const relation = relations.get(index);
    if (relation !== undefined) relation.indexOf = of;
  }
  connectDependents(relations, document.dependents);
  for (const oid of document.triggers) set(relations.get(oid), 'hasTriggers');
  for (const oid of document.rules) set(relations.get(oid), 'hasRules');
  for (const oid of document.constraintsWithCode) {
    set(relations.get(oid), 'hasConstraintFunctions');
  }
  for (const [oid, attnum] of document.defaultsWithCode) {
    const column = relations.get(oid)?.columns.find((one) => one.attnum === attnum);
    if (column !== undefined) column.hasDefault = true;
  }
  for (const [oid, attnum, from] of document.generated) {
    const column = relations.get(oid)?.columns.find((one) => one.attnum === attnum);
    if (column !== undefined) column.generatedFrom = [...(column.generatedFrom ?? []), from];
  }
}

/** A view that only loses a rule, a trigger or a default is taken for what is no relation: kinds tell who goes. */
function connectDependents(
  relations: ReadonlyMap<number, OpenRelation>,
  rows: read.CatalogDocument['dependents'],
): void {
  for (const isWhole of [true, false]) {
    for (const [oid, dependent, wholly] of rows) {
      if (wholly !== isWhole) continue;
      const list = relations.get(oid)?.dependents;
      const isPart = !wholly && relations.get(dependent)?.kind === 'v';
      if (!isPart || list?.includes(dependent) === false) add(list, isPart ? 0 : dependent);
    }
  }
}

function add(list: number[] | undefined, oid: number): void {
  if (list !== undefined && !list.includes(oid)) list.push(oid);
}

function set(
  relation: OpenRelation | undefined,
  flag: 'hasTriggers' | 'hasRules' | 'hasConstraintFunctions',
): void {
  if (relation !== undefined) relation[flag] = true;
}

function indexByName(relations: Iterable<CatalogRelation>): NameIndex {
  const index: NameIndex = new Map();
  for (const relation of relations) {
    let names = index.get(relation.schema);
    if (names === undefined) index.set(relation.schema, (names = new Map()));
    names.set(relation.name, relation);
  }
  return index;
}

function schemasByName(pairs: readonly (readonly [string, string])[]): Map<string, string[]> {
  const index = new Map<string, string[]>();
  for (const [schema, name] of pairs) {
    const schemas = index.get(name);
    if (schemas === undefined) index.set(name, [schema]);
    else if (!schemas.includes(schema)) schemas.push(schema);
  }
  return index;
}

function readDomains(rows: readonly (readonly [number, number, boolean])[]): Map<number, Domain> {
  return new Map(rows.map(([oid, base, hasCode]) => [oid, { base, hasCode }]));
}

/** A domain may stand over another; a document in which they form a ring ends at the ring's length. */
function* domainChain(typeOid: number, domains: ReadonlyMap<number, Domain>): Generator<Domain> {
  let current = domains.get(typeOid);
  for (let steps = 0; current !== undefined && steps <= domains.size; steps += 1) {
    yield current;
    current = domains.get(current.base);
  }
}

function baseType(typeOid: number, domains: ReadonlyMap<number, Domain>): number {
  let base = typeOid;
  for (const domain of domainChain(typeOid, domains)) base = domain.base;
  return base;
}

function domainHasCode(typeOid: number, domains: ReadonlyMap<number, Domain>): boolean {
  for (const domain of domainChain(typeOid, domains)) if (domain.hasCode) return true;
  return false;
}
