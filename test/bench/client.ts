import { type ChildProcess, fork } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { Path } from './stage.ts';

export type ClientRequest =
  /** Opens that many more connections, of which each makes the statement once, and keeps them open. */
  | { readonly kind: 'hold'; readonly count: number; readonly sql: string }
  /** Closes all that are held. */
  | { readonly kind: 'release' }
  | { readonly kind: 'drain'; readonly sql: string }
  | {
      readonly kind: 'statements';
      /** With `:id` where a random one is to stand. */
      readonly sql: string;
      readonly maxId: number;
      readonly protocol: 'simple' | 'prepared';
      readonly clients: number;
      readonly seconds: number;
      readonly reconnect?: boolean;
    };

export interface ClientResult {
  readonly seconds: number;
  readonly bytes: number;
  /** Latencies in microseconds. */
  readonly times: readonly number[];
}

/** The client of client-child.ts. */
export class Client {
  readonly #child: ChildProcess;

  constructor() {
    this.#child = fork(join(import.meta.dirname, 'client-child.ts'), {
      execArgv: ['--disable-warning=ExperimentalWarning'],
    });
  }

  async run(path: Path, request: ClientRequest): Promise<ClientResult> {
    this.#child.send({ path, request });
    const [answer] = (await once(this.#child, 'message')) as [
      { readonly result: ClientResult } | { readonly error: string },
    ];
    if ('error' in answer) throw new Error(`${path.name}: ${answer.error}`);
    return answer.result;
  }

  stop(): void {
    this.#child.kill();
  }
}
