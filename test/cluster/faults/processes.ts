/** Chaperone's own processes, and how to end them without a word. */
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { componentPods, releaseNamespace } from '../support/chaperone.ts';
import { get, kubectl } from '../support/kubectl.ts';
import { ready } from '../support/pods.ts';
import { containerProcess, containerStatuses } from './container-process.ts';

/** Ends the program of a container as `kill -9` does. */
export async function killContainer(
  namespace: string,
  pod: string,
  container: string,
): Promise<void> {
  const { pid } = await containerProcess(namespace, pod, container);
  process.kill(pid, 'SIGKILL');
}

/** The same, and what it kept in a directory is lost with it: as when its node is. */
export async function loseContainer(
  namespace: string,
  pod: string,
  container: string,
  directory: string,
): Promise<void> {
  const { pid } = await containerProcess(namespace, pod, container);
  process.kill(pid, 'SIGSTOP');
  const path = `/proc/${pid}/root${directory}`;
  for (const file of readdirSync(path)) rmSync(join(path, file), { recursive: true });
  process.kill(pid, 'SIGKILL');
}

/** Names of a component's pods. */
export async function podNames(component: string): Promise<string[]> {
  return (await componentPods(component)).map(({ metadata }) => metadata.name as string);
}

/** Sets the number of a component's replicas, and waits until they are ready or gone. */
export async function scale(what: string, replicas: number): Promise<void> {
  await kubectl(['scale', what, '-n', releaseNamespace, `--replicas=${replicas}`]);
  if (replicas > 0) return ready(what, releaseNamespace);
  const component = what.replace(/^.*chaperone-/, '');
  const selector = `app.kubernetes.io/component=${component}`;
  const gone = ['wait', '--for=delete', 'pod', '-l', selector, '-n', releaseNamespace];
  await kubectl([...gone, '--timeout=90s']);
}

/** How often each container of a pod was started anew, as `pod/container`. */
export async function restarts(
  namespace: string,
  pods: readonly string[],
): Promise<Readonly<Record<string, number>>> {
  const counts: Record<string, number> = {};
  for (const pod of pods) {
    const { status } = await get('pod', pod, '-n', namespace);
    for (const { name, restartCount } of containerStatuses(status)) {
      counts[`${pod}/${name}`] = restartCount;
    }
  }
  return counts;
}

/** Who leads, as the Lease says. */
export async function leaseHolder(lease: string): Promise<string> {
  return (await get('lease', lease, '-n', releaseNamespace)).spec.holderIdentity;
}
