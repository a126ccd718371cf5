/** What one wants to have seen when a test failed: kept in files, since the cluster is gone afterwards. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { clusterContext } from './context.ts';
import { command, type KubernetesObject, list } from './kubectl.ts';

/** More would say the same again. */
const maxReports = 8;
const logLines = '--tail=400';
let reports = 0;

/** Writes pods, events and logs into a directory of the test's name; says where. Never throws. */
export async function collectDiagnostics(title: string): Promise<void> {
  if (++reports > maxReports) return;
  const name = title.replace(/[^a-zA-Z0-9]+/g, '-').slice(0, 80);
  const directory = join(clusterContext().diagnostics, `${reports}-${name}`);
  try {
    mkdirSync(directory, { recursive: true });
    await Promise.all([
      save(directory, 'pods.txt', ['get', 'pods', '-A', '-o', 'wide']),
      save(directory, 'events.txt', ['get', 'events', '-A', '--sort-by=.lastTimestamp']),
      save(directory, 'pods-described.txt', ['describe', 'pods', '-A']),
      save(directory, 'resources.yaml', ['get', 'chaperone', '-A', '-o', 'yaml']),
    ]);
    for (const pod of await list('pods', '-A')) await saveLogs(directory, pod);
    process.stderr.write(`cluster: what was there when it failed is in ${directory}\n`);
  } catch (error) {
    process.stderr.write(`cluster: diagnostics failed: ${error}\n`);
  }
}

async function saveLogs(directory: string, pod: KubernetesObject): Promise<void> {
  const { name, namespace } = pod.metadata;
  const statuses: KubernetesObject[] = [
    ...(pod.status.initContainerStatuses ?? []),
    ...(pod.status.containerStatuses ?? []),
  ];
  for (const status of statuses) {
    const args = ['logs', '-n', namespace, name, '-c', status.name, logLines];
    const file = `${namespace}.${name}.${status.name}`;
    await save(directory, `${file}.log`, args);
    if (status.restartCount > 0) {
      await save(directory, `${file}.previous.log`, [...args, '--previous']);
    }
  }
}

async function save(directory: string, file: string, args: readonly string[]): Promise<void> {
  const { stdout, stderr } = await command('kubectl', args, { timeoutMs: 20_000 });
  writeFileSync(join(directory, file), stdout + stderr);
}
