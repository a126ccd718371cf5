import type { IntoClause, SelectStmt } from 'libpg-query';
import { newResource, written } from './names.ts';
import type { Run } from './run.ts';
import type { Field } from './scope.ts';
import { analyzeSelect } from './select.ts';
import { useStored } from './stored.ts';

/** A SELECT at the top: SELECT … INTO creates a table and returns nothing. */
export function analyzeSelectInto(run: Run, select: SelectStmt): readonly Field[] | undefined {
  // Of a set operation, only the leftmost query may say INTO.
  let leftmost = select;
  while (leftmost.larg !== undefined) leftmost = leftmost.larg;
  const fields = analyzeSelect(run, select, undefined);
  if (leftmost.intoClause === undefined) return fields;
  createFrom(run, leftmost.intoClause, fields);
  return undefined;
}

/** SELECT INTO, CREATE TABLE AS and CREATE MATERIALIZED VIEW: a new relation holds what was read. */
export function createFrom(run: Run, into: IntoClause, fields: readonly Field[]): void {
  run.visit(into);
  // Storage options and column names; neither reads nor runs anything.
  run.ignore(into.options);
  run.ignore(into.colNames);
  const name = into.rel;
  const resource = name === undefined ? undefined : newResource(run, name);
  if (name === undefined || resource === undefined) {
    run.unknown(`new relation ${name === undefined ? '' : written(name)} has no schema`);
  } else {
    run.visit(name);
    run.findings.add('Create', resource, { sideEffects: run.context.catalog.hasEventTriggers });
  }
  useStored(run, fields);
  run.effects = { ...run.effects, catalog: true };
}
