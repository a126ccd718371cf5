/**
 * `make bench`: Chaperone against direct connections and pgbouncer, in turns, as ratios within one run. Starts
 * all it needs on loopback and ends by itself within minutes. Figures are printed and written to
 * `.bench/bench-<time>.json`; nothing is asserted. `--only NAME[,NAME]` runs some sections alone.
 */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { bulk, gigabyte } from './bulk.ts';
import { type Bundles, makeBundles } from './bundles.ts';
import { Client } from './client.ts';
import { byColumns, byDetectors, byRules, bySize } from './growth.ts';
import { idle, idleSessions, withClients } from './memory.ts';
import { micro } from './micro.ts';
import { pgbench } from './pgbench.ts';
import { type Figure, formatTable, verdict } from './report.ts';
import { Stage } from './stage.ts';
import { startUp } from './start-up.ts';
import { hundredRows, newConnections, oneCore, type Paths, smallStatements } from './statements.ts';

/** Made in this process: nothing else needs to run. */
const inProcess = {
  micro,
  rules: byRules,
  columns: byColumns,
  detectors: byDetectors,
  sizes: bySize,
};
const staged = [
  'memory',
  'small',
  'one-core',
  'rows',
  'connections',
  'bulk',
  'gigabyte',
  'sessions',
  'startup',
] as const;
type Section = keyof typeof inProcess | (typeof staged)[number];
const sections: readonly string[] = [...Object.keys(inProcess), ...staged];
/** No section begins later. The longest takes a bit more than a minute and a half, and comes early. */
const maxSeconds = 300;

const { values } = parseArgs({
  options: { only: { type: 'string' }, rounds: { type: 'string', default: '5' } },
});
const asked = values.only?.split(',') ?? sections;
const unknown = asked.filter((name) => !sections.includes(name));
const rounds = Number(values.rounds);
if (unknown.length > 0 || !(Number.isInteger(rounds) && rounds > 0)) {
  console.error(`bench [--only ${sections.join('|')}[,…]] [--rounds N]`);
  process.exit(2);
}

const root = resolve(import.meta.dirname, '../..');
const out = join(root, '.bench');
const figures: Figure[] = [];
const notes: string[] = [];
const began = performance.now();

async function section(name: Section, run: () => Promise<Figure[]> | Figure[]): Promise<void> {
  if (!asked.includes(name)) return;
  const seconds = Math.round((performance.now() - began) / 1000);
  if (seconds > maxSeconds) {
    notes.push(`${name} is left out: ${seconds} s have passed. Run it alone: --only ${name}`);
    return;
  }
  console.error(`${String(seconds).padStart(4)} s  ${name}`);
  try {
    figures.push(...(await run()));
  } catch (error) {
    notes.push(`${name} could not be measured: ${error instanceof Error ? error.message : error}`);
  }
}

async function measure(): Promise<void> {
  for (const [name, run] of Object.entries(inProcess)) await section(name as Section, run);
  if (asked.every((name) => name in inProcess)) return;
  const bundleDirectory = join(out, `bundle-${process.pid}`);
  const client = new Client();
  let stage: Stage | undefined;
  const interrupted = async (): Promise<void> => {
    client.stop();
    await stage?.stop();
    rmSync(bundleDirectory, { recursive: true, force: true });
    process.exit(130);
  };
  process.once('SIGINT', interrupted).once('SIGTERM', interrupted);
  try {
    const bundles = await makeBundles(bundleDirectory);
    stage = await Stage.start(bundles);
    await measureAll(stage, client, bundles);
  } finally {
    client.stop();
    await stage?.stop();
    rmSync(bundleDirectory, { recursive: true, force: true });
  }
}

async function measureAll(stage: Stage, client: Client, bundles: Bundles): Promise<void> {
  const { direct, directScram } = stage;
  const gateway = await stage.gateway('gateway');
  const standalone = await stage.standalone();
  await section('memory', async () => [
    ...idle(gateway, standalone),
    ...(await withClients(gateway)),
  ]);

  const pgbouncer = await stage.pgbouncer();
  if (pgbouncer === undefined) {
    notes.push(
      'pgbouncer is not installed: nothing is compared with it (apt-get install pgbouncer)',
    );
  }
  if (pgbench === undefined) {
    notes.push(
      'pgbench is not installed: a Node.js client makes the load, which costs more than the proxy does',
    );
  }
  const unix = await stage.gateway('unix', { unix: true });
  const full = await stage.gateway('full', { recording: 'Full' });
  const paths: Paths = { direct, directScram, pgbouncer, gateway, full, unix, standalone };
  await section('small', () => smallStatements(client, paths, rounds));
  await section('one-core', async () => {
    stage.pin('0');
    try {
      return await oneCore(client, paths, rounds, '0');
    } finally {
      stage.pin(`0-${availableParallelism() - 1}`);
    }
  });
  await section('rows', () => hundredRows(client, paths, rounds));
  await section('connections', () => newConnections(client, paths, rounds));

  await stage.stopPath(unix);
  await stage.stopPath(standalone);
  const bulkPaths = { direct, pgbouncer, statements: gateway, full };
  await section('bulk', () => bulk(client, bulkPaths, rounds));
  await section('gigabyte', () => gigabyte(client, bulkPaths));
  await section('sessions', async () => idleSessions(client, await stage.gateway('sessions')));
  await section('startup', () => startUp(bundles, rounds));
}

await measure();
const machine = {
  cpu: cpus()[0]?.model ?? 'unknown',
  cores: availableParallelism(),
  node: process.version,
  rounds,
  seconds: Math.round((performance.now() - began) / 1000),
};
console.log(`\n${formatTable(figures)}\n`);
const judged = figures.map((one) => ({ ...one, verdict: verdict(one) }));
const short = judged.filter((one) => one.verdict === 'short');
if (short.length > 0) {
  console.log(`short of solid: ${short.map(({ figure }) => figure).join('; ')}\n`);
}
for (const note of notes) console.log(`note: ${note}`);
mkdirSync(out, { recursive: true });
const time = new Date().toISOString().replace(/[:.]/g, '-');
const file = join(out, `bench-${time}.json`);
writeFileSync(
  file,
  `${JSON.stringify({ time: new Date().toISOString(), machine, notes, figures: judged }, null, 1)}\n`,
);
console.log(
  `${machine.cores} × ${machine.cpu}, Node ${machine.node}, ${machine.seconds} s; ${file}`,
);
