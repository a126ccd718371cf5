/**
 * `make test-cluster`: builds what is missing, starts a cluster, runs the tests, and leaves nothing behind. Exits with
 * 0 only when tests ran and passed. Further arguments go to Jest.
 *
 * CHAPERONE_TEST_KUBECONFIG  a cluster to use instead of an own one; with it
 * CHAPERONE_TEST_IMAGES      a JSON object: program → reference of an image that its nodes can pull
 * CHAPERONE_TEST_CLUSTER     directory of a cluster that `main.ts up` started: it is used, and kept
 * CHAPERONE_KEEP_CLUSTER=1   leaves the own cluster running until the next run
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { cacheDirectory } from '../support/cache-directory.ts';
import { clusterBinaries, helmBinary } from './build/binaries.ts';
import { loadImages } from './build/load.ts';
import { ensurePrerequisites, ensureTools } from './build/prerequisites.ts';
import { programImages } from './build/program-images.ts';
import { say, timed } from './build/progress.ts';
import { makeRunDirectory, sweepRunDirectories } from './build/run-directory.ts';
import { nodeImage, postgresImage } from './build/test-images.ts';
import { down, up } from './node/cluster.ts';
import { type ClusterState, kubeconfigPath, readState } from './node/state.ts';
import { type ClusterContext, contextVariable } from './support/context.ts';

const root = resolve(import.meta.dirname, '../..');
const jest = ['--experimental-vm-modules', '--disable-warning=ExperimentalWarning'];
const keptDiagnostics = 10;
const jestProgram = join(root, 'node_modules/jest/bin/jest.js');

/** Set by the first signal: what runs is ended, and the cluster taken down. */
let interruption: NodeJS.Signals | undefined;
let tests: ChildProcess | undefined;

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  process.on(signal, () => {
    interruption ??= signal;
    tests?.kill(signal);
  });
}

const started = performance.now();
try {
  process.exitCode = await main();
} catch (error) {
  say(error instanceof Error ? error.message : String(error));
  process.exitCode = 1;
}
say(`all of it: ${((performance.now() - started) / 60_000).toFixed(1)} min`);

async function main(): Promise<number> {
  const {
    CHAPERONE_TEST_KUBECONFIG: given,
    CHAPERONE_TEST_CLUSTER: running,
    CHAPERONE_KEEP_CLUSTER: keep,
  } = process.env;
  if (given !== undefined) {
    ensureTools();
    return runTests(await givenCluster(given));
  }
  await ensurePrerequisites();
  if (running !== undefined) {
    const state = readState(running);
    if (state === undefined) throw new Error(`no cluster is in ${running}`);
    return runTests(await ownContext(state));
  }
  await sweepRunDirectories();
  const binaries = await clusterBinaries();
  throwIfInterrupted();
  const directory = makeRunDirectory();
  try {
    const state = await timed('starting the cluster', () => up(directory, binaries));
    throwIfInterrupted();
    return await runTests(await ownContext(state));
  } finally {
    if (keep === '1') say(`kept: export KUBECONFIG=${join(directory, 'admin.kubeconfig')}`);
    else await timed('taking the cluster down', () => down(directory));
  }
}

/** Builds the images from the work tree and loads them. */
async function ownContext(state: ClusterState): Promise<ClusterContext> {
  const helm = await helmBinary();
  const programs = await programImages();
  await loadImages(state, [...programs.values(), await postgresImage(), await nodeImage()]);
  throwIfInterrupted();
  const references = [...programs].map(([name, image]) => [name, image.reference]);
  return {
    kubeconfig: kubeconfigPath(state),
    helm,
    images: Object.fromEntries(references) as ClusterContext['images'],
    diagnostics: diagnosticsDirectory(),
    state,
  };
}

async function givenCluster(kubeconfig: string): Promise<ClusterContext> {
  const images = process.env.CHAPERONE_TEST_IMAGES;
  if (images === undefined) {
    throw new Error(
      'CHAPERONE_TEST_KUBECONFIG needs CHAPERONE_TEST_IMAGES: {"operator": "registry.example.com/chaperone-operator:1", …}',
    );
  }
  return {
    kubeconfig: resolve(kubeconfig),
    helm: await helmBinary(),
    images: JSON.parse(images) as ClusterContext['images'],
    diagnostics: diagnosticsDirectory(),
  };
}

/** Runs Jest to its end and returns its exit code. */
async function runTests(context: ClusterContext): Promise<number> {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-cluster-'));
  const file = join(directory, 'context.json');
  writeFileSync(file, JSON.stringify(context));
  try {
    const options = ['--selectProjects', 'cluster', '--runInBand', ...process.argv.slice(2)];
    tests = spawn(process.execPath, [...jest, jestProgram, ...options], {
      cwd: root,
      env: { ...process.env, KUBECONFIG: context.kubeconfig, [contextVariable]: file },
      stdio: ['ignore', 'inherit', 'inherit'],
    });
    const code = await new Promise<number | null>((settle, reject) => {
      tests?.once('error', reject);
      tests?.once('exit', settle);
    });
    throwIfInterrupted();
    return code ?? 1;
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** For this run; those of the latest runs before it are kept. */
function diagnosticsDirectory(): string {
  const parent = cacheDirectory('cluster-diagnostics');
  const old = readdirSync(parent).sort().slice(0, -keptDiagnostics);
  for (const name of old) rmSync(join(parent, name), { recursive: true, force: true });
  return join(parent, new Date().toISOString().replaceAll(':', ''));
}

function throwIfInterrupted(): void {
  if (interruption !== undefined) throw new Error(`ended by ${interruption}`);
}
