/** A tenant: somebody who has ClusterRole `edit` in one namespace, and nothing else. */
import { type CommandResult, command, kubectl } from '../support/kubectl.ts';

export interface Tenant {
  /** Runs kubectl as the tenant, whatever its exit code. */
  attempt(args: readonly string[], objects?: readonly object[]): Promise<CommandResult>;
  /** The same in the tenant's namespace; throws when it fails. */
  does(args: readonly string[], objects?: readonly object[]): Promise<string>;
  /** Creates objects; what the API server says to refuse them, empty if it takes them. */
  refusal(object: object): Promise<string>;
}

/**
 * Binds a user of that name to `edit` in the namespace, and lets it debug and resize pods, which clusters often grant
 * beside.
 */
export async function makeTenant(namespace: string, user: string): Promise<Tenant> {
  await kubectl([
    ...['create', 'rolebinding', `${user}-edits`, '-n', namespace],
    ...['--clusterrole=edit', `--user=${user}`],
  ]);
  const debug = `${user}-debugs`;
  await kubectl([
    ...['create', 'role', debug, '-n', namespace, '--verb=get,update,patch'],
    '--resource=pods/ephemeralcontainers,pods/resize',
  ]);
  await kubectl([
    ...['create', 'rolebinding', debug, '-n', namespace, `--role=${debug}`, `--user=${user}`],
  ]);
  const attempt: Tenant['attempt'] = (args, objects) =>
    command('kubectl', ['--as', user, '-n', namespace, ...args], {
      input:
        objects === undefined
          ? ''
          : JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }),
    });
  return {
    attempt,
    async does(args, objects) {
      const result = await attempt(args, objects);
      if (result.code !== 0) throw new Error(`${args.join(' ')}: ${result.stderr}`);
      return result.stdout;
    },
    async refusal(object) {
      const { code, stderr } = await attempt(['create', '-f', '-'], [object]);
      return code === 0 ? '' : stderr;
    },
  };
}
