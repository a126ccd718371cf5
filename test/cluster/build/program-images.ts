import { spawnSync } from 'node:child_process';
import { copyFileSync, cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { withBuildah } from './buildah.ts';
import { cached, inputsKey } from './cached.ts';
import { timed } from './progress.ts';
import { rootFileSystem } from './root-file-system.ts';
import type { BuiltImage } from './test-images.ts';

const root = resolve(import.meta.dirname, '../../..');
/** What the registry's distroless image has. */
const basePackages = [
  'libc6',
  'libstdc++6',
  'libgcc-s1',
  'ca-certificates',
  'base-files',
  'tzdata',
];
const lockdownPackages = [...basePackages, 'iptables'];

/** The programs that have images, by the name of their bundle. */
export const imagePrograms = ['operator', 'sidecar', 'collector', 'chaperone', 'lockdown'] as const;
export type ImageProgram = (typeof imagePrograms)[number];

/** Bundles programs of the work tree and builds their images by the product's own Dockerfile. */
export async function programImages(
  programs: readonly ImageProgram[] = imagePrograms,
): Promise<ReadonlyMap<ImageProgram, BuiltImage>> {
  const work = mkdtempSync(join(tmpdir(), 'chaperone-images-'));
  try {
    const dist = join(work, 'dist');
    const only = programs.flatMap((program) => ['--only', program]);
    await timed('bundling the programs', () => bundle('--out', dist, '--with-node', ...only));
    const images = new Map<ImageProgram, BuiltImage>();
    for (const program of programs) images.set(program, await programImage(program, dist));
    return images;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

function bundle(...options: readonly string[]): void {
  const { status } = spawnSync(process.execPath, [join(root, 'scripts/build.ts'), ...options], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error('the programs cannot be bundled');
}

/** The tag is the content's key, so that an upgrade to a new build is one to Kubernetes too. */
async function programImage(program: ImageProgram, dist: string): Promise<BuiltImage> {
  const base = program === 'lockdown' ? 'lockdown-base' : 'base';
  const files = await rootFileSystem(
    base,
    program === 'lockdown' ? lockdownPackages : basePackages,
  );
  const dockerfile = join(root, 'Dockerfile');
  const carried = ['node', 'libpg-query.wasm', `${program}.mjs`].map((file) => join(dist, file));
  const key = inputsKey({ texts: [files], files: [dockerfile, ...carried] });
  const reference = `localhost/chaperone-${program}:${key}`;
  const built = await cached(`image-${program}`, key, (work) =>
    withBuildah(work, (buildah, context) => {
      copyFileSync(files, join(context, 'root.tar'));
      const baseDockerfile = join(import.meta.dirname, '../images/base/Dockerfile');
      const baseName = `localhost/chaperone-${base}`;
      buildah.build({ context, dockerfile: baseDockerfile, name: baseName });
      cpSync(dist, join(context, 'dist'), { recursive: true });
      const buildArguments = { BASE: baseName, PROGRAM: program };
      buildah.build({ context, dockerfile, buildArguments, name: reference });
      buildah.save(reference, join(work, 'image.tar'), reference);
    }),
  );
  return { reference, archive: join(built, 'image.tar'), key };
}
