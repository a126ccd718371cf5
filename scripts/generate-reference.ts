/**
 * Writes docs/reference/{errors,metrics,events}.md from the catalogues and the event schema. `--check`
 * writes nothing and fails on drift.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { errorCatalogue } from '../runtime/src/errors/catalogue.ts';
import {
  admissionMetrics,
  attestMetrics,
  collectorMetrics,
  governanceMetrics,
  kubernetesMetrics,
  type MetricEntry,
  policyApiMetrics,
  proxyMetrics,
  recorderMetrics,
} from '../runtime/src/metrics/catalogue.ts';
import { type EventSchema, readEventSchema, refName, root } from './generate-event-types.ts';

const note = (source: string): string =>
  `<!-- Generated from ${source} by scripts/generate-reference.ts. Do not edit. -->\n\n`;

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');
const row = (cells: readonly string[]): string => `| ${cells.map(cell).join(' | ')} |\n`;

function table(heads: readonly string[], rows: readonly (readonly string[])[]): string {
  return [row(heads), row(heads.map(() => '---')), ...rows.map(row)].join('');
}

const errorGroups: readonly (readonly [prefix: string, title: string])[] = [
  ['CHP-1', 'Configuration and resources'],
  ['CHP-2', 'Identity and credentials'],
  ['CHP-3', 'Policy, decisions, masking and limits'],
  ['CHP-4', 'Recorder'],
  ['CHP-5', 'Protocols'],
  ['CHP-6', 'Collector'],
  ['CHP-7', 'Policy API'],
  ['CHP-8', 'Admission'],
];

function errors(): string {
  const groups = errorGroups.map(([prefix, title]) => {
    const rows = Object.entries(errorCatalogue)
      .filter(([code]) => code.startsWith(prefix))
      .sort(([a], [b]) => (a < b ? -1 : 1))
      .map(([code, entry]) => [`\`${code}\``, entry.title, entry.remedy]);
    return `## ${title}\n\n${table(['code', 'what', 'what to do'], rows)}`;
  });
  return `${note('runtime/src/errors/catalogue.ts')}# Error codes\n\nWhat Chaperone refuses or warns of carries one of these codes, but for mistakes in the syntax of a command line. A code keeps its meaning for good.\n\n${groups.join('\n')}`;
}

function labels(entry: MetricEntry): string {
  return Object.entries(entry.labels)
    .map(([label, values]) => `\`${label}\`: ${values.join(', ') || '(named by the program)'}`)
    .join('; ');
}

function metrics(): string {
  const section = (title: string, entries: Readonly<Record<string, MetricEntry>>): string => {
    const rows = Object.values(entries).map((entry) => [
      `\`${entry.name}\``,
      entry.type,
      labels(entry),
      entry.help,
    ]);
    return `## ${title}\n\n${table(['metric', 'type', 'labels', 'meaning'], rows)}`;
  };
  return [
    note('runtime/src/metrics/catalogue.ts'),
    '# Metrics\n\nServed at `/metrics` in the format of Prometheus. Every series is there from the start, at 0, but for those that the program names itself; no label takes a value that a caller chooses. Each program also has `chaperone_build_info` (labels `program`, `version`, `node`) and the figures of its process (`process_…`, `nodejs_…`).\n\n',
    section('Enforcement proxy', proxyMetrics),
    '\n',
    section('Recorder (in every program that records)', recorderMetrics),
    '\n',
    section('Collector', collectorMetrics),
    '\n',
    section('Policy API', policyApiMetrics),
    section('Policy API, in a cluster', attestMetrics),
    '\n',
    section('Admission', admissionMetrics),
    '\n',
    section('Governance (in the controllers)', governanceMetrics),
    '\n',
    section('Kubernetes (in every role of the operator)', kubernetesMetrics),
  ].join('');
}

function typeText(schema: EventSchema): string {
  if (schema.$ref !== undefined)
    return `[${refName(schema.$ref)}](#${refName(schema.$ref).toLowerCase()})`;
  if (schema.const !== undefined) return `\`${schema.const}\``;
  if (schema.enum !== undefined) return schema.enum.map((value) => `\`${value}\``).join(', ');
  if (typeof schema.type === 'object') return schema.type.join(' or ');
  if (schema.items !== undefined) return `list of ${typeText(schema.items)}`;
  if (typeof schema.additionalProperties === 'object') {
    return `object of ${typeText(schema.additionalProperties)}`;
  }
  return schema.type ?? '';
}

/** One row per field, those of nested objects below as `parent.field`. */
function fields(schema: EventSchema, prefix = ''): string[][] {
  const { properties = {}, required = [] } = schema;
  return Object.entries(properties).flatMap(([name, property]) => {
    const path = `${prefix}${name}`;
    const mark = required.includes(name) ? '' : ' (optional)';
    const own = [`\`${path}\`${mark}`, typeText(property), property.description ?? ''];
    if (property.oneOf !== undefined) {
      const forms = property.oneOf.flatMap((form) => {
        const [label] = Object.values(form.properties ?? {}).flatMap(
          ({ const: value }) => value ?? [],
        );
        return fields(form, `${path}(${label}).`);
      });
      return [[own[0]!, 'one of', property.description ?? ''], ...forms];
    }
    const nested = property.items?.properties === undefined ? property : property.items;
    return [own, ...fields(nested, `${path}${nested === property ? '.' : '[].'}`)];
  });
}

function events(): string {
  const schema = readEventSchema();
  const heads = ['field', 'type', 'meaning'];
  const sections = Object.entries(schema.$defs ?? {}).map(
    ([name, definition]) =>
      `## ${name}\n\n${definition.description ?? ''}\n\n${table(heads, fields(definition))}`,
  );
  return `${note('api/events.schema.json')}# Events\n\n${schema.description ?? ''} The contract is [api/events.schema.json](../../api/events.schema.json).\n\n## On every line\n\n${table(heads, fields(schema))}\n${sections.join('\n')}`;
}

/** Path → text of every generated page. */
export function generateReference(): Record<string, string> {
  return {
    'docs/reference/errors.md': errors(),
    'docs/reference/metrics.md': metrics(),
    'docs/reference/events.md': events(),
  };
}

if (import.meta.main) {
  let drift = false;
  for (const [path, text] of Object.entries(generateReference())) {
    const file = join(root, path);
    if (!process.argv.includes('--check')) writeFileSync(file, text);
    else if (readFileSync(file, 'utf8') !== text) {
      drift = true;
      console.error(`${path} is not current: run this without --check`);
    }
  }
  if (drift) process.exit(1);
}
