/** What the commands that go through kubectl have in common. */
import { type Command, Option } from 'commander';
import { type Output, safeJson, writeLine } from '../output.ts';
import { Kubectl } from './kubectl.ts';

export interface ClusterOptions {
  readonly namespace?: string;
  readonly kubeconfig?: string;
  readonly context?: string;
  readonly cluster?: string;
  readonly user?: string;
  readonly as?: string;
  readonly output: 'text' | 'json';
}

export function addClusterOptions(command: Command): Command {
  return command
    .option('-n, --namespace <name>', "namespace; without it, the context's")
    .option('--kubeconfig <file>', 'these five as kubectl has them')
    .option('--context <name>')
    .option('--cluster <name>')
    .option('--user <name>')
    .option('--as <user>')
    .addOption(
      new Option('-o, --output <form>', 'text for people, or json')
        .choices(['text', 'json'])
        .default('text'),
    );
}

export function kubectlOf({ kubeconfig, context, cluster, user, as }: ClusterOptions): Kubectl {
  return new Kubectl({
    ...(kubeconfig !== undefined && { kubeconfig }),
    ...(context !== undefined && { context }),
    ...(cluster !== undefined && { cluster }),
    ...(user !== undefined && { user }),
    ...(as !== undefined && { as }),
  });
}

/** The report as JSON, or as the lines that `render` makes of it. */
export async function writeReport<Report>(
  report: Report,
  form: ClusterOptions['output'],
  render: (report: Report) => readonly string[],
  output: Output,
): Promise<void> {
  // Escapes keep what names and messages contain from acting on a terminal.
  const lines = form === 'json' ? [safeJson(report)] : render(report);
  for (const line of lines) await writeLine(output, line);
}
