import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { randomFillSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { createInterface } from 'node:readline';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { MemoryReceiver } from '@chaperone/runtime/recorder/memory-receiver.ts';
import type { RecorderOptions } from '@chaperone/runtime/recorder/options.ts';
import { createRecorder } from '@chaperone/runtime/recorder/recorder.ts';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';

let directory: string;
const children = new Set<ChildProcess>();

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'recorder-'));
});

afterEach(() => {
  for (const child of children) child.kill('SIGKILL');
  children.clear();
  rmSync(directory, { recursive: true });
});

function open(options: Partial<RecorderOptions> = {}) {
  const log = () => {};
  return createRecorder({
    directory,
    installationKey: Buffer.alloc(32, 7),
    program: { name: 'test', version: '0' },
    clock: systemClock(),
    random: randomFillSync,
    logger: { info: log, warn: log, error: log },
    lingerMs: 0,
    ...options,
  });
}

/** Records in a loop and says `session seq` once whenDurable has called back. */
const program = `
import { randomFillSync } from 'node:crypto';
import { systemClock } from ${JSON.stringify(resolve('runtime/src/clock.ts'))};
import { createRecorder } from ${JSON.stringify(resolve('runtime/src/recorder/recorder.ts'))};
const log = () => {};
const recorder = createRecorder({
  directory: process.argv[2], installationKey: Buffer.alloc(32, 7),
  program: { name: 'child', version: '0' }, clock: systemClock(), random: randomFillSync,
  logger: { info: log, warn: log, error: log }, segmentBytes: 200_000,
});
const sessions = [1, 2, 3].map(() => recorder.openSession());
let n = 0;
function round() {
  const lines = [];
  for (const session of sessions) {
    const body = { type: 'CredentialLeased', credential: { name: String(n), version: '1' } };
    const seq = session.append(body, { statement: 'select ' + n });
    lines.push(session.id + ' ' + seq + ' ' + n + '\\n');
    n += 1;
  }
  recorder.whenDurable(process.argv[3], (failure) => {
    if (failure) throw failure;
    process.stdout.write(lines.join(''));
    setImmediate(round);
  });
}
round();
`;

describe.each(['Process', 'Disk'])('kill -9 at durability %s', (level) => {
  test('loses nothing that was said to be durable', async () => {
    const script = join(directory, 'child.ts');
    writeFileSync(script, program);
    const spool = join(directory, 'spool');
    const acknowledged = new Map<string, number>();
    const statements = new Map<string, string>();
    for (let run = 0; run < 4; run += 1) {
      const child = spawn(process.execPath, [script, spool, level], {
        stdio: ['ignore', 'pipe', 'inherit'],
      });
      children.add(child);
      let lines = 0;
      const killAt = 50 + run * 400;
      for await (const line of createInterface({ input: child.stdout })) {
        const [session, seq, n] = line.split(' ');
        // The last line of a killed program may be cut short.
        if (n === undefined) continue;
        acknowledged.set(session!, Number(seq));
        statements.set(`${session} ${seq}`, `select ${n}`);
        if ((lines += 1) === killAt) child.kill('SIGKILL');
      }
      children.delete(child);
      expect(lines).toBeGreaterThanOrEqual(killAt);
    }

    const receiver = new MemoryReceiver();
    const recorder = open({ directory: spool, transport: receiver });
    const failure = await new Promise((done) => recorder.whenDurable('Collector', done));
    expect(failure).toBeUndefined();
    await recorder.close();
    expect(acknowledged.size).toBe(12);
    for (const [session, lastSeq] of acknowledged) {
      expect(receiver.acknowledged(session)).toBeGreaterThanOrEqual(lastSeq);
      const events = receiver.sessions.get(session)!;
      for (let seq = 1; seq <= lastSeq; seq += 1) {
        const said = statements.get(`${session} ${seq}`);
        if (said !== undefined) expect(events.get(seq)!.parts[0]!.content).toBe(said);
      }
    }
    expect([receiver.duplicates, receiver.contradictions]).toEqual([0, []]);
  });
});

/** Whether this user may mount a small file system: root, in most containers not. */
function mountSmall(path: string): boolean {
  mkdirSync(path);
  try {
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', path], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
}

test('a real full disk refuses, and what was kept is written once there is space', async () => {
  const path = join(directory, 'small');
  if (!mountSmall(path)) {
    console.warn('not run: this user may not mount a tmpfs');
    return;
  }
  try {
    const ballast = join(path, 'ballast');
    writeFileSync(ballast, Buffer.alloc(600_000));
    const receiver = new MemoryReceiver();
    let down = true;
    receiver.before = () => {
      if (down) throw new Error('down');
    };
    const recorder = open({ directory: join(path, 'spool'), transport: receiver });
    const session = recorder.openSession();
    const record = (): Promise<string | undefined> =>
      new Promise((done) => {
        const body = { type: 'CredentialLeased', credential: { name: 'c', version: '1' } } as const;
        session.append(body, { statement: 'x'.repeat(20_000) });
        recorder.whenDurable('Process', (failure) => done(failure?.code));
      });
    const outcomes: (string | undefined)[] = [];
    for (let i = 0; i < 40; i += 1) outcomes.push(await record());
    const firstRefused = outcomes.indexOf('CHP-4001');
    expect(firstRefused).toBeGreaterThan(5);
    expect(outcomes.slice(firstRefused).every((code) => code === 'CHP-4001')).toBe(true);
    rmSync(ballast);
    expect(await record()).toBeUndefined();
    down = false;
    const failure = await new Promise((done) => recorder.whenDurable('Collector', done));
    expect(failure).toBeUndefined();
    expect(receiver.acknowledged(session.id)).toBe(41);
    expect(receiver.sessions.get(session.id)!.size).toBe(41);
    await recorder.close();
  } finally {
    execFileSync('umount', [path]);
  }
});
