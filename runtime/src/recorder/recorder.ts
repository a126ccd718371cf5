import { mkdirSync } from 'node:fs';
import { Hmac } from '@chaperone/core/events/hmac.ts';
import type { EventBody, EventParts } from '@chaperone/core/events/types.ts';
import type { Durability } from '@chaperone/core/policy/types.ts';
import type { Timer } from '../clock.ts';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { AgeMarks } from './age-marks.ts';
import { ChunkStore } from './chunk-store.ts';
import { Delivery } from './delivery.ts';
import {
  type CallBack,
  CollectorWaiters,
  type DurableCallback,
  safeCaller,
} from './durability-waiters.ts';
import { EventWriter } from './event-writer.ts';
import { FrameBatch } from './frame.ts';
import { GroupSync } from './group-sync.ts';
import { lockDirectory } from './lock.ts';
import type { RecorderOptions, RecorderState, SpoolRecorder } from './options.ts';
import { ProgramLog } from './program-log.ts';
import { ResultKeeper } from './result-stream.ts';
import { RecordedSession } from './session.ts';
import { SnapshotFiles } from './snapshot-files.ts';
import { Spool } from './spool.ts';
import { nodeSpoolFiles } from './spool-files.ts';
import type { SessionRecorder } from './types.ts';

/** A batch is written before its turn ends when it grows past this. */
const maxBatchBytes = 1024 * 1024;
/**
 * Events kept in memory while the spool cannot be written; further ones are lost, and reported as a gap.
 * Together with one more event (2.4 MiB at most) it must fit into the smallest spool.
 */
const maxHeldBytes = 4 * 1024 * 1024;
const retryMs = 1000;
const mebibyte = 1024 * 1024;
/** Smallest bound of a spool. */
export const minSpoolBytes = 16 * mebibyte;

interface Waiting {
  readonly level: Durability;
  readonly callback: DurableCallback;
}

class SpoolingRecorder implements SpoolRecorder {
  readonly #options: RecorderOptions;
  readonly #writer: EventWriter;
  readonly #call: CallBack;
  readonly #batch = new FrameBatch();
  readonly #spool: Spool;
  readonly #sync: GroupSync;
  readonly #chunks: ChunkStore;
  readonly #results: ResultKeeper;
  readonly #snapshots: SnapshotFiles;
  readonly #delivery: Delivery | undefined;
  readonly #collectorWaiters: CollectorWaiters;
  readonly #ages = new AgeMarks();
  readonly #sessions = new Map<string, RecordedSession>();
  readonly #log: ProgramLog;
  readonly #fingerprints = new Hmac();
  readonly #key: Uint8Array;
  readonly #unlock: () => void;
  readonly #lost = new Map<RecordedSession, { readonly from: number; to: number }>();
  #waiting: Waiting[] = [];
  #scheduled = false;
  #failure: ChaperoneError | undefined;
  #wasFull = false;
  /** What was appended before the spool was known to be full is written, and may be carried out. */
  #fullAtLastFlush = false;
  #acknowledged = 0;
  #retry: Timer | undefined;
  #closing: Promise<void> | undefined;
  #closed = false;

  constructor(options: RecorderOptions) {
    const { clock, random, transport } = options;
    const maxBytes = options.maxBytes ?? 256 * mebibyte;
    if (!(maxBytes >= minSpoolBytes)) {
      throw new ChaperoneError('CHP-1002', 'the spool needs a bound of 16 MiB at least');
    }
    if (options.installationKey.length < 16) {
      throw new ChaperoneError('CHP-1002', 'the installation key needs 16 bytes at least');
    }
    this.#options = options;
    this.#call = safeCaller(options.logger);
    this.#key = options.installationKey.slice(0, 64);
    this.#writer = new EventWriter(clock, random);
    mkdirSync(options.directory, { recursive: true, mode: 0o700 });
    this.#unlock = lockDirectory(options.directory);
    const files = options.files ?? nodeSpoolFiles;
    try {
      this.#spool = new Spool({
        directory: options.directory,
        maxBytes,
        files,
        onSealed: (fd) => this.#sync.retire(fd),
        onCreated: () => this.#sync.directoryChanged(),
        ...(options.segmentBytes === undefined ? {} : { segmentBytes: options.segmentBytes }),
      });
      this.#chunks = new ChunkStore(this.#spool, clock, (cause) =>
        options.logger.error({ code: 'CHP-4007', err: cause }, 'a recording cannot be written'),
      );
      this.#snapshots = new SnapshotFiles(this.#spool, (cause) =>
        options.logger.error({ code: 'CHP-4001', err: cause }, 'a policy cannot be written'),
      );
    } catch (error) {
      this.#unlock();
      throw error;
    }
    this.#results = new ResultKeeper(this.#chunks, random);
    this.#sync = new GroupSync(options.directory, files, () => this.#spool.activeFd);
    this.#collectorWaiters = new CollectorWaiters(
      clock,
      options.collectorTimeoutMs ?? 10_000,
      this.#call,
    );
    this.#log = new ProgramLog({
      ...options,
      writer: this.#writer,
      session: this.#newSession(),
    });
    if (this.#spool.written > 0) this.#ages.written(0, this.#spool.recoveredSinceMs);
    this.#log.started(this.#spool.recoveredEvents, this.#spool.damages);
    this.#delivery =
      transport &&
      new Delivery({
        transport,
        relay: options.relay,
        spool: this.#spool,
        chunks: this.#chunks,
        snapshots: this.#snapshots,
        clock,
        random,
        logger: options.logger,
        lingerMs: options.lingerMs,
        onAcknowledged: (position) => this.#takeAcknowledgement(position),
        onShipped: (events) => options.metrics?.shipped(events),
        onFailure: () => options.metrics?.shipFailed(),
        report: (detail) => this.#log.report('SpoolState', detail),
        gapNotice: (session, from, to) => this.#log.gapNotice(session, from, to),
        leftNotice: (ranges) => this.#log.leftNotice(ranges),
      });
    this.#log.beat(this.#sessions);
  }

  openSession(): SessionRecorder {
    return this.#newSession();
  }

  whenDurable(level: Durability, callback: DurableCallback): void {
    this.#waiting.push({ level, callback });
    this.#schedule();
  }

  recordSnapshot(digest: string, text: string): void {
    if (!this.#closed && this.#delivery !== undefined) this.#snapshots.keep(digest, text);
  }

  fingerprint(normalForm: string): string {
    const hmac = this.#fingerprints;
    hmac.reserve(normalForm.length * 3);
    const length = hmac.inner.write(normalForm, Hmac.textOffset, 'utf8');
    return hmac.digest(this.#key, 0, this.#key.length, length).slice(0, 32);
  }

  state(): RecorderState {
    const { written } = this.#spool;
    const since = this.#acknowledged < written ? this.#ages.at(this.#acknowledged) : undefined;
    const { failure } = this;
    return {
      spoolBytes: this.#spool.bytes,
      spoolMaxBytes: this.#spool.maxBytes,
      spoolAgeMs: since === undefined ? 0 : Math.max(0, this.#options.clock.nowMs() - since),
      openSessions: this.#sessions.size - 1,
      ...(failure === undefined
        ? {}
        : { failure: { code: failure.code, message: failure.message } }),
    };
  }

  get failure(): ChaperoneError | undefined {
    return this.#currentFailure();
  }

  close(graceMs = this.#options.closeGraceMs ?? 5_000): Promise<void> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  /** Adds one event to this turn's batch. */
  append(session: RecordedSession, seq: number, body: EventBody, parts?: EventParts): void {
    if (this.#closed) throw new ChaperoneError('CHP-4006', 'the recorder is closed');
    this.#options.metrics?.recorded(body.type);
    if (this.#failure !== undefined && this.#batch.length >= maxHeldBytes) {
      this.#lose(session, seq);
      return;
    }
    this.#writer.write(this.#batch, session.name, seq, body, parts);
    if (this.#batch.length >= maxBatchBytes && this.#failure === undefined) this.#write();
    this.#schedule();
  }

  endSession(session: RecordedSession): void {
    this.#sessions.delete(session.id);
  }

  #newSession(): RecordedSession {
    if (this.#closed) throw new ChaperoneError('CHP-4006', 'the recorder is closed');
    const session = new RecordedSession(this.#writer.newSession(), this, this.#results);
    this.#sessions.set(session.id, session);
    return session;
  }

  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    // Runs after the reads of this turn and before the next ones: one write for all of them.
    setImmediate(() => this.#flush());
  }

  #flush(): void {
    this.#scheduled = false;
    const fullBefore = this.#fullAtLastFlush;
    if (!this.#closed) this.#write();
    this.#fullAtLastFlush = this.#spool.full;
    const waiting = this.#waiting;
    if (this.#closed) {
      const failure = new ChaperoneError('CHP-4006', 'the recorder is closed');
      this.#waiting = [];
      for (const { callback } of waiting) this.#call(callback, failure);
      return;
    }
    if (waiting.length === 0) {
      this.#delivery?.notify(false);
      return;
    }
    this.#waiting = [];
    const failure = this.#failure ?? (fullBefore ? this.#currentFailure() : undefined);
    const disk: DurableCallback[] = [];
    let urgent = false;
    for (const { level, callback } of waiting) {
      if (failure !== undefined || level === 'Process') this.#call(callback, failure);
      else if (level === 'Disk') disk.push(callback);
      else {
        urgent = true;
        this.#awaitCollector(callback);
      }
    }
    if (disk.length > 0) this.#awaitDisk(disk);
    this.#delivery?.notify(urgent);
  }

  /** One write(2) of the whole batch. What cannot be written stays in the batch and is tried again. */
  #write(): void {
    const batch = this.#batch;
    if (batch.length === 0) return;
    const before = this.#spool.written;
    try {
      this.#spool.append(batch.buffer, batch.length);
    } catch (error) {
      this.#fail(error as ChaperoneError);
      return;
    }
    this.#ages.written(before, this.#options.clock.nowMs());
    batch.clear();
    if (this.#failure !== undefined) this.#recover();
    if (this.#spool.full !== this.#wasFull) this.#changeFull();
  }

  #currentFailure(): ChaperoneError | undefined {
    if (this.#failure !== undefined || !this.#spool.full) return this.#failure;
    return new ChaperoneError('CHP-4002', `the spool is full: ${this.#spool.bytes} bytes`);
  }

  #fail(failure: ChaperoneError): void {
    if (this.#failure?.code !== failure.code) {
      this.#options.logger.error({ code: failure.code, err: failure }, 'events cannot be recorded');
    }
    this.#failure = failure;
    this.#retry ??= this.#options.clock.setTimer(retryMs, () => {
      this.#retry = undefined;
      if (!this.#closed) this.#flush();
    });
  }

  #recover(): void {
    this.#failure = undefined;
    this.#retry?.cancel();
    this.#retry = undefined;
    this.#options.logger.info({}, 'events can be recorded again');
    const lost = [...this.#lost];
    this.#lost.clear();
    for (const [session, { from, to }] of lost) {
      const reason = 'the spool could not be written';
      this.#options.logger.error({ session: session.id, from, to }, 'events were lost');
      session.appendAlways({ type: 'RecordGap', from, to, reason });
    }
  }

  #changeFull(): void {
    this.#wasFull = this.#spool.full;
    const word = this.#wasFull ? 'full' : 'no longer full';
    const { bytes, maxBytes } = this.#spool;
    this.#options.logger.warn({ bytes, maxBytes }, `the spool is ${word}`);
    this.#log.report('SpoolState', `the spool is ${word}: ${bytes} of ${maxBytes} bytes`);
  }

  #lose(session: RecordedSession, seq: number): void {
    const range = this.#lost.get(session);
    if (range === undefined) this.#lost.set(session, { from: seq, to: seq });
    else range.to = seq;
    this.#options.metrics?.lost(1);
  }

  #awaitDisk(callbacks: readonly DurableCallback[]): void {
    this.#chunks.requireSync();
    this.#sync.request((error) => {
      let failure: ChaperoneError | undefined;
      if (error !== undefined) {
        failure = new ChaperoneError('CHP-4003', `fdatasync failed: ${error.message}`, {
          cause: error,
        });
        this.#options.logger.error({ code: failure.code, err: error }, 'the spool is not on disk');
        // The kernel may have dropped the pages and would call the next sync of this file a success.
        this.#spool.seal();
      }
      this.#chunks.settled(() => {
        for (const callback of callbacks) this.#call(callback, failure);
      });
    });
  }

  #awaitCollector(callback: DurableCallback): void {
    const delivery = this.#delivery;
    if (delivery === undefined) {
      this.#call(callback, new ChaperoneError('CHP-4004', 'no collector is configured'));
      return;
    }
    const uploaded = this.#collectorWaiters.add(this.#spool.written, callback);
    this.#chunks.settled(() => delivery.uploaded(uploaded));
  }

  #takeAcknowledgement(position: number): void {
    this.#acknowledged = position;
    this.#spool.free(position);
    if (position === this.#spool.written) this.#ages.clear();
    if (this.#spool.full !== this.#wasFull) this.#changeFull();
    if (this.#failure?.code === 'CHP-4002') this.#schedule();
    this.#collectorWaiters.acknowledged(position);
  }

  async #close(graceMs: number): Promise<void> {
    this.#log.stopped();
    this.#flush();
    await new Promise<void>((resolve) => this.#chunks.close(resolve));
    await this.#delivery?.close(graceMs);
    this.#flush(); // what the shipping reported
    this.#closed = true;
    this.#retry?.cancel();
    const failure = new ChaperoneError('CHP-4006', 'the recorder is closed');
    this.#collectorWaiters.failAll(failure);
    if (this.#batch.count > 0) {
      this.#options.logger.error({ events: this.#batch.count }, 'events were lost on close');
    }
    this.#spool.seal();
    this.#spool.free(this.#acknowledged);
    await this.#sync.close();
    this.#unlock();
  }
}

/**
 * The recorder of a program: a write-ahead spool in a directory of its own, and the shipping of what is in
 * it. Reads the spool through first, so it blocks for that time. Throws ChaperoneError CHP-4005 when another
 * program uses the directory, and what the file system throws when it cannot be read.
 */
export function createRecorder(options: RecorderOptions): SpoolRecorder {
  return new SpoolingRecorder(options);
}
