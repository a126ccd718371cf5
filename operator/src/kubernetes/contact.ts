import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { networkReason, timeoutReason, toApiError } from './api-error.ts';
import type { KubernetesApi } from './client.ts';
import type { ResourceType } from './resource-types.ts';

const intervalMs = 2000;
const timeoutMs = 3000;
/** One late answer may be a busy server's. */
const lostAfter = 2;

/** What is told of contact with the API server; a Reflector. */
export interface Follower {
  confirm(sentUs: number): void;
  reconnect(): void;
}

/**
 * Asks the API server every 2 s for a consistent read, on the connection that the watches share. A watch
 * over which nothing comes is quiet or dead: an answer on the same connection says that it is quiet, so that
 * "up to date as of" is known to seconds. When the server falls silent, when it answers again, and when it
 * answers on a new connection, the watches are opened anew instead of hanging for up to 90 s.
 */
export class Contact {
  readonly #api: KubernetesApi;
  readonly #type: ResourceType;
  readonly #namespace: string | undefined;
  readonly #clock: Clock;
  readonly #followers = new Set<Follower>();
  readonly #stopping = new AbortController();
  #timer: Timer | undefined;
  #asking: Promise<void> | undefined;
  #silences = 0;
  /** See SharedKubeConfig.connections; undefined: whatever the next answer finds. */
  #connections: number | undefined;

  /** `type` is one that the program may list, in `namespace` if one is given. */
  constructor(api: KubernetesApi, type: ResourceType, clock: Clock, namespace?: string) {
    this.#api = api;
    this.#type = type;
    this.#clock = clock;
    this.#namespace = namespace;
  }

  /** Returns how to stop following. */
  follow(follower: Follower): () => void {
    this.#followers.add(follower);
    return () => void this.#followers.delete(follower);
  }

  start(): void {
    if (this.#timer === undefined) this.#schedule();
  }

  async stop(): Promise<void> {
    this.#stopping.abort();
    this.#timer?.cancel();
    await this.#asking;
  }

  #schedule(): void {
    if (this.#stopping.signal.aborted) return;
    this.#timer = this.#clock.setTimer(intervalMs, () => {
      this.#asking = this.#ask().finally(() => this.#schedule());
    });
  }

  async #ask(): Promise<void> {
    const sentUs = this.#clock.monotonicUs();
    const options = {
      limit: 1,
      ...(this.#namespace !== undefined && { namespace: this.#namespace }),
    };
    try {
      const { signal } = this.#stopping;
      await this.#api.listPage(this.#type, options, { signal, timeoutMs });
      const { connections } = this.#api.config;
      const sameConnection = this.#connections === undefined || this.#connections === connections;
      if (this.#silences < lostAfter && sameConnection) {
        this.#connections = connections;
        for (const follower of this.#followers) follower.confirm(sentUs);
      } else {
        // They may open connections of their own: the next answer says how many it takes.
        this.#connections = undefined;
        for (const follower of this.#followers) follower.reconnect();
      }
      this.#silences = 0;
    } catch (error) {
      if (this.#stopping.signal.aborted) return;
      const { reason } = toApiError(error);
      const before = this.#silences;
      // An answer of any other kind is an answer, but none that says that the server is up to date.
      if (reason === networkReason) this.#silences += lostAfter;
      else if (reason === timeoutReason) this.#silences += 1;
      const isLost = before < lostAfter && this.#silences >= lostAfter;
      if (isLost) for (const follower of this.#followers) follower.reconnect();
    }
  }
}
