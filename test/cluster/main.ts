/**
 * A cluster for development: `node test/cluster/main.ts up [--state DIR]`, and `down`. It keeps running until then;
 * its kubeconfig is DIR/admin.kubeconfig.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { cacheDirectory } from '../support/cache-directory.ts';
import { down, up } from './node/cluster.ts';
import { kubeconfigPath } from './node/state.ts';

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { state: { type: 'string' } },
});
const directory = resolve(values.state ?? cacheDirectory('cluster'));
switch (positionals[0]) {
  case 'up': {
    const bin = '/tmp/lead-bin';
    const state = await up(directory, {
      components: `${bin}/components`,
      coredns: `${bin}/coredns`,
      pause: `${bin}/pause`,
    });
    process.stdout.write(`export KUBECONFIG=${kubeconfigPath(state)}\n`);
    break;
  }
  case 'down':
    await down(directory);
    break;
  default:
    process.stderr.write('usage: node test/cluster/main.ts up|down [--state DIR]\n');
    process.exitCode = 2;
}
