/**
 * Real drivers' pools through a gateway that records to a collector, for a bounded time: connections come and go,
 * statements are refused, fail and are cancelled, the policy changes, sessions are ended. At the end it says
 * whether anything grew, and whether clients, database and record agree; exit code 1 if not.
 *
 * `node test/soak/soak.ts [--seconds 1200] [--json PATH]`
 */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { masking, policy, type Resource } from '../support/chaperone.ts';
import { goProgram } from '../support/go.ts';
import type { TestPostgres } from '../support/postgres.ts';
import { pythonWithPools } from '../support/python.ts';
import { loadShop } from '../support/shop.ts';
import { SidecarLab, startReachablePostgres } from '../support/sidecar-lab.ts';
import { PgClient } from './pg-client.ts';
import { breaches, printReport } from './report.ts';
import { metricOf, processValues, quantile, type Sample } from './samples.ts';
import { type Agreement, type ClientTally, compare, type Facts } from './tally.ts';

const { values: options } = parseArgs({
  options: { seconds: { type: 'string', default: '1200' }, json: { type: 'string' } },
});
const seconds = Number(options.seconds);
if (!(seconds >= 30)) throw new Error('--seconds: at least 30');

const sampleEveryMs = 5000;
const policyEveryMs = 3000;
const suspendEveryMs = 45_000;
const suspendedMs = 1000;

const identityName = 'nightly-report';
const soakTables = `
CREATE TABLE soak_log (id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, client text NOT NULL);
CREATE TABLE soak_copy (id int NOT NULL, body text NOT NULL);
`;

/** The policy of the application; reading products is allowed by turns. */
function resources(productsAllowed: boolean): Resource[] {
  const refused: Resource[] = productsAllowed
    ? []
    : [
        {
          name: 'products',
          action: 'Deny',
          verbs: ['Select'],
          resources: ['shop.public.products'],
        },
      ];
  return [
    policy('application', [
      {
        name: 'data',
        action: 'Allow',
        classes: ['Read', 'Write', 'Export'],
        resources: ['shop.public.**'],
      },
      { name: 'orders', action: 'Deny', verbs: ['Delete'], resources: ['shop.public.orders'] },
      ...refused,
    ]),
    masking('ssn', {
      columns: ['shop.public.*.ssn'],
      transform: { type: 'Partial', keepLast: 4 },
    }),
  ];
}

/** A directory with the programs as the images have them. */
function asShipped(): string {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-soak-'));
  const script = resolve(import.meta.dirname, '../../scripts/build.ts');
  const programs = ['--only', 'sidecar', '--only', 'collector'];
  execFileSync(process.execPath, [script, '--out', directory, ...programs], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  return directory;
}

/** A client of another language, which works until its input ends. */
interface Foreign {
  finish(): Promise<ClientTally[]>;
  kill(): void;
}

function startForeign(
  file: string,
  args: readonly string[],
  env: Readonly<Record<string, string>>,
): Foreign {
  const { PATH = '', HOME = '' } = process.env;
  const child = spawn(file, args, {
    env: { PATH, HOME, ...env },
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  let out = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => {
    out += text;
  });
  child.stdin.on('error', () => {});
  const ended = once(child, 'close');
  return {
    async finish() {
      child.stdin.end();
      await ended;
      return JSON.parse(out) as ClientTally[];
    },
    kill: () => void child.kill('SIGKILL'),
  };
}

async function look(
  lab: SidecarLab,
  startedMs: number,
  latencies: number[] | undefined,
): Promise<Sample> {
  const { text } = await lab.ops('/metrics');
  return {
    atSeconds: (performance.now() - startedMs) / 1000,
    values: {
      ...processValues('gateway', lab.sidecar.pid),
      'gateway heap, MiB': metricOf(text, 'nodejs_heap_size_used_bytes') / 2 ** 20,
      'gateway spool, MiB': metricOf(text, 'chaperone_spool_bytes') / 2 ** 20,
      ...processValues('collector', lab.collector.pid),
      ...(latencies && {
        'read p50, ms': quantile(latencies, 0.5),
        'read p99, ms': quantile(latencies, 0.99),
      }),
    },
  };
}

/** What the record and the database hold, once everything has arrived. */
async function facts(lab: SidecarLab, postgres: TestPostgres): Promise<Facts> {
  await lab.until(
    () => lab.ops('/metrics'),
    ({ text }) => metricOf(text, 'chaperone_spool_age_seconds') === 0,
  );
  const count = async (question: Readonly<Record<string, string>>): Promise<number> =>
    (await lab.events(question)).length;
  const { sources, alerts } = await lab.integrity();
  const { rows } = await postgres.query('SELECT count(*)::int AS n FROM soak_log', [], 'shop');
  const denied = await lab.events({ type: 'OperationDecided', verdict: 'Deny' });
  const turnedAway = denied.filter(({ event }) => event.protocol === 'Startup').length;
  return {
    refusals: denied.length - turnedAway,
    sessionsOpened: (await count({ type: 'SessionOpened' })) - turnedAway,
    sessionsClosed: (await count({ type: 'SessionClosed' })) - turnedAway,
    insertsAllowed: await count({
      type: 'OperationDecided',
      verdict: 'Allow',
      verb: 'Insert',
      resource: 'shop.public.soak_log',
    }),
    rows: rows[0]!.n,
    missing: sources.reduce((sum, { missing }) => sum + missing.length, 0),
    alerts: alerts.length,
  };
}

async function main(): Promise<boolean> {
  const [python, go] = await Promise.all([
    pythonWithPools(),
    goProgram(resolve(import.meta.dirname, '../drivers/go')),
  ]);
  const postgres = await startReachablePostgres();
  await loadShop(postgres, { orders: 2000 });
  await postgres.query(soakTables, undefined, 'shop');
  const bundles = asShipped();
  const lab = await SidecarLab.start({
    postgres,
    resources: resources(true),
    mode: 'Gateway',
    bundles,
  });
  const foreign: Foreign[] = [];
  // Whatever fails here, and whoever wants it to end, what was started is stopped.
  const crashed = new Promise<never>((_, reject) => {
    process.once('uncaughtException', reject);
    for (const signal of ['SIGINT', 'SIGTERM'] as const) {
      process.once(signal, () => reject(new Error(`ended by ${signal}: nothing is judged`)));
    }
  });
  crashed.catch(() => {});
  try {
    const connection = {
      host: '127.0.0.1',
      port: await lab.port(),
      user: `payments/${identityName}`,
      password: `sa.payments.${identityName}`,
      database: 'shop',
    };
    const env = {
      PGHOST: connection.host,
      PGPORT: String(connection.port),
      PGUSER: connection.user,
      PGPASSWORD: connection.password,
      PGDATABASE: connection.database,
    };
    const before = await look(lab, performance.now(), undefined);
    const client = new PgClient(connection);
    client.start(4);
    if (python === undefined) console.log('psycopg and asyncpg are not run: no Python here');
    else {
      const source = join(import.meta.dirname, 'clients/pools.py');
      foreign.push(startForeign(python, [source], env));
    }
    if (go === undefined) console.log('pgx is not run: no Go here');
    else foreign.push(startForeign(go, ['soak'], env));

    const samples = await Promise.race([run(lab, client), crashed]);

    lab.write(resources(true));
    const tallies = [await client.stop()];
    for (const one of foreign) tallies.push(...(await one.finish()));
    const after = await settled(lab, before);
    const agreements = compare(tallies, await facts(lab, postgres));
    return report({ samples, before, after, tallies, agreements });
  } finally {
    for (const one of foreign) one.kill();
    await lab.stop();
    await postgres.stop();
    rmSync(bundles, { recursive: true, force: true });
  }
}

/** Changes the policy and suspends the identity, by turns, and looks on; ends when the time is over. */
async function run(lab: SidecarLab, client: PgClient): Promise<Sample[]> {
  const startedMs = performance.now();
  const endsMs = startedMs + seconds * 1000;
  const stop = new AbortController();
  const repeat = async (everyMs: number, work: () => Promise<void> | void): Promise<void> => {
    while (performance.now() + everyMs < endsMs && !stop.signal.aborted) {
      await delay(everyMs, undefined, { signal: stop.signal });
      await work();
    }
  };
  const samples: Sample[] = [];
  let allowed = true;
  const loops = [
    repeat(sampleEveryMs, async () => {
      samples.push(await look(lab, startedMs, client.takeLatencies()));
    }),
    repeat(policyEveryMs, () => {
      allowed = !allowed;
      lab.write(resources(allowed));
    }),
    repeat(suspendEveryMs, async () => {
      lab.changeIdentity({ suspended: true });
      await delay(suspendedMs);
      lab.changeIdentity({ suspended: false });
    }),
  ];
  try {
    await Promise.all(loops);
  } finally {
    stop.abort();
  }
  return samples;
}

/**
 * After the load: when as few sockets are open as before it, or after two minutes. Connections to the policy API
 * and the collector are kept for a while.
 */
async function settled(lab: SidecarLab, before: Sample): Promise<Sample> {
  for (let attempt = 1; ; attempt += 1) {
    const now = await look(lab, performance.now(), undefined);
    const open = now.values['gateway sockets']!;
    if (open <= before.values['gateway sockets']! || attempt === 120) return now;
    await delay(1000);
  }
}

function report(found: {
  readonly samples: readonly Sample[];
  readonly before: Sample;
  readonly after: Sample;
  readonly tallies: readonly ClientTally[];
  readonly agreements: readonly Agreement[];
}): boolean {
  const failures = breaches(found, seconds);
  printReport(found, seconds, failures);
  if (options.json !== undefined) {
    mkdirSync(dirname(resolve(options.json)), { recursive: true });
    writeFileSync(options.json, `${JSON.stringify({ seconds, ...found, failures }, null, 2)}\n`);
  }
  return failures.length === 0;
}

try {
  process.exitCode = (await main()) ? 0 : 1;
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  // Timers of the load that was given up would hold the process.
  process.exit(1);
}
