/**
 * Generates from crds/*.yaml what follows from them: the TypeScript types and schemas of
 * core/src/resources, and docs/reference/resources.md. `--check` writes nothing and fails on drift.
 */
import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { parse } from 'yaml';
import type { StructuralSchema } from '../core/src/resources/schema.ts';

interface Definition {
  readonly kind: string;
  readonly plural: string;
  readonly shortName: string;
  readonly schema: StructuralSchema;
}

const root = resolve(import.meta.dirname, '..');
const header = '// Generated from crds/ by scripts/generate-resource-types.ts. Do not edit.\n\n';
/** Shapes that occur in several kinds, by the name of the property that holds them. */
const sharedShapes: Record<string, string> = { selector: 'LabelSelector', conditions: 'Condition' };

function readDefinitions(): Definition[] {
  const directory = join(root, 'crds');
  return readdirSync(directory)
    .filter((name) => name.endsWith('.yaml'))
    .sort()
    .map((name) => {
      const { spec } = parse(readFileSync(join(directory, name), 'utf8'));
      const [version] = spec.versions;
      return {
        kind: spec.names.kind,
        plural: spec.names.plural,
        shortName: spec.names.shortNames[0],
        schema: version.schema.openAPIV3Schema,
      };
    });
}

const pascal = (name: string): string => `${name.charAt(0).toUpperCase()}${name.slice(1)}`;

function singular(name: string): string {
  if (name.endsWith('ies')) return `${name.slice(0, -3)}y`;
  return name.endsWith('s') ? name.slice(0, -1) : name;
}

function comment(text: string | undefined): string {
  return text === undefined ? '' : `/** ${text.replaceAll('*/', '*\\/')} */\n`;
}

/** Writes interfaces of objects, outermost last, each name once. */
class TypeWriter {
  readonly #interfaces = new Map<string, string>();

  typeOf(schema: StructuralSchema, name: string, property: string): string {
    switch (schema.type) {
      case 'string':
        return schema.enum?.map((value) => `'${value}'`).join(' | ') ?? 'string';
      case 'integer':
      case 'number':
        return 'number';
      case 'boolean':
        return 'boolean';
      case 'array': {
        const item = this.typeOf(schema.items!, singular(name), property);
        return `readonly ${item.includes('|') ? `(${item})` : item}[]`;
      }
      case 'object':
        if (schema.additionalProperties !== undefined) {
          return `Readonly<Record<string, ${this.typeOf(schema.additionalProperties, name, '')}>>`;
        }
        return this.#interface(schema, sharedShapes[property] ?? name);
    }
  }

  #interface(schema: StructuralSchema, name: string): string {
    const required = new Set(schema.required);
    const stem = name.replace(/(Spec|Status)$/, '');
    const fields = Object.entries(schema.properties ?? {}).map(([property, field]) => {
      const optional = required.has(property) || field.default !== undefined ? '' : '?';
      const type = this.typeOf(field, `${stem}${pascal(property)}`, property);
      return `${comment(field.description)}readonly ${property}${optional}: ${type};`;
    });
    const shared = Object.values(sharedShapes).includes(name);
    const description = shared ? undefined : schema.description;
    this.#interfaces.set(
      name,
      `${comment(description)}export interface ${name} {\n${fields.join('\n')}\n}`,
    );
    return name;
  }

  text(): string {
    return [...this.#interfaces.values()].join('\n\n');
  }
}

function renderTypes(definitions: readonly Definition[]): string {
  const writer = new TypeWriter();
  const kinds = definitions.map(({ kind, schema }) => {
    const { spec, status } = schema.properties!;
    const specType = writer.typeOf(spec!, `${kind}Spec`, 'spec');
    const statusType = writer.typeOf(status!, `${kind}Status`, 'status');
    return `${comment(schema.description)}export interface ${kind} {
      readonly apiVersion: 'chaperone.dev/v1alpha1';
      readonly kind: '${kind}';
      readonly metadata: ObjectMeta;
      readonly spec: ${specType};
      readonly status?: ${statusType};
    }`;
  });
  const names = definitions.map(({ kind }) => kind);
  return `${header}// Shapes of validated objects: fields with a default are always present.
import type { ObjectMeta } from './object.ts';

export const resourceKinds = [${names.map((name) => `'${name}'`).join(', ')}] as const;
export type ResourceKind = (typeof resourceKinds)[number];
export type Resource = ${names.join(' | ')};

${kinds.join('\n\n')}\n\n${writer.text()}\n`;
}

function withoutDescriptions(schema: StructuralSchema): StructuralSchema {
  const { description: _, properties, items, additionalProperties, ...rest } = schema;
  return {
    ...rest,
    ...(properties && {
      properties: Object.fromEntries(
        Object.entries(properties).map(([name, field]) => [name, withoutDescriptions(field)]),
      ),
    }),
    ...(items && { items: withoutDescriptions(items) }),
    ...(additionalProperties && {
      additionalProperties: withoutDescriptions(additionalProperties),
    }),
  };
}

function renderSchemas(definitions: readonly Definition[]): string {
  const schemas = definitions.map(({ kind, schema }) => {
    const { spec, status } = schema.properties!;
    const parts = { spec: withoutDescriptions(spec!), status: withoutDescriptions(status!) };
    return `${kind}: ${JSON.stringify(parts)}`;
  });
  return `${header}import type { StructuralSchema } from './schema.ts';
import type { ResourceKind } from './types.ts';

/** The structural schemas of spec and status. */
export const resourceSchemas: Readonly<
  Record<ResourceKind, { readonly spec: StructuralSchema; readonly status: StructuralSchema }>
> = {${schemas.join(',')}};\n`;
}

function bounds(schema: StructuralSchema): string {
  const parts: string[] = [];
  const range = (low: number | undefined, high: number | undefined, unit: string): void => {
    if (low !== undefined && high !== undefined) parts.push(`${low} to ${high}${unit}`);
    else if (low !== undefined) parts.push(`at least ${low}${unit}`);
    else if (high !== undefined) parts.push(`at most ${high}${unit}`);
  };
  if (schema.enum) parts.push(schema.enum.map((value) => `\`${value}\``).join(', '));
  if (schema.exclusiveMinimum) parts.push(`more than ${schema.minimum}, at most ${schema.maximum}`);
  else range(schema.minimum, schema.maximum, '');
  range(schema.minLength, schema.maxLength, ' characters');
  range(schema.minItems, schema.maxItems, ' entries');
  range(schema.minProperties, schema.maxProperties, ' entries');
  if (schema.pattern) parts.push(`\`${schema.pattern.replaceAll('|', '\\|')}\``);
  if (schema['x-kubernetes-list-type'] === 'set') parts.push('no repetitions');
  const keys = schema['x-kubernetes-list-map-keys'];
  if (keys) parts.push(`${keys.join(' and ')} unique`);
  if (schema.default !== undefined) parts.push(`default \`${JSON.stringify(schema.default)}\``);
  return parts.join('; ');
}

function typeName(schema: StructuralSchema): string {
  if (schema.type === 'array') return `list of ${typeName(schema.items!)}`;
  if (schema.additionalProperties) return `map of ${typeName(schema.additionalProperties)}`;
  return schema.format === 'date-time' ? 'date-time' : schema.type;
}

function* documentedFields(
  schema: StructuralSchema,
  path: string,
): Generator<{ path: string; required: boolean; schema: StructuralSchema }> {
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    const fieldPath = path === '' ? name : `${path}.${name}`;
    yield { path: fieldPath, required: schema.required?.includes(name) ?? false, schema: field };
    if (field.type === 'object') yield* documentedFields(field, fieldPath);
    if (field.items?.type === 'object') yield* documentedFields(field.items, `${fieldPath}[]`);
  }
}

function* rules(schema: StructuralSchema, path: string): Generator<string> {
  for (const { message } of schema['x-kubernetes-validations'] ?? []) {
    yield `- \`${path}\`: ${message}.`;
  }
  for (const [name, field] of Object.entries(schema.properties ?? {})) {
    yield* rules(field, `${path}.${name}`);
  }
  if (schema.items) yield* rules(schema.items, `${path}[]`);
}

function renderReference(definitions: readonly Definition[]): string {
  const cell = (text: string): string => text.replaceAll('\n', ' ').trim();
  const sections = definitions.map(({ kind, plural, shortName, schema }) => {
    const { spec, status } = schema.properties!;
    const table = (part: StructuralSchema, path: string): string =>
      [
        '| field | type | bounds | meaning |',
        '|---|---|---|---|',
        ...[...documentedFields(part, path)].map(
          ({ path: field, required, schema: of }) =>
            `| \`${field}\`${required ? ' (required)' : ''} | ${typeName(of)} | ${bounds(of)} | ${cell(of.description ?? '')} |`,
        ),
      ].join('\n');
    const ruleLines = [...rules(spec!, 'spec')].join('\n');
    return `## ${kind}

${cell(schema.description ?? '')}

\`kubectl get ${plural}.chaperone.dev\`, short \`${shortName}\`.

${table(spec!, 'spec')}

Rules:

${ruleLines === '' ? '- none beyond the bounds.' : ruleLines}

Status:

${table(status!, 'status')}`;
  });
  return `<!-- Generated from crds/ by scripts/generate-resource-types.ts. Do not edit. -->

# Resources

API group \`chaperone.dev\`, version \`v1alpha1\`. All kinds are namespaced and in the category
\`chaperone\` (\`kubectl get chaperone\`). An unknown field is an error.

${sections.join('\n\n')}
`;
}

/** Formats as `make lint` wants it, so that --check compares like with like. */
function formatted(path: string, text: string): string {
  if (!path.endsWith('.ts')) return text;
  const biome = join(root, 'node_modules/.bin/biome');
  const run = spawnSync(biome, ['format', `--stdin-file-path=${path}`], {
    cwd: root,
    input: text,
    encoding: 'utf8',
    maxBuffer: 64 * 1024 * 1024,
  });
  if (run.status !== 0) throw new Error(`biome cannot format ${path}: ${run.stderr}`);
  return run.stdout;
}

function currentText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

const definitions = readDefinitions();
const outputs: Record<string, string> = {
  'core/src/resources/types.ts': renderTypes(definitions),
  'core/src/resources/schemas.ts': renderSchemas(definitions),
  'docs/reference/resources.md': renderReference(definitions),
};
const check = process.argv.includes('--check');
let drift = false;
for (const [path, text] of Object.entries(outputs)) {
  const wanted = formatted(path, text);
  const file = join(root, path);
  if (currentText(file) === wanted) continue;
  if (check) {
    drift = true;
    console.error(`${path} is not what crds/ yields: run node scripts/generate-resource-types.ts`);
  } else {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, wanted);
  }
}
if (drift) process.exit(1);
