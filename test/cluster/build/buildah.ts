/** Images are built by buildah, which needs no engine, in a store of our own that goes with the cache. */
import { spawnSync } from 'node:child_process';
import { cacheDirectory } from '../../support/cache-directory.ts';

export interface ImageBuild {
  /** The directory that COPY takes from. */
  readonly context: string;
  readonly dockerfile: string;
  readonly buildArguments?: Readonly<Record<string, string>>;
  /** The name within the store; `FROM` and `saveImage` know it by this. */
  readonly name: string;
}

/** Builds one image. The same inputs give the same layers, so that images share those that are alike. */
export function buildImage({ context, dockerfile, buildArguments = {}, name }: ImageBuild): void {
  buildah(
    ...['build', '--isolation', 'chroot', '--layers', '--timestamp', '0', '--pull-never'],
    ...Object.entries(buildArguments).flatMap(([key, value]) => ['--build-arg', `${key}=${value}`]),
    ...['--file', dockerfile, '--tag', name, context],
  );
}

/** Writes an image to an archive, within which it is called `reference`. */
export function saveImage(name: string, archive: string, reference: string): void {
  buildah('push', name, `docker-archive:${archive}:${reference}`);
}

/** Empties the store: what is built is in archives. */
export function clearStore(): void {
  buildah('rmi', '--all', '--force');
}

function buildah(...args: readonly string[]): void {
  const store = cacheDirectory('cluster-buildah');
  const storage = ['--root', `${store}/root`, '--runroot', `${store}/run`];
  const { status, error, stderr, stdout } = spawnSync(
    'buildah',
    [...storage, '--storage-driver', 'overlay', ...args],
    { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] },
  );
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`buildah ${args.join(' ')} failed:\n${stdout}${stderr}`);
}
