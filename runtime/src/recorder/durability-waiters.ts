import type { Clock, Timer } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import type { RecorderLogger } from './options.ts';
import type { RecorderFailure } from './types.ts';

export type DurableCallback = (failure?: RecorderFailure) => void;

/** Calls one waiter back. */
export type CallBack = (callback: DurableCallback, failure?: RecorderFailure) => void;

/** A callback that throws must not keep the others from being called: its error is only logged. */
export function safeCaller(logger: RecorderLogger): CallBack {
  return (callback, failure) => {
    try {
      callback(failure);
    } catch (error) {
      logger.error({ err: error }, 'a callback of whenDurable threw');
    }
  };
}

interface Waiter {
  readonly position: number;
  readonly dueUs: number;
  readonly callback: DurableCallback;
  /** The recorded results that belong to it are uploaded too. */
  recordings: boolean;
}

/** Those who wait for the collector's acknowledgement, in the order of their calls. */
export class CollectorWaiters {
  readonly #call: CallBack;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  #waiters: Waiter[] = [];
  #acknowledged = 0;
  #timer: Timer | undefined;

  constructor(clock: Clock, timeoutMs: number, call: CallBack) {
    this.#call = call;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
  }

  /** Returns the function that tells that the recordings are uploaded. */
  add(position: number, callback: DurableCallback): () => void {
    const dueUs = this.#clock.monotonicUs() + this.#timeoutMs * 1000;
    const waiter: Waiter = { position, dueUs, callback, recordings: false };
    this.#waiters.push(waiter);
    this.#arm();
    return () => {
      waiter.recordings = true;
      this.#settle();
    };
  }

  acknowledged(position: number): void {
    this.#acknowledged = position;
    this.#settle();
  }

  /** Fails all: the recorder closes. */
  failAll(failure: RecorderFailure): void {
    this.#timer?.cancel();
    const waiters = this.#waiters;
    this.#waiters = [];
    for (const { callback } of waiters) this.#call(callback, failure);
  }

  #settle(): void {
    for (;;) {
      const first = this.#waiters[0];
      if (first === undefined || first.position > this.#acknowledged || !first.recordings) break;
      this.#waiters.shift();
      this.#call(first.callback);
    }
    if (this.#waiters.length === 0) {
      this.#timer?.cancel();
      this.#timer = undefined;
    }
  }

  #arm(): void {
    const first = this.#waiters[0];
    if (first === undefined || this.#timer !== undefined) return;
    const delayMs = Math.max(0, first.dueUs - this.#clock.monotonicUs()) / 1000;
    this.#timer = this.#clock.setTimer(delayMs, () => {
      this.#timer = undefined;
      const nowUs = this.#clock.monotonicUs();
      while (this.#waiters[0] !== undefined && this.#waiters[0].dueUs <= nowUs) {
        const { callback } = this.#waiters.shift()!;
        this.#call(
          callback,
          new ChaperoneError(
            'CHP-4004',
            `the collector did not acknowledge within ${this.#timeoutMs} ms`,
          ),
        );
      }
      this.#arm();
    });
  }
}
