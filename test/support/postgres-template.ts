import { execFile, execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from './cache-directory.ts';
import type { OsUser, PostgresBinaries } from './postgres-binaries.ts';

export type AuthMethod = 'scram-sha-256' | 'md5' | 'trust';

export const superuser = 'postgres';

/** What initdb made, kept: `data` is copied for each start; the superuser's password was drawn once. */
export interface Template {
  readonly data: string;
  readonly password: string;
}

const run = promisify(execFile);

/** The cached output of initdb for these programs, made on first use (1–2 s). */
export async function template(binaries: PostgresBinaries, auth: AuthMethod): Promise<Template> {
  const args = initdbArguments(auth);
  const key = createHash('sha256')
    .update(JSON.stringify([binaries.build, binaries.user?.uid, args]))
    .digest('hex')
    .slice(0, 16);
  const directory = join(cacheDirectory('postgres'), `${binaries.version}-${key}`);
  if (!existsSync(directory)) await create(binaries, args, directory);
  return {
    data: join(directory, 'data'),
    password: readFileSync(join(directory, 'password'), 'utf8'),
  };
}

function initdbArguments(auth: AuthMethod): string[] {
  return [
    `--username=${superuser}`,
    `--auth=${auth}`,
    '--encoding=UTF8',
    '--locale=C',
    '--no-sync',
    '--no-instructions',
  ];
}

async function create(
  binaries: PostgresBinaries,
  args: readonly string[],
  directory: string,
): Promise<void> {
  // The cache may lie where the server's user cannot go: initdb works beside, and we move the result in.
  const work = mkdtempSync(join(tmpdir(), 'chaperone-initdb-'));
  const kept = mkdtempSync(`${directory}.`);
  try {
    const password = randomBytes(18).toString('base64url');
    const passwordFile = join(work, 'password');
    writeFileSync(passwordFile, password, { mode: 0o600 });
    give(work, binaries.user);
    give(passwordFile, binaries.user);
    await run(
      binaries.initdb,
      [...args, `--pwfile=${passwordFile}`, `--pgdata=${join(work, 'data')}`],
      { ...binaries.user, cwd: work },
    );
    copyData(join(work, 'data'), join(kept, 'data'));
    writeFileSync(join(kept, 'password'), password, { mode: 0o600 });
    chmodSync(kept, 0o700);
    try {
      renameSync(kept, directory);
    } catch (error) {
      if (!existsSync(directory)) throw error; // else another process was first, and its own serves
    }
  } finally {
    rmSync(work, { recursive: true, force: true });
    rmSync(kept, { recursive: true, force: true });
  }
}

/** Makes the server's user the owner, where that is another than ours. */
export function give(path: string, user: OsUser | undefined): void {
  if (user !== undefined) chownSync(path, user.uid, user.gid);
}

/** Copies a data directory with modes and owner, which PostgreSQL checks. */
export function copyData(from: string, to: string): void {
  execFileSync('cp', ['-R', '-p', from, to]);
}
