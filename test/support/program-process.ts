import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { shippedEnv, shippedNodeArgs } from './shipped.ts';

export type LogLine = Readonly<Record<string, unknown>> & { readonly msg?: string };

/** One of our programs as a process of its own, known by what it logs. */
export class ProgramProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #lines: LogLine[] = [];
  readonly #waiting = new Set<() => void>();
  #rest = '';
  #text = '';
  #over = false;

  /** Runs `node PROGRAM ARGS` as the images do, without the variables of the test's own environment. */
  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(process.execPath, [...shippedNodeArgs, program, ...args], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH, HOME, ...shippedEnv, ...env },
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => this.#take(text));
    this.#ended = once(this.#child, 'close').then(([code]) => {
      this.#over = true;
      this.#wake();
      return code as number | null;
    });
  }

  get pid(): number {
    return this.#child.pid!;
  }

  /** Everything that it wrote. */
  get text(): string {
    return this.#text;
  }

  get lines(): readonly LogLine[] {
    return this.#lines;
  }

  /** The first line, now or later, that says `message` (and is as `matches` asks); rejects when it ends before. */
  logged(message: string, matches: (line: LogLine) => boolean = () => true): Promise<LogLine> {
    return new Promise((resolve, reject) => {
      const look = (): void => {
        const found = this.#lines.find((line) => line.msg === message && matches(line));
        if (found === undefined && !this.#over) return;
        this.#waiting.delete(look);
        if (found === undefined) reject(new Error(`ended without "${message}": ${this.#text}`));
        else resolve(found);
      };
      this.#waiting.add(look);
      look();
    });
  }

  /** The exit code; sends `signal` first, if given. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.#child.kill(signal);
    return this.#ended;
  }

  /** What it has in memory now, MiB (Linux). */
  residentMiB(): number {
    const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
    return Number(/^VmRSS:\s+(\d+) kB/m.exec(status)![1]) / 1024;
  }

  #take(text: string): void {
    this.#text += text;
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      try {
        this.#lines.push(JSON.parse(line) as LogLine);
      } catch {
        this.#lines.push({ msg: line }); // what Node itself writes
      }
    }
    this.#wake();
  }

  #wake(): void {
    for (const look of [...this.#waiting]) look();
  }
}
