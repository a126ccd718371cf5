/** What programs take while they run, and whether it grows. */
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/** One look at one program. */
export interface Sample {
  /** Seconds since the load began. */
  readonly atSeconds: number;
  readonly values: Readonly<Record<string, number>>;
}

/** RSS in MiB, open handles and sockets of a process (Linux). */
export function processValues(name: string, pid: number): Record<string, number> {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const handles = readdirSync(`/proc/${pid}/fd`);
  let sockets = 0;
  for (const handle of handles) {
    try {
      if (readlinkSync(`/proc/${pid}/fd/${handle}`).startsWith('socket:')) sockets += 1;
    } catch {
      // Closed since the directory was read.
    }
  }
  return {
    [`${name} RSS, MiB`]: Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024,
    [`${name} handles`]: handles.length,
    [`${name} sockets`]: sockets,
  };
}

/** The value of a metric without labels, as Prometheus is told it. */
export function metricOf(text: string, name: string): number {
  const found = new RegExp(`^${name}(?:\\{[^}]*\\})? ([0-9.e+-]+)$`, 'm').exec(text);
  if (found === null) throw new Error(`no metric ${name}`);
  return Number(found[1]);
}

export interface Trend {
  readonly name: string;
  readonly samples: number;
  readonly min: number;
  readonly median: number;
  readonly max: number;
  /** By least squares: how much it is higher at the end of the samples than at their beginning. */
  readonly growth: number;
  /** The same by the hour. */
  readonly perHour: number;
}

/** The trend of one value over all samples from `fromSeconds` on that have it; undefined below three. */
export function trendOf(
  name: string,
  samples: readonly Sample[],
  fromSeconds: number,
): Trend | undefined {
  const points = samples.flatMap(({ atSeconds, values }) => {
    const value = values[name];
    return atSeconds < fromSeconds || value === undefined ? [] : [{ x: atSeconds, y: value }];
  });
  if (points.length < 3) return undefined;
  const mean = (of: (point: { x: number; y: number }) => number): number =>
    points.reduce((sum, point) => sum + of(point), 0) / points.length;
  const [x, y] = [mean((point) => point.x), mean((point) => point.y)];
  const slope =
    mean((point) => (point.x - x) * (point.y - y)) / mean((point) => (point.x - x) ** 2);
  const sorted = points.map((point) => point.y).sort((a, b) => a - b);
  return {
    name,
    samples: points.length,
    min: sorted[0]!,
    median: sorted[sorted.length >> 1]!,
    max: sorted.at(-1)!,
    growth: slope * (points.at(-1)!.x - points[0]!.x),
    perHour: slope * 3600,
  };
}

/** The q-th quantile of values, which are sorted by it; NaN for none. */
export function quantile(values: number[], q: number): number {
  values.sort((a, b) => a - b);
  return values[Math.min(values.length - 1, Math.floor(values.length * q))] ?? Number.NaN;
}
