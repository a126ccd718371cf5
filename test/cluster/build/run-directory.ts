import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { cacheDirectory } from '../../support/cache-directory.ts';
import { down } from '../node/cluster.ts';
import { runningPid, writePidFile } from '../node/processes.ts';
import { say } from './progress.ts';

const ownerFile = 'owner.pid';

/** A directory for the cluster of one run, marked as this process's. */
export function makeRunDirectory(): string {
  const directory = mkdtempSync(join(cacheDirectory('cluster-runs'), 'run-'));
  writePidFile(join(directory, ownerFile), process.pid);
  return directory;
}

/** Takes down the clusters of runs that were killed before they could do it themselves. */
export async function sweepRunDirectories(): Promise<void> {
  const parent = cacheDirectory('cluster-runs');
  for (const name of readdirSync(parent)) {
    const directory = join(parent, name);
    if (runningPid(join(directory, ownerFile)) !== undefined) continue;
    say(`removing what a killed run left in ${directory}`);
    await down(directory);
    rmSync(directory, { recursive: true, force: true }); // killed before there was a cluster
  }
}
