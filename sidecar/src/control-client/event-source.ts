import { ControlRefusal } from '@chaperone/core/control/types.ts';
import type { VersionVector } from '@chaperone/core/control/wire.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { EventStreamParser, type ServerEvent } from '@chaperone/runtime/http/event-stream.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import { type PolicyApi, TokenRejected } from './policy-api.ts';
import { dominates, isVersionVector } from './versions.ts';

/** The tokens that the policy API gave, renewed as needed. */
export interface ControlTokens {
  /** Waits until there is one. Rejects once `signal` is aborted. */
  controlToken(signal: AbortSignal): Promise<string>;
  /** That one was not taken. */
  rejected(token: string): void;
}

export interface EventSourceOptions<Content extends { readonly versions: VersionVector }> {
  readonly api: PolicyApi;
  readonly tokens: ControlTokens;
  /** With its query. */
  readonly path: string;
  /** Name of the events that carry content. */
  readonly event: string;
  /** Throws ChaperoneError CHP-2021 for what cannot be used. */
  readonly read: (data: unknown) => Content;
  /** Content that is newer than all before. */
  readonly onContent: (content: Content) => void;
  /** The policy API said no: it is asked again all the same. */
  readonly onRefused: (refusal: ControlRefusal) => void;
  /** Content came that cannot be used. */
  readonly onUnusable: (error: ChaperoneError) => void;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
}

/** Three heartbeats: a replica that is silent for longer is given up. */
const silenceMs = 15_000;
const firstRetryMs = 100;
const maxRetryMs = 10_000;
const maxEventChars = 16 * 1024 * 1024;

/**
 * Follows a stream of the policy API: reconnects when it ends, is silent or breaks the rules, and takes
 * nothing that is older than what it holds, whichever replica says it. Each connection is a new one, so that
 * another replica may answer.
 */
export class EventSource<Content extends { readonly versions: VersionVector }> {
  readonly #options: EventSourceOptions<Content>;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  /** Ends the connection that is open. */
  #endConnection: (() => void) | undefined;
  #versions: VersionVector | undefined;
  #wallMs = 0;
  #monotonicUs = 0;

  constructor(options: EventSourceOptions<Content>) {
    this.#options = options;
    this.#backoff = new Backoff(options.random, firstRetryMs, maxRetryMs);
    void this.#run();
  }

  /**
   * Milliseconds since a replica that is up to date was last heard; Infinity before the first content. The
   * longer of two clocks: neither a machine that slept nor a clock set back makes a policy younger.
   */
  ageMs(): number {
    if (this.#versions === undefined) return Number.POSITIVE_INFINITY;
    const { clock } = this.#options;
    return Math.max(clock.nowMs() - this.#wallMs, (clock.monotonicUs() - this.#monotonicUs) / 1000);
  }

  /** Asks anew, over another connection. */
  reconnect(): void {
    this.#endConnection?.();
  }

  close(): void {
    this.#abort.abort();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      try {
        await this.#connection();
        this.#options.logger.debug({ path: this.#options.path }, 'a stream ended');
      } catch (error) {
        if (signal.aborted) return;
        this.#failed(error);
      }
      if (!signal.aborted) await this.#pause(this.#backoff.next());
    }
  }

  #failed(error: unknown): void {
    const { logger, path, onRefused, onUnusable } = this.#options;
    if (error instanceof TokenRejected) return; // the token is renewed
    if (error instanceof ControlRefusal) onRefused(error);
    if (error instanceof ChaperoneError && error.code === 'CHP-2021') onUnusable(error);
    // The first failure after a good connection is a replica that went.
    const level = this.#backoff.failures === 0 ? 'info' : 'warn';
    logger[level]({ err: error, path }, 'the policy API is not heard');
  }

  /** One connection, until it ends. */
  async #connection(): Promise<void> {
    const { api, tokens, path, clock } = this.#options;
    const end = new AbortController();
    const onAbort = (): void => end.abort();
    this.#abort.signal.addEventListener('abort', onAbort);
    this.#endConnection = onAbort;
    let failure: unknown;
    let silence: Timer | undefined;
    const listen = (): void => {
      silence?.cancel();
      silence = clock.setTimer(silenceMs, () => {
        failure = new ChaperoneError('CHP-2020', `nothing was heard for ${silenceMs} ms`);
        end.abort();
      });
    };
    try {
      const token = await tokens.controlToken(end.signal);
      const held = this.#versions && JSON.stringify(this.#versions);
      let incoming: Awaited<ReturnType<PolicyApi['open']>>;
      try {
        incoming = await api.open(path, token, held, end.signal);
      } catch (error) {
        if (error instanceof TokenRejected) tokens.rejected(token);
        throw error;
      }
      listen();
      let current = false;
      const parser = new EventStreamParser((event) => {
        current = this.#take(event, current);
        if (current) listen();
      }, maxEventChars);
      try {
        for await (const chunk of incoming) parser.feed(chunk as Buffer);
      } catch (error) {
        throw failure ?? error;
      } finally {
        incoming.destroy();
      }
      if (failure !== undefined) throw failure;
    } finally {
      silence?.cancel();
      this.#abort.signal.removeEventListener('abort', onAbort);
    }
  }

  /**
   * Takes one event. `current`: content came over this connection. A heartbeat counts only then: before, it
   * is of a replica that may know less than we do. Its id says what its replica has seen meanwhile.
   */
  #take({ event, data, id }: ServerEvent, current: boolean): boolean {
    if (event === 'heartbeat') {
      if (current) {
        this.#advance(readVersions(id));
        this.#heard();
      }
      return current;
    }
    if (event !== this.#options.event) return current;
    let value: unknown;
    try {
      value = JSON.parse(data);
    } catch (cause) {
      throw new ChaperoneError('CHP-2021', `an event of ${this.#options.path} is not JSON`, {
        cause,
      });
    }
    const content = this.#options.read(value);
    this.#advance(content.versions);
    this.#backoff.reset();
    this.#heard();
    this.#options.onContent(content);
    return true;
  }

  /** Throws ChaperoneError CHP-2021 for what is older than what is held. */
  #advance(versions: VersionVector): void {
    if (this.#versions !== undefined && !dominates(versions, this.#versions)) {
      throw new ChaperoneError('CHP-2021', 'a replica of the policy API said what is out of date');
    }
    this.#versions = versions;
  }

  #heard(): void {
    this.#wallMs = this.#options.clock.nowMs();
    this.#monotonicUs = this.#options.clock.monotonicUs();
  }

  #pause(delayMs: number): Promise<void> {
    const { signal } = this.#abort;
    return new Promise((resolve) => {
      const done = (): void => {
        timer.cancel();
        signal.removeEventListener('abort', done);
        resolve();
      };
      const timer = this.#options.clock.setTimer(delayMs, done);
      signal.addEventListener('abort', done);
    });
  }
}

/** Of an event's id. */
function readVersions(id: string): VersionVector {
  try {
    const versions: unknown = JSON.parse(id);
    if (isVersionVector(versions)) return versions;
  } catch {}
  throw new ChaperoneError('CHP-2021', 'an event of the policy API has an id that is no vector');
}
