/** Daemons known by pid file; a pid counts only together with the process's start time, as pids are reused. */
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { waitFor } from './wait-for.ts';

interface PidFile {
  readonly pid: number;
  /** In clock ticks since boot: field 22 of /proc/PID/stat. */
  readonly startTime: string;
}

export interface DaemonFiles {
  readonly pidFile: string;
  readonly logFile: string;
}

/** Starts a program that outlives us, its output in the log file. */
export function startDaemon(argv: readonly string[], { pidFile, logFile }: DaemonFiles): number {
  const [program, ...args] = argv;
  mkdirSync(dirname(pidFile), { recursive: true });
  mkdirSync(dirname(logFile), { recursive: true });
  const log = openSync(logFile, 'a');
  try {
    const child = spawn(program!, args, { detached: true, stdio: ['ignore', log, log] });
    child.on('error', () => {}); // no pid then: reported below
    if (child.pid === undefined) throw new Error(`${program} cannot be started`);
    child.unref();
    writePidFile(pidFile, child.pid);
    return child.pid;
  } finally {
    closeSync(log);
  }
}

/** Names a process that runs; `runningPid` tells it from any later one of the same number. */
export function writePidFile(pidFile: string, pid: number): void {
  const startTime = startTimeOf(pid);
  if (startTime === undefined) throw new Error(`process ${pid} ended at once (${pidFile})`);
  writeFileSync(pidFile, JSON.stringify({ pid, startTime } satisfies PidFile));
}

/** The pid of a daemon that runs; undefined when it ended or was never started. */
export function runningPid(pidFile: string): number | undefined {
  let file: PidFile;
  try {
    file = JSON.parse(readFileSync(pidFile, 'utf8')) as PidFile;
  } catch {
    return undefined; // missing, or cut off by a kill while it was written
  }
  return startTimeOf(file.pid) === file.startTime ? file.pid : undefined;
}

/** Ends a daemon: SIGTERM, then SIGKILL when it has not gone within `graceMs`. Nothing when it does not run. */
export async function stopDaemon(pidFile: string, graceMs: number): Promise<void> {
  const gone = () => runningPid(pidFile) === undefined;
  signalDaemon(pidFile, 'SIGTERM');
  await waitFor(gone, { timeoutMs: graceMs }).catch(() => undefined); // then the hard way
  await killDaemon(pidFile);
}

/** Ends a daemon by SIGKILL. Nothing when it does not run. */
export async function killDaemon(pidFile: string): Promise<void> {
  signalDaemon(pidFile, 'SIGKILL');
  await waitFor(() => runningPid(pidFile) === undefined, { what: `the end of ${pidFile}` });
  rmSync(pidFile, { force: true });
}

/** Sends a signal to a daemon if it runs; says whether it did. */
export function signalDaemon(pidFile: string, signal: NodeJS.Signals): boolean {
  const pid = runningPid(pidFile);
  if (pid === undefined) return false;
  process.kill(pid, signal);
  return true;
}

/** Undefined for a process that is gone or a zombie, which only waits for its parent. */
function startTimeOf(pid: number): string | undefined {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  } catch {
    return undefined;
  }
  // The second field is the name in parentheses, which may contain anything: count from its end.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return fields[0] === 'Z' ? undefined : fields[19];
}
