/**
 * Keeps a FileSet in step with a directory. A file counts once it is at rest, so that a half-written one is
 * not taken; a file that is gone counts as gone after a moment, since editors and version control remove and
 * make anew.
 */
import { join } from 'node:path';
import { error } from '@chaperone/core/resources/problem.ts';
import type { AnyObject } from '@chaperone/core/resources/validate.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { listFiles, readFileAtRest, reasonOf, type Signature } from './file-scanner.ts';
import type { FileSet, PlacedProblem } from './file-set.ts';
import { parseResourceFile } from './yaml-file.ts';

/** How long a file must be untouched before it is read. */
const settleMs = 100;
/** How long a file must be gone before its objects are. */
const graceMs = 300;

interface Seen {
  /** Signature of what has been taken into the FileSet. */
  taken?: string;
  /** A signature seen that is not at rest yet, and since when. */
  pending?: { readonly signature: string; readonly sinceMs: number };
  missingSinceMs?: number;
}

export interface ScanResult {
  /** The FileSet has changed. */
  readonly changed: boolean;
  /** Look again after so many milliseconds: something is not at rest yet. */
  readonly againMs?: number;
  readonly directories: readonly string[];
  /** What could not be looked at. Its files count as they were. */
  readonly unreadable: readonly PlacedProblem[];
}

export class DirectoryReader {
  readonly #root: string;
  readonly #clock: Clock;
  readonly #files: FileSet;
  readonly #lastValid: (file: string) => readonly AnyObject[] | undefined;
  readonly #seen = new Map<string, Seen>();

  /** `lastValid`: what a file said validly in an earlier run. */
  constructor(
    root: string,
    clock: Clock,
    files: FileSet,
    lastValid: (file: string) => readonly AnyObject[] | undefined,
  ) {
    this.#root = root;
    this.#clock = clock;
    this.#files = files;
    this.#lastValid = lastValid;
  }

  /** Whether what is in the FileSet is what the file says now. */
  isCurrent(file: string, signature: Signature): boolean {
    return this.#seen.get(file)?.taken === signature.text;
  }

  /** Takes a file that the caller has written whole, without waiting for it to rest. */
  take(file: string, signature: Signature, text: string): void {
    this.#seen.set(file, { taken: signature.text });
    this.#files.set(file, parseResourceFile(text, this.#clock.nowMs()), signature.mode);
  }

  /** Forgets a file that the caller has removed. */
  drop(file: string): void {
    this.#seen.delete(file);
    this.#files.remove(file);
  }

  scan(): ScanResult {
    const listing = listFiles(this.#root);
    let changed = false;
    let againMs: number | undefined;
    const waitFor = (ms: number): void => {
      againMs = Math.min(againMs ?? ms, Math.max(ms, 1));
    };
    for (const [file, signature] of listing.files) {
      const seen = this.#seen.get(file) ?? {};
      this.#seen.set(file, seen);
      delete seen.missingSinceMs;
      if (seen.taken === signature.text) {
        delete seen.pending;
        continue;
      }
      const restMs = this.#restMs(seen, signature);
      if (restMs > 0) waitFor(restMs);
      else if (this.#read(file, signature, seen)) changed = true;
      else waitFor(settleMs);
    }
    for (const [file, seen] of this.#seen) {
      if (listing.files.has(file) || isBelow(file, listing.unreadable)) continue;
      seen.missingSinceMs ??= this.#monotonicMs();
      const leftMs = seen.missingSinceMs + graceMs - this.#monotonicMs();
      if (leftMs > 0) {
        waitFor(leftMs);
        continue;
      }
      this.drop(file);
      changed = true;
    }
    return {
      changed,
      ...(againMs !== undefined && { againMs }),
      directories: listing.directories,
      unreadable: [...listing.unreadable].map(([file, message]) => ({
        ...error('', message),
        file: file === '' ? '.' : file,
        line: 1,
      })),
    };
  }

  /** How long until the file has been at rest long enough; 0 if it has. */
  #restMs(seen: Seen, signature: Signature): number {
    // By the file system's own clock, where the two agree that it was touched long ago …
    const age = this.#clock.nowMs() - signature.changedMs;
    if (age >= settleMs && age < Number.MAX_SAFE_INTEGER) return 0;
    // … else by looking twice.
    if (seen.pending?.signature !== signature.text) {
      seen.pending = { signature: signature.text, sinceMs: this.#monotonicMs() };
    }
    return Math.max(0, seen.pending.sinceMs + settleMs - this.#monotonicMs());
  }

  /** False when the file changed while it was read. */
  #read(file: string, signature: Signature, seen: Seen): boolean {
    const path = join(this.#root, file);
    try {
      const text = readFileAtRest(path, signature);
      if (text === undefined) return false;
      this.#set(file, signature, parseResourceFile(text, this.#clock.nowMs()));
    } catch (cause) {
      const problem = { ...error('', reasonOf(cause)), line: 1 };
      this.#set(file, signature, { objects: [], lines: [], problems: [problem] });
    }
    seen.taken = signature.text;
    delete seen.pending;
    return true;
  }

  #set(file: string, signature: Signature, parsed: ReturnType<typeof parseResourceFile>): void {
    const earlier = this.#files.has(file) ? undefined : this.#lastValid(file);
    this.#files.set(file, parsed, signature.mode, earlier);
  }

  #monotonicMs(): number {
    return this.#clock.monotonicUs() / 1000;
  }
}

function isBelow(file: string, unreadable: ReadonlyMap<string, string>): boolean {
  for (const path of unreadable.keys()) {
    if (path === '' || file === path || file.startsWith(`${path}/`)) return true;
  }
  return false;
}
