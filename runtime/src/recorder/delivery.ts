import { appendFileSync, mkdirSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { FillRandom } from '@chaperone/core/events/random.ts';
import type { Clock } from '../clock.ts';
import type { ChunkStore } from './chunk-store.ts';
import type { EventBatch } from './event-batch.ts';
import type { RecorderLogger } from './options.ts';
import { type LeftRange, Shipper, type ShipperOptions } from './shipper.ts';
import type { SnapshotFiles } from './snapshot-files.ts';
import type { Spool } from './spool.ts';
import { SpoolReader } from './spool-reader.ts';
import type { RelayTransport, ShipTransport } from './transport.ts';
import { Uploader } from './uploader.ts';

export interface DeliveryOptions
  extends Pick<ShipperOptions, 'onAcknowledged' | 'onShipped' | 'gapNotice'> {
  readonly transport: ShipTransport;
  readonly relay: RelayTransport | undefined;
  readonly spool: Spool;
  readonly chunks: ChunkStore;
  readonly snapshots: SnapshotFiles;
  readonly clock: Clock;
  readonly random: FillRandom;
  readonly logger: RecorderLogger;
  readonly lingerMs: number | undefined;
  readonly onFailure: () => void;
  /** To be recorded as a SpoolState event. */
  readonly report: (detail: string) => void;
  /** Events that tell the collector which others it will not get. */
  readonly leftNotice: (ranges: readonly LeftRange[]) => EventBatch;
}

/** Of the time that closing may take, what the announcement of a gap has at most. */
const announceMs = 2000;
/** Sessions that one announcement names: what the relay has kept room for. */
const sessionsPerNotice = 200;
const announceRetryMs = 200;

/** Everything that leaves the spool: events, recordings, and what the collector will never take. */
export class Delivery {
  readonly #options: DeliveryOptions;
  readonly #reader: SpoolReader;
  readonly #events: Shipper;
  readonly #recordings: Uploader;
  readonly #snapshots: Uploader;
  readonly #rejectedDirectory: string;

  constructor(options: DeliveryOptions) {
    const { transport, spool, chunks, clock, logger } = options;
    this.#options = options;
    this.#rejectedDirectory = join(spool.directory, 'rejected');
    mkdirSync(this.#rejectedDirectory, { recursive: true, mode: 0o700 });
    for (const name of readdirSync(this.#rejectedDirectory)) {
      spool.otherBytes += statSync(join(this.#rejectedDirectory, name)).size;
    }
    const word = new Uint32Array(1);
    const random = (): number => {
      options.random(new Uint8Array(word.buffer));
      return word[0]! / 2 ** 32;
    };
    const onFailure = (cause: unknown, retryInMs: number): void => {
      logger.warn({ err: cause, retryInMs }, 'the collector was not reached');
      options.onFailure();
    };
    this.#reader = new SpoolReader(spool);
    this.#events = new Shipper({
      reader: this.#reader,
      written: () => spool.written,
      transport,
      relay: options.relay,
      clock,
      random,
      onAcknowledged: options.onAcknowledged,
      onShipped: options.onShipped,
      gapNotice: options.gapNotice,
      onFailure,
      onRefused: (events, cause) => this.#putAside(events, cause),
      onUnreadable: (bytes, cause) => {
        logger.error({ code: 'CHP-4008', bytes, cause }, 'events could not be read back');
        options.report(`${bytes} bytes of the spool could not be read back: ${cause}`);
      },
      ...(options.lingerMs === undefined ? {} : { lingerMs: options.lingerMs }),
    });
    this.#snapshots = new Uploader({
      store: options.snapshots,
      put: (digest, content, signal) => transport.putSnapshot(digest, content, signal),
      clock,
      random,
      onFailure,
      onRefused: (digest, cause) =>
        logger.error({ code: cause.code, digest, err: cause }, 'the collector refused a policy'),
    });
    this.#recordings = new Uploader({
      store: chunks,
      put: (digest, zstd, signal) => transport.putRecording(digest, zstd, signal),
      clock,
      random,
      onFailure,
      onRefused: (digest, cause) => {
        logger.error({ code: cause.code, digest, err: cause }, 'the collector refused a recording');
        options.report(`the collector refused recording ${digest}: ${cause.message}`);
      },
    });
  }

  /** See Shipper.notify. */
  notify(urgent: boolean): void {
    this.#events.notify(urgent);
  }

  /** See Uploader.uploaded. */
  uploaded(callback: () => void): void {
    this.#recordings.uploaded(callback);
  }

  /** What nobody has taken after `graceMs` stays in the spool; where there is a relay, it is told which. */
  async close(graceMs: number): Promise<void> {
    const { relay } = this.#options;
    const shipMs = relay === undefined ? graceMs : graceMs - Math.min(announceMs, graceMs / 4);
    const uploads = [this.#recordings, this.#snapshots];
    const uploading = Promise.all(uploads.map((upload) => upload.close(shipMs)));
    await this.#events.close(shipMs);
    // The collector is away, then: what the relay does not take is not waited with.
    if (this.#events.handedOver > 0) for (const upload of uploads) upload.giveUp();
    await uploading;
    if (relay !== undefined) await this.#tellWhatIsLeft(relay, graceMs - shipMs);
    await this.#reader.close();
  }

  async #tellWhatIsLeft(relay: RelayTransport, withinMs: number): Promise<void> {
    const { logger, clock, leftNotice } = this.#options;
    const { handedOver } = this.#events;
    if (handedOver > 0) {
      logger.warn({ events: handedOver }, 'the collector is away: events were handed to the relay');
    }
    const abort = new AbortController();
    const deadline = clock.setTimer(withinMs, () => abort.abort());
    const ranges = await this.#events.left(abort.signal);
    let isAnnounced = true;
    for (let at = 0; at < ranges.length; at += sessionsPerNotice) {
      const notice = leftNotice(ranges.slice(at, at + sessionsPerNotice));
      isAnnounced = (await this.#announce(relay, notice, abort.signal)) && isAnnounced;
    }
    if (handedOver > 0) await this.#handOverSnapshots(relay, abort.signal);
    deadline.cancel();
    if (ranges.length === 0) return;
    const events = ranges.reduce((sum, range) => sum + range.events, 0);
    logger.error(
      { code: 'CHP-4010', events, sessions: ranges.length, isAnnounced },
      'nobody has taken these events; they are in the spool',
    );
  }

  /** Each once: without them the record lacks a text, and no event. */
  async #handOverSnapshots(relay: RelayTransport, signal: AbortSignal): Promise<void> {
    const { snapshots, logger } = this.#options;
    for (const digest of snapshots.stored()) {
      try {
        await relay.handOverSnapshot(digest, await snapshots.read(digest), signal);
      } catch (error) {
        logger.warn({ digest, err: error }, 'the relay did not take a policy');
      }
    }
  }

  /** Whether the relay, or the collector, took it. */
  async #announce(
    relay: RelayTransport,
    notice: EventBatch,
    signal: AbortSignal,
  ): Promise<boolean> {
    const { transport, clock } = this.#options;
    while (!signal.aborted) {
      const isTaken = await relay
        .announce(notice, signal)
        .catch(() => transport.ship(notice, signal))
        .then(
          () => true,
          () => false,
        );
      if (isTaken) return true;
      await new Promise<void>((resolve) => {
        const timer = clock.setTimer(announceRetryMs, resolve);
        const end = (): void => {
          timer.cancel();
          resolve();
        };
        signal.addEventListener('abort', end, { once: true });
      });
    }
    return false;
  }

  /** Kept as JSON, one file a session. A failure here is tried again by the shipper. */
  #putAside(events: EventBatch, cause: Error): void {
    const { spool, logger, report } = this.#options;
    const { session, count } = events;
    const path = join(this.#rejectedDirectory, `${session}.ndjson`);
    const text = events.ndjson();
    appendFileSync(path, text, { mode: 0o600, flush: true });
    spool.otherBytes += Buffer.byteLength(text);
    logger.error({ code: 'CHP-4009', session, err: cause, path }, 'the collector refused events');
    report(`the collector refused ${count} events of session ${session}: ${cause.message}`);
  }
}
