/** Every container of a cluster is in its cgroup, so whatever a killed run left running is found there. */
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { type ClusterState, instanceName } from './state.ts';
import { waitFor } from './wait-for.ts';

const mountPoint = '/sys/fs/cgroup';

/** Version 2 is one hierarchy; version 1 has one for each controller. Empty: this machine has no cgroups. */
export function cgroupHierarchies(): readonly string[] {
  if (existsSync(join(mountPoint, 'cgroup.controllers'))) return [mountPoint];
  if (!existsSync(mountPoint)) return [];
  return readdirSync(mountPoint, { withFileTypes: true })
    .filter((entry) => entry.isDirectory() && entry.name !== 'unified')
    .map((entry) => join(mountPoint, entry.name))
    .filter((path) => existsSync(join(path, 'cgroup.procs')));
}

/** The kubelet wants its root to exist, with the controllers that it uses. */
export function makeCgroup(state: ClusterState): void {
  for (const hierarchy of cgroupHierarchies()) {
    const path = join(hierarchy, instanceName(state));
    if (hierarchy === mountPoint) delegate(hierarchy);
    mkdirSync(path, { recursive: true });
    if (hierarchy === mountPoint) delegate(path);
    // Version 1: a new cpuset takes no process until it has CPUs and memory.
    for (const file of ['cpuset.cpus', 'cpuset.mems']) inheritWhenEmpty(hierarchy, path, file);
  }
}

/**
 * Kills what is left in the cluster's cgroup, and removes it; also from the `unified` hierarchy that version 1 may
 * have beside it, where runc makes groups of its own.
 */
export async function removeCgroup(state: ClusterState): Promise<void> {
  for (const hierarchy of [...cgroupHierarchies(), join(mountPoint, 'unified')]) {
    const path = join(hierarchy, instanceName(state));
    await waitFor(() => emptied(path), { what: `the processes in ${path} to end` });
  }
}

function emptied(path: string): boolean {
  if (!existsSync(path)) return true;
  const children = readdirSync(path, { withFileTypes: true }).filter((entry) =>
    entry.isDirectory(),
  );
  const empty = children.map((child) => emptied(join(path, child.name))).every(Boolean);
  for (const pid of processes(path)) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch {
      // It went on its own.
    }
  }
  if (!empty || processes(path).length > 0) return false;
  rmdirSync(path);
  return true;
}

function processes(path: string): number[] {
  return readFileSync(join(path, 'cgroup.procs'), 'utf8').split('\n').filter(Boolean).map(Number);
}

function delegate(path: string): void {
  const controllers = readFileSync(join(path, 'cgroup.controllers'), 'utf8').trim().split(' ');
  const wanted = controllers.filter((name) => ['cpu', 'cpuset', 'memory', 'pids'].includes(name));
  writeFileSync(join(path, 'cgroup.subtree_control'), wanted.map((name) => `+${name}`).join(' '));
}

function inheritWhenEmpty(hierarchy: string, path: string, file: string): void {
  if (!existsSync(join(path, file)) || hierarchy === mountPoint) return;
  if (readFileSync(join(path, file), 'utf8').trim() !== '') return;
  writeFileSync(join(path, file), readFileSync(join(hierarchy, file)));
}
