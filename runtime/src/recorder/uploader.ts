import type { Clock, Timer } from '../clock.ts';
import { Backoff } from './backoff.ts';
import { ShipRefused } from './transport.ts';

/** What waits for upload, each under the SHA-256 of its content. */
export interface UploadStore {
  /** Digests of what waits. */
  stored(): string[];
  /** Told of each that comes. */
  onStored: (digest: string) => void;
  read(digest: string): Promise<Buffer>;
  /** The collector has it. */
  remove(digest: string): Promise<void>;
}

export interface UploaderOptions {
  readonly store: UploadStore;
  /** Rejects with ShipRefused when it will never be taken. */
  readonly put: (digest: string, bytes: Uint8Array, signal: AbortSignal) => Promise<void>;
  readonly clock: Clock;
  readonly random: () => number;
  readonly onFailure: (cause: unknown, retryInMs: number) => void;
  /** It stays in the spool's directory and is not offered again by this process. */
  readonly onRefused: (digest: string, cause: ShipRefused) => void;
}

/** Uploads what a store holds one after the other, oldest first. */
export class Uploader {
  readonly #options: UploaderOptions;
  readonly #backoff: Backoff;
  readonly #abort = new AbortController();
  readonly #queue: Set<string>;
  #timer: Timer | undefined;
  #stopping = false;
  #running = false;
  #stopped: (() => void) | undefined;
  /** Chunks ever queued, and those done with: the queue is first in, first out. */
  #queued: number;
  #done = 0;
  #waiting: { readonly done: number; readonly callback: () => void }[] = [];

  constructor(options: UploaderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random);
    this.#queue = new Set(options.store.stored());
    this.#queued = this.#queue.size;
    options.store.onStored = (digest) => {
      if (!this.#queue.has(digest)) this.#queued += 1;
      this.#queue.add(digest);
      this.#start();
    };
    this.#start();
  }

  /** Calls back once everything that is stored now is uploaded. */
  uploaded(callback: () => void): void {
    if (this.#done >= this.#queued) callback();
    else this.#waiting.push({ done: this.#queued, callback });
  }

  /** Uploads on for `graceMs` at most; the rest stays in the spool. */
  async close(graceMs: number): Promise<void> {
    this.#stopping = true;
    if (this.#queue.size === 0) return;
    const deadline = this.#options.clock.setTimer(graceMs, () => this.#abort.abort());
    if (graceMs <= 0) this.#abort.abort();
    else
      await new Promise<void>((resolve) => {
        this.#stopped = resolve;
        this.#abort.signal.addEventListener('abort', () => resolve(), { once: true });
        this.#timer?.cancel();
        this.#timer = undefined;
        this.#start();
      });
    deadline.cancel();
    this.#timer?.cancel();
  }

  /** Ends `close` at once. */
  giveUp(): void {
    this.#abort.abort();
  }

  #start(): void {
    if (!this.#running && this.#timer === undefined) void this.#run();
  }

  async #run(): Promise<void> {
    const { store, put, clock, onFailure, onRefused } = this.#options;
    const { signal } = this.#abort;
    this.#running = true;
    for (const digest of this.#queue) {
      if (signal.aborted) break;
      try {
        await put(digest, await store.read(digest), signal);
        if (signal.aborted) return;
        await store.remove(digest);
      } catch (cause) {
        if (signal.aborted) return;
        if (!(cause instanceof ShipRefused)) {
          this.#running = false;
          const delayMs = this.#backoff.next();
          onFailure(cause, delayMs);
          this.#timer = clock.setTimer(delayMs, () => {
            this.#timer = undefined;
            this.#start();
          });
          return;
        }
        onRefused(digest, cause);
      }
      this.#backoff.reset();
      this.#queue.delete(digest);
      this.#done += 1;
      while (this.#waiting[0] !== undefined && this.#waiting[0].done <= this.#done) {
        this.#waiting.shift()?.callback();
      }
    }
    this.#running = false;
    if (this.#stopping) this.#stopped?.();
  }
}
