import type { RangeVar } from 'libpg-query';
import type { Node, Tag } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { analyzeExpression, isExpression } from './expressions.ts';
import { columnsOf } from './lineage.ts';
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
 * or read where a foreign key refers to them.
 */
export function analyzeDefinition(
  run: Run,
  relation: CatalogRelation | undefined,
  clauses: readonly unknown[],
): void {
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
  for (const clause of clauses) walk(run, scope, clause);
}

function walk(run: Run, scope: Scope, value: unknown): void {
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
      reference(run, child as RangeVar, key === 'pktable' || key === 'relation');
    } else if (isTag(key) && !partTags.has(key)) {
      run.ignore(child);
      run.unknown(`${key} is not understood here`);
    } else {
      if (!Array.isArray(child)) run.visit(child);
      if (key === 'Constraint') checkConstraint(run, child as Record<string, unknown>);
      walk(run, scope, child);
    }
  }
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
  else run.findings.add('Alter', relationResource(run, relation), { relation });
}

function checkConstraint(run: Run, constraint: Record<string, unknown>): void {
  if (constraint.without_overlaps === true) run.requireVersion(18, 'WITHOUT OVERLAPS');
  if (constraint.fk_with_period === true) run.requireVersion(18, 'PERIOD in a foreign key');
  if (constraint.generated_kind === 'v') run.requireVersion(18, 'a virtual generated column');
}
