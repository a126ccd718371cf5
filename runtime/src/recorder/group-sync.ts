import { close, closeSync, fsync, openSync } from 'node:fs';
import type { SpoolFiles } from './spool-files.ts';

type Done = (error?: Error) => void;

/**
 * Group commit: one fdatasync off the event loop serves everyone who asked before it began. Retired
 * descriptors are synced once more and closed, so that a later sync vouches for the earlier segments too.
 */
export class GroupSync {
  readonly #files: SpoolFiles;
  readonly #activeFd: () => number | undefined;
  readonly #directoryFd: number;
  #waiting: Done[] = [];
  #retired: number[] = [];
  #directoryChanged = false;
  #running = false;
  #idle: (() => void) | undefined;

  constructor(directory: string, files: SpoolFiles, activeFd: () => number | undefined) {
    this.#files = files;
    this.#activeFd = activeFd;
    this.#directoryFd = openSync(directory, 'r');
  }

  /** Calls back once all that is written now is on disk, or with the error that prevents it. */
  request(done: Done): void {
    this.#waiting.push(done);
    if (!this.#running) this.#run();
  }

  /** Takes over a descriptor that is not written to any more. */
  retire(fd: number): void {
    this.#retired.push(fd);
    if (!this.#running) this.#run();
  }

  directoryChanged(): void {
    this.#directoryChanged = true;
  }

  /** Resolves when nothing is under way and every retired descriptor is closed. */
  async close(): Promise<void> {
    if (this.#running) await new Promise<void>((resolve) => (this.#idle = resolve));
    closeSync(this.#directoryFd);
  }

  #run(): void {
    this.#running = true;
    const waiting = this.#waiting;
    const retired = this.#retired;
    this.#waiting = [];
    this.#retired = [];
    const active = this.#activeFd();
    const fds = active === undefined ? retired : [...retired, active];
    let open = 1;
    let failure: Error | undefined;
    const one = (error: Error | null): void => {
      failure ??= error ?? undefined;
      open -= 1;
      if (open > 0) return;
      for (const fd of retired) close(fd);
      this.#running = false;
      for (const done of waiting) done(failure);
      if (this.#running) return; // a callback asked again
      if (this.#waiting.length > 0 || this.#retired.length > 0) this.#run();
      else this.#idle?.();
    };
    for (const fd of fds) {
      open += 1;
      this.#files.datasync(fd, one);
    }
    if (this.#directoryChanged) {
      this.#directoryChanged = false;
      open += 1;
      fsync(this.#directoryFd, one);
    }
    if (open === 1) setImmediate(one, null);
    else one(null);
  }
}
