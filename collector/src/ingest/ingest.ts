import { createHash } from 'node:crypto';
import type { Clock } from '@chaperone/runtime/clock.ts';
import { Problem } from '../http/problem.ts';
import {
  type Alert,
  type AppendResult,
  ForeignSessionError,
  type IncomingEvent,
  type Store,
} from '../store/types.ts';
import { checkChunk, type RecordingFiles } from './recordings.ts';

/** Told of everything that was taken: for metrics and the log. */
export interface IngestObserver {
  /** `seconds`: from the checked batch to its durable commit. */
  appended(result: AppendResult, seconds: number): void;
  alerted(alerts: readonly Alert[]): void;
  recordingStored(bytes: number): void;
}

/** Puts what was checked into the store and the files. */
export class Ingest {
  readonly #store: Store;
  readonly #files: RecordingFiles;
  readonly #clock: Clock;
  readonly #observer: IngestObserver;
  readonly #busy = new Map<string, Promise<void>>();
  #failing = false;

  constructor(store: Store, files: RecordingFiles, clock: Clock, observer: IngestObserver) {
    this.#store = store;
    this.#files = files;
    this.#clock = clock;
    this.#observer = observer;
  }

  /** Durable when it resolves. Throws ForeignSessionError. */
  async append(
    source: string,
    session: string,
    events: readonly IncomingEvent[],
  ): Promise<AppendResult> {
    const startedUs = this.#clock.monotonicUs();
    const receivedMs = this.#clock.nowMs();
    let result: AppendResult;
    try {
      result = await this.#store.append({ source, session, receivedMs, events });
      this.#failing = false;
    } catch (error) {
      this.#failing = !(error instanceof ForeignSessionError);
      throw error;
    }
    this.#observer.appended(result, (this.#clock.monotonicUs() - startedUs) / 1e6);
    if (result.alerts.length > 0) this.#observer.alerted(result.alerts);
    return result;
  }

  /** False after a commit failed, until one works again: then each call tries. */
  async ready(): Promise<boolean> {
    if (this.#failing) this.#failing = !(await this.#store.writable());
    return !this.#failing;
  }

  /** Keeps a recorded chunk, durably; false when it was here already. Throws a 422 when it is not genuine. */
  async putRecording(
    sha256: string,
    body: Uint8Array,
    encoding: 'zstd' | 'identity',
  ): Promise<boolean> {
    const { zstd, chunk } = await checkChunk(sha256, body, encoding);
    const indexed = chunk.kind === 'Index' ? chunk.digests : [];
    return this.#exclusively(sha256, async () => {
      const isNew = !(await this.#files.has(sha256));
      if (isNew) await this.#files.write(sha256, zstd);
      await this.#store.addRecording(sha256, zstd.length, this.#clock.nowMs(), indexed);
      if (isNew) this.#observer.recordingStored(zstd.length);
      return isNew;
    });
  }

  /** Deletes the bytes of purged recordings, but not of one that came again meanwhile. */
  async removeRecordings(digests: readonly string[]): Promise<void> {
    for (const sha256 of digests) {
      await this.#exclusively(sha256, async () => {
        const found = await this.#store.recording(sha256, { payloads: true });
        if (found?.state === 'Purged') await this.#files.remove(sha256);
      });
    }
  }

  /** One at a time for one digest: a purge must not delete what a shipper was just told is kept. */
  async #exclusively<Result>(sha256: string, work: () => Promise<Result>): Promise<Result> {
    const before = this.#busy.get(sha256) ?? Promise.resolve();
    const result = before.then(work);
    const done = result.then(
      () => {},
      () => {},
    );
    this.#busy.set(sha256, done);
    try {
      return await result;
    } finally {
      if (this.#busy.get(sha256) === done) this.#busy.delete(sha256);
    }
  }

  /**
   * Keeps a policy snapshot under the SHA-256 of its bytes. A snapshot with a masking key is refused: the
   * record never holds a secret.
   */
  async putSnapshot(digest: string, content: string): Promise<void> {
    if (createHash('sha256').update(content).digest('hex') !== digest) {
      throw new Problem(422, 'CHP-6005', 'the bytes received are not those of the digest');
    }
    let holdsKey = false;
    try {
      JSON.parse(content, (name, value) => {
        holdsKey ||= name === 'key' && value !== undefined;
        return value;
      });
    } catch {
      throw new Problem(400, 'CHP-6001', 'the snapshot is not JSON');
    }
    if (holdsKey) throw new Problem(422, 'CHP-6001', 'the snapshot holds a masking key');
    await this.#store.putSnapshot(digest, content, this.#clock.nowMs());
  }
}
