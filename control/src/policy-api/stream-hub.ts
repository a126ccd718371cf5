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
/** After that much work on bundles others have their turn: requests are answered meanwhile. */
const sliceMs = 20;
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
  /** Of the round of telling that is under way, or comes next. */
  #round: Timer | undefined;
  /** Something has changed since the last round began. */
  #changed = false;

  constructor(options: StreamHubOptions) {
    this.#options = options;
    const { state, clock } = options;
    this.#unsubscribe = state.onChange(() => {
      this.#changed = true;
      this.#planRound(coalesceMs);
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
    // The reader may have gone while it was looked who it is; there is no event of it any more then.
    if (response.destroyed) this.#forget(stream, undefined);
    else this.#update(stream);
  }

  /** Ends all of them. */
  close(): void {
    this.#tick.cancel();
    this.#round?.cancel();
    this.#unsubscribe();
    for (const stream of [...this.#streams]) this.#end(stream, 'Stopping');
  }

  #planRound(delayMs: number): void {
    this.#round ??= this.#options.clock.setTimer(delayMs, () => {
      this.#changed = false;
      this.#tell([...this.#streams], 0);
    });
  }

  /** Goes on with a round; `spentMs`: what it took so far. */
  #tell(streams: readonly EventStream[], spentMs: number): void {
    const { clock } = this.#options;
    const startUs = clock.monotonicUs();
    const workMs = (): number => (clock.monotonicUs() - startUs) / 1000;
    for (const [index, stream] of streams.entries()) {
      if (this.#streams.has(stream)) this.#update(stream);
      if (workMs() < sliceMs) continue;
      const rest = streams.slice(index + 1);
      const soFarMs = spentMs + workMs();
      this.#round = clock.setTimer(0, () => this.#tell(rest, soFarMs));
      return;
    }
    this.#round = undefined;
    // A round that takes long is followed by a pause of its own length: many changes cost half a processor.
    if (this.#changed) this.#planRound(Math.max(coalesceMs, spentMs + workMs()));
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
    if (stream.sourceGone) return 'SourceGone';
    const { blockedSinceMs } = stream;
    return blockedSinceMs !== undefined && nowMs - blockedSinceMs >= slowMs ? 'Slow' : undefined;
  }

  #end(stream: EventStream, cause: StreamEnd): void {
    this.#forget(stream, cause);
    stream.end();
  }

  #forget(stream: EventStream, cause: StreamEnd | undefined): void {
    if (this.#streams.delete(stream)) this.#options.onEnd(stream, cause);
  }
}
