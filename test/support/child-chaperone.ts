import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { Writable } from 'node:stream';
import { createTicket } from '@chaperone/cli/commands/ticket.ts';
import { baseResources, type ChaperoneOptions, writeResources } from './chaperone.ts';
import { StandaloneProcess } from './standalone-process.ts';

const program = resolve(import.meta.dirname, '../../cli/src/main.ts');
const anyPorts = ['--listen-port', '0', '--ops-port', '0', '--collector-port', '0'];

/** `chaperone standalone` as a program of its own: to be measured, and to be killed. */
export class ChildChaperone {
  readonly directory: string;
  #process: StandaloneProcess;

  private constructor(directory: string) {
    this.directory = directory;
    this.#process = StandaloneProcess.spawn(program, [directory, ...anyPorts]);
  }

  static async start(
    options: Pick<ChaperoneOptions, 'postgres' | 'resources' | 'target'>,
  ): Promise<ChildChaperone> {
    const directory = mkdtempSync(join(tmpdir(), 'chaperone-child-'));
    writeResources(join(directory, 'base.yaml'), baseResources(options));
    writeResources(join(directory, 'resources.yaml'), options.resources);
    const chaperone = new ChildChaperone(directory);
    try {
      await chaperone.#process.running();
    } catch (error) {
      rmSync(directory, { recursive: true, force: true });
      throw error;
    }
    return chaperone;
  }

  /** With a ticket that `chaperone ticket create` makes. */
  async connection(
    database: string,
    name = 'nightly-report',
  ): Promise<{ host: string; port: number; user: string; password: string; database: string }> {
    let text = '';
    const output = new Writable({
      write(chunk, _encoding, done) {
        text += chunk;
        done();
      },
    });
    const { directory } = this;
    const options = {
      directory,
      target: 'orders-db',
      ttl: 600_000,
      database,
      output: 'json',
    } as const;
    await createTicket(name, options, output);
    const { host, port, user, password } = JSON.parse(text);
    return { host, port, user, password, database };
  }

  /** The most memory that it has had so far, and what it has now, in MiB (Linux). */
  memory(): { readonly peakMiB: number; readonly nowMiB: number } {
    const status = readFileSync(`/proc/${this.#process.pid}/status`, 'utf8');
    const mib = (field: string): number =>
      Number(new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(status)![1]) / 1024;
    return { peakMiB: mib('VmHWM'), nowMiB: mib('VmRSS') };
  }

  /** As by kill -9. */
  async kill(): Promise<void> {
    await this.#process.end('SIGKILL');
  }

  /** Starts it again over the same directory, after a kill. */
  async restart(): Promise<void> {
    this.#process = StandaloneProcess.spawn(program, [this.directory, ...anyPorts]);
    await this.#process.running();
  }

  async stop(): Promise<void> {
    await this.#process.end('SIGKILL');
    rmSync(this.directory, { recursive: true, force: true });
  }
}
