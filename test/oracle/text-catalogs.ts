import type { StatementAnalysis } from '@chaperone/core/sql/operation.ts';
import type { Catalog, CatalogRelation } from '@chaperone/core/sql/postgres/catalog.ts';
import { document } from '@chaperone/core/sql/postgres/catalog-document.ts';
import type { AnalyzeContext } from '@chaperone/core/sql/postgres/run.ts';
import type { TextHistory } from '@chaperone/core/sql/postgres/text-history.ts';

/**
 * Where the catalog at the end of a text, as it was followed, claims less or other than the server's. A relation that
 * stands in one of them alone is no difference where a statement that names it would be Unknown. What the watch
 * itself has made (schema oracle) is left out.
 */
export function differences(
  json: string,
  real: AnalyzeContext,
  database: string,
  history: () => TextHistory,
): readonly string[] {
  const followed = history().context;
  const found: string[] = [];
  // What is temporary is known by its names alone, whose statements are Unknown.
  const isLasting = (schema: string): boolean => !schema.startsWith('pg_temp');
  const path = followed.searchPath.filter(isLasting).join(', ');
  const realPath = real.searchPath.filter(isLasting).join(', ');
  const isDoubted = (statement: Partial<StatementAnalysis>): boolean =>
    history()
      .follow({ ...nothing, ...statement }, undefined)
      .operations.some(({ verb }) => verb === 'Unknown');
  // A path that is not known makes every statement Unknown.
  const everythingIsDoubted = isDoubted({ kind: 'SelectStmt' });
  if (everythingIsDoubted) return [];
  if (path !== realPath) found.push(`the path is ${realPath}, and not ${path}`);
  const names = new Set<string>();
  for (const side of [followed.catalog, real.catalog]) {
    for (const { schema, name } of side.relations()) {
      if (schema !== 'oracle') names.add(JSON.stringify([schema, name]));
    }
  }
  for (const text of names) {
    const [schema, name] = JSON.parse(text) as [string, string];
    const one = followed.catalog.relation(schema, name);
    const other = real.catalog.relation(schema, name);
    if (one !== undefined && other !== undefined) {
      const isDoubtedName = (full: string): boolean => {
        const [schemaOf = '', ...rest] = full.split('.');
        return isDoubted(naming(database, schemaOf, rest.join('.')));
      };
      const less = claims(followed.catalog, one, real.catalog, other, isDoubtedName);
      if (less.length === 0) continue;
      if (!isDoubted(naming(database, schema, name))) {
        found.push(...less.map((what) => `${schema}.${name}: ${what}`));
      }
      continue;
    }
    const isUnknown =
      followed.catalog.mayHold?.(schema, name) || isDoubted(naming(database, schema, name));
    if (!isUnknown)
      found.push(
        `${schema}.${name} stands ${one ? 'in what was followed' : 'on the server'} alone`,
      );
  }
  return [...found, ...namesOfOthers(json, followed.catalog)];
}

const nothing: StatementAnalysis = {
  kind: 'LockStmt',
  operations: [],
  uses: [],
  facts: { hasWhere: false, relations: [], functions: [] },
  effects: {},
  userCode: false,
};

function naming(database: string, schema: string, name: string): Partial<StatementAnalysis> {
  const resource = [database, schema, name];
  return { operations: [{ verb: 'Lock', class: 'Session', resource, reach: 'Named' }] };
}

/** What the first says too little or wrongly of, by names. */
function claims(
  catalog: Catalog,
  one: CatalogRelation,
  realCatalog: Catalog,
  other: CatalogRelation,
  isDoubted: (name: string) => boolean,
): string[] {
  const found: string[] = [];
  if (one.kind !== other.kind) found.push(`kind ${other.kind}, and not ${one.kind}`);
  if (one.kind !== 'v' && one.kind !== 'm') {
    const shape = (of: CatalogRelation, types: CatalogRelation): string =>
      of.columns
        .map(({ name, typeOid }, at) =>
          types.columns[at]?.typeOid === 0 ? name : `${name} ${typeOid}`,
        )
        .join(', ');
    const [mine, its] = [shape(one, one), shape(other, one)];
    if (mine !== its) found.push(`columns ${its}, and not ${mine}`);
    const sources = (of: CatalogRelation): string =>
      of.columns
        .map(({ generatedFrom = [] }) =>
          of.columns.filter(({ attnum }) => generatedFrom.includes(attnum)).map((c) => c.name),
        )
        .join(';');
    if (sources(one) !== sources(other)) found.push(`generated from ${sources(other)}`);
  } else if (one.definition !== undefined && one.definition !== other.definition) {
    found.push('another definition');
  }
  const list = (of: Catalog, oids: readonly number[]): string[] =>
    oids.map((oid) => {
      const relation = of.relationByOid(oid);
      return relation === undefined ? 'none' : `${relation.schema}.${relation.name}`;
    });
  for (const key of ['parents', 'children', 'cascadesTo', 'referencedBy', 'dependents'] as const) {
    const has = new Set(list(catalog, one[key]));
    for (const name of list(realCatalog, other[key])) {
      if (has.has(name)) continue;
      // It has another name by now: with either of them the statement is Unknown.
      if (isDoubted(name) && [...has].some(isDoubted)) continue;
      found.push(`${key} lacks ${name}`);
    }
  }
  for (const key of [
    'hasTriggers',
    'hasRules',
    'hasRowSecurity',
    'hasConstraintFunctions',
  ] as const) {
    if (other[key] && !one[key]) found.push(`${key} is not told`);
  }
  const indexed = (of: Catalog, { indexOf }: CatalogRelation): string =>
    indexOf === undefined ? '' : (list(of, [indexOf])[0] ?? '');
  if (indexed(catalog, one) !== indexed(realCatalog, other)) found.push('index of another');
  return found;
}

/** Types and functions that the server has and the analyzer would take for built-in ones, or for plain ones. */
function namesOfOthers(json: string, catalog: Catalog): string[] {
  const { types, plainTypes, functions } = document(json);
  const found: string[] = [];
  const own = ([schema]: readonly [string, string]): boolean =>
    schema !== 'oracle' && !schema.startsWith('pg_temp');
  const plain = new Set(plainTypes.map((one) => one.join('.')));
  for (const [schema, name] of types.filter(own)) {
    if (!catalog.typeSchemas(name).includes(schema)) found.push(`type ${schema}.${name}`);
    if (catalog.plainTypeSchemas(name).includes(schema) && !plain.has(`${schema}.${name}`)) {
      found.push(`type ${schema}.${name} is not plain`);
    }
  }
  for (const [schema, name] of functions.filter(own)) {
    if (!catalog.functionSchemas(name).includes(schema)) found.push(`function ${schema}.${name}`);
  }
  return found;
}
