/** What building and starting a cluster needs of the machine. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { cgroupHierarchies } from '../node/cgroups.ts';
import { timed } from './progress.ts';

/** What has to be there, and the Debian package that brings it. */
const debianPackages: Readonly<Record<string, string>> = {
  containerd: 'containerd',
  ctr: 'containerd',
  runc: 'runc',
  iptables: 'iptables',
  ip: 'iproute2',
  nsenter: 'util-linux',
  sysctl: 'procps',
  openssl: 'openssl',
  tar: 'tar',
  buildah: 'buildah',
  mmdebstrap: 'mmdebstrap',
  '/usr/lib/cni/bridge': 'containernetworking-plugins',
};
/** What we do not install: a version of the user's choice. */
const ownTools: Readonly<Record<string, string>> = {
  go: 'Go, to build Kubernetes: https://go.dev/doc/install (any version from 1.21 on fetches the one it needs)',
  kubectl: 'kubectl: https://kubernetes.io/docs/tasks/tools/',
};

/** Installs what Debian has and this machine lacks; throws an error that names everything else that is missing. */
export async function ensurePrerequisites(): Promise<void> {
  // Where programs for root are, and Go by its own instructions: not everywhere in the PATH of a user that became root.
  process.env.PATH = `${process.env.PATH}:/usr/sbin:/sbin:/usr/local/go/bin`;
  const obstacles = [
    ...(process.platform === 'linux' ? [] : ['Linux']),
    ...(process.getuid?.() === 0 ? [] : ['root: containers and network namespaces are made']),
    ...(cgroupHierarchies().length > 0 ? [] : ['cgroups mounted on /sys/fs/cgroup']),
    ...missingTools(),
  ];
  const packages = missingPackages();
  if (packages.length > 0 && !isThere('apt-get')) {
    obstacles.push(
      `${packages.join(', ')} (Debian's names; there is no apt-get here to install them)`,
    );
  }
  if (obstacles.length > 0) throw missing(obstacles);
  if (packages.length === 0) return;

  await timed(`installing ${packages.join(' ')}`, () => {
    apt('update', '-q');
    apt('install', '-q', '-y', '--no-install-recommends', ...packages);
  });
  const still = missingPackages();
  if (still.length > 0) throw missing(still);
}

/** What running the tests against any cluster needs; throws an error that names what is missing. */
export function ensureTools(): void {
  const obstacles = missingTools();
  if (obstacles.length > 0) throw missing(obstacles);
}

function missingTools(): string[] {
  return Object.entries(ownTools).flatMap(([program, what]) => (isThere(program) ? [] : [what]));
}

function missing(what: readonly string[]): Error {
  return new Error(
    `the cluster tests cannot run on this machine. Missing:\n${what.map((line) => `  - ${line}`).join('\n')}`,
  );
}

function missingPackages(): string[] {
  const needed = Object.entries(debianPackages).filter(([program]) => !isThere(program));
  return [...new Set(needed.map(([, name]) => name))];
}

function isThere(program: string): boolean {
  if (program.startsWith('/')) return existsSync(program);
  const directories = (process.env.PATH ?? '').split(delimiter);
  return directories.some((directory) => existsSync(join(directory, program)));
}

function apt(...args: readonly string[]): void {
  const { status } = spawnSync('apt-get', args, {
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  if (status !== 0) throw new Error(`apt-get ${args.join(' ')} failed with exit code ${status}`);
}
