/**
 * Writes what the chart takes from elsewhere: templates/crds/*.yaml from crds/, and README.md from the comments
 * of values.yaml. `--check` writes nothing and fails on drift.
 */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { type Document, isMap, isScalar, parse, parseDocument, type YAMLMap } from 'yaml';

const root = join(import.meta.dirname, '..');
const chart = 'charts/chaperone';

/** Path from the root → text, of every generated file of the chart. */
export function generateChart(): Record<string, string> {
  const files: Record<string, string> = {};
  for (const name of readdirSync(join(root, 'crds')).filter((file) => file.endsWith('.yaml'))) {
    files[`${chart}/templates/crds/${name}`] = crdTemplate(
      readFileSync(join(root, 'crds', name), 'utf8'),
      name,
    );
  }
  files[`${chart}/README.md`] = readme(readFileSync(join(root, chart, 'values.yaml'), 'utf8'));
  return files;
}

/** The definition as it is, under the chart's switches. The text is kept: parsing would turn large integers into floats. */
function crdTemplate(text: string, name: string): string {
  if (text.includes('{{'))
    throw new Error(`crds/${name} has template braces, which Helm would read`);
  const body = text.replace(/^(#.*\n)+/, '');
  const marked = body.replace(
    /^metadata:\n/m,
    `metadata:
  labels:
    {{- include "chaperone.labels" . | nindent 4 }}
  {{- if .Values.crds.keep }}
  annotations:
    helm.sh/resource-policy: keep
  {{- end }}
`,
  );
  if (marked === body) throw new Error(`crds/${name} has no metadata`);
  return `{{- /* From crds/${name} by scripts/generate-chart.ts. Do not edit. */ -}}\n{{- if .Values.crds.enabled }}\n${marked.trimEnd()}\n{{- end }}\n`;
}

interface ValueRow {
  readonly key: string;
  readonly defaultText: string;
  readonly description: string;
}

/** The values that have a comment `# -- …`, in their order. */
export function documentedValues(text: string): ValueRow[] {
  const document: Document = parseDocument(text);
  const rows: ValueRow[] = [];
  const visit = (map: YAMLMap, path: readonly string[]) => {
    map.items.forEach((pair, index) => {
      if (!isScalar(pair.key)) return;
      const key = [...path, String(pair.key.value)];
      // The parser gives a map's own first comment to the map.
      const comment = pair.key.commentBefore ?? (index === 0 ? map.commentBefore : undefined) ?? '';
      const [, description] = /(?:^|\n) -- ([\s\S]*)$/.exec(comment) ?? [];
      if (description !== undefined) {
        rows.push({
          key: key.join('.'),
          defaultText: JSON.stringify(document.getIn(key)),
          description: description.replaceAll(/\s+/g, ' ').trim(),
        });
      } else if (isMap(pair.value)) visit(pair.value, key);
    });
  };
  if (isMap(document.contents)) visit(document.contents, []);
  return rows;
}

function readme(valuesText: string): string {
  const { description, version, kubeVersion } = parse(
    readFileSync(join(root, chart, 'Chart.yaml'), 'utf8'),
  ) as Record<string, string>;
  const cell = (text: string) => text.replaceAll('|', '\\|');
  const rows = documentedValues(valuesText).map(
    ({ key, defaultText, description: what }) =>
      `| \`${key}\` | \`${cell(defaultText)}\` | ${cell(what)} |\n`,
  );
  return `<!-- Written by scripts/generate-chart.ts from Chart.yaml and values.yaml. Do not edit. -->

# Chaperone's chart

${description}. Chart ${version}, for Kubernetes ${kubeVersion!.replace('-0', '')} (tested on 1.34), Helm 4.

[Installing](../../docs/guide/installing.md) takes it from here; \`values-ha.yaml\` is for production. A cluster has
one installation: its names are fixed.

| Value | Default | |
| --- | --- | --- |
${rows.join('')}`;
}

if (import.meta.main) {
  const check = process.argv.includes('--check');
  for (const [path, text] of Object.entries(generateChart())) {
    const file = join(root, path);
    if (check) {
      if (readFileSync(file, 'utf8') !== text) {
        process.stderr.write(`${path} is not what its source gives: make chart\n`);
        process.exitCode = 1;
      }
      continue;
    }
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, text);
  }
}
