import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * A directory outside the work tree that survives between runs, made when missing
 * (XDG Base Directory Specification: `$XDG_CACHE_HOME`, else `~/.cache`).
 */
export function cacheDirectory(name: string): string {
  const base = process.env.XDG_CACHE_HOME || join(homedir(), '.cache');
  const directory = join(base, 'chaperone', name);
  mkdirSync(directory, { recursive: true, mode: 0o700 });
  return directory;
}
