import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import type { Command } from 'commander';
import { readCluster } from '../kubernetes/cluster-view.ts';
import {
  addClusterOptions,
  type ClusterOptions,
  kubectlOf,
  writeReport,
} from '../kubernetes/options.ts';
import { renderWhy } from '../kubernetes/render-why.ts';
import { whyReport } from '../kubernetes/why-report.ts';
import type { Output } from '../output.ts';

/** Tells what a pod may do and why. Throws CHP-1014 for one that does not exist or has ended. */
export async function explainPod(
  pod: string,
  options: ClusterOptions,
  output: Output,
): Promise<void> {
  const kubectl = kubectlOf(options);
  const name = pod.replace(/^pods?\//, '');
  const namespace = options.namespace ?? (await kubectl.namespace());
  const nowMs = Date.now();
  const report = whyReport(await readCluster(kubectl, namespace, nowMs), name, nowMs);
  if (report === undefined) {
    throw new ChaperoneError('CHP-1014', `There is no pod ${namespace}/${name} that runs.`, {
      hint: `kubectl -n ${namespace} get pods shows those that there are.`,
    });
  }
  await writeReport(report, options.output, renderWhy, output);
}

export function registerWhy(program: Command): void {
  const command = program
    .command('why <pod>')
    .description(
      'tell who a pod is, which targets it has, by which rules, and which masks are in force',
    );
  addClusterOptions(command).action((pod: string, options: ClusterOptions) =>
    explainPod(pod, options, process.stdout),
  );
}
