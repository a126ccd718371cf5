/** A one-node Kubernetes cluster of this machine's own processes: started in seconds, gone without a trace. */
import { execFileSync } from 'node:child_process';
import { rmSync } from 'node:fs';
import { makeCertificates } from './certificates.ts';
import { makeCgroup, removeCgroup } from './cgroups.ts';
import {
  type ComponentName,
  componentFiles,
  componentNames,
  startComponent,
} from './components.ts';
import { pauseImage, writeContainerdConfiguration } from './containerd.ts';
import { dnsManifests, writeCorefile } from './dns.ts';
import { ctr, importImage, singleProgramImage } from './images.ts';
import { writeKubeconfigs } from './kubeconfig.ts';
import { writeKubeletConfiguration } from './kubelet.ts';
import { claimIndex, configureNetwork, removeNetwork } from './network.ts';
import { killDaemon, runningPid, stopDaemon } from './processes.ts';
import { endShims } from './shims.ts';
import {
  type ClusterBinaries,
  type ClusterState,
  kubeconfigPath,
  nodeName,
  readState,
  writeState,
} from './state.ts';
import { waitFor } from './wait-for.ts';

/**
 * Starts a cluster that keeps everything in `directory`; what an earlier one, perhaps killed, left there is removed
 * first. Resolves when the node is Ready and the default ServiceAccount exists. On failure nothing is left running.
 */
export async function up(directory: string, binaries: ClusterBinaries): Promise<ClusterState> {
  await down(directory);
  const state: ClusterState = { directory, index: claimIndex(), binaries };
  writeState(state);
  try {
    configureNetwork(state);
    makeCgroup(state);
    makeCertificates(state);
    writeKubeconfigs(state);
    writeContainerdConfiguration(state);
    writeKubeletConfiguration(state);
    writeCorefile(state);
    await startComponents(state);
  } catch (error) {
    await stop(state); // the logs stay
    throw error;
  }
  return state;
}

/** Stops what `up` started and removes the directory, its cluster killed or not. */
export async function down(directory: string): Promise<void> {
  const state = readState(directory);
  if (state === undefined) return;
  await stop(state);
  rmSync(directory, { recursive: true, force: true });
}

/** Ends one component as a crash would; `startComponent` starts it again. */
export async function killComponent(state: ClusterState, name: ComponentName): Promise<void> {
  await killDaemon(componentFiles(state, name).pidFile);
}

/** Whether the API server says that it is ready. */
export function isApiReady(state: ClusterState): boolean {
  return kubectl(state, 'get', '--raw=/readyz') === 'ok';
}

/** Short: what they would still write is thrown away. */
const stopGraceMs = 1_000;

async function startComponents(state: ClusterState): Promise<void> {
  for (const name of componentNames) {
    if (name === 'coredns') {
      await waitFor(() => isApiReady(state), { what: 'the API server' });
      applyAtStart(state, dnsManifests(state));
    }
    if (name === 'kubelet') {
      await waitFor(() => ctr(state, 'version') !== '', { what: 'containerd' });
      importPauseImage(state);
    }
    startComponent(state, name);
  }
  const node = ['get', 'node', nodeName, '-o'];
  const ready = 'jsonpath={.status.conditions[?(@.type=="Ready")].status}';
  await waitFor(() => kubectl(state, ...node, ready) === 'True', { what: 'the node to be Ready' });
  // Pods cannot be made before: https://kubernetes.io/docs/concepts/security/service-accounts/
  await waitFor(() => kubectl(state, 'get', 'serviceaccount', 'default', '-o', 'name') !== '', {
    what: 'the default ServiceAccount',
  });
  for (const name of componentNames) {
    const { pidFile, logFile } = componentFiles(state, name);
    if (runningPid(pidFile) === undefined) throw new Error(`${name} ended: see ${logFile}`);
  }
}

async function stop(state: ClusterState): Promise<void> {
  // The kubelet first, else it starts again what is ended; then the containers, and containerd last.
  for (const name of [...componentNames].reverse()) {
    if (name === 'containerd') await removeCgroup(state);
    await stopDaemon(componentFiles(state, name).pidFile, stopGraceMs);
  }
  await endShims(state);
  await removeCgroup(state);
  removeNetwork(state);
}

function importPauseImage(state: ClusterState): void {
  const { archive, directory } = singleProgramImage(state.binaries.pause, pauseImage);
  try {
    importImage(state, archive);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

function applyAtStart(state: ClusterState, objects: readonly object[]): void {
  kubectlWithInput(state, JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
}

function kubectl(state: ClusterState, ...args: readonly string[]): string {
  return execFileSync('kubectl', ['--kubeconfig', kubeconfigPath(state), ...args], {
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
  });
}

function kubectlWithInput(state: ClusterState, input: string): void {
  execFileSync('kubectl', ['--kubeconfig', kubeconfigPath(state), 'apply', '-f', '-'], {
    input,
    stdio: ['pipe', 'pipe', 'pipe'],
  });
}
