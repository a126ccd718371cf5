import type { CopyStmt } from 'libpg-query';
import type { CopyFormat } from '../operation.ts';
import { bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import { runsAttachedCode } from './beneath.ts';
import { analyzeCondition } from './conditions.ts';
import { relationResource, resolveRelation, written } from './names.ts';
import { fieldsOf, readRelation, relationItem } from './relations.ts';
import type { Run } from './run.ts';
import { type Field, newScope, readField } from './scope.ts';
import { analyzeInner, type Returned } from './statement.ts';

/**
 * COPY. Out of a table is a Select and a CopyOut on it, as COPY (SELECT …) is; to or from a file or a
 * program of the server is that besides.
 */
export function analyzeCopy(run: Run, body: CopyStmt): Returned {
  run.ignore(body.options);
  run.ignore(body.attlist);
  const toServer = serverSide(run, body);
  if (body.is_from === true) copyIn(run, body);
  else {
    const fields = body.query === undefined ? copyTable(run, body) : copyQuery(run, body.query);
    if (!toServer) setCopy(run, body, 'Out');
    return fields;
  }
  if (!toServer) setCopy(run, body, 'In');
  return undefined;
}

function serverSide(run: Run, body: CopyStmt): boolean {
  if (body.filename === undefined) return false;
  const { database } = run.context;
  if (body.is_program === true) {
    run.findings.add('ServerProgram', [database], { reason: 'COPY with a program of the server' });
  } else run.findings.add('ServerFile', [database], { reason: 'COPY with a file of the server' });
  return true;
}

function setCopy(run: Run, body: CopyStmt, direction: 'In' | 'Out'): void {
  run.effects = { ...run.effects, copy: formatOf(body.options, direction) };
}

function formatOf(options: readonly Node[] | undefined, direction: 'In' | 'Out'): CopyFormat {
  let format: CopyFormat['format'] = 'text';
  let defaults = true;
  for (const node of options ?? []) {
    const option = bodyOf(node, 'DefElem');
    const value = stringOf(option?.arg);
    if (option?.defname !== 'format') defaults = false;
    else if (value === 'csv' || value === 'binary') format = value;
    // An unknown format is an error of the backend's; nothing may rely on ours then.
    else if (value !== 'text') defaults = false;
  }
  return { direction, format, defaults };
}

function copyTable(run: Run, body: CopyStmt): Returned {
  const name = body.relation;
  if (name === undefined) {
    run.unknown('COPY of nothing');
    return undefined;
  }
  run.visit(name);
  const resolved = resolveRelation(run, name);
  if (resolved?.kind !== 'Relation') {
    // Reports what it is: unresolved, or a system relation.
    const item = relationItem(run, name);
    if (item.entry !== undefined) {
      run.findings.add('CopyOut', item.entry.resource, { relation: item.entry.relation });
    }
    return item.fields;
  }
  const { relation } = resolved;
  // COPY of a partitioned or parent table leaves its children out, but a rule on one may still speak.
  const entry = readRelation(run, relation, true);
  const fields = chosen(run, fieldsOf(run, relation, entry), body.attlist);
  for (const field of fields) readField(field);
  run.findings.add('CopyOut', relationResource(run, relation), {
    relation,
    columns: fields.map((field) => field.name),
    descendants: true,
    sideEffects: relation.hasRowSecurity,
  });
  return fields;
}

/** The listed columns, in that order; all of them without a list. */
function chosen(
  run: Run,
  fields: readonly Field[],
  attlist: readonly Node[] | undefined,
): readonly Field[] {
  if (attlist === undefined) return fields;
  return nameParts(attlist).flatMap((name) => {
    const field = fields.find((candidate) => candidate.name === name);
    if (field === undefined) run.unknown(`column ${name} of COPY does not resolve`);
    return field ?? [];
  });
}

/** COPY (query): what the query does, and a CopyOut on every relation that it reads. */
function copyQuery(run: Run, query: Node): Returned {
  const fields = analyzeInner(run, query);
  for (const operation of [...run.findings.operations.values()]) {
    // A function of the catalog or a sequence's value is no bulk of rows.
    if (operation.verb !== 'Select' || operation.columns === undefined) continue;
    run.findings.add('CopyOut', operation.resource, {
      relation: operation.relation,
      columns: operation.columns,
      descendants: operation.descendants,
    });
  }
  return fields;
}

function copyIn(run: Run, body: CopyStmt): void {
  const name = body.relation;
  if (name === undefined) {
    run.unknown('COPY into nothing');
    return;
  }
  run.visit(name);
  const resolved = resolveRelation(run, name);
  if (resolved?.kind !== 'Relation') {
    run.unknown(
      resolved === undefined
        ? `relation ${written(name)} does not resolve`
        : `a write to system relation ${written(name)}`,
    );
    return;
  }
  const { relation } = resolved;
  const columns = new Set(
    body.attlist === undefined
      ? relation.columns.map((column) => column.name)
      : nameParts(body.attlist),
  );
  run.findings.add('CopyIn', relationResource(run, relation), {
    relation,
    columns,
    descendants: true,
    sideEffects: runsAttachedCode('CopyIn', relation, columns),
  });
  if (body.whereClause === undefined) return;
  run.hasWhere = true;
  const scope = newScope(undefined);
  // The condition sees the incoming rows, not the stored ones.
  const fields = fieldsOf(run, relation, undefined);
  scope.items = [
    {
      alias: relation.name,
      schema: relation.schema,
      fields,
      open: false,
      entry: undefined,
      systemColumns: true,
      named: true,
      columnsVisible: true,
    },
  ];
  analyzeCondition(run, scope, body.whereClause);
}
