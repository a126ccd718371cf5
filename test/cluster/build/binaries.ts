import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import type { ClusterBinaries } from '../node/state.ts';
import { cached, inputsKey } from './cached.ts';

/** The version of the modules in binaries/go.mod: the components print it. */
const kubernetesVersion = 'v1.34.4';
const tools = {
  helm: 'helm.sh/helm/v4/cmd/helm@v4.3.1',
  coredns: 'github.com/coredns/coredns@v1.15.0',
} as const;

const sources = join(import.meta.dirname, '..', 'binaries');
const environment = { ...process.env, CGO_ENABLED: '0', GOFLAGS: '-buildvcs=false -trimpath' };
const stripped = '-s -w';

/** Builds what is not in the cache: about a quarter of an hour on two cores at first, nothing later. */
export async function clusterBinaries(): Promise<ClusterBinaries> {
  const components = await goBuild('components', '.', [...['go.mod', 'go.sum', 'main.go']]);
  const pause = await goBuild('pause', './pause', ['go.mod', 'pause/main.go']);
  return { components, pause, coredns: await goInstall('coredns') };
}

/** The path of Helm, built like the cluster's programs. */
export async function helmBinary(): Promise<string> {
  return goInstall('helm');
}

async function goBuild(name: string, path: string, files: readonly string[]): Promise<string> {
  const [, major, minor] = /^v(\d+)\.(\d+)/.exec(kubernetesVersion)!;
  const version = { gitVersion: kubernetesVersion, gitMajor: major, gitMinor: minor };
  const flags = [
    stripped,
    ...Object.entries(version).map(
      ([key, value]) => `-X k8s.io/component-base/version.${key}=${value}`,
    ),
  ].join(' ');
  const key = inputsKey({
    texts: [goVersion(), flags],
    files: files.map((file) => join(sources, file)),
  });
  const directory = await cached(name, key, (work) => {
    run(['build', '-ldflags', flags, '-o', join(work, name), path], sources);
  });
  return join(directory, name);
}

async function goInstall(name: keyof typeof tools): Promise<string> {
  const key = inputsKey({ texts: [goVersion(), stripped, tools[name]] });
  const directory = await cached(name, key, (work) => {
    run(['install', '-ldflags', stripped, tools[name]], work, work);
  });
  return join(directory, name);
}

function run(args: readonly string[], directory: string, gobin = ''): void {
  const { status, error } = spawnSync('go', args, {
    cwd: directory,
    env: { ...environment, ...(gobin === '' ? {} : { GOBIN: gobin }) },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (error !== undefined) throw error;
  if (status !== 0) throw new Error(`go ${args.join(' ')} failed with exit code ${status}`);
}

/** Of the module's own toolchain line, which go may download. */
function goVersion(): string {
  return execFileSync('go', ['env', 'GOVERSION', 'GOOS', 'GOARCH'], {
    cwd: sources,
    encoding: 'utf8',
  });
}
