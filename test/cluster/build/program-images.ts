import { execFileSync } from 'node:child_process';
import { copyFileSync, cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { buildImage, saveImage } from './buildah.ts';
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
export type ProgramImages = Readonly<Record<ImageProgram, BuiltImage>>;

/** Bundles the programs of the work tree and builds their images by the product's own Dockerfile. */
export async function programImages(): Promise<ProgramImages> {
  const work = mkdtempSync(join(tmpdir(), 'chaperone-images-'));
  try {
    const dist = join(work, 'dist');
    await timed('bundling the programs', () => {
      execFileSync(process.execPath, [
        join(root, 'scripts/build.ts'),
        '--out',
        dist,
        '--with-node',
      ]);
    });
    const images: Partial<Record<ImageProgram, BuiltImage>> = {};
    for (const program of imagePrograms) {
      if (existsSync(join(dist, `${program}.mjs`)))
        images[program] = await programImage(program, dist);
    }
    return images as ProgramImages;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
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
  const built = await cached(`image-${program}`, key, (work) => {
    const context = join(work, 'context');
    mkdirSync(context);
    copyFileSync(files, join(context, 'root.tar'));
    const store = `localhost/chaperone/${base}`;
    buildImage({
      context,
      dockerfile: join(import.meta.dirname, '../images/base/Dockerfile'),
      name: store,
    });
    rmSync(context, { recursive: true });
    mkdirSync(context);
    cpSync(dist, join(context, 'dist'), { recursive: true });
    const name = `localhost/chaperone/${program}`;
    buildImage({ context, dockerfile, name, buildArguments: { BASE: store, PROGRAM: program } });
    saveImage(name, join(work, 'image.tar'), reference);
    rmSync(context, { recursive: true });
  });
  return { reference, archive: join(built, 'image.tar'), key };
}
