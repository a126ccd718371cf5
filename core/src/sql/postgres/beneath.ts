import type { ColumnId, Verb } from '../operation.ts';
import type { CatalogRelation } from './catalog.ts';
import type { OpenOperation } from './findings.ts';
import { familyOf } from './lineage.ts';
import { relationResource } from './names.ts';
import { changeIndexed } from './reach.ts';
import { isView } from './relations.ts';
import type { Run } from './run.ts';
import { type ViewAnalysis, viewOf } from './views.ts';

/** Verbs that change rows, and so reach through keys, rules and views. */
const writing: ReadonlySet<Verb> = new Set([
  'Insert',
  'Update',
  'Delete',
  'Truncate',
  'CopyIn',
  'Merge',
]);
/** Verbs that concern a relation's partitions and children as well, but no rows of others. */
const structural: ReadonlySet<Verb> = new Set([
  'Create', // triggers and the like, which partitions get too
  'Alter',
  'Drop',
  'Grant',
  'Revoke',
  'Lock',
  'Maintain',
  'System',
]);
const reading: ReadonlySet<Verb> = new Set(['Select', 'CopyOut', 'Refresh']);

/**
 * Adds what stands beneath each operation found (decisions 5): views expanded, partitions and inheritance
 * in both directions, rules, cascading foreign keys. To be called once, when all columns are known.
 */
export function expandBeneath(run: Run): void {
  for (const operation of [...run.findings.operations.values()]) {
    const { relation, verb, reach } = operation;
    if (relation === undefined || reach !== 'Named' || operation.class === 'Catalog') continue;
    if (verb === 'Comment') changeIndexed(run, verb, relation);
    else if (reading.has(verb)) expandRead(run, operation, relation);
    else if (writing.has(verb)) expandWrite(run, operation, relation);
    else if (structural.has(verb)) {
      changeIndexed(run, verb, relation);
      if (verb === 'Lock') lockBeneath(run, relation);
      for (const member of familyWithin(run, relation, operation.descendants)) {
        run.findings.add(verb, relationResource(run, member), {
          reach: 'Beneath',
          relation: member,
        });
      }
    }
  }
}

/** LOCK of a view, and FOR UPDATE of its rows, lock what it reads. */
function lockBeneath(run: Run, relation: CatalogRelation): void {
  if (!isView(relation)) return;
  const view = viewOf(run, relation);
  reportView(run, relation, view);
  for (const inner of view.operations) {
    if (inner.relation === undefined || inner.class === 'Catalog') continue;
    run.findings.add('Lock', inner.resource, { reach: 'Beneath', relation: inner.relation });
  }
}

function familyWithin(run: Run, relation: CatalogRelation, descendants: boolean) {
  const family = familyOf(run.context.catalog, relation);
  if (descendants || family.length === 0) return family;
  // ONLY leaves the children out; a rule on a parent still speaks of this relation's rows.
  const parents = new Set<number>();
  const collect = (of: CatalogRelation) => {
    for (const oid of of.parents) {
      if (parents.has(oid)) continue;
      parents.add(oid);
      const parent = run.context.catalog.relationByOid(oid);
      if (parent !== undefined) collect(parent);
    }
  };
  collect(relation);
  return family.filter((member) => parents.has(member.oid));
}

function expandRead(run: Run, operation: OpenOperation, relation: CatalogRelation): void {
  const columns = operation.columns ?? new Set(relation.columns.map((column) => column.name));
  for (const member of familyWithin(run, relation, operation.descendants)) {
    run.findings.add(operation.verb, relationResource(run, member), {
      reach: 'Beneath',
      relation: member,
      columns: member.columns.map((column) => column.name).filter((name) => columns.has(name)),
      sideEffects: member.hasRowSecurity,
    });
  }
  if (!isView(relation)) return;
  const view = viewOf(run, relation);
  reportView(run, relation, view);
  if (view.userCode) operation.sideEffects = true;
  const wanted = columnsBeneath(relation, view, columns);
  for (const inner of view.operations) {
    const verb = inner.verb === 'Select' && operation.verb === 'CopyOut' ? 'CopyOut' : inner.verb;
    run.findings.add(verb, inner.resource, {
      class: inner.class === 'Read' && verb === 'CopyOut' ? 'Export' : inner.class,
      reach: 'Beneath',
      relation: inner.relation,
      ...(inner.columns === undefined ? undefined : { columns: narrow(inner, wanted) }),
      sideEffects: inner.sideEffects,
    });
  }
}

/** Reports what the view's definition brings besides its reads. */
function reportView(run: Run, relation: CatalogRelation, view: ViewAnalysis): void {
  for (const reason of view.reasons) {
    run.unknown(`view ${relation.schema}.${relation.name}: ${reason}`);
  }
  if (view.userCode) run.findings.userCode = true;
  for (const name of view.functions) run.findings.functions.add(name);
  // A view of a view depends on the inner one's conditions too.
  for (const id of view.influences) run.findings.influences.add(id);
  if (view.effects.resolution === true) run.effects = { ...run.effects, resolution: true };
}

/** The names, by relation, of the columns that those columns of the view, and its conditions, read. */
function columnsBeneath(
  relation: CatalogRelation,
  view: ViewAnalysis,
  columns: ReadonlySet<string>,
): ReadonlyMap<number, ReadonlySet<string>> {
  const wanted = new Map<number, Set<string>>();
  const want = (ids: Iterable<ColumnId>) => {
    for (const id of ids) {
      let names = wanted.get(id.relationOid);
      if (names === undefined) wanted.set(id.relationOid, (names = new Set()));
      names.add(id.name[3]);
    }
  };
  relation.columns.forEach((column, index) => {
    const lineage = columns.has(column.name) ? view.fields[index]?.lineage : undefined;
    if (lineage === undefined) return;
    want(lineage.values);
    want(lineage.derived);
  });
  want(view.influences);
  return wanted;
}

function narrow(
  inner: OpenOperation,
  wanted: ReadonlyMap<number, ReadonlySet<string>>,
): readonly string[] {
  const columns = [...(inner.columns ?? [])];
  if (inner.relation === undefined || inner.class === 'Catalog') return columns;
  const names = wanted.get(inner.relation.oid);
  return names === undefined ? [] : columns.filter((column) => names.has(column));
}

interface Write {
  readonly verb: Verb;
  readonly relation: CatalogRelation;
  readonly columns: ReadonlySet<string> | undefined;
  readonly descendants: boolean;
}

/** Follows a write through families, keys and views; each relation once a verb. */
function expandWrite(run: Run, operation: OpenOperation, relation: CatalogRelation): void {
  const { verb, columns, descendants } = operation;
  const waiting: Write[] = [{ verb, relation, columns, descendants }];
  const done = new Set<string>();
  for (let write = waiting.pop(); write !== undefined; write = waiting.pop()) {
    const key = `${write.verb} ${write.relation.oid}`;
    if (done.has(key)) continue;
    done.add(key);
    if (done.size > 1) addWrite(run, write);
    if (write.relation.hasRules) {
      run.unknown(`rules of ${write.relation.schema}.${write.relation.name}`);
    }
    for (const member of familyWithin(run, write.relation, write.descendants)) {
      waiting.push({ ...write, relation: member, descendants: false });
    }
    waiting.push(...cascades(run, write));
    if (isView(write.relation)) waiting.push(...throughView(run, write));
  }
}

function addWrite(run: Run, write: Write): void {
  const { verb, relation, columns } = write;
  run.findings.add(verb, relationResource(run, relation), {
    reach: 'Beneath',
    relation,
    ...(columns === undefined
      ? undefined
      : {
          columns: relation.columns
            .map((column) => column.name)
            .filter((name) => columns.has(name)),
        }),
    sideEffects: runsAttachedCode(verb, relation, columns),
  });
}

/**
 * ON DELETE CASCADE deletes there, SET NULL and SET DEFAULT update there, and the catalog does not say
 * which; an update of a key only ever updates.
 */
function cascades(run: Run, write: Write): Write[] {
  const verbs: Verb[] =
    write.verb === 'Delete' ? ['Delete', 'Update'] : write.verb === 'Update' ? ['Update'] : [];
  const found: Write[] = [];
  for (const oid of write.relation.cascadesTo) {
    const relation = run.context.catalog.relationByOid(oid);
    if (relation === undefined) {
      if (verbs.length > 0) run.unknown('a foreign key of a relation that is not known');
      continue;
    }
    for (const verb of verbs) {
      found.push({
        verb,
        relation,
        // Which columns make up the key is not told, so each may change.
        columns:
          verb === 'Update' ? new Set(relation.columns.map((column) => column.name)) : undefined,
        descendants: true,
      });
    }
  }
  return found;
}

/** A write to a view is one to what it reads: columns by their lineage, and its conditions are read. */
function throughView(run: Run, write: Write): Write[] {
  const view = viewOf(run, write.relation);
  reportView(run, write.relation, view);
  const written = write.columns ?? new Set<string>();
  const wanted = columnsBeneath(write.relation, { ...view, influences: new Set() }, written);
  const found: Write[] = [];
  for (const inner of view.operations) {
    const { relation } = inner;
    if (relation === undefined || inner.class === 'Catalog') continue;
    found.push({
      verb: write.verb,
      relation,
      columns: write.columns === undefined ? undefined : (wanted.get(relation.oid) ?? new Set()),
      descendants: true,
    });
    const read = columnsBeneath(write.relation, view, new Set());
    run.findings.add('Select', inner.resource, {
      reach: 'Beneath',
      relation,
      columns: narrow(inner, read),
      sideEffects: inner.sideEffects,
    });
  }
  return found;
}

/** True when triggers, policies, defaults or constraints of the owner's may run with the write. */
export function runsAttachedCode(
  verb: Verb,
  relation: CatalogRelation,
  columns: ReadonlySet<string> | undefined,
): boolean {
  if (relation.hasTriggers || relation.hasRowSecurity) return true;
  if (verb === 'Delete' || verb === 'Truncate') return false;
  // A default runs for a column that is left out; a generated column follows any change.
  return (
    relation.hasConstraintFunctions ||
    relation.columns.some((column) => column.hasDefault && columns?.has(column.name) !== true)
  );
}
