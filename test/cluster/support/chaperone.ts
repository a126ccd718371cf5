/** Chaperone itself on the cluster, by its chart. */
import { resolve } from 'node:path';
import { clusterContext } from './context.ts';
import { CommandError, command, type KubernetesObject, list } from './kubectl.ts';

export const releaseNamespace = 'chaperone-system';
const release = 'chaperone';
export const chart = resolve(import.meta.dirname, '../../../charts/chaperone');

/** Values of the chart, as in values.yaml. */
export type ChartValues = Readonly<Record<string, unknown>>;

/**
 * What the chart's values need here: our images, a record that goes with its pod (the cluster has no storage), and
 * resources that go with the release.
 */
export function testValues(): ChartValues {
  const { images } = clusterContext();
  return {
    image: { registry: 'localhost' },
    images: Object.fromEntries(
      (['operator', 'sidecar', 'collector', 'lockdown'] as const).map((program) => [
        program,
        imageValues(images[program]),
      ]),
    ),
    crds: { keep: false },
    collector: { persistence: { enabled: false } },
    logLevel: 'debug',
  };
}

/** Installs or upgrades Chaperone, and waits until all of it is ready. `values` stand before `testValues()`. */
export async function installChaperone(
  values: ChartValues = {},
  chartPath: string = chart,
): Promise<void> {
  await helm(
    [
      ...['upgrade', '--install', release, chartPath, '--namespace', releaseNamespace],
      ...['--create-namespace', '--wait', '--timeout', '4m', '--values', '-'],
    ],
    JSON.stringify(merge(testValues(), values)),
  );
}

/** Removes the release, if it is there, and waits until its pods are gone. */
export async function uninstallChaperone(): Promise<void> {
  const args = ['uninstall', release, '--namespace', releaseNamespace, '--ignore-not-found'];
  await helm([...args, '--wait', '--timeout', '3m']);
}

/** The running pods of one component: `controllers`, `webhook`, `policy-api`, `collector`, `gateway`. */
export async function componentPods(component: string): Promise<KubernetesObject[]> {
  const selector = `app.kubernetes.io/component=${component}`;
  const pods = await list('pods', '-n', releaseNamespace, '-l', selector);
  return pods.filter(({ metadata }) => metadata.deletionTimestamp === undefined);
}

/** Runs Helm; throws a `CommandError` when it fails. */
export async function helm(args: readonly string[], input = ''): Promise<string> {
  const result = await command(clusterContext().helm, args, { input, timeoutMs: 300_000 });
  if (result.code !== 0) throw new CommandError(`helm ${args.join(' ')}`, result);
  return result.stdout;
}

/** `registry/path/name:tag`, in the chart's terms: the registry is everything before the name. */
function imageValues(reference: string): ChartValues {
  const [, registry, repository, tag] = /^(.+?)\/([^/:]+):([^:/]+)$/.exec(reference) ?? [];
  if (registry === undefined) throw new Error(`${reference} is not registry/name:tag`);
  return { repository, tag };
}

function merge(base: ChartValues, over: ChartValues): ChartValues {
  const merged: Record<string, unknown> = { ...base };
  for (const [key, value] of Object.entries(over)) {
    const below = merged[key];
    merged[key] = isValues(below) && isValues(value) ? merge(below, value) : value;
  }
  return merged;
}

function isValues(value: unknown): value is ChartValues {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
