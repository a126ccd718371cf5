import type { TypeName } from 'libpg-query';
import { nameParts } from './ast.ts';
import type { Lineage } from './lineage.ts';
import { splitName } from './names.ts';
import type { Run } from './run.ts';

/** pg_type: built-in types whose casts run no code of the target's owner, by name. */
const builtinTypes: Readonly<Record<string, number>> = {
  bool: 16,
  bytea: 17,
  char: 18,
  name: 19,
  int8: 20,
  int2: 21,
  int2vector: 22,
  int4: 23,
  regproc: 24,
  text: 25,
  oid: 26,
  tid: 27,
  xid: 28,
  cid: 29,
  oidvector: 30,
  json: 114,
  xml: 142,
  xid8: 5069,
  point: 600,
  lseg: 601,
  path: 602,
  box: 603,
  polygon: 604,
  line: 628,
  cidr: 650,
  float4: 700,
  float8: 701,
  unknown: 705,
  circle: 718,
  macaddr8: 774,
  money: 790,
  macaddr: 829,
  inet: 869,
  aclitem: 1033,
  bpchar: 1042,
  varchar: 1043,
  date: 1082,
  time: 1083,
  timestamp: 1114,
  timestamptz: 1184,
  interval: 1186,
  timetz: 1266,
  bit: 1560,
  varbit: 1562,
  numeric: 1700,
  refcursor: 1790,
  regprocedure: 2202,
  regoper: 2203,
  regoperator: 2204,
  regclass: 2205,
  regtype: 2206,
  record: 2249,
  uuid: 2950,
  pg_lsn: 3220,
  tsvector: 3614,
  gtsvector: 3642,
  tsquery: 3615,
  regconfig: 3734,
  regdictionary: 3769,
  jsonb: 3802,
  int4range: 3904,
  numrange: 3906,
  tsrange: 3908,
  tstzrange: 3910,
  daterange: 3912,
  int8range: 3926,
  jsonpath: 4072,
  regnamespace: 4089,
  regrole: 4096,
  regcollation: 4191,
  int4multirange: 4451,
  nummultirange: 4532,
  tsmultirange: 4533,
  tstzmultirange: 4534,
  datemultirange: 4535,
  int8multirange: 4536,
  pg_snapshot: 5038,
  txid_snapshot: 2970,
};

/** information_schema's domains: over text and integers, with built-in checks only. */
const informationSchemaTypes: ReadonlySet<string> = new Set([
  'cardinal_number',
  'character_data',
  'sql_identifier',
  'time_stamp',
  'yes_or_no',
]);

const textTypes: ReadonlySet<number> = new Set([25, 1043, 1042]);

/** True for text, varchar and bpchar: a cast among them without a length keeps the value. */
export function isTextType(typeOid: number | undefined): boolean {
  return typeOid !== undefined && textTypes.has(typeOid);
}

/** True when `name` is a type of pg_catalog, so that `name(x)` may be a cast. */
export function isBuiltinType(name: string): boolean {
  return Object.hasOwn(builtinTypes, name);
}

/** What is known of a type that a statement names. */
export interface NamedType {
  /** Undefined for arrays and for types that are not pg_catalog's. */
  readonly typeOid: number | undefined;
  /** True when a length or precision comes with it, which may cut the value. */
  readonly limited: boolean;
}

/** Resolves a type; one that is not pg_catalog's, or may not be, is reported as unknown code. */
export function resolveType(run: Run, type: TypeName | undefined): NamedType {
  if (type === undefined) return { typeOid: undefined, limited: false };
  run.ignore(type);
  const limited = type.typmods !== undefined;
  const parts = nameParts(type.names);
  const split = splitName(run, parts);
  const display = parts.join('.');
  if (split === undefined || type.pct_type === true) {
    run.unknownCode(`type ${display}`);
    return { typeOid: undefined, limited };
  }
  const { schema, name } = split;
  if (schema === 'information_schema' && informationSchemaTypes.has(name)) {
    return { typeOid: undefined, limited };
  }
  const array = type.arrayBounds !== undefined;
  if (isPlain(run, schema, name)) return { typeOid: undefined, limited };
  if (schema !== undefined && schema !== 'pg_catalog') {
    run.unknownCode(`user type ${schema}.${name}`);
    return { typeOid: undefined, limited };
  }
  const other = userSchema(run, schema, run.context.catalog.typeSchemas(name));
  if (other !== undefined) {
    run.unknownCode(`type ${name} may be ${other}.${name}`);
    return { typeOid: undefined, limited };
  }
  const element = name.startsWith('_') ? name.slice(1) : name;
  if (!isBuiltinType(element)) {
    run.unknownCode(`type ${display}`);
    return { typeOid: undefined, limited };
  }
  const typeOid = array || element !== name ? undefined : builtinTypes[name];
  return { typeOid, limited };
}

/** An enum or domain of the owner's: reading one from a text runs nothing but PostgreSQL's own code. */
function isPlain(run: Run, schema: string | undefined, name: string): boolean {
  const { catalog } = run.context;
  const plain = catalog.plainTypeSchemas(name);
  if (plain.length === 0 || schema === 'pg_catalog') return false;
  if (schema !== undefined) return plain.includes(schema);
  // A built-in type of that name may come first in the path.
  const found = userSchema(run, undefined, catalog.typeSchemas(name));
  return found !== undefined && plain.includes(found) && !isBuiltinType(name);
}

/** What is named for a schema where the path cannot be read: it may lead anywhere. */
const anySchema = '(any)';

/**
 * Where somebody's object of that name would be found instead of pg_catalog's: the first schema of the
 * search path among `schemas`, which have one; with an explicit `schema`, only that.
 */
export function userSchema(
  run: Run,
  schema: string | undefined,
  schemas: readonly string[],
): string | undefined {
  const { searchPath } = run.context;
  if (schema === undefined && searchPath.length === 0) return anySchema;
  if (schemas.length === 0) return undefined;
  if (schema !== undefined) return schemas.includes(schema) ? schema : undefined;
  run.budget.search(searchPath.length * schemas.length);
  return searchPath.find((candidate) => schemas.includes(candidate));
}

const castProbes = new WeakMap<object, boolean>();

/** True when a user-defined cast exists from or to any built-in type. */
function anyBuiltinCast(run: Run): boolean {
  const { catalog } = run.context;
  let found = castProbes.get(catalog);
  if (found === undefined) {
    found = Object.values(builtinTypes).some((typeOid) => catalog.hasUserCast(typeOid));
    castProbes.set(catalog, found);
  }
  return found;
}

/**
 * A function or operator of pg_catalog may still run a user-defined cast to get its operands: reports it
 * when an operand's type has one. Where the type is not known, any cast of a built-in type counts.
 */
export function checkOperands(run: Run, operands: readonly Lineage[], what: string): void {
  for (const { typeOid } of operands) {
    const cast =
      typeOid === undefined ? anyBuiltinCast(run) : run.context.catalog.hasUserCast(typeOid);
    if (cast) {
      run.unknownCode(`a user-defined cast may apply to ${what}`);
      return;
    }
  }
}
