import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** The programs that a cluster runs, as absolute paths. */
export interface ClusterBinaries {
  /** Every Kubernetes component and etcd: the first argument chooses. */
  readonly components: string;
  readonly coredns: string;
  /** What holds a pod's namespaces; goes into an image of its own. */
  readonly pause: string;
}

/**
 * One cluster: everything else about it follows from these.
 * `index` (0–254) tells clusters on one machine apart: names and addresses carry it.
 */
export interface ClusterState {
  readonly directory: string;
  readonly index: number;
  readonly binaries: ClusterBinaries;
}

export const nodeName = 'node-1';
export const podCidr = '10.244.0.0/24';
export const serviceCidr = '10.96.0.0/16';
/** The API server's Service: the first address of `serviceCidr`. */
export const apiServiceAddress = '10.96.0.1';
export const dnsServiceAddress = '10.96.0.10';
export const apiPort = 6443;

/** A path within the cluster's directory. */
export function inside({ directory }: ClusterState, ...path: readonly string[]): string {
  return join(directory, ...path);
}

/** The name of its network namespace, of its link on the host, and of its cgroup. */
export function instanceName({ index }: Pick<ClusterState, 'index'>): string {
  return `chaperone-${index}`;
}

/** The host's end of the link to the node. */
export function hostAddress({ index }: Pick<ClusterState, 'index'>): string {
  return `10.250.${index}.1`;
}

/** The node's address: where the API server and the kubelet listen. */
export function nodeAddress({ index }: Pick<ClusterState, 'index'>): string {
  return `10.250.${index}.2`;
}

export function kubeconfigPath(state: ClusterState): string {
  return inside(state, 'admin.kubeconfig');
}

export function containerdSocket(state: ClusterState): string {
  return inside(state, 'containerd', 'containerd.sock');
}

/** What `writeState` kept in a directory; undefined when there was no cluster. */
export function readState(directory: string): ClusterState | undefined {
  try {
    return JSON.parse(readFileSync(join(directory, 'cluster.json'), 'utf8')) as ClusterState;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}

/** Written before anything is started, so that what a killed run left behind can be found. */
export function writeState(state: ClusterState): void {
  mkdirSync(state.directory, { recursive: true, mode: 0o700 });
  writeFileSync(join(state.directory, 'cluster.json'), `${JSON.stringify(state, null, 2)}\n`);
}
