/** All open streams: when they are told something, and when they end. */
import type { ServerResponse } from 'node:http';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import { EventStream, type EventStreamOptions, type StreamEnd } from './event-stream.ts';
import type { PolicyState } from './policy-state.ts';

const heartbeatMs = 5000;
/** How often ends are looked for. */
const tickMs = 1000;
/** From a change to its being told: changes that come in a burst are told as one. */
const coalesceMs = 20;
/** How long a reader may take nothing. */
const slowMs = 30_000;

export interface StreamHubOptions {
  readonly state: PolicyState;
  readonly clock: Clock;
  /** Whether this replica knows itself to be up to date. */
  readonly fresh: () => boolean;
  readonly onEnd: (stream: EventStream, cause: StreamEnd | undefined) => void;
  readonly onError: (error: unknown) => void;
}

export class StreamHub {
  readonly #options: StreamHubOptions;
  /** In order of opening. */
  readonly #streams = new Set<EventStream>();
  readonly #unsubscribe: () => void;
  #tick: Timer;
  #nextHeartbeatMs: number;
  #flush: Timer | undefined;

  constructor(options: StreamHubOptions) {
    this.#options = options;
    const { state, clock } = options;
    this.#unsubscribe = state.onChange(() => {
      this.#flush ??= clock.setTimer(coalesceMs, () => {
        this.#flush = undefined;
        for (const stream of [...this.#streams]) this.#update(stream);
      });
    });
    this.#nextHeartbeatMs = clock.monotonicUs() / 1000 + heartbeatMs;
    this.#tick = clock.setTimer(tickMs, () => this.#onTick());
  }

  /** Streams open now. */
  get streams(): Iterable<EventStream> {
    return this.#streams;
  }

  /** Opens one and tells it everything. Of a source that has `maxPerSource` already, the oldest ends. */
  open(
    options: EventStreamOptions & { readonly response: ServerResponse },
    maxPerSource: number,
  ): void {
    const own = [...this.#streams].filter(({ source }) => source === options.source);
    for (const old of own.slice(0, Math.max(0, own.length + 1 - maxPerSource))) {
      this.#end(old, 'Displaced');
    }
    const stream = new EventStream(options);
    this.#streams.add(stream);
    const { response } = options;
    response.on('drain', () => {
      if (stream.drained()) this.#update(stream);
    });
    response.on('error', () => response.destroy());
    response.on('close', () => this.#forget(stream, undefined));
    this.#update(stream);
  }

  /** Ends all of them. */
  close(): void {
    this.#tick.cancel();
    this.#flush?.cancel();
    this.#unsubscribe();
    for (const stream of [...this.#streams]) this.#end(stream, 'Stopping');
  }

  #update(stream: EventStream): void {
    const { state, clock, fresh, onError } = this.#options;
    try {
      stream.update(state, fresh(), clock.nowMs());
    } catch (error) {
      // Without its newest state a reader must not go on with the one before for longer than it would alone.
      onError(error);
      this.#end(stream, 'Stale');
    }
  }

  #onTick(): void {
    const { clock, fresh } = this.#options;
    this.#tick = clock.setTimer(tickMs, () => this.#onTick());
    const nowMs = clock.nowMs();
    const upToDate = fresh();
    const monotonicMs = clock.monotonicUs() / 1000;
    const beat = monotonicMs >= this.#nextHeartbeatMs;
    if (beat) this.#nextHeartbeatMs = monotonicMs + heartbeatMs;
    for (const stream of [...this.#streams]) {
      const cause = this.#endOf(stream, upToDate, nowMs);
      if (cause !== undefined) this.#end(stream, cause);
      else if (stream.heldBack) this.#update(stream);
      if (cause === undefined && beat) stream.heartbeat(nowMs);
    }
  }

  #endOf(stream: EventStream, upToDate: boolean, nowMs: number): StreamEnd | undefined {
    if (!upToDate) return 'Stale';
    if (stream.expiresMs <= nowMs) return 'TokenOver';
    const { blockedSinceMs } = stream;
    return blockedSinceMs !== undefined && nowMs - blockedSinceMs >= slowMs ? 'Slow' : undefined;
  }

  #end(stream: EventStream, cause: StreamEnd): void {
    stream.end();
    this.#forget(stream, cause);
  }

  #forget(stream: EventStream, cause: StreamEnd | undefined): void {
    if (this.#streams.delete(stream)) this.#options.onEnd(stream, cause);
  }
}
