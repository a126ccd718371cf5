import type { RangeVar } from 'libpg-query';
import { nameParts } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { rename } from './cte.ts';
import type { OpenOperation } from './findings.ts';
import { columnLineages, constantLineage, type Lineage, unite } from './lineage.ts';
import { relationResource, resolveRelation, written } from './names.ts';
import type { Run } from './run.ts';
import type { Field, Item } from './scope.ts';
import { isReviewedRelation } from './system-catalog.ts';
import { viewOf } from './views.ts';

const readable: ReadonlySet<string> = new Set(['r', 'p', 'v', 'm', 'f', 'S']);

/** A relation in FROM: reports the read, and gives the columns their lineage. */
export function relationItem(run: Run, name: RangeVar): Item {
  if (name.alias !== undefined) run.visit(name.alias);
  const resolved = resolveRelation(run, name);
  const base = {
    alias: name.alias?.aliasname ?? name.relname,
    schema: undefined,
    named: true,
    columnsVisible: true,
    systemColumns: true,
  };
  if (resolved === undefined) {
    run.unknown(`relation ${written(name)} does not resolve`);
    return { ...base, fields: [], open: true, entry: undefined };
  }
  const aliases = nameParts(name.alias?.colnames);
  if (resolved.kind === 'System') {
    const entry = readSystemRelation(run, resolved.schema, resolved.name, resolved.relation);
    const fields = resolved.relation === undefined ? [] : fieldsOf(run, resolved.relation, entry);
    const open = resolved.relation === undefined;
    if (open && aliases.length > 0) run.unknown(`column aliases of ${written(name)}`);
    const schema = name.alias === undefined ? resolved.schema : undefined;
    return { ...base, schema, fields: rename(fields, aliases), open, entry };
  }
  const { relation } = resolved;
  if (!readable.has(relation.kind)) run.unknown(`${written(name)} is not a table or view`);
  const entry = readRelation(run, relation, name.inh === true);
  return {
    ...base,
    schema: name.alias === undefined ? relation.schema : undefined,
    fields: rename(fieldsOf(run, relation, entry), aliases),
    open: false,
    entry,
  };
}

function readSystemRelation(
  run: Run,
  schema: string,
  name: string,
  relation: CatalogRelation | undefined,
): OpenOperation | undefined {
  if (!isReviewedRelation(schema, name)) {
    run.unknown(`system relation ${schema}.${name}`);
    return undefined;
  }
  return run.findings.add('Select', [run.context.database, schema, name], {
    class: 'Catalog',
    columns: [],
    relation,
  });
}

/** The Select on a relation that the statement names. */
export function readRelation(
  run: Run,
  relation: CatalogRelation,
  descendants: boolean,
): OpenOperation {
  return run.findings.add('Select', relationResource(run, relation), {
    relation,
    columns: [],
    descendants,
    sideEffects: relation.hasRowSecurity,
  });
}

const sequenceColumns = ['last_value', 'log_cnt', 'is_called'];

/** The relation's columns as fields; reading one adds it to `entry`. */
export function fieldsOf(
  run: Run,
  relation: CatalogRelation,
  entry: OpenOperation | undefined,
): Field[] {
  if (relation.kind === 'S' && relation.columns.length === 0) {
    return sequenceColumns.map((name) => ({ name, lineage: constantLineage(), entry }));
  }
  run.budget.spend(relation.columns.length);
  const own = columnLineages(run.context.catalog, relation);
  const beneath = isView(relation) ? viewOf(run, relation).fields : undefined;
  return relation.columns.map((column, index) => {
    const lineage = own[index] as Lineage;
    const source = beneath?.[index]?.lineage;
    return {
      name: column.name,
      entry,
      lineage:
        source === undefined
          ? lineage
          : {
              ...lineage,
              values: unite([lineage.values, source.values]),
              derived: unite([lineage.derived, source.derived]),
            },
    };
  });
}

/** True for what has a definition to be expanded. */
export function isView(relation: CatalogRelation): boolean {
  return relation.kind === 'v' || relation.kind === 'm';
}
