/**
 * Generates from api/events.schema.json the TypeScript types of core/src/events. `--check` writes nothing
 * and fails on drift.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join, resolve } from 'node:path';

/** The part of JSON Schema 2020-12 that api/events.schema.json uses. */
export interface EventSchema {
  readonly $ref?: string;
  readonly type?: string | readonly string[];
  readonly description?: string;
  /** Bytes, in a program. */
  readonly contentEncoding?: 'base64';
  readonly const?: string | number;
  readonly enum?: readonly string[];
  readonly items?: EventSchema;
  readonly properties?: Readonly<Record<string, EventSchema>>;
  readonly required?: readonly string[];
  readonly additionalProperties?: boolean | EventSchema;
  readonly oneOf?: readonly EventSchema[];
  readonly $defs?: Readonly<Record<string, EventSchema>>;
  /** The type is written by hand elsewhere in core; schema-agreement.ts proves that they agree. */
  readonly 'x-typescript'?: { readonly import: string };
}

export const root = resolve(import.meta.dirname, '..');
const header =
  '// Generated from api/events.schema.json by scripts/generate-event-types.ts. Do not edit.\n\n';
const scalars: Readonly<Record<string, string>> = {
  string: 'string',
  integer: 'number',
  number: 'number',
  boolean: 'boolean',
  null: 'null',
};

/** Reads api/events.schema.json. */
export function readEventSchema(): EventSchema {
  return JSON.parse(readFileSync(join(root, 'api/events.schema.json'), 'utf8')) as EventSchema;
}

export function refName(ref: string): string {
  return ref.slice('#/$defs/'.length);
}

function comment(text: string | undefined): string {
  return text === undefined ? '' : `/** ${text.replaceAll('*/', '*\\/')} */\n`;
}

function objectType(schema: EventSchema): string {
  const { properties, required = [], additionalProperties } = schema;
  if (properties === undefined) {
    if (typeof additionalProperties !== 'object') throw new Error('an object without properties');
    return `Readonly<Record<string, ${typeOf(additionalProperties)}>>`;
  }
  const fields = Object.entries(properties).map(([name, property]) => {
    const mark = required.includes(name) ? '' : '?';
    return `${comment(property.description)}readonly ${name}${mark}: ${typeOf(property)};`;
  });
  return `{\n${fields.join('\n')}\n}`;
}

function typeOf(schema: EventSchema): string {
  if (schema.contentEncoding !== undefined) return 'Uint8Array';
  if (schema.$ref !== undefined) return refName(schema.$ref);
  if (schema.oneOf !== undefined) return schema.oneOf.map(typeOf).join(' | ');
  const literals = schema.enum ?? (schema.const === undefined ? undefined : [schema.const]);
  if (literals !== undefined) {
    return literals
      .map((value) => (typeof value === 'string' ? `'${value}'` : String(value)))
      .join(' | ');
  }
  if (typeof schema.type === 'object') return schema.type.map((type) => scalars[type]).join(' | ');
  if (schema.type === 'array' && schema.items !== undefined) {
    const item = typeOf(schema.items);
    return `readonly ${/^\w+$/.test(item) || item.startsWith('{') ? item : `(${item})`}[]`;
  }
  if (schema.type === 'object') return objectType(schema);
  const scalar = scalars[schema.type ?? ''];
  if (scalar === undefined) throw new Error(`no type for ${JSON.stringify(schema)}`);
  return scalar;
}

function generate(schema: EventSchema): Record<string, string> {
  const imports: string[] = [];
  const interfaces: string[] = [];
  const agreements: string[] = [];
  for (const [name, definition] of Object.entries(schema.$defs ?? {})) {
    const from = definition['x-typescript']?.import;
    if (from === undefined) {
      interfaces.push(
        `${comment(definition.description)}export interface ${name} ${objectType(definition)}\n`,
      );
    } else {
      imports.push(`import type { ${name} } from '${from}';\n`);
      agreements.push(
        `export type ${name}Agrees = Assert<Same<${name}, ${objectType(definition)}>>;\n`,
      );
    }
  }
  const bodies = (schema.oneOf ?? []).map(({ $ref }) => refName($ref ?? ''));
  return {
    'core/src/events/types.ts': [
      header,
      "import type { Durability, Recording } from '../policy/types.ts';\n",
      ...imports,
      '\n',
      interfaces.join('\n'),
      '\n/** What a recorder turns into a metadata line by adding the envelope and the parts. */\n',
      `export type EventBody = ${bodies.join(' | ')};\n\n`,
      'export type { Durability, Recording };\n',
    ].join(''),
    'core/src/events/schema-agreement.ts': [
      header,
      ...imports,
      '\ntype Same<A, B> = [A, B] extends [B, A] ? true : false;\n',
      'type Assert<Holds extends true> = Holds;\n\n',
      '// These do not compile when a type written by hand and the schema differ.\n',
      ...agreements,
    ].join(''),
  };
}

function formatted(path: string, text: string): string {
  const biome = join(root, 'node_modules/.bin/biome');
  const run = spawnSync(biome, ['check', '--write', `--stdin-file-path=${path}`], {
    input: text,
    encoding: 'utf8',
    cwd: root,
  });
  if (run.status !== 0) throw new Error(run.stderr);
  return run.stdout;
}

/** Path → text of everything that follows from the schema, formatted. */
export function generateEventTypes(): Record<string, string> {
  return Object.fromEntries(
    Object.entries(generate(readEventSchema())).map(([path, text]) => [
      path,
      formatted(path, text),
    ]),
  );
}

if (import.meta.main) {
  let drift = false;
  for (const [path, text] of Object.entries(generateEventTypes())) {
    const file = join(root, path);
    if (!process.argv.includes('--check')) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) {
      drift = true;
      console.error(`${path} is not what api/events.schema.json gives: run this without --check`);
    }
  }
  if (drift) process.exit(1);
}
