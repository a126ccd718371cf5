import { readFileSync } from 'node:fs';
import type { ImageProgram } from '../build/program-images.ts';
import type { ClusterState } from '../node/state.ts';

/** What the tests are told about the cluster that they run on. */
export interface ClusterContext {
  readonly kubeconfig: string;
  /** Path of Helm. */
  readonly helm: string;
  /** References of the programs' images, by the name of their bundle. */
  readonly images: Readonly<Record<ImageProgram, string>>;
  /** Where to keep what helps to understand a failure. */
  readonly diagnostics: string;
  /** Undefined on a cluster that was given: its components are not ours to stop. */
  readonly state?: ClusterState;
}

/** The variable that names the file which holds the context. */
export const contextVariable = 'CHAPERONE_CLUSTER_CONTEXT';

/** The cluster of this run; throws where there is none, so that nothing passes for not running. */
export function clusterContext(): ClusterContext {
  const file = process.env[contextVariable];
  if (file === undefined) {
    throw new Error('cluster tests need a cluster: run them by `make test-cluster`');
  }
  return JSON.parse(readFileSync(file, 'utf8')) as ClusterContext;
}

/** The state of a cluster whose components a test stops and starts; throws on one that was given to us. */
export function ownCluster(): ClusterState {
  const { state } = clusterContext();
  if (state === undefined) {
    throw new Error('this test stops components of the cluster, so it needs one of its own');
  }
  return state;
}
