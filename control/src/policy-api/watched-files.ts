import { readFileSync, statSync } from 'node:fs';

export interface WatchedFilesOptions<T> {
  /** Those that decide whether anything changed; they need not exist. */
  readonly paths: readonly string[];
  /** Reads them anew; throws where they cannot be used. */
  readonly load: () => T;
  /** Called when changed files cannot be used: what was read before stays in force. */
  readonly onProblem: (error: unknown) => void;
}

/** What stands in files, read again when one changes: mounted Secrets are replaced under running programs. */
export class WatchedFiles<T> {
  readonly #options: WatchedFilesOptions<T>;
  #seen: string;
  #current: T;

  /** Throws what `load` throws. */
  constructor(options: WatchedFilesOptions<T>) {
    this.#options = options;
    this.#seen = signatureOf(options.paths);
    this.#current = options.load();
  }

  /** What the files say now, at the price of one stat call each; the same value as long as they do not change. */
  current(): T {
    const now = signatureOf(this.#options.paths);
    if (now === this.#seen) return this.#current;
    // Half a change (the key before its certificate) is tried again as soon as the other half is there.
    this.#seen = now;
    try {
      this.#current = this.#options.load();
    } catch (error) {
      this.#options.onProblem(error);
    }
    return this.#current;
  }
}

function signatureOf(paths: readonly string[]): string {
  return paths
    .map((path) => {
      try {
        const found = statSync(path, { bigint: true, throwIfNoEntry: false });
        return found === undefined ? 'none' : `${found.ino} ${found.size} ${found.mtimeNs}`;
      } catch {
        return 'unreadable'; // `load` tells why
      }
    })
    .join(' ');
}

/** Undefined where there is no such file. */
export function readOptional(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw error;
  }
}
