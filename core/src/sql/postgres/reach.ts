import type { Verb } from '../operation.ts';
import type { CatalogRelation } from './catalog.ts';
import { familyOf } from './lineage.ts';
import { relationResource } from './names.ts';
import type { Run } from './run.ts';

/** Kinds that go when something beneath them does; others only lose a part. */
const droppedWhole: ReadonlySet<string> = new Set(['v', 'm', 'S']);

/**
 * What DROP … CASCADE of a relation, or of a part of it, takes along: views over it and views over those, keys,
 * defaults and policies of other tables. Which columns they hang on is not told, so each of them may go.
 */
export function dropDependents(run: Run, relation: CatalogRelation): void {
  if (relation.kind === 'c') {
    run.unknown(`CASCADE from type ${relation.schema}.${relation.name}`);
    return;
  }
  const seen = new Set([relation.oid]);
  const descent = new Set([relation.oid]);
  const waiting = [...relation.dependents, ...relation.children];
  for (let oid = waiting.pop(); oid !== undefined; oid = waiting.pop()) {
    if (seen.has(oid)) continue;
    seen.add(oid);
    const dependent = run.context.catalog.relationByOid(oid);
    if (dependent === undefined) {
      run.unknown(`CASCADE to what is no relation, from ${relation.schema}.${relation.name}`);
      continue;
    }
    const whole = droppedWhole.has(dependent.kind);
    alter(run, whole ? 'Drop' : 'Alter', dependent);
    // A child loses or goes with what its parent does, and takes along what hangs on it.
    const isChild = dependent.parents.some((parent) => descent.has(parent));
    if (isChild) descent.add(oid);
    if (whole || isChild) waiting.push(...dependent.dependents, ...dependent.children);
  }
}

/** Keys that refer to a column are made anew, in their own table, when its type changes. */
export function rebuildKeys(run: Run, relation: CatalogRelation): void {
  for (const oid of relation.referencedBy) {
    const referring = run.context.catalog.relationByOid(oid);
    if (referring === undefined) run.unknown('a foreign key of a relation that is not known');
    else alter(run, 'Alter', referring);
  }
}

/** The relation that an index is of, with its partitions and children, changes with the index. */
export function changeIndexed(run: Run, verb: Verb, index: CatalogRelation): void {
  if (index.kind !== 'i' && index.kind !== 'I') return;
  const { catalog } = run.context;
  const relation = index.indexOf === undefined ? undefined : catalog.relationByOid(index.indexOf);
  if (relation === undefined) {
    run.unknown(`index ${index.schema}.${index.name} of a relation that is not known`);
    return;
  }
  const on = verb === 'Drop' || verb === 'Create' ? 'Alter' : verb;
  alter(run, on, relation);
  if (index.kind !== 'I') return;
  for (const member of familyOf(catalog, relation)) alter(run, on, member);
}

function alter(run: Run, verb: Verb, relation: CatalogRelation): void {
  run.findings.add(verb, relationResource(run, relation), { reach: 'Beneath', relation });
}

/** Each relation of those kinds, in one schema or in all, which the statement does not name. */
export function eachRelation(run: Run, verb: Verb, kinds: string, schema?: string): void {
  for (const relation of run.context.catalog.relations()) {
    if (!kinds.includes(relation.kind)) continue;
    if (schema !== undefined && relation.schema !== schema) continue;
    run.findings.add(verb, relationResource(run, relation), { reach: 'Beneath', relation });
  }
}
