import type { Clock } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import type { KubernetesMetrics } from './metrics.ts';
import { WorkQueue } from './workqueue.ts';

/** A failure that another try would not mend: the key is left until it is added again. */
export class TerminalError extends Error {
  constructor(message: string, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.name = 'TerminalError';
  }
}

export interface ReconcileResult {
  /** Look again after that time, though nothing changes. */
  readonly requeueAfterMs?: number;
}

export interface ControllerOptions {
  /** For metrics and logs, unique within the program. */
  readonly name: string;
  /** How many keys are worked on at once; default 1. */
  readonly workers?: number;
  /**
   * Makes everything as it should be for `key`, reading the caches: no matter what happened, or how often
   * it is called. What it throws is logged, and the key comes again after a while, unless it is a
   * TerminalError. `signal`: the controller is stopping.
   */
  readonly reconcile: (key: string, signal: AbortSignal) => Promise<ReconcileResult | undefined>;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

/** Reconciles keys: those that are added, before or after it starts. */
export class Controller {
  readonly name: string;
  readonly #options: ControllerOptions;
  readonly #queue: WorkQueue;
  readonly #stopping = new AbortController();
  #workers: Promise<void>[] = [];

  constructor(options: ControllerOptions) {
    const { name, workers = 1, clock, metrics } = options;
    this.name = name;
    this.#options = options;
    this.#queue = new WorkQueue({ name, clock, metrics });
    metrics.maxWorkers.set({ controller: name }, workers);
    metrics.activeWorkers.set({ controller: name }, 0);
    metrics.reconcileErrors.inc({ controller: name }, 0);
    metrics.terminalErrors.inc({ controller: name }, 0);
    for (const result of ['success', 'error', 'requeue_after', 'terminal_error'] as const) {
      metrics.reconciles.inc({ controller: name, result }, 0);
    }
  }

  add(key: string): void {
    this.#queue.add(key);
  }

  addAfter(key: string, delayMs: number): void {
    this.#queue.addAfter(key, delayMs);
  }

  /** Begins to work; does nothing if it has begun. */
  start(): void {
    if (this.#workers.length > 0 || this.#stopping.signal.aborted) return;
    const { workers = 1 } = this.#options;
    this.#workers = Array.from({ length: workers }, () => this.#work());
  }

  /** Lets what is under way end and leaves the rest. It cannot be started again. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    const shutDown = this.#queue.shutDown();
    // Without workers nobody would empty the queue.
    if (this.#workers.length === 0) return;
    await Promise.all([...this.#workers, shutDown]);
  }

  async #work(): Promise<void> {
    for (;;) {
      const key = await this.#queue.take();
      if (key === undefined) return;
      try {
        if (!this.#stopping.signal.aborted) await this.#reconcile(key);
      } finally {
        this.#queue.done(key);
      }
    }
  }

  async #reconcile(key: string): Promise<void> {
    const { name, reconcile, clock, metrics, logger } = this.#options;
    const controller = { controller: name };
    const startUs = clock.monotonicUs();
    metrics.activeWorkers.inc(controller);
    try {
      const result = await reconcile(key, this.#stopping.signal);
      this.#queue.forget(key);
      const afterMs = result?.requeueAfterMs;
      if (afterMs !== undefined) this.#queue.addAfter(key, afterMs);
      metrics.reconciles.inc({
        ...controller,
        result: afterMs === undefined ? 'success' : 'requeue_after',
      });
    } catch (error) {
      const terminal = error instanceof TerminalError;
      metrics.reconcileErrors.inc(controller);
      metrics.reconciles.inc({ ...controller, result: terminal ? 'terminal_error' : 'error' });
      if (terminal) {
        metrics.terminalErrors.inc(controller);
        this.#queue.forget(key);
      } else if (!this.#stopping.signal.aborted) {
        this.#queue.addRateLimited(key);
      }
      const failures = this.#queue.failures(key);
      logger.error({ err: error, controller: name, object: key, failures }, 'not reconciled');
    } finally {
      metrics.activeWorkers.dec(controller);
      metrics.reconcileSeconds.observe(controller, (clock.monotonicUs() - startUs) / 1e6);
    }
  }
}
