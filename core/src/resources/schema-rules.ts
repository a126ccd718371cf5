/**
 * The CEL rules of the CRDs (`x-kubernetes-validations`), evaluated as the API server does: once the
 * structure is valid, on the object with its defaults. The rules use only what both implementations of CEL
 * have: has(), startsWith(), size(), comparison, logic and `in`.
 */
import { Environment } from '@marcbachmann/cel-js';
import { error, type Problem } from './problem.ts';
import type { StructuralSchema } from './schema.ts';
import { isPlainObject } from './structural.ts';

const environment = new Environment().registerVariable('self', 'dyn');
const programs = new Map<string, ReturnType<Environment['parse']>>();

/** Every rule of `schema` that `value` breaks; `value` must have passed `applySchema` without problems. */
export function ruleProblems(value: unknown, schema: StructuralSchema, path: string): Problem[] {
  const problems: Problem[] = [];
  collect(value, schema, path, problems);
  return problems;
}

function collect(
  value: unknown,
  schema: StructuralSchema,
  path: string,
  problems: Problem[],
): void {
  const rules = schema['x-kubernetes-validations'];
  if (rules !== undefined) {
    const self = celValue(value, schema);
    for (const { rule, message } of rules) {
      if (!holds(rule, self)) problems.push(error(path, message));
    }
  }
  if (Array.isArray(value) && schema.items !== undefined) {
    value.forEach((item, index) => {
      collect(item, schema.items!, `${path}[${index}]`, problems);
    });
  } else if (isPlainObject(value) && schema.properties !== undefined) {
    for (const [name, field] of Object.entries(schema.properties)) {
      if (Object.hasOwn(value, name)) collect(value[name], field, `${path}.${name}`, problems);
    }
  }
}

/** A rule that fails to evaluate does not hold. */
function holds(rule: string, self: unknown): boolean {
  let program = programs.get(rule);
  if (program === undefined) {
    program = environment.parse(rule);
    programs.set(rule, program);
  }
  try {
    return program({ self }) === true;
  } catch {
    return false;
  }
}

/** CEL's integers are 64 bits wide: JavaScript's bigint. */
function celValue(value: unknown, schema: StructuralSchema): unknown {
  if (schema.type === 'integer') return BigInt(value as number);
  if (Array.isArray(value)) return value.map((item) => celValue(item, schema.items!));
  if (!isPlainObject(value)) return value;
  return Object.fromEntries(
    Object.entries(value).map(([name, item]) => [
      name,
      celValue(item, schema.additionalProperties ?? schema.properties![name]!),
    ]),
  );
}
