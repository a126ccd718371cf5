/** Programs that are measured: each in a process of its own, gone with ours however we end. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, writeFileSync } from 'node:fs';

/**
 * Runs a program until it ends or our end of standard input closes, and then removes the directory. Says the
 * program's process id on the first line.
 */
const supervisor = `
directory=$1; shift
exec 3<&0
"$@" 3<&- </dev/null & program=$!
echo "$program"
{ read -r _ <&3; kill -TERM "$program"; } & watcher=$!
exec 3<&-
wait "$program"; status=$?
kill "$watcher" 2>/dev/null; wait "$watcher" 2>/dev/null
cd /
rm -rf "$directory"
exit "$status"
`;

export interface ChildOptions {
  readonly command: string;
  readonly args: readonly string[];
  /** Removed when the program has ended. */
  readonly directory: string;
  /** In what it writes, on either stream, once it is ready. */
  readonly ready: string;
  readonly user?: { readonly uid: number; readonly gid: number } | undefined;
  readonly env?: Readonly<Record<string, string>>;
}

export interface Child {
  readonly pid: number;
  /** All that it wrote, up to a megabyte. */
  output(): string;
  stop(): Promise<void>;
}

/** Starts a program; rejects with its output when it ends before it is ready. */
export async function startChild(options: ChildOptions): Promise<Child> {
  const { PATH, HOME } = process.env;
  const child: ChildProcess = spawn(
    '/bin/sh',
    ['-c', supervisor, 'bench', options.directory, options.command, ...options.args],
    {
      ...options.user,
      cwd: options.directory,
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
      env: { PATH, HOME, ...options.env },
    },
  );
  let text = '';
  const take = (chunk: string): void => {
    text = (text + chunk).slice(-(1 << 20));
  };
  child.stdout!.setEncoding('utf8').on('data', take);
  child.stderr!.setEncoding('utf8').on('data', take);
  child.stdin!.on('error', () => {});
  const ended = once(child, 'close').then(() => true);
  let pid = 0;
  while (!text.includes(options.ready) || pid === 0) {
    pid ||= Number(/^\d+(?=\n)/.exec(text)?.[0] ?? 0);
    if (pid !== 0 && text.includes(options.ready)) break;
    const isEnd = await Promise.race([
      ended,
      once(child.stdout!, 'data').then(() => false),
      once(child.stderr!, 'data').then(() => false),
    ]);
    if (isEnd) throw new Error(`${options.command} ended before it was ready:\n${text}`);
  }
  return {
    pid,
    output: () => text,
    async stop() {
      child.stdin!.destroy();
      await ended;
    },
  };
}

/** CPU time of all threads of a process until now, in microseconds. */
export function cpuUs(pid: number): number {
  let ns = 0;
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    try {
      ns += Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
    } catch {
      // The thread has ended between the two reads.
    }
  }
  return ns / 1000;
}

/** CPU time of a process until now, as the kernel's clock ticks tell it (proc(5), stat): 10 ms each. */
export function cpuSplit(pid: number): { readonly userUs: number; readonly systemUs: number } {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
  // The second field is the name, which may hold anything, in parentheses.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const [user, system] = [fields[11], fields[12]].map((ticks) => Number(ticks) * 10_000);
  return { userUs: user!, systemUs: system! };
}

/** Resident memory of a process in bytes: now, and at its peak since `resetPeak`. */
export function residentBytes(pid: number): { readonly now: number; readonly peak: number } {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kibibytes = (name: string): number =>
    Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? Number.NaN);
  return { now: kibibytes('VmRSS') * 1024, peak: kibibytes('VmHWM') * 1024 };
}

/** Begins a new peak (proc(5), clear_refs). */
export function resetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5');
}
