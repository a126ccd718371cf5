import type { CreateSchemaStmt } from 'libpg-query';
import { bodyOf, literalString, type Node, nameParts } from './ast.ts';
import { isAscii } from './encoding.ts';
import type { AnalyzeContext } from './run.ts';
import { isReserved, maxPathNames, splitIdentifiers, truncate } from './search-path.ts';
import type { TextCatalog } from './text-catalog.ts';

/** What unqualified names are looked up by. */
export type NamePath = Pick<AnalyzeContext, 'searchPath' | 'pathSetting' | 'currentUser'>;

/**
 * The path after a statement that sets `search_path` to constants, for the session; undefined for any other, and
 * where it is not known whether the role may use a schema. It may use those of the path before the text (`usable`)
 * and its own.
 */
export function followSetPath(
  node: Node,
  path: NamePath,
  usable: ReadonlySet<string>,
  text: TextCatalog,
): NamePath | undefined {
  const pathSetting = namesSet(node);
  if (pathSetting === undefined) return undefined;
  if (!text.current.isUtf8 && !pathSetting.every(isAscii)) return undefined;
  text.budget.search(pathSetting.length * pathSetting.length);
  const searchPath: string[] = [];
  for (const name of pathSetting) {
    const schema = name === '$user' ? path.currentUser : name;
    // The temporary schema may come into being at any time.
    if (isReserved(schema)) return undefined;
    if (searchPath.includes(schema)) continue;
    if (usable.has(schema) || text.isNewSchema(schema)) searchPath.push(schema);
    else if (text.hasSchema(schema)) return undefined;
  }
  const first = path.searchPath.filter((schema) => schema.startsWith('pg_temp'));
  if (!searchPath.includes('pg_catalog')) first.push('pg_catalog');
  return { ...path, pathSetting, searchPath: [...first, ...searchPath] };
}

/** The names that `SET search_path` or `SELECT set_config('search_path', …, false)` sets. */
function namesSet(node: Node): readonly string[] | undefined {
  const set = bodyOf(node, 'VariableSetStmt');
  if (set !== undefined) {
    if (set.kind !== 'VAR_SET_VALUE' || set.name !== 'search_path' || set.is_local === true) {
      return undefined;
    }
    const names = (set.args ?? []).map((arg) => bodyOf(arg, 'A_Const')?.sval);
    if (names.some((name) => name === undefined)) return undefined;
    const distinct = new Set(names.map((name) => truncate(name?.sval ?? '')));
    return distinct.size > maxPathNames ? undefined : [...distinct];
  }
  const { targetList = [], ...select } = bodyOf(node, 'SelectStmt') ?? {};
  const others = Object.keys(select).filter((key) => key !== 'limitOption' && key !== 'op');
  const call = bodyOf(bodyOf(targetList[0], 'ResTarget')?.val, 'FuncCall');
  if (call === undefined || targetList.length !== 1 || others.length > 0) return undefined;
  const [name, schema = 'pg_catalog'] = nameParts(call.funcname).reverse();
  const [setting, value, local, ...more] = call.args ?? [];
  if (name !== 'set_config' || schema !== 'pg_catalog' || more.length > 0) return undefined;
  const isLocal = bodyOf(local, 'A_Const')?.boolval;
  if (isLocal === undefined || isLocal.boolval === true) return undefined;
  if (literalString(setting) !== 'search_path') return undefined;
  const names = literalString(value);
  return names === undefined ? undefined : splitIdentifiers(names);
}

/**
 * The path after CREATE SCHEMA: one that the setting names already comes into it now. Undefined where the setting
 * is not known, and where its maker may not be able to use the schema.
 */
export function followSchema(
  body: CreateSchemaStmt,
  path: NamePath,
  text: TextCatalog,
): NamePath | undefined {
  const { schemaname, authrole, schemaElts, if_not_exists } = body;
  if (schemaname === undefined || authrole !== undefined || schemaElts !== undefined) {
    return undefined;
  }
  if (text.hasSchema(schemaname)) return if_not_exists === true ? path : undefined;
  if (text.current.hasSchemaDefaults) return undefined;
  const { pathSetting, searchPath, currentUser } = path;
  if (pathSetting === undefined || pathSetting.includes('pg_temp')) return undefined;
  text.budget.search(pathSetting.length * searchPath.length);
  text.addSchema(schemaname);
  const named = pathSetting.map((name) => (name === '$user' ? currentUser : name));
  if (!named.includes(schemaname)) return path;
  const explicit = named.filter((schema) => schema === schemaname || searchPath.includes(schema));
  const first = searchPath.filter((schema) => !named.includes(schema));
  return { ...path, searchPath: [...first, ...new Set(explicit)] };
}
