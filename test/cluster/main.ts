/**
 * A cluster for development: `node test/cluster/main.ts up [--state DIR]`, `images [--only PROGRAM]` to build the
 * programs anew and load them, `down`. It keeps running until then; its kubeconfig is DIR/admin.kubeconfig.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory } from '../support/cache-directory.ts';
import { clusterBinaries } from './build/binaries.ts';
import { loadImages } from './build/load.ts';
import { ensurePrerequisites } from './build/prerequisites.ts';
import { type ImageProgram, programImages } from './build/program-images.ts';
import { timed } from './build/progress.ts';
import { nodeImage, postgresImage } from './build/test-images.ts';
import { down, up } from './node/cluster.ts';
import { kubeconfigPath, readState } from './node/state.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { state: { type: 'string' }, only: { type: 'string', multiple: true } },
});
const directory = resolve(values.state ?? cacheDirectory('cluster'));
switch (positionals[0]) {
  case 'up': {
    await ensurePrerequisites();
    const binaries = await clusterBinaries();
    const state = await timed('starting the cluster', () => up(directory, binaries));
    process.stdout.write(`export KUBECONFIG=${kubeconfigPath(state)}\n`);
    break;
  }
  case 'images': {
    const state = readState(directory);
    if (state === undefined) throw new Error(`no cluster is in ${directory}: start one with up`);
    const programs = await programImages(values.only as ImageProgram[] | undefined);
    const images = [...programs.values(), await postgresImage(), await nodeImage()];
    await loadImages(state, images);
    for (const { reference } of images) process.stdout.write(`${reference}\n`);
    break;
  }
  case 'down':
    await down(directory);
    break;
  default:
    process.stderr.write(
      'usage: node test/cluster/main.ts up|images|down [--state DIR] [--only PROGRAM]\n',
    );
    process.exitCode = 2;
}
