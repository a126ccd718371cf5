import type { ColumnId, SessionEffects } from '../operation.ts';
import { bodyOf } from './ast.ts';
import { expandBeneath } from './beneath.ts';
import { checkCaps } from './caps.ts';
import type { Catalog, CatalogRelation } from './catalog.ts';
import { checkNames } from './encoding.ts';
import type { OpenOperation } from './findings.ts';
import { type ParseOutcome, parserReady, parseSql } from './parser.ts';
import { Run } from './run.ts';
import type { Field } from './scope.ts';
import { analyzeSelect } from './select.ts';

/** What a view's definition reads. */
export interface ViewAnalysis {
  /** One a column, in the view's order; empty when the definition is not understood. */
  readonly fields: readonly Field[];
  /** What it reads, itself and beneath. */
  readonly operations: readonly OpenOperation[];
  /** Columns that its own conditions depend on; the client has no say in those, so they are no use. */
  readonly influences: ReadonlySet<ColumnId>;
  readonly functions: ReadonlySet<string>;
  readonly userCode: boolean;
  readonly effects: SessionEffects;
  /** Why the definition is not understood. */
  readonly reasons: readonly string[];
}

const analyses = new WeakMap<Catalog, Map<number, ViewAnalysis>>();

/** The analysis of a view's definition, made once a catalog. */
export function viewOf(run: Run, relation: CatalogRelation): ViewAnalysis {
  const { catalog } = run.context;
  let byOid = analyses.get(catalog);
  if (byOid === undefined) analyses.set(catalog, (byOid = new Map()));
  let analysis = byOid.get(relation.oid);
  if (analysis === undefined) {
    // A view cannot read itself; were the catalog to say so, this is what it would find.
    byOid.set(relation.oid, notUnderstood('it reads itself'));
    if (!parserReady()) {
      // It is away for a moment: that says nothing about the view.
      byOid.delete(relation.oid);
      return notUnderstood('the SQL parser is not available');
    }
    try {
      analysis = analyzeDefinition(run, relation);
    } catch (error) {
      // Too much for this statement says nothing about the next one, and it did not read itself.
      byOid.delete(relation.oid);
      throw error;
    }
    byOid.set(relation.oid, analysis);
  }
  return analysis;
}

function analyzeDefinition(run: Run, relation: CatalogRelation): ViewAnalysis {
  const parsed = parseDefinition(relation.definition);
  const select = bodyOf(parsed?.statements?.[0]?.stmt, 'SelectStmt');
  if (select === undefined || parsed?.statements?.length !== 1) {
    return notUnderstood('its definition is not a query');
  }
  const searchPath = relation.definitionPath ?? ['pg_catalog'];
  // A text that changes the catalog has each view analyzed anew after each change, at its own cost.
  const isOfText = run.context.catalog.mayHold !== undefined;
  if (isOfText) run.budget.spend(relation.definition?.length ?? 0);
  const inner = new Run({ ...run.context, searchPath }, true, isOfText ? run.budget : undefined);
  inner.visit(select);
  const fields = analyzeSelect(inner, select, undefined);
  inner.sweep(select);
  checkNames(inner, parsed.statements[0]?.stmt);
  expandBeneath(inner);
  return describe(inner, relation, fields);
}

function parseDefinition(definition: string | undefined): ParseOutcome | undefined {
  if (definition === undefined || checkCaps(definition) !== undefined) return undefined;
  return parseSql(definition);
}

function describe(run: Run, relation: CatalogRelation, fields: readonly Field[]): ViewAnalysis {
  const operations = [...run.findings.operations.values()];
  const reasons = operations
    .filter((operation) => operation.verb === 'Unknown')
    .map((operation) => operation.reason ?? '');
  if (fields.length !== relation.columns.length) reasons.push('its columns do not match');
  return {
    fields: reasons.length > 0 ? [] : fields,
    operations: operations.filter((operation) => operation.verb !== 'Unknown'),
    influences: run.findings.influences,
    functions: run.findings.functions,
    userCode: run.findings.userCode,
    effects: run.effects,
    reasons,
  };
}

function notUnderstood(reason: string): ViewAnalysis {
  return {
    fields: [],
    operations: [],
    influences: new Set(),
    functions: new Set(),
    userCode: true,
    effects: {},
    reasons: [reason],
  };
}
