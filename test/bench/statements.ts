/** Small statements, 100-row results, latencies and new connections, through each path in turn. */

import { cpuUs, residentBytes } from './children.ts';
import type { Client } from './client.ts';
import { goals } from './goals.ts';
import { pgbench, runPgbench, type StatementLoad, type StatementRun } from './pgbench.ts';
import { against, type Figure, mebibytes, median, quantile, ratios, spread } from './report.ts';
import { accounts, type Path } from './stage.ts';

export interface Paths {
  readonly direct: Path;
  readonly directScram: Path;
  readonly pgbouncer: Path | undefined;
  /** The data path alone, which the goals are about: decides, masks, records statements to the spool. */
  readonly gateway: Path;
  /** The same, and the masked results are recorded too. */
  readonly full: Path;
  /** Over UNIX sockets on both sides. */
  readonly unix: Path;
  readonly standalone: Path;
}

const small = 'SELECT id, owner, email, balance FROM accounts WHERE id = :id';
const hundred = 'SELECT id, owner, email, balance FROM accounts WHERE id BETWEEN :id AND :id + 99';

type Load = Omit<StatementLoad, 'script'> & { readonly sql: string; readonly maxId?: number };

async function run(client: Client, path: Path, load: Load): Promise<StatementRun> {
  const maxId = load.maxId ?? accounts;
  if (pgbench !== undefined) {
    const script = `\\set id random(1, ${maxId})\n${load.sql};\n`;
    return runPgbench(path, { ...load, script });
  }
  const before = path.pid === undefined ? 0 : cpuUs(path.pid);
  const { times, seconds } = await client.run(path, { kind: 'statements', ...load, maxId });
  return {
    perSecond: times.length / seconds,
    p50: quantile(times, 0.5),
    p99: quantile(times, 0.99),
    cpuUs: path.pid === undefined ? undefined : (cpuUs(path.pid) - before) / times.length,
  };
}

/** Paths that have been under load before. */
const warm = new Set<string>();

/**
 * `rounds` times each path in turn; the order moves on by one each round. A round before the first warms
 * up what compiles while it runs.
 */
async function interleave(
  client: Client,
  paths: readonly (Path | undefined)[],
  rounds: number,
  load: Load,
): Promise<Map<string, StatementRun[]>> {
  const present = paths.filter((path) => path !== undefined);
  const runs = new Map(present.map(({ name }) => [name, [] as StatementRun[]]));
  for (const path of present) {
    if (warm.has(path.name)) continue;
    warm.add(path.name);
    await run(client, path, { ...load, seconds: 2 });
  }
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < present.length; turn += 1) {
      const path = present[(turn + round) % present.length]!;
      runs.get(path.name)!.push(await run(client, path, load));
    }
  }
  return runs;
}

class Comparison {
  readonly #runs: ReadonlyMap<string, readonly StatementRun[]>;
  constructor(runs: ReadonlyMap<string, readonly StatementRun[]>) {
    this.#runs = runs;
  }

  values(path: string, key: keyof StatementRun): number[] {
    return (this.#runs.get(path) ?? []).map((one) => one[key] ?? Number.NaN);
  }

  ratio(a: string, b: string, key: 'perSecond' | 'p50' | 'p99' = 'perSecond'): number[] {
    return this.#runs.has(b) ? ratios(this.values(a, key), this.values(b, key)) : [];
  }

  /** What is shown of each path, for orientation: ratios count, not these. */
  rates(): string {
    return [...this.#runs.keys()]
      .map((name) => `${name} ${Math.round(median(this.values(name, 'perSecond')))}`)
      .join(', ');
  }

  get samples(): Record<string, number[]> {
    const samples: Record<string, number[]> = {};
    for (const name of this.#runs.keys()) {
      for (const key of ['perSecond', 'p50', 'p99', 'cpuUs'] as const) {
        samples[`${name}.${key}`] = this.values(name, key);
      }
    }
    return samples;
  }
}

export async function smallStatements(
  client: Client,
  paths: Paths,
  rounds: number,
): Promise<Figure[]> {
  const { direct, pgbouncer, gateway, full, unix, standalone } = paths;
  const figures: Figure[] = [];
  for (const protocol of ['prepared', 'simple'] as const) {
    for (const clients of [8, 1]) {
      const busy = protocol === 'prepared' && clients === 8;
      const all = [
        direct,
        pgbouncer,
        gateway,
        ...(protocol === 'prepared' ? [unix] : []),
        ...(busy ? [standalone, full] : []),
      ];
      // Eight logins are a good part of a short round: a round of two seconds where the goals are.
      const load = { protocol, clients, seconds: busy ? 2 : 1, sql: small };
      const found = new Comparison(await interleave(client, all, rounds, load));
      const what = `${protocol}, ${clients} ${clients === 1 ? 'client' : 'clients'}`;
      const add = (
        figure: string,
        measured: string,
        judged: Pick<Figure, 'goal' | 'value'> = {},
      ): number =>
        figures.push({ section: 'small', figure: `${figure}, ${what}`, ...judged, measured });
      const toPeer = found.ratio('gateway', 'pgbouncer');
      add('statements/s, gateway / pgbouncer', spread(toPeer), against(goals.smallToPeer, toPeer));
      const toDirect = found.ratio('gateway', 'direct');
      add('statements/s, gateway / direct', spread(toDirect));
      if (busy) {
        add('statements/s, standalone / direct', spread(found.ratio('standalone', 'direct')));
      }
      if (protocol === 'prepared') {
        const overUnix = found.ratio('unix', 'pgbouncer');
        add(
          '… over UNIX sockets / pgbouncer (TCP)',
          spread(overUnix),
          against(goals.unixToPeer, overUnix),
        );
      }
      if (busy) {
        const recorded = found.ratio('full', 'pgbouncer');
        add('… results recorded / pgbouncer', spread(recorded));
      }
      const cpu = found.values('gateway', 'cpuUs');
      add(
        'proxy CPU a statement, gateway',
        spread(cpu, 1, ' µs'),
        against(goals.cpuPerStatement, cpu),
      );
      for (const name of ['unix', 'full', 'standalone', 'pgbouncer']) {
        const spent = found.values(name, 'cpuUs');
        if (spent.length > 0) add(`proxy CPU a statement, ${name}`, spread(spent, 1, ' µs'));
      }
      if (clients === 8) {
        const p99 = found.ratio('gateway', 'pgbouncer', 'p99');
        add('p99, gateway / pgbouncer', spread(p99), against(goals.p99ToPeer, p99));
      }
      const last = figures.pop()!;
      figures.push({ ...last, samples: found.samples });
      const p = (name: string): string =>
        `${median(found.values(name, 'p50')).toFixed(0)}/${median(found.values(name, 'p99')).toFixed(0)}`;
      const names = all.flatMap((path) => path?.name ?? []);
      add('p50/p99 µs', names.map((name) => `${name} ${p(name)}`).join(', '));
      add('RSS then, MiB', residents(all));
      add('(statements/s in this run)', found.rates());
    }
  }
  return figures;
}

/** Of the proxies that were under load just now. */
function residents(paths: readonly (Path | undefined)[]): string {
  return paths
    .flatMap((path) =>
      path?.pid === undefined
        ? []
        : [`${path.name} ${mebibytes(residentBytes(path.pid).now).toFixed(0)}`],
    )
    .join(', ');
}

/** Everything on one core, one client: what a hop costs when nothing runs beside it. */
export async function oneCore(
  client: Client,
  paths: Paths,
  rounds: number,
  cpu: string,
): Promise<Figure[]> {
  const { direct, pgbouncer, gateway, unix } = paths;
  const load = { protocol: 'prepared', clients: 1, seconds: 1, sql: small, cpu } as const;
  const all = [direct, pgbouncer, gateway, unix];
  const found = new Comparison(await interleave(client, all, rounds, load));
  const base = found.values('direct', 'p50');
  const added = (name: string): number[] =>
    found.values(name, 'p50').map((value, round) => value - base[round]!);
  const section = 'one-core';
  return [
    {
      section,
      figure: 'added p50, all on one core, gateway',
      measured: spread(added('gateway'), 0, ' µs'),
      ...against(goals.addedP50, added('gateway')),
      samples: found.samples,
    },
    ...['unix', 'pgbouncer']
      .filter((name) => added(name).length > 0)
      .map((name) => ({
        section,
        figure: `added p50, all on one core, ${name}`,
        measured: spread(added(name), 0, ' µs'),
      })),
  ];
}

export async function hundredRows(client: Client, paths: Paths, rounds: number): Promise<Figure[]> {
  const { direct, pgbouncer, gateway } = paths;
  const load = {
    protocol: 'prepared',
    clients: 8,
    seconds: 1,
    sql: hundred,
    maxId: accounts - 99,
  } as const;
  const all = [direct, pgbouncer, gateway];
  const found = new Comparison(await interleave(client, all, rounds, load));
  const toPeer = found.ratio('gateway', 'pgbouncer');
  const section = 'rows';
  return [
    {
      section,
      figure: '100-row results/s, gateway / pgbouncer, 8 clients',
      measured: spread(toPeer),
      ...against(goals.hundredRowsToPeer, toPeer),
      samples: found.samples,
    },
    {
      section,
      figure: '100-row results/s, gateway / direct',
      measured: spread(found.ratio('gateway', 'direct')),
    },
    { section, figure: '(results/s in this run)', measured: found.rates() },
  ];
}

export async function newConnections(
  client: Client,
  paths: Paths,
  rounds: number,
): Promise<Figure[]> {
  const { direct, directScram, gateway, standalone } = paths;
  const load = { protocol: 'simple', clients: 2, seconds: 1, sql: small, reconnect: true } as const;
  // The node client knows no SCRAM.
  const all = [direct, pgbench === undefined ? undefined : directScram, gateway, standalone];
  const found = new Comparison(await interleave(client, all, rounds, load));
  const toDirect = found.ratio('gateway', 'direct');
  const section = 'connections';
  return [
    {
      section,
      figure: 'new connections/s, gateway / direct (trust)',
      measured: spread(toDirect),
      ...against(goals.newConnections, toDirect),
      samples: found.samples,
    },
    {
      section,
      figure: 'new connections/s, gateway / direct (SCRAM)',
      measured: spread(found.ratio('gateway', 'direct (SCRAM)')),
    },
    {
      section,
      figure: 'new connections/s, standalone / direct (SCRAM)',
      measured: spread(found.ratio('standalone', 'direct (SCRAM)')),
    },
    { section, figure: '(connections/s in this run)', measured: found.rates() },
  ];
}
