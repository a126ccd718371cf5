import type { RawStmt } from 'libpg-query';
import type { Analysis, OutputColumn, StatementAnalysis } from '../operation.ts';
import { tagOf } from './ast.ts';
import { expandBeneath } from './beneath.ts';
import { Budget, CapError } from './budget.ts';
import { checkCaps } from './caps.ts';
import { checkNames } from './encoding.ts';
import { parseSql } from './parser.ts';
import { type AnalyzeContext, Run } from './run.ts';
import type { Field } from './scope.ts';
import { awaitingSettings } from './shown-settings.ts';
import { analyzeStatement } from './statement.ts';
import { TextHistory } from './text-history.ts';

export type { AnalyzeContext };

/**
 * Analyzes a text: what each of its statements reads, writes and runs, by the names of the catalog.
 * Synchronous and pure but for the parser, which `loadParser` must have loaded. Never throws.
 *
 * What is not understood is an operation with verb Unknown. The catalog describes the moment before the text:
 * what an earlier statement of the same text makes and changes is followed as far as the statement alone tells
 * it, and a statement that depends on any other change (a name by DDL, or how names resolve) is Unknown too.
 */
export function analyze(text: string, context: AnalyzeContext): Analysis {
  const capped = checkCaps(text);
  if (capped !== undefined) return { failure: capped, statements: [] };
  const parsed = parseSql(text);
  if (parsed.failure !== undefined) return { failure: parsed.failure, statements: [] };
  const budget = new Budget();
  try {
    const [only, ...others] = parsed.statements;
    if (only !== undefined && others.length === 0) {
      return { statements: [analyzeTree(only, context, budget)] };
    }
    const history = new TextHistory(context, budget);
    const statements = parsed.statements.map((statement) => {
      const analysis = analyzeTree(statement, history.context, budget);
      return history.follow(analysis, statement.stmt);
    });
    return { statements };
  } catch (error) {
    if (!(error instanceof CapError)) throw error;
    return { failure: { kind: 'Cap', message: error.message }, statements: [] };
  }
}

/** Analyzes one parsed statement by itself. Throws CapError when it takes more than `budget` has left. */
export function analyzeTree(
  statement: RawStmt,
  context: AnalyzeContext,
  budget: Budget = new Budget(),
): StatementAnalysis {
  const node = statement.stmt;
  if (node === undefined) return notUnderstood('Empty', 'an empty statement', context);
  const kind = tagOf(node);
  try {
    const run = new Run(context, false, budget);
    const outputs = analyzeStatement(run, node);
    run.sweep(node);
    checkNames(run, node);
    expandBeneath(run);
    return awaitingSettings(run, node, finish(run, kind, outputs));
  } catch (error) {
    if (error instanceof CapError) throw error;
    // A fault of ours, or a tree too deep for the stack: fail closed, and keep the session alive.
    const reason = error instanceof Error ? error.message : String(error);
    return notUnderstood(kind, `the analysis failed: ${reason}`, context);
  }
}

function notUnderstood(kind: string, reason: string, context: AnalyzeContext): StatementAnalysis {
  const run = new Run(context, false);
  run.unknown(reason);
  return finish(run, kind, undefined);
}

/** The statement's analysis once everything is found. */
export function finish(
  run: Run,
  kind: string,
  fields: readonly Field[] | undefined,
): StatementAnalysis {
  if (run.effects.resolution && run.effects.lateNames) {
    run.unknown('a name that is looked up by the search path that the statement itself changes');
  }
  const operations = run.findings.finish();
  const relations = new Set<string>();
  for (const { relation, resource } of run.findings.operations.values()) {
    if (relation !== undefined) relations.add(resource.join('.'));
  }
  const unknown = operations.some((operation) => operation.verb === 'Unknown');
  return {
    kind,
    operations,
    ...(fields === undefined
      ? undefined
      : { outputs: fields.map((field) => outputOf(run, field)) }),
    uses: run.findings.uses,
    facts: {
      hasWhere: run.hasWhere,
      relations: [...relations],
      functions: [...run.findings.functions],
    },
    effects: unknown ? { ...run.effects, catalog: true, resolution: true } : run.effects,
    userCode: run.findings.userCode || unknown,
    ...(run.findings.keepsCode === undefined ? undefined : { keepsCode: run.findings.keepsCode }),
  };
}

function outputOf(run: Run, { name, lineage }: Field): OutputColumn {
  const { values, derived, typeOid } = lineage;
  const known = typeOid !== undefined && typeOid !== 705 && typeOid !== 0;
  // The backend announces a domain by its base type.
  return known
    ? { name, typeOid: run.context.catalog.baseType(typeOid), values, derived }
    : { name, values, derived };
}
