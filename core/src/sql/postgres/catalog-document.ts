/**
 * The JSON documents that the statements of catalog-query.ts yield, and the check that a text is one: it
 * comes from a backend, which may be anything.
 */

import { Buffer } from 'node:buffer';
import type { ObjectKind, OtherKind } from './catalog.ts';

/** [oid, schema, name, relkind, row security, [attnum, name, type OID][], definition]. */
export type RelationRow = readonly [
  number,
  string,
  string,
  string,
  boolean,
  readonly (readonly [number, string, number])[],
  string | null,
];
/** [oid, base type's OID, a check of it is not built in]. */
export type DomainRow = readonly [number, number, boolean];
/** [schema, name]. */
export type NameRow = readonly [string, string];
/** [kind, schema, name]. */
export type OtherRow = readonly [OtherKind, string, string];

export interface CatalogDocument {
  readonly server: number;
  readonly database: string;
  /** The temporary schema of the session that read it, once it has one. */
  readonly temp: string | null;
  readonly schemas: readonly string[];
  readonly relations: readonly RelationRow[];
  /** [child, parent]. */
  readonly inherits: readonly (readonly [number, number])[];
  /** [referenced, referencing, an action other than NO ACTION and RESTRICT]. */
  readonly foreignKeys: readonly (readonly [number, number, boolean])[];
  readonly triggers: readonly number[];
  readonly rules: readonly number[];
  readonly defaultsWithCode: readonly (readonly [number, number])[];
  /** [relation, generated attnum, attnum that it is computed from]. */
  readonly generated: readonly (readonly [number, number, number])[];
  readonly constraintsWithCode: readonly number[];
  /** [index, the relation that it is of]. */
  readonly indexes: readonly (readonly [number, number])[];
  /** [relation, what a DROP … CASCADE of it changes or drops: a relation, or 0 for what is none; it goes as a whole]. */
  readonly dependents: readonly (readonly [number, number, boolean])[];
  readonly domains: readonly DomainRow[];
  readonly functions: readonly NameRow[];
  readonly operators: readonly NameRow[];
  readonly types: readonly NameRow[];
  /** Enums, and domains over built-in types without checks that call somebody's code. */
  readonly plainTypes: readonly NameRow[];
  /** [source type, target type]. */
  readonly casts: readonly (readonly [number, number])[];
  /** [kind, schema, name] of what else has a name of its own in a schema. */
  readonly others: readonly OtherRow[];
  readonly eventTriggers: boolean;
  /** The name of the database's encoding. */
  readonly encoding: string;
  /** Default privileges are set for schemas. */
  readonly schemaDefaults: boolean;
  /** The text of a SystemDocument. */
  readonly system: string;
}

export interface SystemDocument {
  readonly relations: readonly RelationRow[];
  readonly domains: readonly DomainRow[];
  /** By kind: the names in pg_catalog, with a space between. */
  readonly builtins: readonly (readonly [ObjectKind, string])[];
}

/** What the names of a session's next statement resolve by. */
export interface SessionState {
  /** The value of the setting, as SHOW gives it. */
  readonly searchPath: string;
  readonly currentUser: string;
  readonly sessionUser: string;
  /** pg_temp_N, once the session has one. */
  readonly temp: string | null;
  /** Where the current role has USAGE; all others PostgreSQL passes over in a search path. */
  readonly usableSchemas: readonly string[];
}

type Check = (value: unknown) => boolean;

const isNumber: Check = (value) => typeof value === 'number' && Number.isSafeInteger(value);
const isString: Check = (value) => typeof value === 'string';
const isBoolean: Check = (value) => typeof value === 'boolean';
const orNull =
  (check: Check): Check =>
  (value) =>
    value === null || check(value);
const listOf =
  (check: Check): Check =>
  (value) =>
    Array.isArray(value) && value.every(check);
const row =
  (...checks: readonly Check[]): Check =>
  (value) =>
    Array.isArray(value) &&
    value.length === checks.length &&
    checks.every((check, at) => check(value[at]));

const relations = listOf(
  row(
    isNumber,
    isString,
    isString,
    isString,
    isBoolean,
    listOf(row(isNumber, isString, isNumber)),
    orNull(isString),
  ),
);
const domains = listOf(row(isNumber, isNumber, isBoolean));
const names = listOf(row(isString, isString));
const pairs = listOf(row(isNumber, isNumber));

const stateForm: Readonly<Record<keyof SessionState, Check>> = {
  searchPath: isString,
  currentUser: isString,
  sessionUser: isString,
  temp: orNull(isString),
  usableSchemas: listOf(isString),
};

const catalogForm: Readonly<Record<keyof CatalogDocument | 'format', Check>> = {
  format: (value) => value === 1,
  server: isNumber,
  database: isString,
  temp: orNull(isString),
  schemas: listOf(isString),
  relations,
  inherits: pairs,
  foreignKeys: listOf(row(isNumber, isNumber, isBoolean)),
  triggers: listOf(isNumber),
  rules: listOf(isNumber),
  defaultsWithCode: pairs,
  generated: listOf(row(isNumber, isNumber, isNumber)),
  constraintsWithCode: listOf(isNumber),
  indexes: pairs,
  dependents: listOf(row(isNumber, isNumber, isBoolean)),
  domains,
  functions: names,
  operators: names,
  types: names,
  plainTypes: names,
  casts: pairs,
  others: listOf(row(isString, isString, isString)),
  eventTriggers: isBoolean,
  encoding: isString,
  schemaDefaults: isBoolean,
  system: isString,
};

const systemForm: Readonly<Record<keyof SystemDocument, Check>> = {
  relations,
  domains,
  builtins: listOf(row(isString, isString)),
};

function parse<T>(what: string, json: string, form: Readonly<Record<string, Check>>): T {
  let value: unknown;
  try {
    value = JSON.parse(json);
  } catch (cause) {
    throw new TypeError(`${what}: not JSON`, { cause });
  }
  if (typeof value !== 'object' || value === null) throw new TypeError(`${what}: not an object`);
  for (const [key, check] of Object.entries(form)) {
    if (!Object.hasOwn(value, key) || !check((value as Record<string, unknown>)[key])) {
      throw new TypeError(`${what}: "${key}" is missing or malformed`);
    }
  }
  return value as T;
}

/** Turns the column that the statements of catalog-query.ts return into the text of its JSON document. */
export function decodeField(base64: string): string {
  return Buffer.from(base64, 'base64').toString('utf8');
}

/** @throws TypeError when the text is not of that form. */
export function document(json: string): CatalogDocument {
  return parse('catalog document', json, catalogForm);
}

/** @throws TypeError when the text is not of that form. */
export function systemDocument(json: string): SystemDocument {
  return parse('system catalog document', json, systemForm);
}

/**
 * Reads the column that `sessionStateQuery` returns.
 * @throws TypeError when it has not the expected form.
 */
export function readSessionState(base64: string): SessionState {
  return parse('session state', decodeField(base64), stateForm);
}
