import type { Clock, Timer } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { Backoff } from './backoff.ts';
import type { EventBatch } from './event-batch.ts';
import type { SpoolBatch, SpoolReader } from './spool-reader.ts';
import { type RelayTransport, ShipRefused, type ShipTransport } from './transport.ts';

export interface ShipperOptions {
  readonly reader: SpoolReader;
  /** Position up to which there is something to ship. */
  readonly written: () => number;
  readonly transport: ShipTransport;
  /** While closing, for what the transport does not take. */
  readonly relay?: RelayTransport | undefined;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  /** Everything before `position` is acknowledged, refused for good or unreadable. */
  readonly onAcknowledged: (position: number) => void;
  /** The receiver will never take these: they must be kept elsewhere before this returns. */
  readonly onRefused: (events: EventBatch, cause: ShipRefused) => void;
  /** Events, of a session of their own, that tell the receiver that `from` to `to` of `session` will not come. */
  readonly gapNotice: (session: string, from: number, to: number) => EventBatch;
  readonly onUnreadable: (bytes: number, cause: string) => void;
  readonly onShipped: (events: number) => void;
  readonly onFailure: (cause: unknown, retryInMs: number) => void;
  /** Milliseconds that a first event waits for others, unless someone waits for the collector. Default 50. */
  readonly lingerMs?: number;
}

/** So much is not kept waiting for more. */
const enoughBytes = 256 * 1024;

/** Sessions that are sent at the same time. */
const maxConcurrent = 4;

/** Between attempts while the program ends. */
const lastRetryMs = 500;

/** While the program ends, how long the collector may take over a request when there is a relay. */
const patienceMs = 1000;

/** Events of a session that nobody has taken. */
export interface LeftRange {
  readonly session: string;
  readonly from: number;
  readonly to: number;
  /** How many of them there are. */
  readonly events: number;
}

/** Sends what the spool holds, in order, and starts again at the oldest unacknowledged event on failure. */
export class Shipper {
  readonly #options: ShipperOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  /** Per session, the first event behind the gap announced last. */
  readonly #announced = new Map<string, number>();
  #position = 0;
  #urgent = false;
  #stopping = false;
  #wake: (() => void) | undefined;
  #timer: Timer | undefined;
  readonly #finished: Promise<void>;
  #reading: Promise<unknown> | undefined;
  /** Of the batch that ends at `#batchEnd`: what nobody has taken yet. */
  #undelivered: ReadonlyMap<string, EventBatch> = new Map();
  #batchEnd = 0;
  /** Once the relay has taken anything, the rest goes there, too: in order, and not taken for lost before it. */
  #relaying = false;
  #handedOver = 0;
  #collectorAbort = new AbortController();
  /** Ends what is under way with the collector, or all. */
  #collectorSignal = AbortSignal.any([this.#abort.signal, this.#collectorAbort.signal]);
  /** Counts what was taken, to tell a slow collector from one that is away. */
  #taken = 0;

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#finished = this.#run();
  }

  /** Something was written. `urgent`: someone waits for the acknowledgement. */
  notify(urgent: boolean): void {
    this.#urgent ||= urgent;
    if (this.#backoff.failures > 0) return; // the retry's timer decides
    if (this.#timer === undefined || urgent || this.#isEnough) this.#resume();
  }

  get #isEnough(): boolean {
    return this.#options.written() - this.#position >= enoughBytes;
  }

  /** Ships on for `graceMs` at most, then gives up; what is left stays in the spool. */
  async close(graceMs: number): Promise<void> {
    this.#stopping = true;
    const aborted = new Promise<void>((resolve) => {
      this.#abort.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const deadline = this.#options.clock.setTimer(graceMs, () => this.#abort.abort());
    if (graceMs <= 0) this.#abort.abort();
    const endPatience = this.#losePatience(Math.min(patienceMs, graceMs / 4));
    this.#resume();
    // A transport that ignores the signal must not hold up the end of the program.
    await Promise.race([this.#finished, aborted]);
    deadline.cancel();
    endPatience();
    this.#resume();
  }

  /** Events that the relay has taken. */
  get handedOver(): number {
    return this.#handedOver;
  }

  /** After `close`: what neither the collector nor the relay has taken, as far as it can be read until `signal`. */
  async left(signal: AbortSignal): Promise<LeftRange[]> {
    await this.#reading;
    const ranges = new Map<string, LeftRange>();
    const add = ({ session, firstSeq, lastSeq, count }: EventBatch): void => {
      const { from, events } = ranges.get(session) ?? { from: firstSeq, events: 0 };
      ranges.set(session, { session, from, to: lastSeq, events: events + count });
    };
    for (const events of this.#undelivered.values()) add(events);
    let position = Math.max(this.#position, this.#batchEnd);
    while (position < this.#options.written() && !signal.aborted) {
      const batch = await this.#options.reader.read(position);
      if (batch === undefined) break;
      for (const events of batch.events) add(events);
      position = batch.end;
    }
    return [...ranges.values()];
  }

  /** Gives the collector up that takes nothing for so long, if there is a relay. Returns what ends it. */
  #losePatience(afterMs: number): () => void {
    const { relay, clock } = this.#options;
    if (relay === undefined) return () => {};
    let timer: Timer;
    const wait = (): void => {
      const before = this.#taken;
      timer = clock.setTimer(afterMs, () => {
        if (this.#taken === before && !this.#relaying) {
          this.#relaying = true;
          this.#collectorAbort.abort();
          this.#resume();
        }
        wait();
      });
    };
    wait();
    return () => timer.cancel();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (this.#position >= this.#options.written()) {
        if (this.#stopping) return;
        await this.#sleep();
        const linger = this.#options.lingerMs ?? 50;
        const waits = !this.#urgent && !this.#stopping && !this.#isEnough;
        if (waits && linger > 0) await this.#sleep(linger);
        continue;
      }
      this.#urgent = false;
      const reading = this.#options.reader.read(this.#position);
      this.#reading = reading.catch(() => {});
      const batch = await reading;
      if (batch === undefined || signal.aborted) continue;
      await this.#deliver(batch);
    }
  }

  /** Returns once the batch is acknowledged, or on abort. */
  async #deliver(batch: SpoolBatch): Promise<void> {
    const sessions = new Map(batch.events.map((events) => [events.session, events]));
    this.#undelivered = sessions;
    this.#batchEnd = batch.end;
    while (sessions.size > 0 && !this.#abort.signal.aborted) {
      const wasRelaying = this.#relaying;
      const failure = await this.#attempt(sessions);
      if (failure === undefined) continue;
      if (this.#turnToOther(wasRelaying)) {
        this.#options.onFailure(failure.cause, 0);
        continue;
      }
      // There is no time left to be patient.
      const delayMs = Math.min(this.#backoff.next(), this.#stopping ? lastRetryMs : Infinity);
      if (this.#abort.signal.aborted) return;
      this.#options.onFailure(failure.cause, delayMs);
      await this.#sleep(delayMs);
    }
    if (this.#abort.signal.aborted) return;
    this.#backoff.reset();
    this.#position = batch.end;
    if (batch.unreadable !== undefined) {
      this.#options.onUnreadable(batch.unreadable.bytes, batch.unreadable.cause);
    }
    // What the relay has is stored when the collector says so, to whoever runs over this spool next.
    if (this.#handedOver === 0) this.#options.onAcknowledged(batch.end);
  }

  /**
   * While closing, after a failure: whether to try the other one at once. That is the relay; and, after it has
   * failed without having taken anything, the collector again, after a while.
   */
  #turnToOther(hasFailedToRelay: boolean): boolean {
    if (!this.#stopping || this.#options.relay === undefined) return false;
    if (!hasFailedToRelay) {
      this.#relaying = true;
      return true;
    }
    if (this.#handedOver === 0) {
      this.#relaying = false;
      this.#collectorAbort = new AbortController();
      this.#collectorSignal = AbortSignal.any([this.#abort.signal, this.#collectorAbort.signal]);
    }
    return false;
  }

  /** Sends each session once; those acknowledged leave the map. The first failure, if any. */
  async #attempt(
    sessions: Map<string, EventBatch>,
  ): Promise<{ readonly cause: unknown } | undefined> {
    const queue = [...sessions.values()];
    let failure: { readonly cause: unknown } | undefined;
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (this.#abort.signal.aborted) return;
        try {
          const rest = await this.#ship(next);
          if (rest === undefined) sessions.delete(next.session);
          else sessions.set(next.session, rest);
        } catch (cause) {
          failure ??= { cause };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxConcurrent, queue.length) }, worker));
    return failure;
  }

  /** Sends events of one session; returns those that are not acknowledged yet. */
  async #ship(events: EventBatch): Promise<EventBatch | undefined> {
    const { transport, relay, onRefused, onShipped } = this.#options;
    const { session } = events;
    if (this.#relaying && relay !== undefined) {
      await relay.handOver(events, this.#abort.signal);
      this.#handedOver += events.count;
      return undefined;
    }
    let acknowledged: number;
    try {
      acknowledged = await transport.ship(events, this.#collectorSignal);
    } catch (cause) {
      if (!(cause instanceof ShipRefused)) throw cause;
      onRefused(events, cause);
      return undefined;
    }
    const isWhole = events.lastSeq <= acknowledged;
    const rest = isWhole ? undefined : events.beyond(acknowledged);
    const left = rest?.count ?? 0;
    if (left < events.count) {
      this.#announced.delete(session);
      this.#taken += 1;
      onShipped(events.count - left);
    } else await this.#announceGap(session, acknowledged, events.firstSeq);
    return rest;
  }

  /**
   * The receiver acknowledges only what has nothing missing before it. What it misses before the first
   * event of ours is not in the spool any more (lost, damaged, refused), and it is told so, once.
   */
  async #announceGap(session: string, acknowledged: number, first: number): Promise<void> {
    if (!(acknowledged < first - 1) || this.#announced.get(session) === first) {
      throw new ChaperoneError(
        'CHP-4004',
        `the collector acknowledged ${acknowledged} of session ${session}, and not ${first}, which it was sent`,
      );
    }
    const notice = this.#options.gapNotice(session, Math.max(0, acknowledged) + 1, first - 1);
    await this.#options.transport.ship(notice, this.#abort.signal);
    this.#announced.set(session, first);
  }

  #resume(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    const wake = this.#wake;
    this.#wake = undefined;
    wake?.();
  }

  #sleep(delayMs?: number): Promise<void> {
    if (this.#abort.signal.aborted) return Promise.resolve();
    return new Promise((resolve) => {
      this.#wake = resolve;
      if (delayMs !== undefined) {
        this.#timer = this.#options.clock.setTimer(delayMs, () => this.#resume());
      }
    });
  }
}
