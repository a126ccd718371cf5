/**
 * The verdict that an API server with our CRDs and webhook would give on one object: schema, defaults, CEL
 * rules, admission. For the directory mode and for tools that check files.
 */
import { admissionProblems } from './admission.ts';
import { type CoreKind, coreSchemas } from './core-kinds.ts';
import { validateMetadata } from './metadata.ts';
import {
  type ConfigMap,
  type Namespace,
  type ObjectMeta,
  objectName,
  type Secret,
} from './object.ts';
import { error, hasErrors, type Problem } from './problem.ts';
import { ruleProblems } from './schema-rules.ts';
import { resourceSchemas } from './schemas.ts';
import { applySchema, isPlainObject } from './structural.ts';
import type { Resource, ResourceKind } from './types.ts';

/** Every object that a directory may hold. */
export type AnyObject = Resource | Secret | ConfigMap | Namespace;

export interface Validation {
  /** How messages name the object, as far as its name is known. */
  readonly name: string;
  /** The object with its defaults; absent when there is an error. */
  readonly object?: AnyObject;
  readonly problems: readonly Problem[];
}

/** Validates one parsed document. Never throws; messages never contain values of Secrets. */
export function validate(input: unknown, nowMs: number): Validation {
  if (!isPlainObject(input)) {
    return {
      name: '',
      problems: [error('', 'is no object: it needs apiVersion, kind and metadata')],
    };
  }
  const { apiVersion, kind } = input;
  if (typeof kind !== 'string' || typeof apiVersion !== 'string') {
    return { name: '', problems: [error('', 'apiVersion and kind are required, as text')] };
  }
  const ours = Object.hasOwn(resourceSchemas, kind) ? (kind as ResourceKind) : undefined;
  const core = Object.hasOwn(coreSchemas, kind) ? (kind as CoreKind) : undefined;
  if (ours === undefined && core === undefined) {
    const known = [...Object.keys(resourceSchemas), ...Object.keys(coreSchemas)];
    return {
      name: label(kind, input),
      problems: [error('kind', `unknown kind; known are ${known.join(', ')}`)],
    };
  }
  const wanted = ours === undefined ? 'v1' : 'chaperone.dev/v1alpha1';
  if (apiVersion !== wanted) {
    return {
      name: label(kind, input),
      problems: [error('apiVersion', `must be ${wanted} for this kind`)],
    };
  }
  const { metadata, problems } = validateMetadata(input.metadata, kind !== 'Namespace');
  const name = metadata === undefined ? label(kind, input) : objectName({ kind, metadata });
  const body = ours === undefined ? validateCore(core!, input) : validateOurs(ours, input);
  const all = [...problems, ...body.problems];
  if (hasErrors(all) || metadata === undefined) return { name, problems: all };
  const object = { apiVersion, kind, metadata, ...body.fields } as AnyObject;
  const admission = ours === undefined ? [] : admissionProblems(object as Resource, nowMs);
  return hasErrors(admission)
    ? { name, problems: [...all, ...admission] }
    : { name, object, problems: [...all, ...admission] };
}

interface Body {
  readonly fields: Record<string, unknown>;
  readonly problems: readonly Problem[];
}

/** `status` is the controllers' to write, so that of the input is dropped, as the API server does. */
function validateOurs(kind: ResourceKind, input: Record<string, unknown>): Body {
  const extra = unknownTopFields(input, ['spec', 'status']);
  if (input.spec === undefined || input.spec === null) {
    return { fields: {}, problems: [...extra, error('spec', 'is required')] };
  }
  const schema = resourceSchemas[kind].spec;
  const { value: spec, problems } = applySchema(input.spec, schema, 'spec');
  if (problems.length + extra.length > 0) return { fields: {}, problems: [...extra, ...problems] };
  return { fields: { spec }, problems: ruleProblems(spec, schema, 'spec') };
}

function validateCore(kind: CoreKind, input: Record<string, unknown>): Body {
  const { apiVersion: _, kind: __, metadata: ___, status: ____, ...rest } = input;
  const { value, problems } = applySchema(rest, coreSchemas[kind], '');
  if (problems.length > 0) return { fields: {}, problems };
  const { stringData, ...fields } = value as {
    data?: Record<string, string>;
    stringData?: Record<string, string>;
  };
  if (stringData === undefined) return { fields, problems };
  const encoded = Object.entries(stringData).map(([key, text]) => [
    key,
    Buffer.from(text, 'utf8').toString('base64'),
  ]);
  return {
    fields: { ...fields, data: { ...fields.data, ...Object.fromEntries(encoded) } },
    problems,
  };
}

function unknownTopFields(input: Record<string, unknown>, known: readonly string[]): Problem[] {
  const all = ['apiVersion', 'kind', 'metadata', ...known];
  return Object.keys(input)
    .filter((name) => !all.includes(name))
    .map((name) => error(name.slice(0, 80), `unknown field; known are ${all.join(', ')}`));
}

/** The best name for an object whose metadata is not valid. */
function label(kind: string, input: Record<string, unknown>): string {
  const metadata = isPlainObject(input.metadata) ? (input.metadata as Partial<ObjectMeta>) : {};
  const { name, namespace } = metadata;
  const shortKind = kind.slice(0, 80);
  if (typeof name !== 'string') return shortKind;
  return typeof namespace === 'string'
    ? `${shortKind} ${namespace.slice(0, 63)}/${name.slice(0, 253)}`
    : `${shortKind} ${name.slice(0, 253)}`;
}
