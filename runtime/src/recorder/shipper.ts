import type { Clock, Timer } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { Backoff } from './backoff.ts';
import type { Frame } from './frame.ts';
import type { SpoolBatch, SpoolReader } from './spool-reader.ts';
import { type ShippedEvent, ShipRefused, type ShipTransport } from './transport.ts';

export interface ShipperOptions {
  readonly reader: SpoolReader;
  /** Position up to which there is something to ship. */
  readonly written: () => number;
  readonly transport: ShipTransport;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  /** Everything before `position` is acknowledged, refused for good or unreadable. */
  readonly onAcknowledged: (position: number) => void;
  /** The receiver will never take these: they must be kept elsewhere before this returns. */
  readonly onRefused: (session: string, events: readonly string[], cause: ShipRefused) => void;
  /** Events that tell the receiver that `from` to `to` will not come: a session id and its events. */
  readonly gapNotice: (
    session: string,
    from: number,
    to: number,
  ) => { readonly session: string; readonly events: readonly string[] };
  readonly onUnreadable: (bytes: number, cause: string) => void;
  readonly onShipped: (events: number) => void;
  readonly onFailure: (cause: unknown, retryInMs: number) => void;
  /** Milliseconds that a first event waits for others, unless someone waits for the collector. */
  readonly lingerMs?: number;
}

/** Sessions that are sent at the same time. */
const maxConcurrent = 4;

/** Between attempts while the program ends. */
const lastRetryMs = 500;

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

  constructor(options: ShipperOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#finished = this.#run();
  }

  /** Something was written. `urgent`: someone waits for the acknowledgement. */
  notify(urgent: boolean): void {
    this.#urgent ||= urgent;
    if (this.#backoff.failures > 0) return; // the retry's timer decides
    if (this.#timer !== undefined) {
      if (urgent) this.#resume();
      return;
    }
    this.#resume();
  }

  /** Ships on for `graceMs` at most, then gives up; what is left stays in the spool. */
  async close(graceMs: number): Promise<void> {
    this.#stopping = true;
    const aborted = new Promise<void>((resolve) => {
      this.#abort.signal.addEventListener('abort', () => resolve(), { once: true });
    });
    const deadline = this.#options.clock.setTimer(graceMs, () => this.#abort.abort());
    if (graceMs <= 0) this.#abort.abort();
    this.#resume();
    // A transport that ignores the signal must not hold up the end of the program.
    await Promise.race([this.#finished, aborted]);
    deadline.cancel();
    this.#resume();
  }

  async #run(): Promise<void> {
    const { signal } = this.#abort;
    while (!signal.aborted) {
      if (this.#position >= this.#options.written()) {
        if (this.#stopping) return;
        await this.#sleep();
        const linger = this.#options.lingerMs ?? 10;
        if (!this.#urgent && !this.#stopping && linger > 0) await this.#sleep(linger);
        continue;
      }
      this.#urgent = false;
      const batch = await this.#options.reader.read(this.#position);
      if (batch === undefined || signal.aborted) continue;
      await this.#deliver(batch);
    }
  }

  /** Returns once the batch is acknowledged, or on abort. */
  async #deliver(batch: SpoolBatch): Promise<void> {
    const sessions = new Map<string, Frame[]>();
    for (const frame of batch.frames) {
      const frames = sessions.get(frame.session);
      if (frames === undefined) sessions.set(frame.session, [frame]);
      else frames.push(frame);
    }
    while (sessions.size > 0 && !this.#abort.signal.aborted) {
      const failure = await this.#attempt(sessions);
      if (failure === undefined) continue;
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
    this.#options.onAcknowledged(batch.end);
  }

  /** Sends each session once; those acknowledged leave the map. The first failure, if any. */
  async #attempt(sessions: Map<string, Frame[]>): Promise<{ readonly cause: unknown } | undefined> {
    const queue = [...sessions];
    let failure: { readonly cause: unknown } | undefined;
    const worker = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
        if (this.#abort.signal.aborted) return;
        const [session, frames] = next;
        try {
          const rest = await this.#ship(session, frames);
          if (rest.length === 0) sessions.delete(session);
          else sessions.set(session, rest);
        } catch (cause) {
          failure ??= { cause };
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxConcurrent, queue.length) }, worker));
    return failure;
  }

  /** Sends frames of one session; returns those that are not acknowledged yet. */
  async #ship(session: string, frames: readonly Frame[]): Promise<Frame[]> {
    const { transport, onRefused, onShipped } = this.#options;
    const events = frames.map(encodeShipped);
    let acknowledged: number;
    try {
      acknowledged = await transport.ship(session, events, this.#abort.signal);
    } catch (cause) {
      if (!(cause instanceof ShipRefused)) throw cause;
      onRefused(session, events, cause);
      return [];
    }
    const rest = frames.filter(({ seq }) => !(seq <= acknowledged));
    if (rest.length < frames.length) {
      this.#announced.delete(session);
      onShipped(frames.length - rest.length);
    } else await this.#announceGap(session, acknowledged, frames[0]!.seq);
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
    await this.#options.transport.ship(notice.session, notice.events, this.#abort.signal);
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

function utf8(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8');
}

/** A frame in the form that a transport takes. */
export function encodeShipped(frame: Frame): string {
  const event: ShippedEvent = {
    seq: frame.seq,
    line: utf8(frame.line),
    parts: frame.parts.map(({ name, salt, content }) => ({
      name,
      salt: Buffer.from(salt.buffer, salt.byteOffset, salt.byteLength).toString('base64'),
      content: utf8(content),
    })),
  };
  return JSON.stringify(event);
}
