import type { Command } from 'commander';
import { readCluster } from '../kubernetes/cluster-view.ts';
import {
  addClusterOptions,
  type ClusterOptions,
  kubectlOf,
  writeReport,
} from '../kubernetes/options.ts';
import { renderStatus } from '../kubernetes/render-status.ts';
import { statusReport } from '../kubernetes/status-report.ts';
import type { Output } from '../output.ts';

export interface StatusOptions extends ClusterOptions {
  readonly allNamespaces?: true;
  readonly exitCode?: true;
}

/** Tells what is governed and what is broken; resolves to whether nothing is. */
export async function showStatus(options: StatusOptions, output: Output): Promise<boolean> {
  const kubectl = kubectlOf(options);
  const namespace = options.allNamespaces
    ? undefined
    : (options.namespace ?? (await kubectl.namespace()));
  const nowMs = Date.now();
  const report = statusReport(await readCluster(kubectl, namespace, nowMs), nowMs);
  await writeReport(report, options.output, renderStatus, output);
  return report.broken.length === 0;
}

export function registerStatus(program: Command): void {
  const command = program
    .command('status')
    .description(
      'tell what is governed in a cluster, by which policies, what is broken and what mends it',
    );
  addClusterOptions(command)
    .option('-A, --all-namespaces', 'look at all namespaces, not at one alone')
    .option(
      '--exit-code',
      'end with 1 where something is broken; without it, 1 means that nothing could be told',
    )
    .action(async (options: StatusOptions) => {
      const well = await showStatus(options, process.stdout);
      if (options.exitCode && !well) process.exitCode = 1;
    });
}
