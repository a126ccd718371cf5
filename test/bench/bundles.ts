/** The programs as they are shipped: bundled by scripts/build.ts, and a gateway alone beside them. */
import { execFileSync } from 'node:child_process';
import { join, resolve } from 'node:path';
import { build } from 'esbuild';

const root = resolve(import.meta.dirname, '../..');

export interface Bundles {
  /** Holds all of them. */
  readonly directory: string;
  /** `chaperone standalone`. */
  readonly chaperone: string;
  /** The data path alone: see gateway-child.ts. */
  readonly gateway: string;
}

/** Makes both in `directory`. */
export async function makeBundles(directory: string): Promise<Bundles> {
  execFileSync(process.execPath, [join(root, 'scripts/build.ts'), '--out', directory], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const gateway = join(directory, 'gateway.mjs');
  await build({
    entryPoints: [join(import.meta.dirname, 'gateway-child.ts')],
    outfile: gateway,
    bundle: true,
    platform: 'node',
    target: 'node24',
    format: 'esm',
    banner: {
      js: `import { createRequire } from 'node:module';
const require = createRequire(import.meta.url);
const __filename = import.meta.filename;
const __dirname = import.meta.dirname;`,
    },
    sourcemap: true,
    legalComments: 'none',
    logLevel: 'warning',
  });
  return { directory, chaperone: join(directory, 'chaperone.mjs'), gateway };
}
