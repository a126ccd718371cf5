import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, renameSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from './cache-directory.ts';

/** Exact pins: they key the cache, so a changed one makes a new environment. */
const psycopg = ['psycopg[binary]==3.3.9'];
const pools = [
  ...psycopg,
  'psycopg-binary==3.3.9',
  'psycopg-pool==3.3.3',
  'asyncpg==0.32.0',
  'SQLAlchemy==2.1.9',
  'greenlet==3.5.6',
  'Django==5.2.19',
  'asgiref==3.13.0',
  'sqlparse==0.6.1',
  'typing_extensions==4.16.0',
];

const run = promisify(execFile);

/** The Python of an environment with psycopg alone; see `pythonWith`. */
export function pythonWithPsycopg(): Promise<string | undefined> {
  return pythonWith(psycopg);
}

/** The Python of an environment with psycopg, its pool, asyncpg, SQLAlchemy and Django; see `pythonWith`. */
export function pythonWithPools(): Promise<string | undefined> {
  return pythonWith(pools);
}

/**
 * The Python of a virtual environment with these packages, made on first use in the cache directory (needs a
 * Python ≥ 3.10 with venv, and pip's index once). Undefined when this machine has no Python; any other
 * failure throws, so that a broken set-up does not pass for an absent one.
 */
async function pythonWith(requirements: readonly string[]): Promise<string | undefined> {
  let version: string;
  try {
    version = (await run('python3', ['-c', 'import sys; print(sys.version, sys.prefix)'])).stdout;
  } catch {
    return undefined;
  }
  const key = createHash('sha256')
    .update(JSON.stringify([version, requirements]))
    .digest('hex')
    .slice(0, 16);
  const directory = join(cacheDirectory('python'), key);
  const python = join(directory, 'bin', 'python');
  if (existsSync(python)) return python;
  const fresh = mkdtempSync(`${directory}.`);
  try {
    await run('python3', ['-m', 'venv', fresh]);
    // `-m pip` rather than bin/pip: the scripts name the directory that is about to be renamed.
    await run(join(fresh, 'bin', 'python'), ['-m', 'pip', 'install', '--quiet', ...requirements]);
    try {
      renameSync(fresh, directory);
    } catch (error) {
      if (!existsSync(python)) throw error; // else another process was first
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
  return python;
}
