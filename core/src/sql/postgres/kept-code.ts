import type {
  AlterPolicyStmt,
  CreatePolicyStmt,
  ObjectType,
  RangeVar,
  RuleStmt,
} from 'libpg-query';
import { bodyOf, type Node } from './ast.ts';
import type { CatalogRelation } from './catalog.ts';
import { analyzeCondition } from './conditions.ts';
import { alterInSchema, changed, createInSchema } from './ddl.ts';
import { definitionScope } from './ddl-expressions.ts';
import { rangeObject } from './objects.ts';
import { Run } from './run.ts';
import type { StatementHandlers } from './statement.ts';

/** Code that stays in the database, and runs with the statements of whoever comes to it later. */
export const keptCodeHandlers: StatementHandlers = {
  CreateFunctionStmt: (run, body) => {
    run.keepsCode('the code of a function is not analyzed');
    return createInSchema(run, body, body.funcname);
  },
  AlterFunctionStmt: (run, body) => {
    run.keepsCode('what calls a function is not known');
    run.ignore(body.func);
    run.ignore(body.actions);
    return alterInSchema(run, 'function', body.func?.objname);
  },
  CreateRangeStmt: (run, body) => {
    const options = (body.params ?? []).map((node) => bodyOf(node, 'DefElem')?.defname ?? '');
    if (!options.every((option) => plainRangeOptions.has(option))) {
      run.keepsCode('the functions of a type are not analyzed');
    }
    return createInSchema(run, body, body.typeName);
  },
  DefineStmt: (run, body) => {
    // A type without a definition is but a name.
    const isName = body.kind === 'OBJECT_TYPE' && body.definition === undefined;
    if (!isName && !codeless.has(body.kind ?? '')) {
      run.keepsCode('the functions that it is made of are not analyzed');
    }
    return createInSchema(run, body, body.defnames);
  },
  CreateTrigStmt: (run, body) => {
    run.keepsCode('the code of a trigger is not analyzed');
    attach(run, body, body.relation);
    return undefined;
  },
  RuleStmt: (run, body) => {
    if (!doesNothing(body)) run.keepsCode('what a rule does is not analyzed');
    attach(run, body, body.relation);
    return undefined;
  },
  CreatePolicyStmt: (run, body) => attachPolicy(run, body),
  AlterPolicyStmt: (run, body) => attachPolicy(run, body),
};

/** What DefineStmt makes that runs nothing of the caller's. */
const codeless: ReadonlySet<string> = new Set<ObjectType>([
  'OBJECT_COLLATION',
  'OBJECT_TSCONFIGURATION',
  'OBJECT_TSDICTIONARY',
]);

/** Parameters of a range type that name no function. */
const plainRangeOptions: ReadonlySet<string> = new Set([
  'subtype',
  'collation',
  'multirange_type_name',
]);

function attach(run: Run, opaque: object, name: RangeVar | undefined): CatalogRelation | undefined {
  for (const child of Object.values(opaque)) {
    if (typeof child === 'object' && child !== null) run.ignore(child);
  }
  const object = name === undefined ? undefined : rangeObject(run, name);
  changed(run, 'Create', object, 'a table');
  return object?.relation;
}

/** DO INSTEAD NOTHING, whatever the row. */
function doesNothing({ instead, actions, whereClause }: RuleStmt): boolean {
  return instead === true && (actions ?? []).length === 0 && whereClause === undefined;
}

function attachPolicy(run: Run, body: CreatePolicyStmt | AlterPolicyStmt): undefined {
  const relation = attach(run, body, body.table);
  for (const condition of [body.qual, body.with_check]) {
    if (condition !== undefined) useCondition(run, relation, condition);
  }
  return undefined;
}

/**
 * Which rows a policy lets through tells of the columns in it as a WHERE does. What else it reads is read with each
 * later statement, without being named there.
 */
function useCondition(run: Run, relation: CatalogRelation | undefined, condition: Node): void {
  const inner = new Run(run.context, false, run.budget);
  if (relation !== undefined) {
    analyzeCondition(inner, definitionScope(inner, relation), condition);
    inner.sweep(condition);
  }
  const { findings } = inner;
  const isFilter = [...findings.operations.values()].every(({ verb }) => verb === 'Show');
  if (relation === undefined || !isFilter || findings.userCode || holdsQuery(condition)) {
    run.keepsCode('what the condition of a policy reads is not analyzed');
  } else {
    for (const { column, usage } of findings.uses) run.findings.use([column], usage);
  }
}

function holdsQuery(condition: Node): boolean {
  const waiting: unknown[] = [condition];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if ('SubLink' in value) return true;
    for (const child of Object.values(value)) if (child !== undefined) waiting.push(child);
  }
  return false;
}
