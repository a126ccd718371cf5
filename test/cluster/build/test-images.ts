/** Images that stand in for stock ones, under their names: what workloads and databases in the tests run. */
import { copyFileSync, cpSync, mkdirSync, readdirSync, realpathSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build } from 'esbuild';
import { withBuildah } from './buildah.ts';
import { cached, inputsKey } from './cached.ts';
import { rootFileSystem } from './root-file-system.ts';

/** An image that can be loaded into a cluster. */
export interface BuiltImage {
  /** As a container names it. */
  readonly reference: string;
  readonly archive: string;
  /** Changes with the content. */
  readonly key: string;
}

const sources = join(import.meta.dirname, '..', 'images');
const shell = ['base-files', 'bash', 'dash', 'coreutils', 'grep', 'sed', 'findutils', 'procps'];
const network = ['curl', 'netcat-openbsd', 'iproute2'];
const userLand = [...shell, 'util-linux', 'ca-certificates', 'tzdata', ...network];

/** A PostgreSQL server and its clients; what it makes of its environment is in postgres/entrypoint.sh. */
export async function postgresImage(): Promise<BuiltImage> {
  const files = await rootFileSystem('postgres', [
    ...userLand,
    'postgresql-15',
    'postgresql-client-15',
  ]);
  return image({ name: 'postgres', reference: 'docker.io/library/postgres:15', files });
}

/** Node with a shell, and the PostgreSQL driver `pg` where every script finds it. */
export async function nodeImage(): Promise<BuiltImage> {
  const files = await rootFileSystem('node', [...userLand, 'libstdc++6', 'libgcc-s1']);
  return image({ name: 'node', reference: 'docker.io/library/node:24', files, prepare: addNode });
}

interface ImageSource {
  readonly name: string;
  readonly reference: string;
  /** The tar of its file system. */
  readonly files: string;
  readonly prepare?: (context: string) => void | Promise<void>;
}

async function image({ name, reference, files, prepare }: ImageSource): Promise<BuiltImage> {
  const directory = join(sources, name);
  const own = readdirSync(directory).map((file) => join(directory, file));
  const key = inputsKey({ texts: [process.version, reference, files], files: own });
  const built = await cached(`image-${name}`, key, (work) =>
    withBuildah(work, async (buildah, context) => {
      cpSync(directory, context, { recursive: true });
      copyFileSync(files, join(context, 'root.tar'));
      await prepare?.(context);
      buildah.build({ context, dockerfile: join(context, 'Dockerfile'), name: reference });
      buildah.save(reference, join(work, 'image.tar'), reference);
    }),
  );
  return { reference, archive: join(built, 'image.tar'), key };
}

async function addNode(context: string): Promise<void> {
  copyFileSync(realpathSync(process.execPath), join(context, 'node'));
  const driver = join(context, 'node_modules', 'pg');
  mkdirSync(driver, { recursive: true });
  writeFileSync(join(driver, 'package.json'), JSON.stringify({ name: 'pg', main: 'index.js' }));
  await build({
    stdin: { contents: "module.exports = require('pg')", resolveDir: import.meta.dirname },
    outfile: join(driver, 'index.js'),
    bundle: true,
    platform: 'node',
    format: 'cjs',
    external: ['pg-native', 'pg-cloudflare'],
  });
}
