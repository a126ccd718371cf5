import type { Catalog, CatalogRelation, RelationKind } from './catalog.ts';
import type { AnalyzeContext } from './run.ts';

/** A relation of a test catalog. Columns are names, or names with a type OID; text is the default. */
export interface TestRelation {
  readonly kind?: RelationKind;
  readonly columns?: readonly (string | readonly [name: string, typeOid: number])[];
  readonly definition?: string;
  /** `schema.relation` of each parent. */
  readonly parents?: readonly string[];
  readonly cascadesTo?: readonly string[];
  readonly referencedBy?: readonly string[];
  /** `schema.relation`, or '' for what is no relation. */
  readonly dependents?: readonly string[];
  readonly indexOf?: string;
  readonly defaults?: readonly string[];
  /** Generated column → the columns that it is computed from. */
  readonly generated?: Readonly<Record<string, readonly string[]>>;
  readonly triggers?: boolean;
  readonly rules?: boolean;
  readonly rowSecurity?: boolean;
  readonly constraintFunctions?: boolean;
}

export interface TestCatalog {
  /** By `schema.relation`. */
  readonly relations: Readonly<Record<string, TestRelation>>;
  readonly serverVersion?: number;
  /** Name → schemas. */
  readonly functions?: Readonly<Record<string, readonly string[]>>;
  readonly operators?: Readonly<Record<string, readonly string[]>>;
  readonly types?: Readonly<Record<string, readonly string[]>>;
  readonly plainTypes?: Readonly<Record<string, readonly string[]>>;
  /** Kind and name (`collation c`) → schemas. */
  readonly others?: Readonly<Record<string, readonly string[]>>;
  /** Kind and name. */
  readonly builtins?: readonly string[];
  readonly castTypes?: readonly number[];
  /** Domain OID → base type. */
  readonly domains?: Readonly<Record<number, number>>;
  readonly eventTriggers?: boolean;
  readonly isUtf8?: boolean;
  readonly schemaDefaults?: boolean;
}

/** A Catalog made from a literal description, for tests. OIDs count up from 20000 in the order given. */
export function catalogOf(description: TestCatalog): Catalog {
  const names = Object.keys(description.relations);
  const oidOf = (name: string): number => {
    const index = names.indexOf(name);
    if (index < 0) throw new Error(`the test catalog has no ${name}`);
    return 20_000 + index;
  };
  const relations = names.map((name): CatalogRelation => {
    const test = description.relations[name] as TestRelation;
    const dot = name.indexOf('.');
    const columnNames = (test.columns ?? []).map((column) =>
      typeof column === 'string' ? column : column[0],
    );
    return {
      oid: oidOf(name),
      schema: name.slice(0, dot),
      name: name.slice(dot + 1),
      kind: test.kind ?? (test.definition === undefined ? 'r' : 'v'),
      columns: (test.columns ?? []).map((column, index) => {
        const own = columnNames[index] as string;
        const from = test.generated?.[own];
        return {
          attnum: index + 1,
          name: own,
          typeOid: typeof column === 'string' ? 25 : column[1],
          hasDefault: test.defaults?.includes(own) ?? false,
          ...(from === undefined
            ? undefined
            : { generatedFrom: from.map((source) => columnNames.indexOf(source) + 1) }),
        };
      }),
      ...(test.definition === undefined
        ? undefined
        : { definition: test.definition, definitionPath: ['pg_catalog', 'public'] }),
      parents: (test.parents ?? []).map(oidOf),
      children: names
        .filter((other) => description.relations[other]?.parents?.includes(name))
        .map(oidOf),
      cascadesTo: (test.cascadesTo ?? []).map(oidOf),
      referencedBy: (test.referencedBy ?? []).map(oidOf),
      dependents: (test.dependents ?? []).map((other) => (other === '' ? 0 : oidOf(other))),
      ...(test.indexOf === undefined ? undefined : { indexOf: oidOf(test.indexOf) }),
      hasTriggers: test.triggers ?? false,
      hasRules: test.rules ?? false,
      hasRowSecurity: test.rowSecurity ?? false,
      hasConstraintFunctions: test.constraintFunctions ?? false,
    };
  });
  const byName = new Map(relations.map((one) => [`${one.schema}.${one.name}`, one]));
  const byOid = new Map(relations.map((one) => [one.oid, one]));
  return {
    version: 'test',
    database: 'shop',
    serverVersion: description.serverVersion ?? 180_000,
    schemas: new Set(['public', ...relations.map((one) => one.schema)]),
    tempSchema: undefined,
    isPrivate: false,
    hasEventTriggers: description.eventTriggers ?? false,
    isUtf8: description.isUtf8 ?? true,
    hasSchemaDefaults: description.schemaDefaults ?? false,
    relationByOid: (oid) => byOid.get(oid),
    relations: () => relations,
    relation: (schema, name) => byName.get(`${schema}.${name}`),
    functionSchemas: (name) => description.functions?.[name] ?? [],
    operatorSchemas: (name) => description.operators?.[name] ?? [],
    typeSchemas: (name) => description.types?.[name] ?? description.plainTypes?.[name] ?? [],
    plainTypeSchemas: (name) => description.plainTypes?.[name] ?? [],
    otherSchemas: (kind, name) => description.others?.[`${kind} ${name}`] ?? [],
    isBuiltin: (kind, name) => description.builtins?.includes(`${kind} ${name}`) ?? false,
    hasUserCast: (typeOid) => description.castTypes?.includes(typeOid) ?? false,
    baseType: (typeOid) => description.domains?.[typeOid] ?? typeOid,
  };
}

/** The context of a session of `app` on database `shop` with the default search path. */
export function contextOf(
  catalog: Catalog,
  searchPath: readonly string[] = ['pg_catalog', 'public'],
): AnalyzeContext {
  return { catalog, database: 'shop', searchPath, currentUser: 'app' };
}
