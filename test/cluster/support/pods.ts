import { waitFor } from '../node/wait-for.ts';
import { type CommandResult, command, get, kubectl } from './kubectl.ts';

/** A container that the restricted Pod Security Standard admits, with a user unless the image has its own. */
export function restricted<Container extends object>(
  container: Container,
  user: object = { runAsUser: 1000, runAsGroup: 1000 },
) {
  return {
    ...container,
    securityContext: {
      ...user,
      runAsNonRoot: true,
      readOnlyRootFilesystem: true,
      allowPrivilegeEscalation: false,
      capabilities: { drop: ['ALL'] },
      seccompProfile: { type: 'RuntimeDefault' },
    },
  };
}

/** Waits for a pod's or a Deployment's readiness. `what` is as in `pod/web` or `deployment/web`. */
export async function ready(what: string, namespace: string, timeoutS = 120): Promise<void> {
  const timeoutMs = (timeoutS + 10) * 1000;
  const [kind] = what.split('/');
  if (kind !== 'pod') {
    // `wait` would be content with the old pods of an object whose change was not seen yet.
    const args = ['rollout', 'status', what, '-n', namespace, `--timeout=${timeoutS}s`];
    await kubectl(args, { timeoutMs });
    return;
  }
  const args = ['wait', '-n', namespace, '--for=condition=Ready', what, `--timeout=${timeoutS}s`];
  await kubectl(args, { timeoutMs });
}

/** Waits for the end of a Job and says how it ended. */
export async function jobEnd(
  name: string,
  namespace: string,
  timeoutMs = 120_000,
): Promise<'Complete' | 'Failed'> {
  return waitFor(
    async () => {
      const { status } = await get('job', name, '-n', namespace);
      const conditions: { type: string; status: string }[] = status.conditions ?? [];
      const ended = (type: string) =>
        conditions.some((condition) => condition.type === type && condition.status === 'True');
      if (ended('Complete')) return 'Complete' as const;
      return ended('Failed') ? ('Failed' as const) : undefined;
    },
    { what: `the end of job ${name}`, timeoutMs, intervalMs: 300 },
  );
}

/** What a container wrote so far; `what` is a pod's name, or `job/NAME`. */
export async function podLogs(namespace: string, what: string, container: string): Promise<string> {
  return kubectl(['logs', '-n', namespace, what, '-c', container]);
}

/** Runs a program in a container to its end, whatever its exit code. `what` as in `deployment/web`. */
export async function exec(
  namespace: string,
  what: string,
  argv: readonly string[],
  { container, input }: { readonly container?: string; readonly input?: string } = {},
): Promise<CommandResult> {
  const options = container === undefined ? [] : ['-c', container];
  const interactive = input === undefined ? [] : ['-i'];
  const args = ['exec', '-n', namespace, ...interactive, what, ...options, '--', ...argv];
  return command('kubectl', args, input === undefined ? {} : { input });
}
