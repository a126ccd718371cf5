import type { ObjectType, RangeVar } from 'libpg-query';
import type { Verb } from '../operation.ts';
import { type Body, bodyOf, type Node, nameParts, stringOf } from './ast.ts';
import type { CatalogRelation, ObjectKind } from './catalog.ts';
import { analyzeDefinition, useColumns } from './ddl-expressions.ts';
import { columnIds } from './lineage.ts';
import { useDropped, useReplaced } from './materialized.ts';
import { isSystemSchema, newResource, written } from './names.ts';
import {
  isRelationType,
  type NamedObject,
  namedObject,
  rangeObject,
  relationOf,
  schemaObject,
} from './objects.ts';
import { dropDependents, rebuildKeys } from './reach.ts';
import { useShown } from './renamed.ts';
import type { Run } from './run.ts';
import { createFrom } from './select-into.ts';
import { analyzeInner, type StatementHandlers } from './statement.ts';
import { useStored } from './stored.ts';

/** Statements that change definitions. All of them set `effects.catalog`. */
export const ddlHandlers: StatementHandlers = {
  CreateStmt: (run, body) => createTable(run, body),
  CreateForeignTableStmt: (run, body) => {
    run.ignore(body.options);
    if (body.base === undefined) {
      changed(run, 'Create', undefined, 'a foreign table');
      return undefined;
    }
    run.visit(body.base);
    return createTable(run, body.base);
  },
  CreateTableAsStmt: (run, body) => {
    const query = body.query;
    if (bodyOf(query, 'ExecuteStmt') !== undefined) {
      run.unknown('CREATE TABLE AS EXECUTE');
      run.ignore(query);
    }
    const fields =
      bodyOf(query, 'ExecuteStmt') === undefined ? analyzeInner(run, query) : undefined;
    if (body.into === undefined) run.unknown('CREATE TABLE AS without a name');
    else createFrom(run, body.into, fields ?? []);
    return undefined;
  },
  ViewStmt: (run, body) => {
    run.ignore(body.aliases);
    run.ignore(body.options);
    const fields = analyzeInner(run, body.query);
    // No row is copied. But what it shows comes before those who were told something else of its name.
    useStored(run, fields ?? []);
    createNamed(run, body.view);
    if (body.replace === true) useReplaced(run, replaced(run, body.view), fields ?? []);
    return undefined;
  },
  IndexStmt: (run, body) => {
    run.ignore(body.options);
    const table = alterNamed(run, body.relation);
    if (body.idxname !== undefined && table !== undefined) {
      changed(run, 'Create', {
        resource: [...table.resource.slice(0, -1), body.idxname],
        relation: undefined,
      });
    }
    const { indexParams, indexIncludingParams, whereClause } = body;
    analyzeDefinition(run, table?.relation, [indexParams, indexIncludingParams, { whereClause }]);
    // That it can be made tells that no two rows are equal.
    if (body.unique === true) {
      const names = (indexParams ?? []).map((node) => bodyOf(node, 'IndexElem')?.name);
      useColumns(run, table?.relation, names, 'Lookup');
    }
    run.ignore(body.excludeOpNames);
    return undefined;
  },
  CreateSeqStmt: (run, body) => {
    alterOwning(run, body.options);
    createNamed(run, body.sequence);
    return undefined;
  },
  AlterSeqStmt: (run, body) => {
    alterOwning(run, body.options);
    alterNamed(run, body.sequence);
    return undefined;
  },
  AlterTableStmt: (run, body) => {
    const table = alterNamed(run, body.relation);
    analyzeDefinition(run, table?.relation, [body.cmds]);
    if (table?.relation !== undefined) alterDependents(run, table.relation, body.cmds);
    return undefined;
  },
  RenameStmt: (run, body) => {
    if (body.renameType === 'OBJECT_SCHEMA') {
      // Rules go by name: all that stands in it is taken from under them.
      run.unknown('another name for a schema');
    }
    if (called.has(body.renameType ?? '')) run.keepsCode('what calls it is not known');
    const object = alterObject(run, body.renameType, body.relation, body.object);
    const { relation } = object ?? {};
    if (body.behavior === 'DROP_CASCADE' && relation?.kind === 'c') dropDependents(run, relation);
    if (object === undefined) return undefined;
    const { catalog } = run.context;
    const column = body.renameType === 'OBJECT_COLUMN' ? body.subname : undefined;
    if (relation !== undefined) useShown(run, relation, column);
    if (isRelationType(body.renameType)) {
      changed(run, 'Create', {
        resource: [...object.resource.slice(0, -1), body.newname ?? ''],
        relation: undefined,
      });
      // Rules go by name: what is renamed is taken from under them.
      if (relation !== undefined) run.findings.use(columnIds(catalog, relation), 'Store');
    } else if (body.renameType === 'OBJECT_COLUMN') {
      useColumns(run, relation, [body.subname], 'Store');
    }
    return undefined;
  },
  AlterObjectSchemaStmt: (run, body) => {
    if (called.has(body.objectType ?? '')) run.keepsCode('what calls it is not known');
    const object = alterObject(run, body.objectType, body.relation, body.object);
    if (object === undefined) return undefined;
    changed(run, 'Create', {
      resource: [run.context.database, body.newschema ?? '', object.resource.at(-1) ?? ''],
      relation: undefined,
    });
    const { relation } = object;
    if (relation !== undefined) {
      run.findings.use(columnIds(run.context.catalog, relation), 'Store');
      useShown(run, relation);
    }
    return undefined;
  },
  AlterOwnerStmt: (run, body) => {
    run.ignore(body.newowner);
    alterObject(run, body.objectType, body.relation, body.object);
    return undefined;
  },
  AlterObjectDependsStmt: (run, body) => {
    run.ignore(body.extname);
    alterObject(run, body.objectType, body.relation, body.object);
    return undefined;
  },
  DropStmt: (run, body) => {
    drop(run, body);
    return undefined;
  },
  CommentStmt: (run, body) => {
    run.ignore(body.object);
    const object =
      body.object === undefined ? undefined : namedObject(run, body.objtype, body.object);
    changed(run, object === undefined ? 'System' : 'Comment', object ?? wholeDatabase(run));
    return undefined;
  },
  CreateSchemaStmt: (run, body) => {
    run.ignore(body.authrole);
    if (body.schemaElts !== undefined) run.unknown('CREATE SCHEMA with what it is to hold');
    run.ignore(body.schemaElts);
    const name = body.schemaname ?? body.authrole?.rolename ?? run.context.currentUser;
    changed(run, 'Create', { resource: [run.context.database, name], relation: undefined });
    return undefined;
  },
  CreateDomainStmt: (run, body) => {
    run.ignore(body.typeName);
    run.ignore(body.collClause);
    analyzeDefinition(run, undefined, [body.constraints]);
    return createInSchema(run, undefined, body.domainname);
  },
  AlterDomainStmt: (run, body) => {
    if (validating.has(body.subtype ?? '')) {
      // It reads every table that has a column of the domain, and tells whether a value is unfit.
      run.unknown('a domain whose values are checked');
    }
    if (body.behavior === 'DROP_CASCADE') run.unknown('a change of a domain with CASCADE');
    analyzeDefinition(run, undefined, [body.def]);
    return alterInSchema(run, 'type', body.typeName);
  },
  CompositeTypeStmt: (run, body) => {
    run.ignore(body.coldeflist);
    createNamed(run, body.typevar);
    return undefined;
  },
  CreateEnumStmt: (run, body) => createInSchema(run, body, body.typeName),
  AlterEnumStmt: (run, body) => alterInSchema(run, 'type', body.typeName),
  AlterTypeStmt: (run, body) => {
    // Domains over it change with it, and only types of libraries in C can be changed so.
    run.unknown('a base type and what is made of it');
    run.ignore(body.options);
    return alterInSchema(run, 'type', body.typeName);
  },
  CreateStatsStmt: (run, body) => {
    analyzeDefinition(run, undefined, [body.relations, body.exprs]);
    run.ignore(body.stat_types);
    if (body.defnames !== undefined) createInSchema(run, undefined, body.defnames);
    else changed(run, 'Create', wholeDatabase(run));
    return undefined;
  },
  AlterStatsStmt: (run, body) => {
    run.ignore(body.stxstattarget);
    return alterInSchema(run, 'statistics', body.defnames);
  },
};

/** Nothing hangs on these, so CASCADE takes nothing along. */
const bare: ReadonlySet<string> = new Set<ObjectType>([
  'OBJECT_EVENT_TRIGGER',
  'OBJECT_POLICY',
  'OBJECT_PUBLICATION',
  'OBJECT_RULE',
  'OBJECT_STATISTIC_EXT',
  'OBJECT_TRIGGER',
]);

/** AlterDomainStmt.subtype: SET NOT NULL, ADD and VALIDATE CONSTRAINT. */
const validating: ReadonlySet<string> = new Set(['O', 'C', 'V']);

/** What other code calls by name: under another name, it is called in another's place. */
const called: ReadonlySet<string> = new Set<ObjectType>([
  'OBJECT_AGGREGATE',
  'OBJECT_FUNCTION',
  'OBJECT_OPERATOR',
  'OBJECT_PROCEDURE',
  'OBJECT_ROUTINE',
]);

/** ALTER TABLE … CASCADE takes along what hangs on the part; keys of other tables follow a column's type. */
function alterDependents(
  run: Run,
  relation: CatalogRelation,
  commands: readonly Node[] | undefined,
): void {
  for (const node of commands ?? []) {
    const command = bodyOf(node, 'AlterTableCmd');
    if (command?.behavior === 'DROP_CASCADE') dropDependents(run, relation);
    if (command?.subtype === 'AT_AlterColumnType') rebuildKeys(run, relation);
  }
}

/** The table whose column a sequence is OWNED BY. */
function alterOwning(run: Run, options: readonly Node[] | undefined): void {
  run.ignore(options);
  for (const node of options ?? []) {
    const option = bodyOf(node, 'DefElem');
    if (option?.defname !== 'owned_by') continue;
    const owner = nameParts(bodyOf(option.arg, 'List')?.items).slice(0, -1);
    if (owner.length > 0) changed(run, 'Alter', relationOf(run, owner), 'the owner of a sequence');
  }
}

/** Reports a change of a definition; without an object, of something that is not understood. */
export function changed(
  run: Run,
  verb: Verb,
  object: NamedObject | undefined,
  what = 'an object',
): void {
  run.effects = { ...run.effects, catalog: true };
  if (object === undefined) {
    run.unknown(`${what} that is not understood`);
    return;
  }
  run.findings.add(verb, object.resource, {
    relation: object.relation,
    descendants: true,
    sideEffects: run.context.catalog.hasEventTriggers,
  });
}

export function wholeDatabase(run: Run): NamedObject {
  return { resource: [run.context.database], relation: undefined };
}

function createNamed(run: Run, name: RangeVar | undefined): void {
  if (name === undefined) {
    changed(run, 'Create', undefined);
    return;
  }
  run.visit(name);
  const resource = newResource(run, name);
  changed(
    run,
    'Create',
    resource === undefined ? undefined : { resource, relation: undefined },
    `relation ${written(name)}`,
  );
}

/** What stands where a new relation is to be made, which may be behind another one of its name. */
function replaced(run: Run, name: RangeVar | undefined): CatalogRelation | undefined {
  const [, schema, relname] = (name && newResource(run, name)) ?? [];
  if (schema === undefined || relname === undefined) return undefined;
  return run.context.catalog.relation(schema, relname);
}

function alterNamed(run: Run, name: RangeVar | undefined): NamedObject | undefined {
  if (name === undefined) {
    changed(run, 'Alter', undefined);
    return undefined;
  }
  run.visit(name);
  const object = rangeObject(run, name);
  changed(run, 'Alter', object, `relation ${written(name)}`);
  return object;
}

/** The object of ALTER … RENAME, OWNER TO, SET SCHEMA: a relation, or a node. */
function alterObject(
  run: Run,
  type: ObjectType | undefined,
  name: RangeVar | undefined,
  node: Node | undefined,
): NamedObject | undefined {
  if (name !== undefined) {
    run.ignore(node);
    return alterNamed(run, name);
  }
  run.ignore(node);
  const object = node === undefined ? undefined : namedObject(run, type, node);
  const schema = object?.resource[1];
  if (schema !== undefined && isSystemSchema(schema)) {
    run.unknown(`DDL on built-in ${object?.resource.slice(1).join('.')}`);
  }
  // Databases, roles, tablespaces, extensions and the like stand outside any schema.
  changed(run, object === undefined ? 'System' : 'Alter', object ?? wholeDatabase(run));
  return object;
}

function createTable(run: Run, body: Body<'CreateStmt'>): undefined {
  createNamed(run, body.relation);
  run.ignore(body.options);
  run.ignore(body.ofTypename);
  const { tableElts, inhRelations, partbound, partspec, constraints, nnconstraints } = body;
  analyzeDefinition(
    run,
    undefined,
    [tableElts, inhRelations, { partbound }, { partspec }, constraints, nnconstraints],
    body.relation && newResource(run, body.relation),
  );
  return undefined;
}

export function createInSchema(
  run: Run,
  opaque: object | undefined,
  names: readonly Node[] | undefined,
): undefined {
  // What the definition says is code that runs when it is used; using it is what needs judging.
  if (opaque !== undefined) for (const child of Object.values(opaque)) ignoreChild(run, child);
  const parts = nameParts(names);
  const resource = newResource(run, {
    relname: parts.at(-1) ?? '',
    ...(parts.length > 1 ? { schemaname: parts.at(-2) as string } : undefined),
  });
  changed(run, 'Create', resource === undefined ? undefined : { resource, relation: undefined });
  return undefined;
}

function ignoreChild(run: Run, child: unknown): void {
  if (typeof child === 'object' && child !== null) run.ignore(child);
}

export function alterInSchema(
  run: Run,
  kind: ObjectKind,
  names: readonly Node[] | undefined,
): undefined {
  const resource = schemaObject(run, kind, nameParts(names));
  if (isSystemSchema(resource[1] ?? ''))
    run.unknown(`DDL on built-in ${resource.slice(1).join('.')}`);
  changed(run, 'Alter', { resource, relation: undefined });
  return undefined;
}

function drop(run: Run, body: Body<'DropStmt'>): void {
  run.ignore(body.objects);
  const cascade = body.behavior === 'DROP_CASCADE';
  for (const node of body.objects ?? []) {
    const object = namedObject(run, body.removeType, node, body.missing_ok === true);
    changed(run, object === undefined ? 'System' : 'Drop', object ?? wholeDatabase(run));
    if (body.removeType === 'OBJECT_EXTENSION') {
      run.unknown('what an extension holds is not named by dropping it');
    }
    if (object?.relation !== undefined && isRelationType(body.removeType)) {
      useDropped(run, object.relation);
    }
    if (cascade && object?.relation !== undefined && isRelationType(body.removeType)) {
      dropDependents(run, object.relation);
    } else if (cascade && !isRelationType(body.removeType) && !bare.has(body.removeType ?? '')) {
      run.unknown(
        `DROP … CASCADE of ${stringOf(node) ?? object?.resource.join('.') ?? 'an object'}`,
      );
    }
  }
}
