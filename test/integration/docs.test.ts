import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ownReasons } from '@chaperone/cli/kubernetes/breakage.ts';
import { parseCases } from '@chaperone/cli/policy/case-file.ts';
import { podReasons } from '@chaperone/control/governance/judge-pod.ts';
import { formatPlaced } from '@chaperone/control/store/directory-store.ts';
import { loadDirectory } from '@chaperone/control/store/load-directory.ts';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { parseAllDocuments, stringify } from 'yaml';

const root = resolve(import.meta.dirname, '../..');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'charts/chaperone/README.md',
  ...[
    'docs',
    'docs/guide',
    'docs/adr',
    'docs/runbooks',
    'examples/quickstart',
    'examples/kubernetes',
  ].flatMap((folder) =>
    readdirSync(join(root, folder))
      .filter((name) => name.endsWith('.md'))
      .map((name) => `${folder}/${name}`),
  ),
];

let directory: string;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-docs-'));
});

afterEach(() => {
  rmSync(directory, { recursive: true, force: true });
});

test.each(documents)('every link and every path that %s names leads somewhere', (document) => {
  const text = readFileSync(join(root, document), 'utf8');
  for (const [, target] of text.matchAll(/\]\(([^)#]+)(?:#[^)]*)?\)/g)) {
    if (/^[a-z]+:/.test(target!)) continue;
    expect([target, existsSync(resolve(root, dirname(document), target!))]).toEqual([target, true]);
  }
  for (const [, path] of text.matchAll(
    /`((?:core|runtime|control|sidecar|collector|cli|test|docs|examples)\/[\w./-]*)`/g,
  )) {
    expect([path, existsSync(join(root, path!))]).toEqual([path, true]);
  }
});

test.each(['README.md', 'docs/guide/standalone.md'])(
  'the resources of %s are valid',
  (document) => {
    const text = readFileSync(join(root, document), 'utf8');
    const blocks = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].map(([, block]) => block!);
    expect(blocks.join('')).toContain('kind: Target');
    writeFileSync(join(directory, 'all.yaml'), blocks.join('---\n'), { mode: 0o600 });
    const { problems } = loadDirectory(directory, Date.now());
    expect(problems.map(formatPlaced)).toEqual([]);
  },
);

test.each(['onboarding', 'gateway'])('the YAML of docs/guide/%s.md is valid', (page) => {
  const text = readFileSync(join(root, `docs/guide/${page}.md`), 'utf8');
  const documents = [...text.matchAll(/```yaml\n([\s\S]*?)```/g)].flatMap(([, block]) =>
    parseAllDocuments(block!).map((document) => document.toJS() as { apiVersion?: string }),
  );
  expect(documents.length).toBeGreaterThan(0);
  const ours = documents.filter(({ apiVersion }) => apiVersion === 'chaperone.dev/v1alpha1');
  writeFileSync(join(directory, 'all.yaml'), ours.map((one) => stringify(one)).join('---\n'));
  const { problems } = loadDirectory(directory, Date.now());
  const errors = problems.filter(({ severity }) => severity === 'Error');
  expect(errors.map(formatPlaced)).toEqual([]);
});

test('the guide of kubectl chaperone tells of every finding', () => {
  const text = readFileSync(join(root, 'docs/guide/kubectl-plugin.md'), 'utf8');
  for (const reason of [...ownReasons, ...podReasons]) expect(text).toContain(`\`${reason}\``);
});

test('the cases of the guide are cases', () => {
  const file = 'docs/guide/policies-and-masking.md';
  const [, cases] = /```yaml\n(- name:[\s\S]*?)```/.exec(readFileSync(join(root, file), 'utf8'))!;
  expect(parseCases(cases!, file)).toHaveLength(2);
});
