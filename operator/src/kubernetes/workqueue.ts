import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { KubernetesMetrics } from './metrics.ts';

const firstDelayMs = 5;
const maxDelayMs = 1_000_000;

export interface WorkQueueOptions {
  /** For metrics. */
  readonly name: string;
  readonly clock: Clock;
  readonly metrics: KubernetesMetrics;
}

/**
 * Keys to be worked on. A key waits at most once however often it is added, is never worked on twice at the
 * same time, and comes again after its work if it was added meanwhile.
 */
export class WorkQueue {
  readonly #options: WorkQueueOptions;
  readonly #labels: { readonly name: string; readonly controller: string };
  /** What takes next, oldest first, each with when it came. */
  readonly #ready = new Map<string, number>();
  /** What is being worked on, each with when that began. */
  readonly #processing = new Map<string, number>();
  /** Added while being worked on. */
  readonly #dirty = new Set<string>();
  readonly #waiting = new Map<string, { readonly dueUs: number; readonly timer: Timer }>();
  readonly #failures = new Map<string, number>();
  readonly #takers: ((key: string | undefined) => void)[] = [];
  readonly #unfollow: () => void;
  #drained: (() => void) | undefined;
  #shuttingDown = false;

  constructor(options: WorkQueueOptions) {
    this.#options = options;
    const { name, metrics } = options;
    this.#labels = { name, controller: name };
    metrics.queueAdds.inc(this.#labels, 0);
    metrics.queueRetries.inc(this.#labels, 0);
    this.#unfollow = metrics.onCollect(() => this.#measure());
  }

  /** Keys that wait and are due. */
  get length(): number {
    return this.#ready.size;
  }

  /** After shutDown it does nothing. */
  add(key: string): void {
    if (this.#shuttingDown) return;
    if (this.#processing.has(key)) {
      if (this.#dirty.has(key)) return;
      this.#dirty.add(key);
    } else {
      if (this.#ready.has(key)) return;
      this.#ready.set(key, this.#options.clock.monotonicUs());
    }
    this.#options.metrics.queueAdds.inc(this.#labels);
    this.#hand();
  }

  /** Of several waits for the same key the shortest counts. */
  addAfter(key: string, delayMs: number): void {
    if (this.#shuttingDown) return;
    if (delayMs <= 0) {
      this.add(key);
      return;
    }
    const { clock } = this.#options;
    const dueUs = clock.monotonicUs() + delayMs * 1000;
    const waiting = this.#waiting.get(key);
    if (waiting !== undefined && waiting.dueUs <= dueUs) return;
    waiting?.timer.cancel();
    const timer = clock.setTimer(delayMs, () => {
      this.#waiting.delete(key);
      this.add(key);
    });
    this.#waiting.set(key, { dueUs, timer });
  }

  /** After a failure: 5 ms, doubling with each in a row up to 1000 s, until `forget`. */
  addRateLimited(key: string): void {
    const failures = this.#failures.get(key) ?? 0;
    this.#failures.set(key, failures + 1);
    this.#options.metrics.queueRetries.inc(this.#labels);
    this.addAfter(key, Math.min(firstDelayMs * 2 ** Math.min(failures, 30), maxDelayMs));
  }

  /** The next failure of the key counts as its first. */
  forget(key: string): void {
    this.#failures.delete(key);
  }

  /** Failures in a row. */
  failures(key: string): number {
    return this.#failures.get(key) ?? 0;
  }

  /** The next key, once there is one; `done` must follow. Undefined: shut down and empty. */
  take(): Promise<string | undefined> {
    return new Promise((resolve) => {
      this.#takers.push(resolve);
      this.#hand();
    });
  }

  /** The work on the key has ended, well or not. */
  done(key: string): void {
    const { clock, metrics } = this.#options;
    const sinceUs = this.#processing.get(key);
    if (sinceUs === undefined) throw new Error(`${key} is not being worked on`);
    this.#processing.delete(key);
    metrics.workSeconds.observe(this.#labels, (clock.monotonicUs() - sinceUs) / 1e6);
    if (this.#dirty.delete(key)) this.#ready.set(key, clock.monotonicUs());
    this.#hand();
    if (this.#ready.size + this.#processing.size === 0) this.#drained?.();
  }

  /** Takes nothing more; what waits for its time is dropped. Resolves when what is due has been worked on. */
  async shutDown(): Promise<void> {
    this.#shuttingDown = true;
    for (const { timer } of this.#waiting.values()) timer.cancel();
    this.#waiting.clear();
    this.#unfollow();
    this.#hand();
    if (this.#ready.size + this.#processing.size === 0) return;
    await new Promise<void>((resolve) => {
      this.#drained = resolve;
    });
  }

  #hand(): void {
    const { clock, metrics } = this.#options;
    for (const [key, sinceUs] of this.#ready) {
      const taker = this.#takers.shift();
      if (taker === undefined) return;
      const nowUs = clock.monotonicUs();
      this.#ready.delete(key);
      this.#processing.set(key, nowUs);
      metrics.queueSeconds.observe(this.#labels, (nowUs - sinceUs) / 1e6);
      taker(key);
    }
    // A key that is being worked on may yet come again.
    if (!this.#shuttingDown || this.#dirty.size > 0) return;
    for (const taker of this.#takers.splice(0)) taker(undefined);
  }

  #measure(): void {
    const { clock, metrics } = this.#options;
    const nowUs = clock.monotonicUs();
    const seconds = [...this.#processing.values()].map((sinceUs) => (nowUs - sinceUs) / 1e6);
    metrics.queueDepth.set(this.#labels, this.#ready.size);
    metrics.unfinishedSeconds.set(
      this.#labels,
      seconds.reduce((sum, value) => sum + value, 0),
    );
    metrics.longestSeconds.set(this.#labels, Math.max(0, ...seconds));
  }
}
