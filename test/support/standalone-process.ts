import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

/** A `chaperone standalone` in a process of its own. */
export class StandaloneProcess {
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  #out = '';
  #err = '';

  private constructor(child: ChildProcess) {
    this.#child = child;
    child.stdout?.setEncoding('utf8').on('data', (text: string) => {
      this.#out += text;
    });
    child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      this.#err += text;
    });
    this.#ended = once(child, 'close').then(([code]) => code as number | null);
  }

  /** Runs `node PROGRAM standalone ARGS`, without the variables of the test's own environment. */
  static spawn(program: string, args: readonly string[]): StandaloneProcess {
    const { PATH, HOME } = process.env;
    return new StandaloneProcess(
      spawn(process.execPath, [program, 'standalone', ...args], {
        stdio: ['ignore', 'pipe', 'pipe'],
        env: { PATH, HOME },
      }),
    );
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get out(): string {
    return this.#out;
  }

  get err(): string {
    return this.#err;
  }

  /** Resolves when it says that it runs; rejects with what it wrote when it ends before. */
  async running(): Promise<void> {
    const ended = this.#ended.then((code) => {
      throw new Error(`ended with ${code}: ${this.#err}`);
    });
    while (!this.#out.includes('Ctrl-C ends it.')) {
      await Promise.race([once(this.#child.stdout!, 'data'), ended]);
    }
    ended.catch(() => {});
  }

  /** The exit code; sends `signal` first, if given. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.#child.kill(signal);
    return this.#ended;
  }
}
