/** Images are built by buildah, which needs no engine. */
import { spawnSync } from 'node:child_process';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';

export interface ImageBuild {
  /** The directory that COPY takes from. */
  readonly context: string;
  readonly dockerfile: string;
  readonly buildArguments?: Readonly<Record<string, string>>;
  /** What it is called in later builds' `FROM`, and by `save`. */
  readonly name: string;
}

export interface Buildah {
  /** Builds one image. The same inputs give the same layers, so that images share those that are alike. */
  build(image: ImageBuild): void;
  /** Writes an image to an archive, within which it is called `reference`. */
  save(name: string, archive: string, reference: string): void;
}

/**
 * Lends a build, which several images may take part in, an empty context directory within `work`, and a store that
 * no other build sees; both are gone afterwards.
 */
export async function withBuildah(
  work: string,
  action: (buildah: Buildah, context: string) => void | Promise<void>,
): Promise<void> {
  const store = join(work, 'store');
  const context = join(work, 'context');
  mkdirSync(context);
  try {
    await action(
      {
        build: ({ dockerfile, buildArguments = {}, name, context: from }) =>
          run(
            store,
            ...['build', '--isolation', 'chroot', '--layers', '--timestamp', '0', '--pull-never'],
            ...Object.entries(buildArguments).flatMap(([k, v]) => ['--build-arg', `${k}=${v}`]),
            ...['--file', dockerfile, '--tag', name, from],
          ),
        save: (name, archive, reference) =>
          run(store, 'push', name, `docker-archive:${archive}:${reference}`),
      },
      context,
    );
  } finally {
    for (const path of [store, context]) rmSync(path, { recursive: true, force: true });
  }
}

function run(store: string, ...args: readonly string[]): void {
  const storage = ['--root', join(store, 'root'), '--runroot', join(store, 'run')];
  const { status, error, stderr, stdout } = spawnSync(
    'buildah',
    [...storage, '--storage-driver', 'overlay', ...args],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`buildah ${args.join(' ')} failed:\n${stdout}${stderr}`);
}
