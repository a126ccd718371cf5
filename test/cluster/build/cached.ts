import { createHash } from 'node:crypto';
import {
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  utimesSync,
} from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../support/cache-directory.ts';
import { timed } from './progress.ts';

/** How many builds of one thing are kept, by last use. */
const keptBuilds = 2;

/** A key for `cached`: names and the contents of files, or whatever else the result depends on. */
export function inputsKey(inputs: {
  texts?: readonly string[];
  files?: readonly string[];
}): string {
  const hash = createHash('sha256');
  for (const text of inputs.texts ?? []) hash.update(`${text.length}:${text}`);
  for (const file of inputs.files ?? [])
    hash.update(createHash('sha256').update(readFileSync(file)).digest());
  return hash.digest('hex').slice(0, 20);
}

/**
 * The directory that `build` filled for this key, now or in an earlier run. It appears under its name only when it is
 * complete, so a killed build leaves nothing that is taken for one.
 */
export async function cached(
  name: string,
  key: string,
  build: (directory: string) => void | Promise<void>,
): Promise<string> {
  const parent = cacheDirectory(`cluster-${name}`);
  const directory = join(parent, key);
  if (!existsSync(directory)) {
    const work = mkdtempSync(join(parent, '.building-'));
    try {
      await timed(`building ${name}`, () => build(work));
      if (!existsSync(directory)) renameSync(work, directory);
    } finally {
      rmSync(work, { recursive: true, force: true });
    }
  }
  utimesSync(directory, new Date(), new Date());
  prune(parent);
  return directory;
}

function prune(parent: string): void {
  const builds = readdirSync(parent)
    .filter((name) => !name.startsWith('.'))
    .map((name) => join(parent, name))
    .map((path) => ({ path, usedAtMs: statSync(path).mtimeMs }))
    .sort((a, b) => b.usedAtMs - a.usedAtMs);
  for (const { path } of builds.slice(keptBuilds)) rmSync(path, { recursive: true, force: true });
}
