/**
 * Two network namespaces joined by a link: `pod`, which is locked down, and `outside`, with a database, another
 * host and a name server.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';

export const database = { v4: '10.250.77.2', v6: 'fd00:77::2' } as const;
export const elsewhere = { v4: '10.250.77.3', v6: 'fd00:77::3' } as const;
/** The name server of `outside` knows it under this name, with both addresses. */
export const databaseName = 'orders-db.data.svc.cluster.local';
export const databasePort = 5432;
export const otherPort = 8080;

const pod = { v4: '10.250.77.1', v6: 'fd00:77::1' };
const servers = join(import.meta.dirname, 'servers.ts');
const caller = join(import.meta.dirname, 'caller.ts');
const program = join(import.meta.dirname, '../../../sidecar/src/lockdown/main.ts');

/** `refused`, `prohibited` and the like, or `answered` by whom. */
export type Outcome = string;

export interface Ended {
  readonly code: number | null;
  readonly stderr: string;
}

/** How a process of the pod runs. Without capabilities it cannot become another user. */
export interface Caller {
  readonly uid: number;
  /** The capabilities that it may ever have, as in `setuid`; default: none. */
  readonly capabilities?: readonly string[];
  /** It first makes a user namespace, in which it is root. */
  readonly userNamespace?: boolean;
  /** It first tries to become this user. */
  readonly becomes?: number;
}

export interface Networks {
  /** Runs the lockdown program in the pod, as root with these capabilities. */
  lockDown(
    targets: readonly object[],
    options?: { readonly capabilities?: readonly string[]; readonly path?: string },
  ): Promise<Ended>;
  /** Connects, or sends a datagram, from the pod. */
  call(by: Caller, protocol: 'tcp' | 'udp', host: string, port: number): Promise<Outcome>;
  /** Opens a connection from the pod that echoes what it is sent until it ends. */
  hold(by: Caller, host: string, port: number): Promise<HeldConnection>;
  /** Runs a program in one of the two and returns what it prints. */
  within(where: 'pod' | 'outside', ...argv: readonly string[]): string;
  close(): Promise<void>;
}

export interface HeldConnection {
  /** Sends a line; resolves to what comes back, or how the connection ended. */
  ask(): Promise<Outcome>;
  /** Ends the process without a word. */
  kill(): Promise<void>;
  /** Ends the connection as a program does. */
  end(): Promise<void>;
}

/** Needs root. */
export async function openNetworks(): Promise<Networks> {
  const suffix = process.pid.toString(36);
  const names = { pod: `chp-pod-${suffix}`, outside: `chp-out-${suffix}` };
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-lockdown-'));
  const children = new Set<ChildProcess>();

  const ip = (...args: readonly string[]): string => execFileSync('ip', args, { encoding: 'utf8' });
  const inside = (where: 'pod' | 'outside', argv: readonly string[]): string[] => [
    `--net=/run/netns/${names[where]}`,
    ...argv,
  ];
  const start = (where: 'pod' | 'outside', argv: readonly string[], env = {}): ChildProcess => {
    const child = spawn('nsenter', inside(where, argv), {
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH: process.env.PATH, NODE_NO_WARNINGS: '1', ...env },
    });
    children.add(child);
    child.once('close', () => children.delete(child));
    return child;
  };

  ip('netns', 'add', names.pod);
  ip('netns', 'add', names.outside);
  ip(
    '-n',
    names.pod,
    'link',
    'add',
    'eth0',
    'type',
    'veth',
    'peer',
    'name',
    'eth0',
    'netns',
    names.outside,
  );
  for (const [name, addresses] of [
    [names.pod, [pod]],
    [names.outside, [database, elsewhere]],
  ] as const) {
    for (const { v4, v6 } of addresses) {
      ip('-n', name, 'addr', 'add', `${v4}/24`, 'dev', 'eth0');
      ip('-n', name, 'addr', 'add', `${v6}/64`, 'dev', 'eth0', 'nodad');
    }
    for (const device of ['lo', 'eth0']) ip('-n', name, 'link', 'set', device, 'up');
  }
  writeFileSync(join(directory, 'resolv.conf'), `nameserver ${elsewhere.v4}\n`);
  // As in a pod, where hostAliases map the name to the sidecar.
  writeFileSync(join(directory, 'hosts'), `127.0.1.1 ${databaseName}\n`);
  for (const where of ['pod', 'outside'] as const) {
    await firstLine(start(where, [process.execPath, servers, where]));
  }

  return {
    async lockDown(targets, { capabilities = ['net_admin'], path = process.env.PATH } = {}) {
      const mounts = `mount --bind ${directory}/resolv.conf /etc/resolv.conf && mount --bind ${directory}/hosts /etc/hosts && exec "$@"`;
      const argv = ['unshare', '--mount', 'sh', '-c', mounts, 'sh'];
      const child = start(
        'pod',
        [
          ...argv,
          ...confined({ uid: 0, capabilities }),
          'env',
          `PATH=${path}`,
          process.execPath,
          program,
        ],
        {
          CHAPERONE_LOCKDOWN: JSON.stringify(targets),
          CHAPERONE_UID: '64821',
        },
      );
      let stderr = '';
      child.stderr?.on('data', (text) => {
        stderr += text;
      });
      const [code] = (await once(child, 'close')) as [number | null];
      return { code, stderr };
    },
    call: (by, protocol, host, port) =>
      firstLine(start('pod', callerArgv(by, [protocol, host, String(port)]))),
    async hold(by, host, port) {
      const child = start('pod', callerArgv(by, ['hold', host, String(port)]));
      const lines = createInterface({ input: child.stdout! })[Symbol.asyncIterator]();
      const next = async (): Promise<string> => (await lines.next()).value ?? 'ended';
      const opened = await next();
      if (opened !== 'open') throw new Error(opened);
      const ended = async (): Promise<void> => {
        if (child.exitCode === null && child.signalCode === null) await once(child, 'close');
      };
      return {
        ask: async () => {
          child.stdin?.write('ping\n');
          return next();
        },
        kill: async () => {
          child.kill('SIGKILL');
          await ended();
        },
        end: async () => {
          child.stdin?.end();
          await ended();
        },
      };
    },
    within: (where, ...argv) =>
      execFileSync('nsenter', inside(where, argv), {
        encoding: 'utf8',
        stdio: ['ignore', 'pipe', 'pipe'],
      }),
    async close() {
      await Promise.all(
        [...children].map(async (child) => {
          child.kill('SIGKILL');
          await once(child, 'close');
        }),
      );
      for (const name of [names.pod, names.outside]) ip('netns', 'delete', name);
      rmSync(directory, { recursive: true });
    },
  };
}

/** As the container runtime would start it: that user, those capabilities, and no way to more. */
function confined({ uid, capabilities = [] }: Caller): string[] {
  const granted = capabilities.map((name) => `,+${name}`).join('');
  const user = uid === 0 ? [] : [`--reuid=${uid}`, `--regid=${uid}`, '--clear-groups'];
  return ['setpriv', ...user, `--bounding-set=-all${granted}`, '--inh-caps=-all', '--no-new-privs'];
}

function callerArgv(by: Caller, args: readonly string[]): string[] {
  const namespace = by.userNamespace ? ['unshare', '--user', '--map-root-user'] : [];
  const becomes = by.becomes === undefined ? [] : [`--become=${by.becomes}`];
  return [...confined(by), ...namespace, process.execPath, caller, ...becomes, ...args];
}

async function firstLine(child: ChildProcess): Promise<string> {
  let stderr = '';
  child.stderr?.on('data', (text) => {
    stderr += text;
  });
  for await (const line of createInterface({ input: child.stdout! })) return line;
  throw new Error(`no answer: ${stderr}`);
}
