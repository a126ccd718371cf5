import type { ExplainStmt } from 'libpg-query';
import { bodyOf, type Node, stringOf } from './ast.ts';
import { expandBeneath } from './beneath.ts';
import { columnIds } from './lineage.ts';
import { Run } from './run.ts';
import { analyzeInner, plainColumn, type Returned } from './statement.ts';

/**
 * EXPLAIN: the plan tells row counts that depend on values, so every column that the statement reads is
 * used as Any. EXPLAIN ANALYZE runs the statement, plain EXPLAIN only reads what it would write to.
 */
export function analyzeExplain(run: Run, body: ExplainStmt): Returned {
  run.ignore(body.options);
  const query = body.query;
  if (bodyOf(query, 'ExecuteStmt') !== undefined) {
    run.unknown('EXPLAIN EXECUTE');
    run.ignore(query);
    return plan();
  }
  if (runs(body.options)) analyzeInner(run, query);
  else explainOnly(run, query);
  useEverythingRead(run);
  return plan();
}

function plan(): Returned {
  return [plainColumn('QUERY PLAN')];
}

/** True unless ANALYZE is absent or surely off; the last one given counts. */
function runs(options: readonly Node[] | undefined): boolean {
  let analyze = false;
  for (const node of options ?? []) {
    const option = bodyOf(node, 'DefElem');
    if (option?.defname !== 'analyze') continue;
    const word = stringOf(option.arg)?.toLowerCase();
    const number = bodyOf(option.arg, 'Integer');
    const off = word === 'off' || word === 'false' || (number !== undefined && !number.ival);
    analyze = !off;
  }
  return analyze;
}

/** What plain EXPLAIN does: a write becomes a read of the same relation. */
function explainOnly(run: Run, query: Node | undefined): void {
  const inner = new Run(run.context, false, run.budget);
  analyzeInner(inner, query);
  inner.sweep(query);
  expandBeneath(inner);
  run.ignore(query);
  run.hasWhere = inner.hasWhere;
  run.findings.userCode ||= inner.findings.userCode;
  for (const name of inner.findings.functions) run.findings.functions.add(name);
  for (const use of inner.findings.uses) run.findings.use([use.column], use.usage);
  for (const operation of inner.findings.operations.values()) {
    const { relation, verb, resource, reach } = operation;
    if (verb === 'Unknown') {
      run.unknown(operation.reason ?? 'not understood');
    } else if (relation !== undefined && operation.class !== 'Catalog') {
      const columns = verb === 'Select' ? (operation.columns ?? []) : [];
      run.findings.add('Select', resource, { relation, columns, reach, descendants: true });
    } else if (operation.class === 'Catalog') {
      run.findings.add('Select', resource, {
        class: 'Catalog',
        reach,
        relation,
        columns: operation.columns ?? [],
      });
    }
  }
}

function useEverythingRead(run: Run): void {
  const { catalog } = run.context;
  for (const { relation, columns, verb } of [...run.findings.operations.values()]) {
    if (relation === undefined || columns === undefined || verb !== 'Select') continue;
    const ids = columnIds(catalog, relation);
    run.findings.use(
      ids.filter((id) => columns.has(id.name[3])),
      'Any',
    );
  }
}
