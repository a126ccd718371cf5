/** Batches that the policy API keeps for the collector: files of one directory, bounded. */
import {
  closeSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';

/** What a program sent, to be handed on as it is. */
export interface RelayedBatch {
  /**
   * `Events` of a session; `Gap`: of one that says which others will not come, which has room of its own; a policy's
   * `Snapshot`.
   */
  readonly kind: 'Events' | 'Gap' | 'Snapshot';
  /** The session, or the snapshot's digest. */
  readonly name: string;
  /** The pod's uid: whose the ingest token is. */
  readonly source: string;
  readonly namespace: string;
  /** The program's own ingest token: what the collector checks is checked of the program, not of us. */
  readonly token: string;
}

export interface RelayEntry extends RelayedBatch {
  readonly path: string;
  /** That the file takes. */
  readonly bytes: number;
}

/** Of all room, what one program may take, and all programs of a namespace. */
const sourceShare = 1 / 8;
const namespaceShare = 1 / 2;
/** Room that announcements of gaps have for themselves, and one program of it. */
const gapShare = 1 / 8;
const gapBytesPerSource = 64 * 1024;
/** What a file takes is a multiple of this: in memory, small ones would otherwise take several times the bound. */
const pageBytes = 4096;
const entryForm = /^\d{12}\.batch$/;

/**
 * In the order in which they came. A batch is in its file when `take` returns, so that it survives the
 * program's death if the directory does. The files hold tokens: the directory should be in memory (tmpfs).
 */
export class RelayStore {
  readonly #directory: string;
  readonly #maxBytes: number;
  /** By source, oldest first. */
  readonly #entries = new Map<string, RelayEntry[]>();
  #last = 0;

  /** Throws what the file system throws; what is no whole entry is removed. */
  constructor(directory: string, maxBytes: number) {
    this.#directory = directory;
    this.#maxBytes = maxBytes;
    mkdirSync(directory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(directory).sort()) {
      const path = join(directory, name);
      const batch = entryForm.test(name) ? readEntry(path)?.batch : undefined;
      if (batch === undefined) {
        rmSync(path, { force: true, recursive: true });
        continue;
      }
      this.#add({ ...batch, path, bytes: inPages(statSync(path).size) });
      this.#last = Number(name.slice(0, 12));
    }
  }

  get heldBytes(): number {
    return this.#sum(() => true);
  }

  /** Those that have something here, each with what it has, oldest first. */
  sources(): ReadonlyMap<string, readonly RelayEntry[]> {
    return this.#entries;
  }

  /** False: there is no room for it. Throws what the file system throws. */
  take(batch: RelayedBatch, body: Uint8Array): boolean {
    const header = Buffer.from(`${JSON.stringify(batch)}\n`);
    const bytes = inPages(header.length + body.length);
    if (!this.#fits(batch, bytes)) return false;
    const name = `${String(this.#last + 1).padStart(12, '0')}.batch`;
    const path = join(this.#directory, name);
    const unfinished = `${path}.tmp`;
    try {
      const file = openSync(unfinished, 'w', 0o600);
      try {
        writeFileSync(file, header);
        writeFileSync(file, body);
      } finally {
        closeSync(file);
      }
      renameSync(unfinished, path);
    } catch (error) {
      rmSync(unfinished, { force: true });
      throw error;
    }
    this.#last += 1;
    this.#add({ ...batch, path, bytes });
    return true;
  }

  /** Its bytes as they were taken; undefined when they cannot be read any more. */
  body(entry: RelayEntry): Buffer | undefined {
    return readEntry(entry.path)?.body;
  }

  remove(entry: RelayEntry): void {
    const entries = this.#entries.get(entry.source)?.filter((other) => other !== entry) ?? [];
    if (entries.length > 0) this.#entries.set(entry.source, entries);
    else this.#entries.delete(entry.source);
    rmSync(entry.path, { force: true });
  }

  #add(entry: RelayEntry): void {
    const entries = this.#entries.get(entry.source);
    if (entries === undefined) this.#entries.set(entry.source, [entry]);
    else entries.push(entry);
  }

  #fits({ source, namespace, kind }: RelayedBatch, bytes: number): boolean {
    const isGap = kind === 'Gap';
    const held = (which: (entry: RelayEntry) => boolean): number =>
      this.#sum((entry) => (entry.kind === 'Gap') === isGap && which(entry)) + bytes;
    const ofSource = held((entry) => entry.source === source);
    const all = held(() => true);
    if (isGap) return ofSource <= gapBytesPerSource && all <= this.#maxBytes * gapShare;
    const room = this.#maxBytes * (1 - gapShare);
    return (
      ofSource <= room * sourceShare &&
      held((entry) => entry.namespace === namespace) <= room * namespaceShare &&
      all <= room
    );
  }

  #sum(counts: (entry: RelayEntry) => boolean): number {
    let bytes = 0;
    for (const entries of this.#entries.values()) {
      for (const entry of entries) if (counts(entry)) bytes += entry.bytes;
    }
    return bytes;
  }
}

const inPages = (bytes: number): number => Math.ceil(bytes / pageBytes) * pageBytes;

/** A line of JSON, then the body. */
function readEntry(
  path: string,
): { readonly batch: RelayedBatch; readonly body: Buffer } | undefined {
  try {
    const bytes = readFileSync(path);
    const end = bytes.indexOf(0x0a);
    const batch = JSON.parse(bytes.toString('utf8', 0, end)) as RelayedBatch;
    return { batch, body: bytes.subarray(end + 1) };
  } catch {
    return undefined;
  }
}
