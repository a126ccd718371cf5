/** A program that asks the database for a known mix of statements from within a governed pod, and keeps count. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { waitFor } from '../node/wait-for.ts';
import type { Database } from '../support/database.ts';
import { apply, list } from '../support/kubectl.ts';
import { exec, ready, restricted } from '../support/pods.ts';
import { serviceAccount, workloadDeployment } from '../support/workloads.ts';
import { type ContainerProcess, containerProcess, readContainerFile } from './container-process.ts';
import { type StatementEntry, Tally } from './tally.ts';

const name = 'load';
const programFiles = ['load-program.ts', 'statements.ts', 'tally.ts'];

/** A pod that loads are run in. */
export interface LoadPod {
  readonly namespace: string;
  /** The pod's name. */
  readonly pod: string;
  /** Of the container that the loads run in. */
  readonly app: ContainerProcess;
}

export interface Load {
  /** Where the numbers of its statements begin; they stay below `first + 1_000_000`. */
  readonly first: number;
  /** Milliseconds of the epoch. */
  readonly startedAt: number;
  /** What is counted so far; needs no API server. */
  tally(): Tally;
  /** Waits until statements asked from now on were answered as usual, on sessions that last and on new ones. */
  flows(): Promise<void>;
  /** Lets statements in flight end, and returns all that was counted. */
  stop(): Promise<Tally>;
}

/** Deploys the pod as ServiceAccount `account`; it waits for loads. */
export async function startLoadPod(namespace: string, account: string): Promise<LoadPod> {
  const files = programFiles.map((file) => [
    file,
    readFileSync(join(import.meta.dirname, file), 'utf8'),
  ]);
  const app = {
    name: 'app',
    image: 'node:24',
    command: ['sleep', 'infinity'],
    volumeMounts: [
      { name: 'program', mountPath: '/load' },
      { name: 'tally', mountPath: '/tally' },
    ],
  };
  const volumes = [
    { name: 'program', configMap: { name } },
    { name: 'tally', emptyDir: {} },
  ];
  const podSpec = { containers: [restricted(app)], volumes };
  await apply(
    [
      serviceAccount(account),
      { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name }, data: Object.fromEntries(files) },
      workloadDeployment({ name, serviceAccount: account, podSpec }),
    ],
    namespace,
  );
  await ready(`deployment/${name}`, namespace);
  const [found] = await list('pods', '-n', namespace, '-l', `app=${name}`);
  const pod: string = found!.metadata.name;
  return { namespace, pod, app: await containerProcess(namespace, pod, 'app') };
}

/** Starts a load and waits until it flows. */
export async function startLoad(
  { namespace, pod, app }: LoadPod,
  { host }: Database,
  first: number,
): Promise<Load> {
  const file = `/tally/${first}`;
  const startedAt = Date.now();
  // In a session of its own: it outlives the exec, and the API server.
  const script = `NODE_NO_WARNINGS=1 setsid node /load/load-program.ts ${file} ${host} ${first} >${file}.log 2>&1 &`;
  const started = await exec(namespace, pod, ['sh', '-c', script], { container: 'app' });
  if (started.code !== 0) throw new Error(started.stderr);
  const tally = (): Tally => new Tally(readContainerFile(app, file));
  const load: Load = {
    first,
    startedAt,
    tally,
    async flows() {
      const from = Date.now();
      const expected = { Insert: 'Done', Masked: 'Done', Read: 'Refused', Write: 'Refused' };
      await waitFor(
        () =>
          ['keeps-', 'renews'].every((worker) =>
            Object.entries(expected).every(([kind, outcome]) =>
              tally()
                .since(from)
                .some(matches(worker, kind, outcome)),
            ),
          ),
        { what: 'the load to flow', timeoutMs: 120_000, intervalMs: 500 },
      );
    },
    async stop() {
      // From outside: it must end whatever state the cluster is in.
      writeFileSync(`/proc/${app.pid}/root${file}.stop`, '');
      await waitFor(() => tally().ended, { what: 'the end of the load' });
      return tally();
    },
  };
  await load.flows();
  return load;
}

const matches =
  (worker: string, kind: string, outcome: string) =>
  (statement: StatementEntry): boolean =>
    statement.worker.startsWith(worker) && statement.kind === kind && statement.outcome === outcome;
