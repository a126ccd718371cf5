import { type Body, literalString, type Node, nameParts } from './ast.ts';
import {
  analyzeEach,
  analyzeExpression,
  analyzeSort,
  analyzeWindow,
  useAny,
} from './expressions.ts';
import {
  advisoryLockFunctions,
  catalogFunctions,
  functionColumns,
  informationSchemaFunctions,
  pureFunctions,
  setReturningFunctions,
  volatileFunctions,
} from './functions.ts';
import { columnsOf, derive, type Lineage } from './lineage.ts';
import { isSystemSchema, splitName } from './names.ts';
import { isTotalFunction, observe } from './observable.ts';
import type { Run } from './run.ts';
import type { Scope } from './scope.ts';
import { isSettingName } from './select.ts';
import { performSequence } from './sequences.ts';
import { settingOperation } from './settings.ts';
import { performShow } from './shown-settings.ts';
import { checkOperands, isBuiltinType, userSchema } from './types.ts';

/** Analyzes a call: its arguments, and what the function itself is known to do. */
export function analyzeFunction(run: Run, scope: Scope, body: Body<'FuncCall'>): Lineage {
  const args = [...analyzeEach(run, scope, body.args)];
  if (body.agg_filter !== undefined) {
    useAny(run, analyzeExpression(run, scope, body.agg_filter));
  }
  for (const node of body.agg_order ?? []) {
    const lineage = analyzeSort(run, scope, node);
    // WITHIN GROUP (ORDER BY x) computes from x; elsewhere an order only arranges.
    if (body.agg_within_group === true) args.push(lineage);
    else useAny(run, lineage);
  }
  if (body.agg_distinct === true) for (const lineage of args) useAny(run, lineage);
  if (body.over !== undefined) analyzeWindow(run, scope, body.over);

  const name = knownFunction(run, nameParts(body.funcname));
  if (name === undefined) return { ...derive(args), constant: false };
  checkOperands(run, args, `function ${name}`);
  perform(run, name, body.args ?? [], args);
  const total = isTotalFunction(name, args);
  const lineage = total ? derive(args) : observe(run, derive(args));
  // How many rows come back shows even where what they hold does not.
  if (setReturningFunctions.has(name)) useAny(run, lineage);
  const differs = setReturningFunctions.has(name) || volatileFunctions.has(name);
  const result = differs ? { ...lineage, constant: false } : lineage;
  const columns = functionColumns.get(name);
  // One column alone is a value, not a row.
  if (columns === undefined || columns.length < 2) return result;
  return { ...result, row: columns.map((column) => ({ name: column, lineage: result })) };
}

/**
 * The name of the function if it is surely one of pg_catalog's (or one of the few of information_schema);
 * else it is reported as unknown code.
 */
export function knownFunction(run: Run, parts: readonly string[]): string | undefined {
  const display = parts.join('.');
  const split = splitName(run, parts);
  if (split === undefined) {
    run.unknownCode(`function ${display}`);
    return undefined;
  }
  const { schema, name } = split;
  if (schema === 'information_schema' && informationSchemaFunctions.has(name)) {
    run.findings.functions.add(`${schema}.${name}`);
    return name;
  }
  if (schema !== undefined && schema !== 'pg_catalog') {
    run.findings.functions.add(`${schema}.${name}`);
    run.unknownCode(
      isSystemSchema(schema) ? `function ${display}` : `user function ${schema}.${name}`,
    );
    return undefined;
  }
  const { catalog } = run.context;
  const other =
    userSchema(run, schema, catalog.functionSchemas(name)) ??
    (isBuiltinType(name) ? userSchema(run, schema, catalog.typeSchemas(name)) : undefined);
  if (other !== undefined) {
    run.findings.functions.add(`${other}.${name}`);
    run.unknownCode(`user function ${other}.${name}`);
    return undefined;
  }
  run.findings.functions.add(`pg_catalog.${name}`);
  return name;
}

/** Functions whose arguments outlive the statement; locks apart. */
const keepingFunctions: ReadonlySet<string> = new Set([
  'set_config',
  'nextval',
  'setval',
  'pg_notify',
  'setseed',
]);

/** Reports what a function of pg_catalog does beyond computing from its arguments. */
function perform(run: Run, name: string, nodes: readonly Node[], args: readonly Lineage[]): void {
  if (keepingFunctions.has(name) || advisoryLockFunctions.has(name)) {
    // What is set, locked or told can be read again, by other sessions as well.
    run.findings.use(columnsOf(derive(args)), 'Store');
  }
  if (pureFunctions.has(name) || informationSchemaFunctions.has(name)) return;
  const { database } = run.context;
  if (catalogFunctions.has(name)) {
    run.findings.add('Select', [database, 'pg_catalog', name], { class: 'Catalog' });
    return;
  }
  if (advisoryLockFunctions.has(name)) {
    run.findings.add('Lock', [database, 'advisory']);
    return;
  }
  switch (name) {
    case 'set_config':
      performSetConfig(run, nodes);
      break;
    case 'current_setting':
      performShow(run, nodes[0]);
      break;
    case 'nextval':
    case 'setval':
      performSequence(run, name, 'Update', nodes[0]);
      break;
    case 'currval':
      performSequence(run, name, 'Select', nodes[0]);
      break;
    case 'lastval':
      // Whichever sequence the session used last: it has seen that value already.
      break;
    case 'pg_advisory_unlock_all':
      // Ends only what the session itself holds, as CLOSE ALL does: pools send it with each connection given back.
      break;
    case 'pg_notify': {
      const channel = literalString(nodes[0]);
      if (channel === undefined) run.unknown('pg_notify to a channel that is not constant');
      else run.findings.add('Notify', [database, channel]);
      break;
    }
    default:
      if (!isBuiltinType(name)) run.unknownCode(`function ${name}`);
  }
}

function performSetConfig(run: Run, nodes: readonly Node[]): void {
  const setting =
    literalString(nodes[0]) ?? (isSettingName(nodes[0]) ? run.settingName : undefined);
  const value = literalString(nodes[1]);
  if (setting === undefined) {
    run.unknown('set_config of a name that is not constant');
    return;
  }
  // A value that is not constant may be any, so that only names harmless with any value pass.
  const operation = settingOperation(setting, value ?? '\0', run.context.database);
  if (operation !== null) {
    run.findings.add(operation.verb, operation.resource, {
      ...(operation.reason === undefined ? undefined : { reason: operation.reason }),
    });
  }
  if (changesResolution(setting)) run.effects = { ...run.effects, resolution: true };
}

/** Settings after which names or privileges resolve differently. */
export function changesResolution(setting: string): boolean {
  return /^(search_path|role|session_authorization)$/i.test(setting);
}
