/** From the start of a process to the first login that it lets through: bundles, as they are shipped. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { setTimeout as delay } from 'node:timers/promises';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import pg from 'pg';
import { baseResources, policy, writeResources } from '../support/chaperone.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';
import { StandaloneProcess } from '../support/standalone-process.ts';
import { policyRules } from './bench-policy.ts';
import type { Bundles } from './bundles.ts';
import { type Figure, spread } from './report.ts';

interface Start {
  /** Until it says that it listens, in milliseconds. */
  readonly listeningMs: number;
  /** Until a caller is logged in, with a session of its own at the server. */
  readonly loginMs: number;
}

const resources = [policy('bench', policyRules)];

/** `rounds` starts of each, over the state of the one before. */
export async function startUp(bundles: Bundles, rounds: number): Promise<Figure[]> {
  const postgres = await startReachablePostgres();
  try {
    return [
      ...figures('sidecar in a pod', await sidecarStarts(postgres, bundles, rounds)),
      ...figures('standalone', await standaloneStarts(postgres, bundles, rounds)),
    ];
  } finally {
    await postgres.stop();
  }
}

/** It attests itself, takes its policy, and lends itself the credential from a policy API beside it. */
async function sidecarStarts(
  postgres: TestPostgres,
  bundles: Bundles,
  rounds: number,
): Promise<Start[]> {
  const lab = await SidecarLab.start({ postgres, resources, bundles: bundles.directory });
  try {
    const starts: Start[] = [];
    for (let round = 0; round < rounds; round += 1) {
      await lab.sidecar.end('SIGTERM');
      const began = performance.now();
      lab.spawnSidecar();
      await lab.sidecar.logged('serving');
      const listeningMs = performance.now() - began;
      const client = await firstLogin(lab);
      starts.push({ listeningMs, loginMs: performance.now() - began });
      await client.end();
    }
    return starts;
  } finally {
    await lab.stop();
  }
}

/** It listens before it has a policy, and refuses until then. */
async function firstLogin(lab: SidecarLab): Promise<pg.Client> {
  for (;;) {
    try {
      return await lab.connect({ database: 'postgres' });
    } catch (error) {
      if (!(error instanceof Error && error.message.includes('CHP-3009'))) throw error;
      await delay(5);
    }
  }
}

async function standaloneStarts(
  postgres: TestPostgres,
  bundles: Bundles,
  rounds: number,
): Promise<Start[]> {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-bench-start-'));
  writeResources(join(directory, 'resources.yaml'), [...baseResources({ postgres }), ...resources]);
  const ports = ['--listen-port', '0', '--ops-port', '0', '--collector-port', '0'];
  let running: StandaloneProcess | undefined;
  try {
    const starts: Start[] = [];
    // The first one makes its state.
    for (let round = -1; round < rounds; round += 1) {
      const began = performance.now();
      running = StandaloneProcess.spawn(bundles.chaperone, [directory, ...ports]);
      await running.running();
      const listeningMs = performance.now() - began;
      const options = await connection(directory);
      const connecting = performance.now();
      const client = new pg.Client(options);
      await client.connect();
      const loginMs = listeningMs + performance.now() - connecting;
      await client.end();
      await running.end('SIGTERM');
      if (round >= 0) starts.push({ listeningMs, loginMs });
    }
    return starts;
  } finally {
    await running?.end('SIGKILL');
    rmSync(directory, { recursive: true, force: true });
  }
}

async function connection(directory: string): Promise<pg.ClientConfig> {
  let text = '';
  const output = new Writable({
    write(chunk, _encoding, done) {
      text += chunk;
      done();
    },
  });
  const wanted = { directory, target: 'orders-db', ttl: 600_000, database: 'postgres' };
  await createTicket('nightly-report', { ...wanted, output: 'json' }, output);
  const { host, port, user, password, database } = JSON.parse(text);
  return { host, port, user, password, database };
}

function figures(name: string, starts: readonly Start[]): Figure[] {
  const figure = (what: string, values: readonly number[]): Figure => ({
    section: 'startup',
    figure: `from start to ${what}, ${name}`,
    measured: spread(values, 0, ' ms'),
    samples: { ms: values },
  });
  return [
    figure(
      'listening',
      starts.map(({ listeningMs }) => listeningMs),
    ),
    figure(
      'the first login',
      starts.map(({ loginMs }) => loginMs),
    ),
  ];
}
