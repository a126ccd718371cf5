import type {
  DeleteStmt,
  InsertStmt,
  MergeStmt,
  OnConflictClause,
  RangeVar,
  ReturningClause,
  UpdateStmt,
} from 'libpg-query';
import type { ColumnId, Verb } from '../operation.ts';
import { bodyOf, type Node } from './ast.ts';
import { runsAttachedCode } from './beneath.ts';
import type { CatalogRelation } from './catalog.ts';
import { analyzeCondition } from './conditions.ts';
import { bindWith } from './cte.ts';
import { analyzeEach, analyzeExpression, useAny } from './expressions.ts';
import type { OpenOperation } from './findings.ts';
import { analyzeFrom } from './from.ts';
import { columnIds, columnsOf, type Lineage, rowLineage } from './lineage.ts';
import { relationResource, resolveRelation, written } from './names.ts';
import { fieldsOf } from './relations.ts';
import type { Run } from './run.ts';
import { type Field, type Item, newScope, readField, type Scope } from './scope.ts';
import { analyzeSelect, analyzeTargets } from './select.ts';

const writable: ReadonlySet<string> = new Set(['r', 'p', 'v', 'f']);

/** What a statement writes to. */
interface Target {
  readonly relation: CatalogRelation;
  readonly descendants: boolean;
  /** The relation's columns; reading one reports a Select besides the write. */
  readonly item: Item;
}

/** Resolves the target of a write; undefined when it is not one that is understood. */
export function resolveTarget(run: Run, name: RangeVar | undefined): Target | undefined {
  if (name === undefined) return undefined;
  run.visit(name);
  if (name.alias !== undefined) run.visit(name.alias);
  const resolved = resolveRelation(run, name);
  if (resolved === undefined) {
    run.unknown(`relation ${written(name)} does not resolve`);
    return undefined;
  }
  if (resolved.kind === 'System') {
    run.unknown(`a write to system relation ${resolved.schema}.${resolved.name}`);
    return undefined;
  }
  const { relation } = resolved;
  if (!writable.has(relation.kind)) run.unknown(`${written(name)} is not a table or view`);
  const entry = lazySelect(run, relation, name.inh === true);
  return {
    relation,
    descendants: name.inh === true,
    item: {
      alias: name.alias?.aliasname ?? relation.name,
      schema: name.alias === undefined ? relation.schema : undefined,
      fields: fieldsOf(run, relation, entry),
      open: false,
      entry,
      systemColumns: true,
      named: true,
      columnsVisible: true,
    },
  };
}

/** A Select that is reported only once a column is read: a plain INSERT or DELETE reads none. */
function lazySelect(run: Run, relation: CatalogRelation, descendants: boolean): OpenOperation {
  const columns = new Set<string>();
  const add = columns.add.bind(columns);
  columns.add = (name) => {
    if (columns.size === 0) {
      run.findings.add('Select', relationResource(run, relation), {
        relation,
        columns: [],
        descendants,
        sideEffects: relation.hasRowSecurity,
      });
    }
    run.findings.add('Select', relationResource(run, relation), { columns: [name] });
    return add(name);
  };
  return {
    verb: 'Select',
    class: 'Read',
    resource: relationResource(run, relation),
    reach: 'Named',
    relation,
    columns,
    descendants,
    sideEffects: false,
    reason: undefined,
  };
}

/** Reports the write itself. */
function report(
  run: Run,
  target: Target,
  verb: Verb,
  columns: ReadonlySet<string> | undefined,
): void {
  const { relation, descendants } = target;
  run.findings.add(verb, relationResource(run, relation), {
    relation,
    descendants,
    ...(columns === undefined ? undefined : { columns }),
    sideEffects: runsAttachedCode(verb, relation, columns),
  });
}

/** Each source column is stored in `column`; a column's own value written back is not. */
function store(run: Run, target: Target, column: string | undefined, lineage: Lineage): void {
  const { relation } = target;
  const index = relation.columns.findIndex((candidate) => candidate.name === column);
  const self = index < 0 ? undefined : columnIds(run.context.catalog, relation)[index];
  const stored = columnsOf(lineage).filter((id) => !isSelf(lineage, id, self, column));
  run.findings.use(stored, 'Store');
}

/** Unchanged, into the same column of the same relation or of one of its family. */
function isSelf(
  lineage: Lineage,
  id: ColumnId,
  self: ColumnId | undefined,
  column: string | undefined,
): boolean {
  return (
    self !== undefined &&
    lineage.derived.length === 0 &&
    lineage.values.includes(self) &&
    lineage.values.every((value) => value.name[3] === column) &&
    id.name[3] === column
  );
}

type WriteStmt = InsertStmt | UpdateStmt | DeleteStmt | MergeStmt;

/** Every write begins so: its body is visited, and WITH comes before the target. */
function open(
  run: Run,
  stmt: WriteStmt,
  parent: Scope | undefined,
): { readonly scope: Scope; readonly target: Target | undefined } {
  run.visit(stmt);
  const scope = newScope(parent);
  bindWith(run, scope, stmt.withClause);
  return { scope, target: resolveTarget(run, stmt.relation) };
}

/** Puts the target before the other relations of FROM, USING or MERGE's source, which it returns. */
function joinTarget(
  run: Run,
  scope: Scope,
  target: Target,
  others: readonly Node[] | undefined,
): readonly Item[] {
  analyzeFrom(run, scope, others);
  const joined = scope.items;
  scope.items = [target.item, ...joined];
  return joined;
}

/** INSERT; returns what RETURNING gives. The body is visited here. */
export function analyzeInsert(
  run: Run,
  stmt: InsertStmt,
  parent: Scope | undefined,
): readonly Field[] {
  const { scope, target } = open(run, stmt, parent);
  const source = insertSource(run, scope, stmt.selectStmt);
  if (target === undefined) return abandon(run, stmt);
  const names = stmt.cols === undefined ? undefined : targetNames(run, scope, stmt.cols);
  const all = target.relation.columns.map((column) => column.name);
  const columns = names ?? (source === undefined ? [] : all);
  report(run, target, 'Insert', new Set(columns));
  source?.forEach((lineage, index) => {
    store(run, target, columns[index], lineage);
  });
  analyzeConflict(run, scope, target, stmt.onConflictClause, (name) => {
    const index = columns.indexOf(name);
    return index < 0 ? rowLineage : (source?.[index] ?? rowLineage);
  });
  return returning(run, scope, target, [], stmt.returningClause);
}

/** The lineage of each inserted column; undefined for DEFAULT VALUES. */
function insertSource(
  run: Run,
  scope: Scope,
  node: Node | undefined,
): readonly Lineage[] | undefined {
  if (node === undefined) return undefined;
  const select = bodyOf(node, 'SelectStmt');
  if (select === undefined) {
    run.unknown('an INSERT from something that is no SELECT');
    return [];
  }
  run.visit(select);
  return analyzeSelect(run, select, scope).map((field) => field.lineage);
}

/** Names of an INSERT's or UPDATE's targets; subscripts in them are expressions. */
function targetNames(run: Run, scope: Scope, nodes: readonly Node[]): string[] {
  const names: string[] = [];
  for (const node of nodes) {
    const target = bodyOf(node, 'ResTarget');
    if (target === undefined) continue;
    run.visit(target);
    analyzeSubscripts(run, scope, target.indirection);
    names.push(target.name ?? '');
  }
  return names;
}

function analyzeSubscripts(run: Run, scope: Scope, steps: readonly Node[] | undefined): void {
  for (const step of steps ?? []) {
    const indices = bodyOf(step, 'A_Indices');
    if (indices === undefined) continue;
    run.visit(indices);
    analyzeEach(
      run,
      scope,
      [indices.lidx, indices.uidx].filter((node) => node !== undefined),
    );
  }
}

function analyzeConflict(
  run: Run,
  scope: Scope,
  target: Target,
  clause: OnConflictClause | undefined,
  inserted: (name: string) => Lineage,
): void {
  if (clause === undefined) return;
  run.visit(clause);
  const inner = newScope(scope.parent);
  inner.ctes = scope.ctes;
  inner.items = [target.item];
  const { infer } = clause;
  if (infer !== undefined) {
    run.visit(infer);
    for (const node of infer.indexElems ?? []) {
      const element = bodyOf(node, 'IndexElem');
      if (element === undefined) continue;
      run.visit(element);
      if (element.expr !== undefined) useAny(run, analyzeExpression(run, inner, element.expr));
      else {
        // Whether a row is there already is what an equality would tell.
        const field = target.item.fields.find((candidate) => candidate.name === element.name);
        if (field === undefined) run.unknown(`column ${element.name} of ON CONFLICT`);
        else run.findings.use(columnsOf(readField(field)), 'Lookup');
      }
    }
    analyzeCondition(run, inner, infer.whereClause);
  }
  if (clause.action !== 'ONCONFLICT_UPDATE') return;
  const excluded: Item = {
    ...target.item,
    alias: 'excluded',
    schema: undefined,
    fields: target.item.fields.map((field) => ({
      name: field.name,
      lineage: inserted(field.name),
    })),
    entry: undefined,
    columnsVisible: false,
  };
  inner.items = [target.item, excluded];
  assign(run, inner, target, clause.targetList);
  analyzeCondition(run, inner, clause.whereClause);
}

/** SET …: reports the Update, and what is stored where. */
function assign(run: Run, scope: Scope, target: Target, nodes: readonly Node[] | undefined): void {
  const columns = new Set<string>();
  let multiple: readonly Lineage[] = [];
  for (const node of nodes ?? []) {
    const assignment = bodyOf(node, 'ResTarget');
    if (assignment === undefined) continue;
    run.visit(assignment);
    analyzeSubscripts(run, scope, assignment.indirection);
    const name = assignment.name ?? '';
    columns.add(name);
    const several = bodyOf(assignment.val, 'MultiAssignRef');
    if (several === undefined) {
      store(run, target, name, analyzeExpression(run, scope, assignment.val));
      continue;
    }
    // (a, b) = (SELECT …): the parser repeats the source for each column; once is enough.
    const position = several.colno ?? 1;
    if (position === 1) {
      run.visit(several);
      multiple = multipleSources(run, scope, several.source);
    } else run.ignore(several);
    const lineage = multiple[position - 1];
    if (lineage === undefined) run.unknown('an assignment to several columns');
    else store(run, target, name, lineage);
  }
  report(run, target, 'Update', columns);
}

function multipleSources(run: Run, scope: Scope, node: Node | undefined): readonly Lineage[] {
  const row = bodyOf(node, 'RowExpr');
  if (row !== undefined) {
    run.visit(row);
    return analyzeEach(run, scope, row.args);
  }
  const link = bodyOf(node, 'SubLink');
  const select = bodyOf(link?.subselect, 'SelectStmt');
  if (link === undefined || select === undefined) {
    run.unknown('an assignment to several columns');
    return [];
  }
  run.visit(link);
  run.visit(select);
  return analyzeSelect(run, select, scope).map((field) => field.lineage);
}

/** UPDATE; returns what RETURNING gives. */
export function analyzeUpdate(
  run: Run,
  stmt: UpdateStmt,
  parent: Scope | undefined,
): readonly Field[] {
  const { scope, target } = open(run, stmt, parent);
  if (target === undefined) return abandon(run, stmt);
  const others = joinTarget(run, scope, target, stmt.fromClause);
  assign(run, scope, target, stmt.targetList);
  analyzeCondition(run, scope, stmt.whereClause);
  return returning(run, scope, target, others, stmt.returningClause);
}

/** DELETE; returns what RETURNING gives. */
export function analyzeDelete(
  run: Run,
  stmt: DeleteStmt,
  parent: Scope | undefined,
): readonly Field[] {
  const { scope, target } = open(run, stmt, parent);
  if (target === undefined) return abandon(run, stmt);
  report(run, target, 'Delete', undefined);
  const others = joinTarget(run, scope, target, stmt.usingClause);
  analyzeCondition(run, scope, stmt.whereClause);
  return returning(run, scope, target, others, stmt.returningClause);
}

/** MERGE: a Merge on the target, and each of Insert, Update and Delete that it may do. */
export function analyzeMerge(
  run: Run,
  stmt: MergeStmt,
  parent: Scope | undefined,
): readonly Field[] {
  run.requireVersion(15, 'MERGE');
  if (stmt.returningClause !== undefined) run.requireVersion(17, 'MERGE … RETURNING');
  const { scope, target } = open(run, stmt, parent);
  if (target === undefined) return abandon(run, stmt);
  report(run, target, 'Merge', undefined);
  const { sourceRelation } = stmt;
  const source = joinTarget(run, scope, target, sourceRelation && [sourceRelation]);
  analyzeCondition(run, scope, stmt.joinCondition);
  for (const node of stmt.mergeWhenClauses ?? []) {
    const when = bodyOf(node, 'MergeWhenClause');
    if (when === undefined) continue;
    run.visit(when);
    if (when.matchKind === 'MERGE_WHEN_NOT_MATCHED_BY_SOURCE') {
      run.requireVersion(17, 'WHEN NOT MATCHED BY SOURCE');
    }
    analyzeCondition(run, scope, when.condition);
    switch (when.commandType) {
      case 'CMD_DELETE':
        report(run, target, 'Delete', undefined);
        break;
      case 'CMD_UPDATE':
        assign(run, scope, target, when.targetList);
        break;
      case 'CMD_INSERT': {
        const all = target.relation.columns.map((column) => column.name);
        const columns =
          when.targetList === undefined ? all : targetNames(run, scope, when.targetList);
        report(run, target, 'Insert', new Set(when.values === undefined ? [] : columns));
        analyzeEach(run, scope, when.values).forEach((lineage, index) => {
          store(run, target, columns[index], lineage);
        });
        break;
      }
      case 'CMD_NOTHING':
        break;
      default:
        run.unknown(`MERGE with ${when.commandType}`);
    }
  }
  return returning(run, scope, target, source, stmt.returningClause, true);
}

/** RETURNING: the target's columns as written, those of the other relations, and OLD and NEW. */
function returning(
  run: Run,
  scope: Scope,
  target: Target,
  others: readonly Item[],
  clause: ReturningClause | undefined,
  sourceFirst = false,
): readonly Field[] {
  if (clause === undefined) return [];
  run.visit(clause);
  const inner = newScope(scope.parent);
  inner.ctes = scope.ctes;
  // MERGE's star lists the source first.
  inner.items = sourceFirst ? [...others, target.item] : [target.item, ...others];
  const names = { RETURNING_OPTION_OLD: 'old', RETURNING_OPTION_NEW: 'new' };
  for (const node of clause.options ?? []) {
    const option = bodyOf(node, 'ReturningOption');
    if (option === undefined) continue;
    run.visit(option);
    run.requireVersion(18, 'RETURNING WITH');
    if (option.option !== undefined && option.value !== undefined) {
      names[option.option] = option.value;
    }
  }
  if (run.context.catalog.serverVersion >= 180_000) {
    for (const alias of Object.values(names)) {
      if (inner.items.some((item) => item.named && item.alias === alias)) continue;
      inner.items = [
        ...inner.items,
        { ...target.item, alias, schema: undefined, columnsVisible: false },
      ];
    }
  }
  return analyzeTargets(run, inner, clause.exprs);
}

/** The target is not understood, and said so; the rest of the statement does not matter any more. */
function abandon(run: Run, stmt: WriteStmt): readonly Field[] {
  run.ignore(stmt);
  return [];
}
