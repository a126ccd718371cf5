/**
 * One ESM bundle per program in dist/ (or `--out DIR`), beside them what they load at run time, and the
 * licences of what is bundled. `--with-node` adds Node itself, for images; `--only PROGRAM` leaves out the others.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  writeFileSync,
} from 'node:fs';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { build, type Metafile } from 'esbuild';

const root = resolve(import.meta.dirname, '..');
/** Program → entry point. One that does not exist yet is left out. */
const programs = {
  chaperone: 'cli/src/main.ts',
  sidecar: 'sidecar/src/main.ts',
  collector: 'collector/src/main.ts',
  operator: 'operator/src/main.ts',
  lockdown: 'sidecar/src/lockdown/main.ts',
};

/** CommonJS packages within the bundle expect these. */
const banner = `#!/usr/bin/env node
import { createRequire as chaperoneCreateRequire } from 'node:module';
const require = chaperoneCreateRequire(import.meta.url);
const __filename = import.meta.filename;
const __dirname = import.meta.dirname;`;

const { values } = parseArgs({
  options: {
    out: { type: 'string' },
    only: { type: 'string', multiple: true },
    'with-node': { type: 'boolean', default: false },
  },
});
const out = resolve(values.out ?? join(root, 'dist'));
const entryPoints = Object.fromEntries(
  Object.entries(programs)
    .filter(([name]) => values.only?.includes(name) ?? true)
    .filter(([, entry]) => existsSync(join(root, entry))),
);
mkdirSync(out, { recursive: true });
const { metafile } = await build({
  absWorkingDir: root,
  entryPoints,
  outdir: out,
  outExtension: { '.js': '.mjs' },
  bundle: true,
  platform: 'node',
  target: 'node24',
  format: 'esm',
  banner: { js: banner },
  // The Kubernetes client is 16 MB of generated code, more than half of it indentation. Names stay for stack traces,
  // and lines short enough to point at something.
  minifyWhitespace: true,
  lineLimit: 200,
  sourcemap: true,
  legalComments: 'none', // all licences stand in one file
  logLevel: 'warning',
  metafile: true,
});
copyFileSync(
  join(root, 'node_modules/libpg-query/wasm/libpg-query.wasm'),
  join(out, 'libpg-query.wasm'),
);
writeFileSync(join(out, 'THIRD-PARTY-LICENSES.txt'), licences(metafile));
if (values['with-node']) copyNode();
for (const program of Object.keys(entryPoints)) {
  const { bytes } =
    metafile.outputs[
      Object.keys(metafile.outputs).find((path) => path.endsWith(`/${program}.mjs`))!
    ]!;
  process.stdout.write(`${join(out, `${program}.mjs`)}  ${(bytes / 1e6).toFixed(1)} MB\n`);
}

/** The Node that runs this, without the symbols that only a debugger needs where `strip` is installed: 18 MB less. */
function copyNode(): void {
  const node = join(out, 'node');
  const { status } = spawnSync('strip', ['-o', node, realpathSync(process.execPath)]);
  if (status !== 0) copyFileSync(realpathSync(process.execPath), node);
  chmodSync(node, 0o755);
}

/** Name, version and licence text of every package that is in a bundle. */
function licences({ inputs }: Metafile): string {
  const packages = new Set(
    Object.keys(inputs).flatMap(
      (path) => /^(.*node_modules\/(?:@[^/]+\/)?[^/]+)\//.exec(path)?.[1] ?? [],
    ),
  );
  return [...packages]
    .sort()
    .map((path) => {
      const directory = join(root, path);
      const { name, version, license } = JSON.parse(
        readFileSync(join(directory, 'package.json'), 'utf8'),
      ) as Record<string, string>;
      const file = readdirSync(directory).find((entry) => /^(licen[cs]e|copying)/i.test(entry));
      const text = file === undefined ? '' : readFileSync(join(directory, file), 'utf8').trim();
      return `${name} ${version} (${license})\n\n${text}\n`;
    })
    .join(`\n${'-'.repeat(80)}\n\n`);
}
