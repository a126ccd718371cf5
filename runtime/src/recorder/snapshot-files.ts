import { mkdirSync, readdirSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Spool } from './spool.ts';
import type { UploadStore } from './uploader.ts';

const nameForm = /^([0-9a-f]{64})\.json$/;
/** Digests that are remembered as kept before. */
const maxKnown = 10_000;

/** Policy snapshots that wait for the collector: a file each, so that they survive the program's death. */
export class SnapshotFiles implements UploadStore {
  onStored: (digest: string) => void = () => {};
  readonly #directory: string;
  readonly #spool: Spool;
  readonly #onFailure: (cause: unknown) => void;
  /** Digest → bytes on disk, oldest first. */
  readonly #stored = new Map<string, number>();
  readonly #known = new Set<string>();

  /** Throws what the file system throws. */
  constructor(spool: Spool, onFailure: (cause: unknown) => void) {
    this.#directory = join(spool.directory, 'snapshots');
    this.#spool = spool;
    this.#onFailure = onFailure;
    mkdirSync(this.#directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#directory)) {
      const digest = nameForm.exec(name)?.[1];
      const path = join(this.#directory, name);
      if (digest === undefined) rmSync(path, { force: true });
      else this.#add(digest, statSync(path).size);
    }
  }

  /** Only what was not kept before by this process. */
  keep(digest: string, text: string): void {
    if (this.#known.has(digest)) return;
    if (this.#known.size >= maxKnown) this.#known.delete(this.#known.values().next().value!);
    this.#known.add(digest);
    if (this.#stored.has(digest)) return;
    const path = this.#path(digest);
    const bytes = Buffer.byteLength(text);
    try {
      // Policies may change for as long as the collector is away: the room is the events'.
      if (!this.#spool.fits(bytes)) throw new Error('the spool holds its bound');
      writeFileSync(`${path}.tmp`, text, { mode: 0o600 });
      renameSync(`${path}.tmp`, path);
    } catch (cause) {
      this.#known.delete(digest);
      this.#onFailure(cause);
      return;
    }
    this.#add(digest, bytes);
    this.onStored(digest);
  }

  stored(): string[] {
    return [...this.#stored.keys()];
  }

  read(digest: string): Promise<Buffer> {
    return readFile(this.#path(digest));
  }

  async remove(digest: string): Promise<void> {
    const bytes = this.#stored.get(digest);
    if (bytes === undefined) return;
    this.#stored.delete(digest);
    this.#spool.otherBytes -= bytes;
    rmSync(this.#path(digest), { force: true });
  }

  #add(digest: string, bytes: number): void {
    this.#stored.set(digest, bytes);
    this.#spool.otherBytes += bytes;
  }

  #path(digest: string): string {
    return join(this.#directory, `${digest}.json`);
  }
}
