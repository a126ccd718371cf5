/** Small statements by PostgreSQL's own load generator. */
import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { cpuUs } from './children.ts';
import type { Path } from './stage.ts';

const run = promisify(execFile);

/** Undefined when it is not installed. */
export const pgbench = ['/usr/lib/postgresql/15/bin/pgbench', '/usr/bin/pgbench'].find((path) =>
  existsSync(path),
);

export interface StatementLoad {
  readonly protocol: 'simple' | 'prepared';
  readonly clients: number;
  readonly seconds: number;
  /** A pgbench script. */
  readonly script: string;
  /** A connection for each transaction. */
  readonly reconnect?: boolean;
  /** Runs the load itself on this CPU only. */
  readonly cpu?: string;
}

export interface StatementRun {
  readonly perSecond: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** The proxy's CPU time for a statement, in microseconds; undefined for the direct way. */
  readonly cpuUs: number | undefined;
}

export async function runPgbench(path: Path, load: StatementLoad): Promise<StatementRun> {
  const directory = mkdtempSync(join(tmpdir(), 'chaperone-bench-load-'));
  try {
    const script = join(directory, 'script.sql');
    writeFileSync(script, load.script);
    const before = path.pid === undefined ? 0 : cpuUs(path.pid);
    const args = [
      ...['-n', '-f', script, '-M', load.protocol, '-c', String(load.clients), '-j', '1'],
      ...['-T', String(load.seconds), '-l', `--log-prefix=${join(directory, 'log')}`],
      ...(load.reconnect ? ['-C'] : []),
      ...['-h', path.host, '-p', String(path.port), '-U', path.user, path.database],
    ];
    const command = load.cpu === undefined ? [pgbench!] : ['taskset', '-c', load.cpu, pgbench!];
    const { stdout } = await run(command[0]!, [...command.slice(1), ...args], {
      env: { ...process.env, PGPASSWORD: path.password },
    });
    const spent = path.pid === undefined ? undefined : cpuUs(path.pid) - before;
    const perSecond = Number(/^tps = ([\d.]+)/m.exec(stdout)?.[1]);
    const times = readLog(directory);
    if (!(perSecond > 0) || times.length === 0) throw new Error(`pgbench says:\n${stdout}`);
    return {
      perSecond,
      p50: times[Math.floor(times.length * 0.5)]!,
      p99: times[Math.floor(times.length * 0.99)]!,
      cpuUs: spent === undefined ? undefined : spent / times.length,
    };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

/** Latencies in microseconds, sorted. */
function readLog(directory: string): number[] {
  const times: number[] = [];
  for (const name of readdirSync(directory).filter((file) => file.startsWith('log.'))) {
    for (const line of readFileSync(join(directory, name), 'utf8').split('\n')) {
      if (line !== '') times.push(Number(line.split(' ')[2]));
    }
  }
  return times.sort((a, b) => a - b);
}
