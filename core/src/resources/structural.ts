/**
 * Structural validation and defaulting as the API server does them for custom resources with
 * `fieldValidation: Strict`: nulls are as if absent, defaults are filled in, unknown fields are errors.
 */
import { error, type Problem } from './problem.ts';
import type { StructuralSchema } from './schema.ts';

/** Property names that mean something to JavaScript itself; no resource needs them. */
const reservedNames = new Set(['__proto__', 'constructor', 'prototype']);
/** RFC 3339, with a zone. */
const dateTime =
  /^(\d{4}-\d{2}-\d{2})T([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,9})?(Z|[+-]\d{2}:\d{2})$/i;
const base64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const patterns = new Map<string, RegExp>();

export interface Structured {
  /** A copy with defaults; meaningful only where `problems` is empty. */
  readonly value: unknown;
  readonly problems: readonly Problem[];
}

/** Validates `value` against `schema`; `path` is where it stands in the object. Never throws. */
export function applySchema(value: unknown, schema: StructuralSchema, path: string): Structured {
  const problems: Problem[] = [];
  return { value: convert(value, schema, path, problems), problems };
}

function convert(
  value: unknown,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): unknown {
  switch (schema.type) {
    case 'object':
      return isPlainObject(value)
        ? convertObject(value, schema, path, problems)
        : wrongType(value, schema, path, problems);
    case 'array':
      return Array.isArray(value)
        ? convertArray(value, schema, path, problems)
        : wrongType(value, schema, path, problems);
    case 'string':
      if (typeof value !== 'string') return wrongType(value, schema, path, problems);
      checkString(value, schema, path, problems);
      return value;
    case 'integer':
    case 'number':
      if (typeof value !== 'number' || !fits(value, schema)) {
        return wrongType(value, schema, path, problems);
      }
      checkNumber(value, schema, path, problems);
      return value;
    case 'boolean':
      return typeof value === 'boolean' ? value : wrongType(value, schema, path, problems);
  }
}

function convertObject(
  value: Record<string, unknown>,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): Record<string, unknown> {
  const result: Record<string, unknown> = {};
  const names = Object.keys(value).filter((name) => value[name] !== null);
  checkCount(names.length, schema.minProperties, schema.maxProperties, path, problems);
  for (const name of names) {
    const field = join(path, name);
    if (reservedNames.has(name) || !name.isWellFormed()) {
      problems.push(error(field, 'this name cannot be used'));
      continue;
    }
    const known = schema.properties;
    const fieldSchema =
      schema.additionalProperties ??
      (known && Object.hasOwn(known, name) ? known[name] : undefined);
    if (fieldSchema === undefined) {
      problems.push(error(field, unknownField(known)));
      continue;
    }
    result[name] = convert(value[name], fieldSchema, field, problems);
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    if (Object.hasOwn(result, name) || field.default === undefined) continue;
    // Defaults may have defaults within: they pass the same way as what was given.
    result[name] = convert(structuredClone(field.default), field, join(path, name), problems);
  }
  for (const name of schema.required ?? []) {
    // Null counts as absent; what is there but wrong has its own message.
    if (value[name] === undefined || value[name] === null) {
      if (!Object.hasOwn(result, name)) problems.push(error(join(path, name), 'is required'));
    }
  }
  return result;
}

function convertArray(
  value: readonly unknown[],
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): unknown[] {
  checkCount(value.length, schema.minItems, schema.maxItems, path, problems);
  if (schema.maxItems !== undefined && value.length > schema.maxItems) return [];
  const items = value.map((item, index) =>
    convert(item, schema.items!, `${path}[${index}]`, problems),
  );
  const seen = new Map<string, number>();
  items.forEach((item, index) => {
    const key = uniqueKey(item, schema);
    if (key === undefined) return;
    const first = seen.get(key);
    if (first === undefined) seen.set(key, index);
    else problems.push(error(`${path}[${index}]`, `is there already, as ${path}[${first}]`));
  });
  return items;
}

/** What must not repeat in a list of type set or map; undefined where repetition is fine. */
function uniqueKey(item: unknown, schema: StructuralSchema): string | undefined {
  switch (schema['x-kubernetes-list-type']) {
    case 'set':
      return JSON.stringify(item);
    case 'map':
      return isPlainObject(item)
        ? JSON.stringify(schema['x-kubernetes-list-map-keys']!.map((key) => item[key] ?? null))
        : undefined;
    default:
      return undefined;
  }
}

function checkString(
  value: string,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): void {
  if (!value.isWellFormed()) {
    problems.push(error(path, 'is not Unicode text'));
    return;
  }
  // A string of n UTF-16 units has at least n/2 characters: no need to count what is far too long.
  const tooLong = schema.maxLength !== undefined && value.length > 2 * schema.maxLength;
  const length = tooLong ? value.length : [...value].length;
  if (tooLong || (schema.maxLength !== undefined && length > schema.maxLength)) {
    problems.push(error(path, `has more than ${schema.maxLength} characters`));
    return; // nothing of unbounded length reaches a pattern
  }
  if (schema.minLength !== undefined && length < schema.minLength) {
    problems.push(
      error(path, length === 0 ? 'is empty' : `has fewer than ${schema.minLength} characters`),
    );
    return;
  }
  if (schema.enum !== undefined && !schema.enum.includes(value)) {
    problems.push(error(path, `must be one of ${schema.enum.join(', ')}`));
  }
  if (schema.pattern !== undefined && !compiled(schema.pattern).test(value)) {
    problems.push(error(path, `does not match ${schema.pattern}`));
  }
  if (schema.format === 'date-time' && !isDateTime(value)) {
    problems.push(error(path, 'is no date and time of RFC 3339, such as 2027-06-30T00:00:00Z'));
  }
  if (schema.format === 'byte' && !base64.test(value)) problems.push(error(path, 'is not base64'));
}

function checkNumber(
  value: number,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): void {
  const { minimum, maximum, exclusiveMinimum } = schema;
  if (minimum !== undefined && exclusiveMinimum && value <= minimum) {
    problems.push(error(path, `must be more than ${minimum}`));
  } else if (minimum !== undefined && value < minimum) {
    problems.push(error(path, `must be at least ${minimum}`));
  }
  if (maximum !== undefined && value > maximum) {
    problems.push(error(path, `must be at most ${maximum}`));
  }
}

function checkCount(
  count: number,
  minimum: number | undefined,
  maximum: number | undefined,
  path: string,
  problems: Problem[],
): void {
  if (minimum !== undefined && count < minimum) {
    problems.push(error(path, `needs at least ${minimum} ${minimum === 1 ? 'entry' : 'entries'}`));
  }
  if (maximum !== undefined && count > maximum) {
    problems.push(error(path, `has more than ${maximum} entries`));
  }
}

function fits(value: number, schema: StructuralSchema): boolean {
  if (schema.type === 'number') return Number.isFinite(value);
  if (!Number.isSafeInteger(value)) return false;
  return schema.format !== 'int32' || (value | 0) === value;
}

function wrongType(
  value: unknown,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): undefined {
  const wanted =
    schema.type === 'array'
      ? 'a list'
      : schema.type === 'object'
        ? 'an object'
        : schema.type === 'integer'
          ? `a whole number${schema.format === 'int32' ? ' of 32 bits' : ''}`
          : `a ${schema.type}`;
  problems.push(error(path, `must be ${wanted}, not ${typeOf(value)}`));
  return undefined;
}

function typeOf(value: unknown): string {
  if (value === null || value === undefined) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

function unknownField(known: StructuralSchema['properties']): string {
  const names = Object.keys(known ?? {});
  return names.length === 0 ? 'unknown field' : `unknown field; known are ${names.join(', ')}`;
}

/** Dates that exist only: 2027-02-30 is none. */
function isDateTime(value: string): boolean {
  const day = dateTime.exec(value)?.[1];
  if (day === undefined || Number.isNaN(Date.parse(value))) return false;
  const midnight = Date.parse(`${day}T00:00:00Z`);
  return !Number.isNaN(midnight) && new Date(midnight).toISOString().startsWith(day);
}

function compiled(pattern: string): RegExp {
  let expression = patterns.get(pattern);
  if (expression === undefined) {
    expression = new RegExp(pattern, 'u');
    patterns.set(pattern, expression);
  }
  return expression;
}

export function isPlainObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** A field's path; names that are not plain words stand in brackets. */
function join(path: string, name: string): string {
  if (!/^[A-Za-z_][\w-]*$/.test(name)) return `${path}[${JSON.stringify(name.slice(0, 80))}]`;
  return path === '' ? name : `${path}.${name}`;
}
