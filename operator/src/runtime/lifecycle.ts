import type { Logger } from '@chaperone/runtime/logging/logger.ts';

/** Something that runs from start to stop. */
export interface Part {
  start(): void | Promise<void>;
  /** Resolves when nothing of it runs any more. */
  stop(): void | Promise<void>;
}

/** A part that has to know everything before others can go by it: a Reflector, a KubernetesStore. */
export interface CachePart extends Part {
  readonly hasSynced: boolean;
  synced(): Promise<void>;
}

/** Starts parts in order and stops them in the reverse one; both once, whatever happens in between. */
export class PartGroup {
  readonly #logger: Logger;
  readonly #parts: Part[] = [];
  #started = 0;
  #starting: Promise<void> | undefined;
  #stopping: Promise<void> | undefined;

  constructor(logger: Logger) {
    this.#logger = logger;
  }

  add(part: Part): void {
    if (this.#starting !== undefined) throw new Error('parts are added before the start');
    this.#parts.push(part);
  }

  /** Throws what a part threw; those before it run until `stop`. */
  start(): Promise<void> {
    this.#starting ??= this.#startAll();
    return this.#starting;
  }

  /** Never throws: each part is stopped, even if another one fails to. */
  stop(): Promise<void> {
    this.#stopping ??= this.#stopAll();
    return this.#stopping;
  }

  async #startAll(): Promise<void> {
    for (const part of this.#parts) {
      if (this.#stopping !== undefined) return;
      this.#started += 1;
      await part.start();
    }
  }

  async #stopAll(): Promise<void> {
    for (const part of this.#parts.slice(0, this.#started).reverse()) {
      try {
        await part.stop();
      } catch (error) {
        this.#logger.error({ err: error }, 'a part could not be stopped');
      }
    }
  }
}
