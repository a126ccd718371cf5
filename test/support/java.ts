import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import { cacheDirectory } from './cache-directory.ts';

const project = resolve(import.meta.dirname, '../drivers/java/pom.xml');

/** SHA-256 of what pom.xml leads to; checker-qual comes with the driver, slf4j-api with the pool. */
const jars: Readonly<Record<string, string>> = {
  'HikariCP-7.1.0.jar': '2be45c641b841e81df87292e181f2c203500c5f0e9a1676f135927387f3cf40b',
  'checker-qual-3.55.1.jar': '857658c8bdcbff794949a8d9922f88d63ee3751c203c7cd7d21ea97f9e745288',
  'postgresql-42.7.14.jar': '73914527305a40cce504b0d3d90b23caf565136912d607ae8ae7c5895512332c',
  'slf4j-api-2.0.17.jar': '7b751d952061954d5abfed7181c1f645d336091b679891591d63329c622eb832',
  'slf4j-nop-2.0.17.jar': '3716f83649ec66161a2edefd4f49df34d1dd1c51cdcf941996c6987260f0a829',
};

const run = promisify(execFile);

/**
 * Arguments for `java` that run a source file with pgjdbc and HikariCP; the jars come from Maven's repository
 * once, into the cache directory. Undefined when this machine has no Java or no Maven; any other failure, a
 * jar with another checksum included, throws.
 */
export async function javaWithPgjdbc(): Promise<readonly string[] | undefined> {
  try {
    await run('java', ['-version']);
    await run('mvn', ['--version']);
  } catch {
    return undefined;
  }
  const key = createHash('sha256')
    .update(JSON.stringify(jars))
    .update(readFileSync(project))
    .digest('hex')
    .slice(0, 16);
  const directory = join(cacheDirectory('java'), key);
  if (!existsSync(directory)) await fetchJars(directory);
  const classpath = Object.keys(jars).map((name) => join(directory, name));
  return ['-Xshare:auto', '-XX:TieredStopAtLevel=1', '-cp', classpath.join(':')];
}

async function fetchJars(directory: string): Promise<void> {
  const fresh = mkdtempSync(`${directory}.`);
  try {
    const options = [`-DoutputDirectory=${fresh}`, '-DincludeScope=runtime'];
    await run('mvn', ['-q', '-B', '-f', project, 'dependency:copy-dependencies', ...options]);
    const found = readdirSync(fresh)
      .sort()
      .map((name) => [name, sha256(join(fresh, name))]);
    if (JSON.stringify(found) !== JSON.stringify(Object.entries(jars))) {
      throw new Error(`other jars than expected: ${JSON.stringify(found)}`);
    }
    try {
      renameSync(fresh, directory);
    } catch (error) {
      if (!existsSync(directory)) throw error; // else another process was first
    }
  } finally {
    rmSync(fresh, { recursive: true, force: true });
  }
}

function sha256(path: string): string {
  return createHash('sha256').update(readFileSync(path)).digest('hex');
}
