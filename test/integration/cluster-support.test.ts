/** What the cluster tests start and keep: that it is ended for certain, and nothing else is. */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { cached, inputsKey } from '../cluster/build/cached.ts';
import {
  killDaemon,
  runningPid,
  startDaemon,
  stopDaemon,
  writePidFile,
} from '../cluster/node/processes.ts';
import { waitFor } from '../cluster/node/wait-for.ts';

let directory: string;
let pidFile: string;
let logFile: string;
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'chaperone-cluster-support-'));
  pidFile = join(directory, 'run', 'daemon.pid');
  logFile = join(directory, 'logs', 'daemon.log');
});
afterEach(() => rmSync(directory, { recursive: true, force: true }));

const shell = (script: string) => ['bash', '-c', script];

/** What has ended is still listed until its parent, this process, has heard of it. */
function isGone(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}

describe('daemons', () => {
  test('one is known by its pid file, writes to its log, and is stopped', async () => {
    const pid = startDaemon(shell('echo up; exec sleep 600'), { pidFile, logFile });
    expect(runningPid(pidFile)).toBe(pid);
    await waitFor(() => readFileSync(logFile, 'utf8') === 'up\n');
    await stopDaemon(pidFile, 10_000);
    expect(runningPid(pidFile)).toBeUndefined();
    await waitFor(() => isGone(pid));
    expect(existsSync(pidFile)).toBe(false);
  });

  test('one that does not listen is killed', async () => {
    const script = "trap '' TERM; echo deaf; while true; do sleep 1; done";
    const pid = startDaemon(shell(script), { pidFile, logFile });
    await waitFor(() => readFileSync(logFile, 'utf8') === 'deaf\n');
    await stopDaemon(pidFile, 100);
    await waitFor(() => isGone(pid));
  });

  describe('another process that has the number of one that ended', () => {
    let other: ChildProcess;
    beforeEach(() => {
      other = spawn('sleep', ['600'], { stdio: 'ignore' });
    });
    afterEach(async () => {
      const ended = once(other, 'exit');
      other.kill('SIGKILL');
      await ended;
    });

    test('is not taken for it, and left alone', async () => {
      const file = join(directory, 'reused.pid');
      writePidFile(file, other.pid!);
      expect(runningPid(file)).toBe(other.pid);
      const { startTime } = JSON.parse(readFileSync(file, 'utf8'));
      const earlier = String(Number(startTime) - 1);
      writeFileSync(file, JSON.stringify({ pid: other.pid, startTime: earlier }));
      expect(runningPid(file)).toBeUndefined();
      await killDaemon(file);
      expect(other.exitCode ?? other.signalCode).toBeNull();
      expect(() => process.kill(other.pid!, 0)).not.toThrow();
    });
  });

  test.each(['', '{"pid": 1'])('a pid file that says %j names nobody', (text) => {
    const file = join(directory, 'broken.pid');
    writeFileSync(file, text);
    expect(runningPid(file)).toBeUndefined();
  });
});

describe('what is built', () => {
  const { XDG_CACHE_HOME: cacheHome } = process.env;
  beforeEach(() => {
    process.env.XDG_CACHE_HOME = directory;
  });
  afterEach(() => {
    if (cacheHome === undefined) delete process.env.XDG_CACHE_HOME;
    else process.env.XDG_CACHE_HOME = cacheHome;
  });

  test('is built once for a key, and again for another', async () => {
    let builds = 0;
    const build = (work: string) => writeFileSync(join(work, 'built'), String(++builds));
    const first = await cached('thing', inputsKey({ texts: ['a'] }), build);
    expect(await cached('thing', inputsKey({ texts: ['a'] }), build)).toBe(first);
    const second = await cached('thing', inputsKey({ texts: ['b'] }), build);
    expect(readFileSync(join(first, 'built'), 'utf8')).toBe('1');
    expect(readFileSync(join(second, 'built'), 'utf8')).toBe('2');
  });

  test('is there completely or not at all', async () => {
    const failed = cached('thing', 'key', (work) => {
      writeFileSync(join(work, 'half'), '');
      throw new Error('interrupted');
    });
    await expect(failed).rejects.toThrow('interrupted');
    expect(readdirSync(join(directory, 'chaperone', 'cluster-thing'))).toEqual([]);
  });

  test('has a key that tells texts from one another, and files by content', () => {
    const file = join(directory, 'input');
    writeFileSync(file, '1');
    const one = inputsKey({ texts: ['ab', 'c'], files: [file] });
    expect(inputsKey({ texts: ['a', 'bc'], files: [file] })).not.toBe(one);
    writeFileSync(file, '2');
    expect(inputsKey({ texts: ['ab', 'c'], files: [file] })).not.toBe(one);
  });
});

describe('the cluster to develop on says how it is called', () => {
  test.each([
    ['--help', 0],
    ['', 2],
    ['bogus', 2],
    ['down now', 2],
    ['up --nope', 2],
    ['images --only bogus', 2],
  ])('%s', (text, status) => {
    const program = join(import.meta.dirname, '../cluster/main.ts');
    const args = text.split(' ').filter((arg) => arg !== '');
    const called = spawnSync(process.execPath, [program, ...args], { encoding: 'utf8' });
    expect(called.status).toBe(status);
    expect(status === 0 ? called.stdout : called.stderr).toContain(
      'usage: node test/cluster/main.ts',
    );
  });
});
