import { type Body, type Node, type Tag, tagOf } from './ast.ts';
import { analyzeCopy } from './copy.ts';
import { ddlHandlers } from './ddl.ts';
import { analyzeExplain } from './explain.ts';
import { keptCodeHandlers } from './kept-code.ts';
import { constantLineage } from './lineage.ts';
import type { Run } from './run.ts';
import type { Field } from './scope.ts';
import { analyzeSelectInto } from './select-into.ts';
import { sessionHandlers } from './session-statements.ts';
import { systemHandlers } from './system-statements.ts';
import { utilityHandlers } from './utility.ts';
import { analyzeDelete, analyzeInsert, analyzeMerge, analyzeUpdate } from './write.ts';

/** What a statement returns: its columns, or undefined when it returns no rows. */
export type Returned = readonly Field[] | undefined;

/** Analyzes one kind of statement, whose body is visited already. */
export type StatementHandlers = {
  readonly [K in Tag]?: (run: Run, body: Body<K>) => Returned;
};

const dataHandlers: StatementHandlers = {
  SelectStmt: (run, body) => {
    run.hasWhere = everyArmHasWhere(body);
    return analyzeSelectInto(run, body);
  },
  InsertStmt: (run, body) => rows(body.returningClause, analyzeInsert(run, body, undefined)),
  UpdateStmt: (run, body) => {
    run.hasWhere = body.whereClause !== undefined;
    return rows(body.returningClause, analyzeUpdate(run, body, undefined));
  },
  DeleteStmt: (run, body) => {
    run.hasWhere = body.whereClause !== undefined;
    return rows(body.returningClause, analyzeDelete(run, body, undefined));
  },
  MergeStmt: (run, body) => {
    run.hasWhere = body.joinCondition !== undefined;
    return rows(body.returningClause, analyzeMerge(run, body, undefined));
  },
  CopyStmt: (run, body) => analyzeCopy(run, body),
  ExplainStmt: (run, body) => analyzeExplain(run, body),
};

function rows(clause: object | undefined, fields: readonly Field[]): Returned {
  return clause === undefined ? undefined : fields;
}

/** Analyzes a statement of any kind; one without a handler is Unknown. */
export function analyzeStatement(run: Run, node: Node): Returned {
  const tag = tagOf(node);
  const handler = (dataHandlers[tag] ??
    sessionHandlers[tag] ??
    utilityHandlers[tag] ??
    systemHandlers[tag] ??
    ddlHandlers[tag] ??
    keptCodeHandlers[tag]) as ((run: Run, body: object) => Returned) | undefined;
  const body = (node as Record<string, object>)[tag] as object;
  if (handler === undefined) {
    run.unknown(`${tag} is not understood`);
    run.ignore(body);
    return undefined;
  }
  run.visit(body);
  return handler(run, body);
}

/** True when no part of a set operation is without WHERE. */
export function everyArmHasWhere(select: Body<'SelectStmt'>): boolean {
  const { larg, rarg } = select;
  if (larg === undefined || rarg === undefined) return select.whereClause !== undefined;
  return everyArmHasWhere(larg) && everyArmHasWhere(rarg);
}

/** Analyzes a statement that another one holds, such as that of EXPLAIN or of a cursor. */
export function analyzeInner(run: Run, node: Node | undefined): Returned {
  if (node === undefined) {
    run.unknown('a statement without its query');
    return undefined;
  }
  return analyzeStatement(run, node);
}

/** A column of the server's own making. */
export function plainColumn(name: string, typeOid = 25): Field {
  return { name, lineage: constantLineage(typeOid) };
}
