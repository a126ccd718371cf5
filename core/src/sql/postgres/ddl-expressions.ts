import type { AlterTableCmd, Constraint, RangeVar } from 'libpg-query';
import type { ColumnUse } from '../operation.ts';
import { bodyOf, itemsOf, type Node, nameParts, type Tag } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { analyzeExpression, isExpression } from './expressions.ts';
import { columnIds, columnLineages, columnsOf } from './lineage.ts';
import { relationResource, resolveRelation, written } from './names.ts';
import { fieldsOf, readRelation } from './relations.ts';
import { isTag, type Run } from './run.ts';
import { newScope, type Scope } from './scope.ts';

const leafTags: ReadonlySet<string> = new Set([
  'String',
  'Integer',
  'Float',
  'Boolean',
  'BitString',
  'A_Star',
  'RoleSpec',
  'TypeName',
  // Options: names, numbers and texts.
  'DefElem',
]);
/** Parts of a definition that are looked into. */
const partTags: ReadonlySet<string> = new Set([
  'ATAlterConstraint',
  'AlterTableCmd',
  'ColumnDef',
  'Constraint',
  'IndexElem',
  'List',
  'PartitionBoundSpec',
  'PartitionCmd',
  'PartitionElem',
  'PartitionRangeDatum',
  'PartitionSpec',
  'ReplicaIdentityStmt',
  'StatsElem',
  'TableLikeClause',
]);
/** Fields that hold a type, a role or a collation: names that run nothing by being named. */
const namingFields: ReadonlySet<string> = new Set([
  'typeName',
  'ofTypename',
  'newowner',
  'collClause',
  'identitySequence',
]);

/**
 * What the clauses of a table's definition say besides its name: defaults, checks, USING and index
 * expressions run now or later, and what they compute from is stored; tables that they name are altered,
 * or read where a foreign key refers to them. `made`: the resource of a table that the statement makes.
 */
export function analyzeDefinition(
  run: Run,
  relation: CatalogRelation | undefined,
  clauses: readonly unknown[],
  made?: readonly string[],
): void {
  const scope: DefinitionScope = { ...definitionScope(run, relation), relation, made };
  for (const clause of clauses) walk(run, scope, clause);
}

/** The scope of expressions about a table's columns. */
export function definitionScope(run: Run, relation: CatalogRelation | undefined): Scope {
  const scope = newScope(undefined);
  scope.items = [
    {
      alias: relation?.name,
      schema: relation?.schema,
      fields: relation === undefined ? [] : fieldsOf(run, relation, undefined),
      // Columns may be those that the statement itself defines.
      open: relation === undefined,
      entry: undefined,
      systemColumns: true,
      named: relation !== undefined,
      columnsVisible: true,
    },
  ];
  return scope;
}

/** What the names of a definition mean. */
interface DefinitionScope extends Scope {
  /** The table that is defined or altered, where it exists. */
  readonly relation: CatalogRelation | undefined;
  readonly made: readonly string[] | undefined;
}

function walk(run: Run, scope: DefinitionScope, value: unknown): void {
  if (Array.isArray(value)) {
    for (const item of value) walk(run, scope, item);
    return;
  }
  if (typeof value !== 'object' || value === null) return;
  for (const key in value) {
    const child = (value as Record<string, unknown>)[key];
    if (typeof child !== 'object' || child === null) continue;
    if (leafTags.has(key) || namingFields.has(key)) run.ignore(child);
    else if (isExpression(key as Tag)) {
      const lineage = analyzeExpression(run, scope, value as Node);
      run.findings.use(columnsOf(lineage), 'Store');
    } else if (key === 'RangeVar' || 'relname' in child) {
      run.visit(child);
      if (key === 'pktable' && isMade(run, scope.made, child as RangeVar)) continue;
      reference(run, child as RangeVar, key === 'pktable' || key === 'relation');
    } else if (isTag(key) && !partTags.has(key)) {
      run.ignore(child);
      run.unknown(`${key} is not understood here`);
    } else {
      if (!Array.isArray(child)) run.visit(child);
      if (key === 'Constraint') {
        checkConstraint(run, child as Record<string, unknown>);
        useKeys(run, scope, child as Constraint);
      }
      // Whether all values fit into the other type is told by failing.
      if (key === 'AlterTableCmd') {
        const { subtype, name, def } = child as AlterTableCmd;
        const converts = bodyOf(def, 'ColumnDef')?.raw_default === undefined;
        if (subtype === 'AT_AlterColumnType' && converts) {
          useColumns(run, scope.relation, [name], 'Any');
        }
        useTaken(run, scope.relation, child as AlterTableCmd);
      }
      walk(run, scope, child);
    }
  }
}

/** Values that a subcommand of ALTER TABLE takes from under the rules that hold for them, where they stay. */
function useTaken(
  run: Run,
  relation: CatalogRelation | undefined,
  { subtype, name, def }: AlterTableCmd,
): void {
  switch (subtype) {
    case 'AT_DetachPartition': {
      const partition = named(run, bodyOf(def, 'PartitionCmd')?.name);
      if (partition !== undefined) useFamily(run, partition);
      return;
    }
    case 'AT_DropInherit':
      if (relation !== undefined) useFamily(run, relation);
      return;
    // From then on it is a column by itself; materialized views may have what it was.
    case 'AT_DropExpression':
    case 'AT_SetExpression': {
      const index = relation?.columns.findIndex((column) => column.name === name) ?? -1;
      if (relation === undefined || index < 0) return;
      const lineage = columnLineages(run.context.catalog, relation)[index];
      run.findings.use(lineage?.derived ?? [], 'Store');
      return;
    }
    case 'AT_DropColumn':
      // A child may keep a column that was its own as well; a partition loses it with its parent.
      if (relation !== undefined && relation.kind !== 'p' && relation.children.length > 0) {
        const ids = columnIds(run.context.catalog, relation);
        run.findings.use(
          ids.filter((id) => id.name[3] === name),
          'Store',
        );
      }
      return;
  }
}

/** The relation that a definition names, where there is one that may be named here. */
function named(run: Run, name: RangeVar | undefined): CatalogRelation | undefined {
  const found = name === undefined ? undefined : resolveRelation(run, name);
  return found?.kind === 'Relation' ? found.relation : undefined;
}

/** A rule on a parent holds for its partitions and children: one that leaves is taken from under it. */
function useFamily(run: Run, relation: CatalogRelation): void {
  for (const { values } of columnLineages(run.context.catalog, relation)) {
    run.findings.use(values, 'Store');
  }
}

/** A use of columns that a definition names, with what has the same values: that of partitions, children and parents. */
export function useColumns(
  run: Run,
  relation: CatalogRelation | undefined,
  names: readonly (string | undefined)[],
  usage: ColumnUse['usage'],
): void {
  if (relation === undefined) return;
  columnLineages(run.context.catalog, relation).forEach(({ values, derived }, index) => {
    if (!names.includes(relation.columns[index]?.name)) return;
    run.findings.use(values, usage);
    run.findings.use(derived, usage === 'Lookup' ? 'Any' : usage);
  });
}

/** A key can be added only where no two rows are equal, or where each value is in the other table. */
function useKeys(run: Run, { relation, made }: DefinitionScope, constraint: Constraint): void {
  const { keys, fk_attrs, pk_attrs, pktable, exclusions } = constraint;
  useColumns(run, relation, nameParts(keys), 'Lookup');
  useColumns(run, relation, nameParts(fk_attrs), 'Lookup');
  const elements = (exclusions ?? []).flatMap((pair) => itemsOf(pair));
  const excluded = elements.map((node) => bodyOf(node, 'IndexElem')?.name);
  useColumns(run, relation, excluded, 'Any');
  if (pktable === undefined || isMade(run, made, pktable)) return;
  const target = named(run, pktable);
  // Without names it is the primary key, which the catalog does not tell from the others.
  const names =
    pk_attrs === undefined ? target?.columns.map(({ name }) => name) : nameParts(pk_attrs);
  useColumns(run, target, names ?? [], 'Lookup');
}

/** A key may refer to the table that the same statement makes, which stands by the time the key is added. */
function isMade(run: Run, made: readonly string[] | undefined, name: RangeVar): boolean {
  const { catalog, database, searchPath } = run.context;
  const [, schema = '', relname = ''] = made ?? [];
  if (made === undefined || name.relname !== relname) return false;
  // With IF NOT EXISTS it is left as it is.
  if (catalog.relation(schema, relname) !== undefined) return false;
  if (name.catalogname !== undefined && name.catalogname !== database) return false;
  if (name.schemaname !== undefined) return name.schemaname === schema;
  const first = searchPath.find(
    (one) => one === schema || catalog.relation(one, relname) !== undefined,
  );
  return first === schema;
}

/** A foreign key's or LIKE's relation is read; a parent or partition is altered with it. */
function reference(run: Run, name: RangeVar, read: boolean): void {
  const resolved = resolveRelation(run, name);
  if (resolved?.kind !== 'Relation') {
    run.unknown(`relation ${written(name)} does not resolve`);
    return;
  }
  const { relation } = resolved;
  if (read) readRelation(run, relation, false);
  else {
    // A new partition is carved out of the default one.
    run.findings.add('Alter', relationResource(run, relation), { relation, descendants: true });
  }
}

function checkConstraint(run: Run, constraint: Record<string, unknown>): void {
  if (constraint.without_overlaps === true) run.requireVersion(18, 'WITHOUT OVERLAPS');
  if (constraint.fk_with_period === true) run.requireVersion(18, 'PERIOD in a foreign key');
  if (constraint.generated_kind === 'v') run.requireVersion(18, 'a virtual generated column');
}
