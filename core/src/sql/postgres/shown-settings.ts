/** Settings shown by current_setting, whose names stand in the text or come as values of Bind. */
import type { StatementAnalysis } from '../operation.ts';
import { literalString, type Node, textParameter } from './ast.ts';
import { unknownType } from './lineage.ts';
import type { Run } from './run.ts';
import { showOperation } from './settings.ts';

const byParameter = 'current_setting of a name that is a parameter';

/** pg_type: text and varchar, of which both formats are the bytes of the text. */
const plainTexts: ReadonlySet<number> = new Set([25, 1043]);

/** current_setting(name, …) */
export function performShow(run: Run, name: Node | undefined): void {
  const { database } = run.context;
  const setting = literalString(name);
  const parameter = setting === undefined ? textParameter(name) : undefined;
  if (setting !== undefined) {
    const operation = showOperation(setting, database);
    if (operation !== null) run.findings.add('Show', operation.resource);
  } else if (parameter === undefined) {
    run.unknown('current_setting of a name that is not constant');
  } else {
    run.settingParameters.add(parameter);
    run.unknown(byParameter);
  }
}

/**
 * The analysis of a query that shows settings named by parameters, with what it is besides. As it is where a
 * value might not be the name: the server makes it text of another type first, and may cut or change it.
 */
export function awaitingSettings(
  run: Run,
  query: Node,
  analysis: StatementAnalysis,
): StatementAnalysis {
  const parameters = [...run.settingParameters];
  if (parameters.length === 0 || analysis.kind !== 'SelectStmt') return analysis;
  if (!parameters.every((parameter) => isPlainText(run, query, parameter))) return analysis;
  const operations = analysis.operations.filter(({ reason }) => reason !== byParameter);
  const unknown = operations.some(({ verb }) => verb === 'Unknown');
  const settled = {
    ...analysis,
    operations,
    effects: unknown ? analysis.effects : run.effects,
    userCode: unknown || run.findings.userCode,
  };
  return { ...analysis, settingsByParameter: { parameters, settled } };
}

/** What the client has not declared takes its type from its first use, so it must be the only one. */
function isPlainText(run: Run, query: Node, parameter: number): boolean {
  const declared = run.context.parameterTypes?.[parameter - 1] ?? 0;
  if (plainTexts.has(declared)) return true;
  return (declared === 0 || declared === unknownType) && countUses(query, parameter) === 1;
}

function countUses(query: Node, parameter: number): number {
  let uses = 0;
  const waiting: unknown[] = [query];
  for (let value = waiting.pop(); value !== undefined; value = waiting.pop()) {
    if (typeof value !== 'object' || value === null) continue;
    if ('ParamRef' in value) {
      const { number } = value.ParamRef as { readonly number?: number };
      if (number === parameter) uses += 1;
    }
    for (const child of Object.values(value)) if (child !== undefined) waiting.push(child);
  }
  return uses;
}

/**
 * The statement once the names of the settings that it shows are known: `nameOf` tells the value of `$n` as a
 * text, or undefined where it is none. Unknown as it was unless all are.
 */
export function withSettings(
  statement: StatementAnalysis,
  nameOf: (parameter: number) => string | undefined,
  database: string,
): StatementAnalysis {
  if (statement.settingsByParameter === undefined) return statement;
  const { parameters, settled } = statement.settingsByParameter;
  const shown = [];
  for (const parameter of parameters) {
    const name = nameOf(parameter);
    if (name === undefined) return statement;
    const operation = showOperation(name, database);
    if (operation !== null) shown.push(operation);
  }
  return shown.length === 0
    ? settled
    : { ...settled, operations: [...settled.operations, ...shown] };
}
