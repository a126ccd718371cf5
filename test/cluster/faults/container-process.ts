import { readFileSync } from 'node:fs';
import { ctr } from '../node/images.ts';
import { ownCluster } from '../support/context.ts';
import { get, type KubernetesObject } from '../support/kubectl.ts';

/** A container that runs now: its first process, in the machine's numbers, and how often it was started anew. */
export interface ContainerProcess {
  readonly id: string;
  readonly pid: number;
  readonly restarts: number;
}

/** Asks the API server for a container of a pod, and containerd for its process; throws when it does not run. */
export async function containerProcess(
  namespace: string,
  pod: string,
  container: string,
): Promise<ContainerProcess> {
  const { status } = await get('pod', pod, '-n', namespace);
  const found = containerStatuses(status).find(({ name }) => name === container);
  const id = (found?.containerID as string | undefined)?.replace('containerd://', '');
  if (id === undefined) throw new Error(`${container} of ${pod} does not run`);
  // TASK PID STATUS
  const tasks = ctr(ownCluster(), 'tasks', 'ls').split('\n');
  const [, pid, state] = tasks.map((line) => line.split(/\s+/)).find(([task]) => task === id) ?? [];
  if (state !== 'RUNNING') throw new Error(`${container} of ${pod} does not run: ${state}`);
  return { id, pid: Number(pid), restarts: found!.restartCount };
}

/** Of all containers of a pod, native sidecars among them. */
export function containerStatuses(status: KubernetesObject): KubernetesObject[] {
  return [...(status.initContainerStatuses ?? []), ...(status.containerStatuses ?? [])];
}

/** A file of a container as it is now, without asking the API server. */
export function readContainerFile({ pid }: ContainerProcess, path: string): string {
  return readFileSync(`/proc/${pid}/root${path}`, 'utf8');
}
