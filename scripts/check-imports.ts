/**
 * Fails when an import points the wrong way:
 * core ← runtime ← {sidecar, collector, control} ← {operator, cli}; protocols never import one another;
 * core does no I/O and knows no Kubernetes client.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, resolve } from 'node:path';

const root = resolve(import.meta.dirname, '..');
const mayImport: Record<string, readonly string[]> = {
  core: [],
  runtime: ['core'],
  sidecar: ['core', 'runtime'],
  collector: ['core', 'runtime'],
  control: ['core', 'runtime'],
  operator: ['core', 'runtime', 'control'],
  cli: ['core', 'runtime', 'control', 'sidecar', 'collector'],
};
const effects =
  /^node:(fs|net|tls|http|https|http2|dns|dgram|child_process|worker_threads|sqlite|timers|os)/;
const importPattern = /(?:\bfrom|\bimport)\s*\(?\s*['"]([^'"]+)['"]/g;

function* sources(directory: string): Generator<string> {
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) yield* sources(path);
    else if (entry.name.endsWith('.ts')) yield path;
  }
}

/** The reason why `specifier` may not be imported by `file`, or undefined. */
function violation(workspace: string, file: string, specifier: string): string | undefined {
  const allowed = mayImport[workspace] ?? [];
  const isTest = file.endsWith('.test.ts');
  const ours = /^@chaperone\/([^/]+)/.exec(specifier)?.[1];
  if (ours !== undefined && ours !== workspace && !allowed.includes(ours)) {
    return `${workspace} may import only ${allowed.join(', ') || 'nothing of ours'}`;
  }
  if (specifier.startsWith('.')) {
    const target = relative(root, resolve(file, '..', specifier));
    if (target.split('/')[0] !== workspace) return 'a relative import may not leave its workspace';
    const from = /\/protocols\/([^/]+)\//.exec(file)?.[1];
    const to = /\/protocols\/([^/]+)\//.exec(target)?.[1];
    if (from && to && from !== to) return 'protocols never import one another';
  }
  if (workspace === 'core' && !isTest && effects.test(specifier)) return 'core does no I/O';
  if (workspace !== 'operator' && specifier.startsWith('@kubernetes/')) {
    return 'only the operator knows Kubernetes';
  }
  return undefined;
}

let failures = 0;
for (const workspace of Object.keys(mayImport)) {
  const directory = join(root, workspace, 'src');
  let files: string[];
  try {
    files = [...sources(directory)];
  } catch {
    continue; // a workspace that does not exist yet
  }
  for (const file of files) {
    for (const [, specifier] of readFileSync(file, 'utf8').matchAll(importPattern)) {
      const reason = violation(workspace, file, specifier!);
      if (reason === undefined) continue;
      failures += 1;
      console.error(`${relative(root, file)}: imports ${specifier}: ${reason}`);
    }
  }
}
if (failures > 0) process.exit(1);
