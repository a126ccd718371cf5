import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { waitFor } from '../cluster/node/wait-for.ts';

const program = join(import.meta.dirname, '../../operator/src/main.ts');

/** A role of the operator in a process of its own. */
export class OperatorProcess {
  readonly role: string;
  readonly #child: ChildProcess;
  readonly #ended: Promise<number | null>;
  readonly #lines: string[] = [];
  #rest = '';

  constructor(role: string, options: Readonly<Record<string, string>>) {
    const { PATH, HOME } = process.env;
    const flags = Object.entries({ opsHost: '127.0.0.1', opsPort: '0', ...options }).map(
      ([name, value]) =>
        `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}=${value}`,
    );
    this.role = role;
    this.#child = spawn(process.execPath, [program, role, ...flags], {
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH, HOME },
    });
    this.#child.stderr?.setEncoding('utf8').on('data', (text: string) => {
      const lines = (this.#rest + text).split('\n');
      this.#rest = lines.pop() ?? '';
      this.#lines.push(...lines);
    });
    this.#ended = once(this.#child, 'close').then(([code]) => code as number | null);
  }

  /** Log lines, parsed; what is no JSON as `{text}`. */
  get logged(): Record<string, unknown>[] {
    return this.#lines.map((text) => {
      try {
        return JSON.parse(text);
      } catch {
        return { text };
      }
    });
  }

  /** The value of a field of the first log line that has the message. */
  field(message: string, name: string): unknown {
    return this.logged.find(({ msg }) => msg === message)?.[name];
  }

  /** Waits until /readyz says yes; resolves with the port of probes and metrics. */
  async ready(): Promise<number> {
    try {
      return await waitFor(
        async () => {
          const port = this.field('starting', 'opsPort');
          if (port === undefined) return undefined;
          const { ok } = await fetch(`http://127.0.0.1:${port}/readyz`);
          return ok && (port as number);
        },
        { what: `${this.role} to be ready` },
      );
    } catch (error) {
      throw new Error(`${this.role} is not ready:\n${this.#lines.slice(-20).join('\n')}`, {
        cause: error,
      });
    }
  }

  /** The exit code; sends `signal` first, if given. */
  async end(signal?: NodeJS.Signals): Promise<number | null> {
    if (signal !== undefined) this.#child.kill(signal);
    return this.#ended;
  }
}
