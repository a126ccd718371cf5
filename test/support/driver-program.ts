import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';

/**
 * A program around a driver of another language. For each line that names one of its steps it prints one
 * line of JSON: `{"value": …}`, or `{"error": TEXT}` where the step failed. It ends when its input ends.
 * Between two steps it keeps its pool.
 */
export class DriverProgram {
  readonly #child: ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #ended: Promise<unknown>;
  #err = '';

  /** `env` instead of the test's own environment; PATH and HOME come with it. */
  constructor(file: string, args: readonly string[], env: Readonly<Record<string, string>>) {
    const { PATH = '', HOME = '' } = process.env;
    this.#child = spawn(file, args, {
      env: { PATH, HOME, PYTHONDONTWRITEBYTECODE: '1', ...env },
    });
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text;
    });
    this.#child.stdin!.on('error', () => {}); // it ended by itself: the next step says so
    this.#ended = once(this.#child, 'close');
    this.#lines = createInterface({ input: this.#child.stdout! })[Symbol.asyncIterator]();
  }

  /** What the step found. Rejects with what it wrote when it failed, or when the program ended. */
  async run(step: string): Promise<unknown> {
    this.#child.stdin!.write(`${step}\n`);
    const { value: line, done } = await this.#lines.next();
    if (done) throw new Error(`the program ended in step ${step}: ${this.#err}`);
    const answer = JSON.parse(line) as { readonly value?: unknown; readonly error?: string };
    if (answer.error !== undefined) throw new Error(`${step}: ${answer.error}`);
    return answer.value;
  }

  /** Ends it; what it has written on standard error. */
  async end(): Promise<string> {
    this.#child.stdin!.end();
    await this.#ended;
    return this.#err;
  }

  /** Ends it at once. */
  async kill(): Promise<void> {
    this.#child.kill('SIGKILL');
    await this.#ended;
  }
}
