import { existsSync, globSync, readdirSync, readFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import type { MetricEntry } from '@chaperone/runtime/metrics/catalogue.ts';
import * as catalogue from '@chaperone/runtime/metrics/catalogue.ts';
import { describe, expect, test } from '@jest/globals';
import { Ajv } from 'ajv';
import { parse } from 'yaml';
import { documentedValues, generateChart } from '../../scripts/generate-chart.ts';

const root = join(import.meta.dirname, '../..');
const chart = join(root, 'charts/chaperone');
const read = (path: string): string => readFileSync(path, 'utf8');

test.each(Object.entries(generateChart()))('%s is what its source gives', (path, text) => {
  expect(existsSync(join(root, path)) ? read(join(root, path)) : '').toBe(text);
});

test('the chart has no definition that crds/ does not have', () => {
  expect(readdirSync(join(chart, 'templates/crds'))).toEqual(readdirSync(join(root, 'crds')));
});

describe('values', () => {
  const schema = JSON.parse(read(join(chart, 'values.schema.json'))) as SchemaNode;
  const valuesText = read(join(chart, 'values.yaml'));
  const validate = new Ajv({ strict: true, allowUnionTypes: true }).compile(schema);

  test.each(['values.yaml', 'values-ha.yaml', ...globSync('ci/*.yaml', { cwd: chart })])(
    '%s is valid',
    (file) => {
      validate(parse(read(join(chart, file))));
      expect(validate.errors ?? []).toEqual([]);
    },
  );

  test.each([
    [{ webhok: {} }],
    [{ webhook: { replica: 2 } }],
    [{ image: { pullPolicy: 'Sometimes' } }],
    [{ controllers: { replicas: 0 } }],
    [{ targetNamespaces: ['Data'] }],
    [{ governance: { allowedHosts: ['orders.example.com'] } }],
    [{ governance: { oidcIssuers: ['ci=http://issuer.example.com'] } }],
    [{ gateway: { enabled: true, targets: [] } }],
    [{ gateway: { targets: [{ namespace: 'data', name: 'orders-db' }] } }],
    [{ prometheusRule: { enabled: true, runbookUrl: '' } }],
    [{ certificates: { provider: 'None' } }],
    [{ images: { sidecar: { digest: 'latest' } } }],
  ])('%j is refused', (values) => {
    expect(validate(values)).toBe(false);
  });

  test('schema and values have the same keys', () => {
    expect(
      keysOfSchema(schema)
        .filter((key) => key !== 'global')
        .sort(),
    ).toEqual(keysOfValues(parse(valuesText), schema).sort());
  });

  test('every value is described', () => {
    const described = documentedValues(valuesText).map(({ key }) => key);
    const undescribed = keysOfValues(parse(valuesText), schema).filter(
      (key) => !described.some((known) => key === known || key.startsWith(`${known}.`)),
    );
    expect(undescribed).toEqual([]);
  });

  test('no template reads a value that does not exist', () => {
    const known = keysOfValues(parse(valuesText), schema);
    const used = globSync('templates/**/*.{yaml,tpl,txt}', { cwd: chart }).flatMap((file) =>
      [...read(join(chart, file)).matchAll(/\.Values\.([\w.]+)/g)].map(([, key]) => key!),
    );
    expect(used.length).toBeGreaterThan(50);
    expect(
      used.filter((key) => !known.some((path) => path === key || path.startsWith(`${key}.`))),
    ).toEqual([]);
  });
});

describe('monitoring', () => {
  const alerts = (parse(read(join(chart, 'files/alerts.yaml'))) as AlertFile).groups.flatMap(
    ({ rules }) => rules,
  );
  const dashboards = globSync('files/dashboards/*.json', { cwd: chart });

  test.each(alerts)('$alert asks for metrics that exist', ({ expr }) => {
    expect(unknownMetrics(expr)).toEqual([]);
  });

  test.each(alerts)('$alert has a runbook, a severity and a text', (alert) => {
    const page = kebabCase(alert.alert.replace(/^Chaperone/, ''));
    const file = join(root, `docs/runbooks/${page}.md`);
    expect([file, existsSync(file)]).toEqual([file, true]);
    expect(read(file)).toMatch(new RegExp(`^# ${alert.alert}\n`));
    expect(read(join(root, 'docs/runbooks/README.md'))).toContain(
      `| \`${alert.alert}\` | ${alert.labels.severity} | [${page}](${page}.md) |`,
    );
    expect(['warning', 'critical']).toContain(alert.labels.severity);
    expect(alert.annotations.summary && alert.annotations.description).toBeTruthy();
  });

  test('every runbook is of an alert', () => {
    const pages = readdirSync(join(root, 'docs/runbooks')).filter((name) => name !== 'README.md');
    expect(pages.sort()).toEqual(
      alerts.map(({ alert }) => `${kebabCase(alert.replace(/^Chaperone/, ''))}.md`).sort(),
    );
  });

  test.each(dashboards)('%s asks for metrics that exist', (file) => {
    const dashboard = JSON.parse(read(join(chart, file))) as Dashboard;
    const expressions = dashboard.panels.flatMap(({ targets }) => targets ?? []);
    expect(expressions.length).toBeGreaterThan(10);
    expect(expressions.flatMap(({ expr }) => unknownMetrics(expr))).toEqual([]);
    expect(dashboard.uid).toBe(`chaperone-${basename(file, '.json')}`);
    const ids = dashboard.panels.map(({ id }) => id);
    expect(new Set(ids).size).toBe(ids.length);
  });
});

interface SchemaNode {
  readonly properties?: Readonly<Record<string, SchemaNode>>;
}

/** Paths of the leaves: what is no object with known properties. */
function keysOfSchema(node: SchemaNode, path: readonly string[] = []): string[] {
  if (node.properties === undefined) return [path.join('.')];
  return Object.entries(node.properties).flatMap(([key, child]) =>
    keysOfSchema(child, [...path, key]),
  );
}

/** The same paths by the values; `issuerRef: {}` stands for its properties. */
function keysOfValues(value: unknown, node: SchemaNode, path: readonly string[] = []): string[] {
  if (node.properties === undefined) return [path.join('.')];
  const entries = Object.entries(value as Record<string, unknown>);
  if (entries.length === 0) return keysOfSchema(node, path);
  return entries.flatMap(([key, child]) =>
    keysOfValues(child, node.properties![key] ?? {}, [...path, key]),
  );
}

interface AlertFile {
  readonly groups: readonly { readonly rules: readonly Alert[] }[];
}

interface Alert {
  readonly alert: string;
  readonly expr: string;
  readonly labels: { readonly severity: string };
  readonly annotations: { readonly summary: string; readonly description: string };
}

interface Dashboard {
  readonly uid: string;
  readonly panels: readonly {
    readonly id: number;
    readonly targets?: readonly { readonly expr: string }[];
  }[];
}

/** `WebhookDown` → `webhook-down`, as the chart's template has it. */
function kebabCase(name: string): string {
  return name.replaceAll(/(?<!^)(?=[A-Z])/g, '-').toLowerCase();
}

/** What an expression of Prometheus names, or selects by, that no program has. */
function unknownMetrics(expression: string): string[] {
  const metrics = new Map(
    Object.values(catalogue)
      .filter((value) => typeof value === 'object')
      .flatMap((entries) => Object.values(entries as Record<string, MetricEntry>))
      .map((entry) => [entry.name, entry]),
  );
  const problems: string[] = [];
  const selector = /\b([a-z_]+)\b(?:\{([^}]*)\})?(?:\[[^\]]*\])?(?=[\s)/*+>=-]|$)/g;
  const ungrouped = expression.replaceAll(/\s*\b(?:by|without)\s*\([^)]*\)\s*/g, '');
  for (const [, name, labels] of ungrouped.matchAll(selector)) {
    if (name === 'up' || ['and', 'or', 'unless'].includes(name!)) continue;
    const entry = metrics.get(name!) ?? metrics.get(name!.replace(/_(bucket|sum|count)$/, ''));
    if (entry === undefined) {
      problems.push(name!);
      continue;
    }
    for (const [, label, text] of (labels ?? '').matchAll(/(\w+)!?=~?"([^"]*)"/g)) {
      if (['job', 'namespace', 'pod'].includes(label!)) continue;
      const values = entry.labels[label!];
      const known = (value: string) => values?.length === 0 || values?.includes(value);
      if (!text!.split('|').every(known)) problems.push(`${name}{${label}="${text}"}`);
    }
  }
  return problems;
}
