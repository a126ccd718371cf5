/** Big masked results over one connection, and what they do to the proxy's memory. */
import { cpuUs, resetPeak, residentBytes } from './children.ts';
import type { Client } from './client.ts';
import { type Goal, goals } from './goals.ts';
import { against, type Figure, mebibytes, median, ratios, spread } from './report.ts';
import { accounts, type Path } from './stage.ts';

/** Two masked columns, 211 bytes a row. */
const sql = (rows: number): string =>
  `SELECT id, owner, email, ssn, balance, note FROM accounts, generate_series(1, ${Math.ceil(rows / accounts)})`;

interface Drained {
  readonly rowsPerSecond: number;
  /** The proxy's CPU time, in nanoseconds a row. */
  readonly cpuNs: number;
  readonly bytes: number;
  readonly seconds: number;
}

async function drain(client: Client, path: Path, rows: number): Promise<Drained> {
  const before = path.pid === undefined ? 0 : cpuUs(path.pid);
  const { seconds, bytes } = await client.run(path, { kind: 'drain', sql: sql(rows) });
  const spent = path.pid === undefined ? 0 : cpuUs(path.pid) - before;
  return { rowsPerSecond: rows / seconds, cpuNs: (spent * 1000) / rows, bytes, seconds };
}

export interface BulkPaths {
  readonly direct: Path;
  readonly pgbouncer: Path | undefined;
  /** Decides, masks and records; results stay out of the record. */
  readonly statements: Path;
  /** Records the masked results as well. */
  readonly full: Path;
}

export async function bulk(client: Client, paths: BulkPaths, rounds: number): Promise<Figure[]> {
  const all = [paths.direct, paths.pgbouncer, paths.statements, paths.full].filter(
    (path) => path !== undefined,
  );
  const rows = 400_000;
  const runs = new Map(all.map(({ name }) => [name, [] as Drained[]]));
  for (let round = 0; round < rounds; round += 1) {
    for (let turn = 0; turn < all.length; turn += 1) {
      const path = all[(turn + round) % all.length]!;
      runs.get(path.name)!.push(await drain(client, path, rows));
    }
  }
  const rates = (name: string): number[] => runs.get(name)?.map((one) => one.rowsPerSecond) ?? [];
  const direct = rates('direct');
  const section = 'bulk';
  const ratio = (name: string, what: string, goal?: Goal): Figure => {
    const values = ratios(rates(name), direct);
    return {
      section,
      figure: `bulk masked rows/s, 1 connection, ${what} / direct`,
      ...(goal !== undefined && against(goal, values)),
      measured: spread(values),
      samples: { [name]: rates(name), direct },
    };
  };
  const figures = [
    ratio(paths.statements.name, 'results not recorded', goals.bulkToDirect),
    ratio(paths.full.name, 'results recorded'),
  ];
  if (paths.pgbouncer !== undefined) figures.push(ratio('pgbouncer', 'pgbouncer (unmasked)'));
  for (const { name } of [
    paths.statements,
    paths.full,
    ...(paths.pgbouncer ? [paths.pgbouncer] : []),
  ]) {
    figures.push({
      section,
      figure: `proxy CPU a row, ${name}`,
      measured: spread(
        runs.get(name)!.map((one) => one.cpuNs),
        0,
        ' ns',
      ),
    });
  }
  figures.push({
    section,
    figure: '(rows/s in this run)',
    measured: all.map(({ name }) => `${name} ${Math.round(median(rates(name)))}`).join(', '),
  });
  return figures;
}

/** One result of a gigabyte; the figure is the proxy's peak. */
export async function gigabyte(client: Client, paths: BulkPaths): Promise<Figure[]> {
  const figures: Figure[] = [];
  for (const path of [paths.statements, paths.full]) {
    const pid = path.pid!;
    const before = residentBytes(pid).now;
    resetPeak(pid);
    // 211 bytes a row and 1 GB; masks keep the length.
    const { bytes, seconds } = await drain(client, path, 5_200_000);
    const { peak } = residentBytes(pid);
    figures.push({
      section: 'gigabyte',
      figure: `${(bytes / 1e9).toFixed(2)} GB masked result, ${path.name}: peak RSS, over before`,
      goal: goals.streamedGrowth,
      value: mebibytes(peak - before),
      measured: `${mebibytes(peak).toFixed(0)} MiB, +${mebibytes(peak - before).toFixed(0)} (before: ${mebibytes(before).toFixed(0)}; ${(bytes / 1e6 / seconds).toFixed(0)} MB/s)`,
      samples: { peakBytes: [peak], beforeBytes: [before], bytes: [bytes], seconds: [seconds] },
    });
  }
  return figures;
}
