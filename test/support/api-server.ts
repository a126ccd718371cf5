/**
 * A real etcd and a real kube-apiserver for tests, without the rest of a cluster: nothing schedules, nobody
 * collects garbage, the API is all there is. On free loopback ports, in a directory of its own.
 */
import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { clusterBinaries } from '../cluster/build/binaries.ts';

const token = 'administrator';

export interface TestApiServer {
  /** `https://127.0.0.1:PORT`. */
  readonly url: string;
  /** Of an administrator. */
  readonly kubeconfig: string;
  /** Ends the API server, by default as a crash does; etcd stays. */
  killApiServer(signal?: NodeJS.Signals): Promise<void>;
  /** Starts it again, on the same port, and waits until it is ready. */
  startApiServer(): Promise<void>;
  killEtcd(): Promise<void>;
  startEtcd(): Promise<void>;
  /** Compacts etcd up to its newest revision, which is returned: a watch from before it is too old. */
  compact(): Promise<number>;
  /** Ends both and removes the directory. */
  stop(): Promise<void>;
}

/**
 * Takes some 10 s. Throws with the end of the log of what did not start. `serviceAccounts`: pods get a
 * ServiceAccount and its token, as in a cluster; the accounts are for the test to make, since nobody else does.
 */
export async function startTestApiServer({
  serviceAccounts = false,
}: {
  readonly serviceAccounts?: boolean;
} = {}): Promise<TestApiServer> {
  const { components } = await clusterBinaries();
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-api-'));
  const [apiPort, clientPort, peerPort] = await freePorts(3);
  const url = `https://127.0.0.1:${apiPort}`;
  const etcdUrl = `http://127.0.0.1:${clientPort}`;
  const peerUrl = `http://127.0.0.1:${peerPort}`;
  const at = (file: string): string => join(directory, file);
  writeFileSync(at('tokens.csv'), `${token},admin,1,system:masters\n`, { mode: 0o600 });
  execFileSync('openssl', ['genrsa', '-out', at('accounts.key'), '2048'], { stdio: 'pipe' });

  const etcd = new Daemon(at('etcd.log'), components, [
    'etcd',
    `--data-dir=${at('etcd')}`,
    `--listen-client-urls=${etcdUrl}`,
    `--advertise-client-urls=${etcdUrl}`,
    `--listen-peer-urls=${peerUrl}`,
    `--initial-advertise-peer-urls=${peerUrl}`,
    `--initial-cluster=default=${peerUrl}`,
    '--unsafe-no-fsync', // the machine is not going to lose power during a test
  ]);
  const apiServer = new Daemon(at('apiserver.log'), components, [
    'kube-apiserver',
    `--etcd-servers=${etcdUrl}`,
    '--bind-address=127.0.0.1',
    '--advertise-address=127.0.0.1',
    '--endpoint-reconciler-type=none',
    `--secure-port=${apiPort}`,
    `--cert-dir=${at('certificates')}`,
    `--token-auth-file=${at('tokens.csv')}`,
    '--authorization-mode=RBAC',
    '--service-cluster-ip-range=10.96.0.0/16',
    '--service-account-issuer=https://kubernetes.default.svc',
    `--service-account-key-file=${at('accounts.key')}`,
    `--service-account-signing-key-file=${at('accounts.key')}`,
    ...(serviceAccounts ? [] : ['--disable-admission-plugins=ServiceAccount']),
  ]);
  const kubeconfig = at('kubeconfig');
  const startEtcd = (): Promise<void> =>
    etcd.start(async () => (await fetch(`${etcdUrl}/health`)).ok);
  const startApiServer = (): Promise<void> =>
    apiServer.start(async () => isReady(url, at('certificates/apiserver.crt')));
  const stop = async (): Promise<void> => {
    await apiServer.end('SIGKILL');
    await etcd.end('SIGKILL');
    process.off('exit', killAll);
    rmSync(directory, { recursive: true, force: true });
  };
  const killAll = (): void => {
    apiServer.kill();
    etcd.kill();
  };
  process.on('exit', killAll);
  try {
    await startEtcd();
    await startApiServer();
  } catch (error) {
    await stop();
    throw error;
  }
  writeKubeconfig(kubeconfig, url, at('certificates/apiserver.crt'));
  return {
    url,
    kubeconfig,
    killApiServer: (signal = 'SIGKILL') => apiServer.end(signal),
    startApiServer,
    killEtcd: () => etcd.end('SIGKILL'),
    startEtcd,
    compact: () => compact(etcdUrl),
    stop,
  };
}

/** A program that is started and ended again and again, its output in one file. */
class Daemon {
  readonly #logFile: string;
  readonly #program: string;
  readonly #args: readonly string[];
  #child: ChildProcess | undefined;

  constructor(logFile: string, program: string, args: readonly string[]) {
    this.#logFile = logFile;
    this.#program = program;
    this.#args = args;
  }

  async start(isReady: () => Promise<boolean>): Promise<void> {
    const log = openSync(this.#logFile, 'a');
    const child = spawn(this.#program, this.#args, { stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    const deadlineMs = performance.now() + 60_000;
    while (!(await isReady().catch(() => false))) {
      if (child.exitCode !== null || performance.now() > deadlineMs) {
        const end = readFileSync(this.#logFile, 'utf8').slice(-2000);
        throw new Error(`${this.#args[0]} did not start:\n${end}`);
      }
      await delay(50);
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const child = this.#child;
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return;
    const ended = new Promise((resolve) => child.once('exit', resolve));
    child.kill(signal);
    await ended;
  }

  kill(): void {
    this.#child?.kill('SIGKILL');
  }
}

async function isReady(url: string, caFile: string): Promise<boolean> {
  const ca = readFileSync(caFile);
  return new Promise((resolve, reject) => {
    const headers = { Authorization: `Bearer ${token}` };
    request(`${url}/readyz`, { ca, headers, agent: false }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    })
      .on('error', reject)
      .end();
  });
}

function writeKubeconfig(path: string, server: string, caFile: string): void {
  const ca = readFileSync(caFile).toString('base64');
  const config = {
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': ca } }],
    users: [{ name: 'admin', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'admin' } }],
    'current-context': 'test',
  };
  writeFileSync(path, JSON.stringify(config), { mode: 0o600 });
}

async function compact(etcdUrl: string): Promise<number> {
  const call = async (method: string, body: object): Promise<Record<string, never>> => {
    const response = await fetch(`${etcdUrl}/v3/${method}`, {
      method: 'POST',
      body: JSON.stringify(body),
    });
    if (!response.ok) throw new Error(`etcd: ${await response.text()}`);
    return response.json() as Promise<Record<string, never>>;
  };
  const { header } = (await call('kv/range', { key: 'AA==' })) as unknown as {
    header: { revision: string };
  };
  await call('kv/compaction', { revision: header.revision, physical: true });
  return Number(header.revision);
}

/** They may be taken between here and their use, which then fails loudly. */
async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer());
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) => {
          server.listen(0, '127.0.0.1', () => resolve((server.address() as { port: number }).port));
        }),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return ports;
}
