/** What the soak found, judged and printed. */
import { type Sample, type Trend, trendOf } from './samples.ts';
import type { Agreement, ClientTally } from './tally.ts';

export interface Found {
  readonly samples: readonly Sample[];
  /** Before the load, and after it when every client has gone. */
  readonly before: Sample;
  readonly after: Sample;
  readonly tallies: readonly ClientTally[];
  readonly agreements: readonly Agreement[];
}

/**
 * How much a value may be higher at the end than at the beginning, after warm-up, by its fitted line: so much
 * of its median, and not less than a floor (a few sessions that happen to be open, pages that the allocator
 * keeps).
 */
const mayGrow: Readonly<Record<string, { readonly share: number; readonly floor: number }>> = {
  'gateway RSS, MiB': { share: 0.1, floor: 16 },
  'gateway heap, MiB': { share: 0.15, floor: 12 },
  'gateway handles': { share: 0.1, floor: 6 },
  'gateway sockets': { share: 0.1, floor: 6 },
  'gateway spool, MiB': { share: 0.5, floor: 4 },
  'collector RSS, MiB': { share: 0.15, floor: 24 },
  'collector handles': { share: 0.1, floor: 6 },
  'collector sockets': { share: 0.1, floor: 6 },
  'read p50, ms': { share: 0.5, floor: 5 },
};

/** Sockets and handles that may be more after the load than before it: the shipping connection, the policy's. */
const mayStayOpen = 4;

/** A quarter of the time, at least a minute where there is one, before anything is judged. */
const warmUpSeconds = (seconds: number): number => Math.max(Math.min(60, seconds / 3), seconds / 4);

function trends({ samples }: Found, seconds: number): Trend[] {
  const names = new Set(samples.flatMap(({ values }) => Object.keys(values)));
  return [...names].flatMap((name) => trendOf(name, samples, warmUpSeconds(seconds)) ?? []);
}

function bound({ name, median }: Trend): number | undefined {
  const limit = mayGrow[name];
  return limit && Math.max(limit.floor, limit.share * median);
}

/** Everything that is not as it should be, in words; empty when all is well. */
export function breaches(found: Found, seconds: number): string[] {
  const failures: string[] = [];
  for (const trend of trends(found, seconds)) {
    const most = bound(trend);
    if (most !== undefined && trend.growth > most) {
      failures.push(`${trend.name} grew by ${figure(trend.growth)}, more than ${figure(most)}`);
    }
  }
  for (const name of ['gateway handles', 'gateway sockets']) {
    const [first, last] = [found.before.values[name]!, found.after.values[name]!];
    if (last > first + mayStayOpen) failures.push(`${name}: ${first} before, ${last} afterwards`);
  }
  for (const { what, clients, others, agree } of found.agreements) {
    if (!agree) failures.push(`${what}: clients ${clients}, ${others}`);
  }
  return failures;
}

export function printReport(found: Found, seconds: number, failures: readonly string[]): void {
  console.log(`\nAfter ${seconds} s, judged from ${warmUpSeconds(seconds).toFixed(0)} s on:\n`);
  table(
    ['', 'samples', 'min', 'median', 'max', 'growth', 'an hour', 'bound'],
    trends(found, seconds).map((trend) => [
      trend.name,
      String(trend.samples),
      ...[trend.min, trend.median, trend.max, trend.growth, trend.perHour].map(figure),
      figure(bound(trend)),
    ]),
  );
  console.log('');
  table(
    ['', 'before', 'afterwards'],
    Object.keys(found.before.values).map((name) => [
      name,
      figure(found.before.values[name]),
      figure(found.after.values[name]),
    ]),
  );
  console.log('');
  table(
    ['client', 'logins', 'answered', 'refused', 'cancelled', 'inserted', 'untold'],
    found.tallies.map(({ name, logins, answered, refused, cancelled, inserted, lost }) => [
      name,
      ...[logins, answered, refused, cancelled, inserted, lost].map(String),
    ]),
  );
  for (const { name, strange } of found.tallies) {
    for (const [what, times] of Object.entries(strange)) console.log(`${name}: ${times} × ${what}`);
  }
  console.log('');
  table(
    ['tally', 'clients', 'others', ''],
    found.agreements.map(({ what, clients, others, agree }) => [
      what,
      String(clients),
      others,
      agree ? 'agree' : 'CONTRADICT',
    ]),
  );
  console.log(failures.length === 0 ? '\nFlat, and all agree.' : `\n${failures.join('\n')}`);
}

function figure(value: number | undefined): string {
  if (value === undefined) return '';
  return Math.abs(value) >= 100 ? value.toFixed(0) : value.toFixed(2);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): void {
  const all = [head, ...rows];
  const widths = head.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  for (const row of all) {
    console.log(
      row
        .map((cell, column) => cell.padEnd(widths[column]!))
        .join('  ')
        .trimEnd(),
    );
  }
}
