/** Sessions that stay open in governed pods, and the moments at which they see that something has changed. */
import { type ChildProcess, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { clusterContext } from './context.ts';
import type { Database } from './database.ts';

/** Ends when its standard input does: ending `kubectl exec` does not end what it started. */
const program = `
const { setTimeout: delay } = require('node:timers/promises');
const pg = require('pg');
const [host, port, sessions, sql] = process.argv.slice(1);
process.stdin.on('end', () => process.exit(0)).resume();
const say = (line) => process.stdout.write(JSON.stringify(line) + '\\n');
const outcomeOf = (promise) => promise.then(() => 'Ok', (error) => error.code ?? error.message);
async function session(number) {
  const client = new pg.Client({ host, port: Number(port), user: 'app', database: 'shop' });
  let told;
  let ended = false;
  client.on('error', (error) => { told ??= error.code ?? error.message; }).on('end', () => { ended = true; });
  let state = await outcomeOf(client.connect());
  if (state !== 'Ok') return say({ number, state: 'refused ' + state });
  state = undefined;
  while (!ended) {
    const outcome = await outcomeOf(client.query(sql));
    if (outcome === '57P01') told ??= outcome;
    if (ended || told !== undefined) break;
    if (outcome !== state) say({ number, state: state = outcome });
    await delay(10);
  }
  say({ number, state: 'ended ' + told });
}
for (let number = 0; number < Number(sessions); number += 1) session(number);
`;

export interface OpenSessionsOptions {
  readonly namespace: string;
  readonly pods: readonly string[];
  readonly database: Database;
  readonly sessionsPerPod: number;
  /** What each asks every 10 ms. */
  readonly sql: string;
}

/**
 * Of each session the newest state: `Ok` or a SQLSTATE as the last statement ended, `ended CODE` once the session has
 * ended, `refused CODE` where it did not come about. Moments are by this process's clock alone.
 */
export class OpenSessions {
  readonly #count: number;
  readonly #children: readonly ChildProcess[];
  readonly #states = new Map<string, { readonly state: string; readonly atMs: number }>();
  #errors = '';
  #onChange: () => void = () => {};

  constructor({ namespace, pods, database, sessionsPerPod, sql }: OpenSessionsOptions) {
    const { host, port } = database;
    const env = { ...process.env, KUBECONFIG: clusterContext().kubeconfig };
    this.#count = pods.length * sessionsPerPod;
    this.#children = pods.map((pod) => {
      const command = ['node', '-e', program, host, String(port), String(sessionsPerPod), sql];
      const argv = ['exec', '-i', '-n', namespace, pod, '-c', 'app', '--', ...command];
      const child = spawn('kubectl', argv, { env });
      child.stderr.setEncoding('utf8').on('data', (text) => {
        this.#errors += text;
      });
      createInterface({ input: child.stdout }).on('line', (line) => this.#take(pod, line));
      return child;
    });
  }

  /** Resolves with the moment (of `performance.now()`) at which the last of them came into the state. */
  async all(state: string, timeoutMs: number): Promise<number> {
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<never>((_, reject) => {
      timer = setTimeout(() => {
        const states = JSON.stringify([...this.#states]);
        reject(new Error(`not all are ${state} after ${timeoutMs} ms: ${states} ${this.#errors}`));
      }, timeoutMs);
    });
    try {
      for (;;) {
        const changed = new Promise<void>((resolve) => {
          this.#onChange = resolve;
        });
        const states = [...this.#states.values()];
        if (states.length === this.#count && states.every((known) => known.state === state)) {
          return Math.max(...states.map(({ atMs }) => atMs));
        }
        await Promise.race([changed, late]);
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Ends the programs and with them the sessions. */
  async stop(): Promise<void> {
    await Promise.all(
      this.#children.map(async (child) => {
        if (child.exitCode !== null) return;
        const ended = new Promise((resolve) => child.once('exit', resolve));
        child.stdin?.end();
        await ended;
      }),
    );
  }

  #take(pod: string, line: string): void {
    const { number, state } = JSON.parse(line) as { number: number; state: string };
    this.#states.set(`${pod}/${number}`, { state, atMs: performance.now() });
    this.#onChange();
  }
}
