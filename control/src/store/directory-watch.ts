import { type FSWatcher, watch } from 'node:fs';

/** Calls back when something in one of several directories changes. Where that cannot be had, a periodic scan does. */
export class DirectoryWatch {
  readonly #watchers = new Map<string, FSWatcher>();
  readonly #onChange: () => void;

  constructor(onChange: () => void) {
    this.#onChange = onChange;
  }

  /** Watches exactly these directories from now on. */
  set(directories: readonly string[]): void {
    const wanted = new Set(directories);
    for (const directory of this.#watchers.keys()) {
      if (!wanted.has(directory)) this.#drop(directory);
    }
    for (const directory of wanted) {
      if (!this.#watchers.has(directory)) this.#add(directory);
    }
  }

  close(): void {
    this.set([]);
  }

  #add(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, this.#onChange);
      watcher.on('error', () => this.#drop(directory));
      this.#watchers.set(directory, watcher);
    } catch {
      // Out of watches, or a file system without: the periodic scan sees the change.
    }
  }

  #drop(directory: string): void {
    this.#watchers.get(directory)?.close();
    this.#watchers.delete(directory);
  }
}
