import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from './cache-directory.ts';

const run = promisify(execFile);

/**
 * The program whose source is in `directory`, built on first use into the cache directory (needs Go, and its
 * module proxy once; go.sum pins what is built). Undefined when this machine has no Go; any other failure
 * throws, so that a broken set-up does not pass for an absent one.
 */
export async function goProgram(directory: string): Promise<string | undefined> {
  let version: string;
  try {
    version = (await run('go', ['version'], { cwd: '/' })).stdout;
  } catch {
    return undefined;
  }
  const hash = createHash('sha256').update(version);
  for (const name of readdirSync(directory).sort()) {
    hash.update(name).update(readFileSync(join(directory, name)));
  }
  const cache = cacheDirectory('go');
  const program = join(cache, hash.digest('hex').slice(0, 16));
  if (existsSync(program)) return program;
  const fresh = mkdtempSync(`${program}.`);
  try {
    const built = join(fresh, 'program');
    await run('go', ['build', '-mod=readonly', '-o', built, '.'], { cwd: directory });
    renameSync(built, program);
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return program;
}
