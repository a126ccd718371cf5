import { ChaperoneError } from '../errors/chaperone-error.ts';
import type { EventBatch } from './event-batch.ts';

/**
 * How events reach the collector: over HTTPS, or a call within the process. A rejection of any other class
 * than ShipRefused is taken as passing, and the same is tried again later.
 */
export interface ShipTransport {
  /**
   * Hands over events of one session in order, which are as the spool holds them until this settles. Resolves, once they are committed durably, with the last sequence number before which nothing is
   * missing, announced gaps (RecordGap) aside.
   * Events that the receiver already has are sent again after a restart or a lost answer.
   */
  ship(events: EventBatch, signal: AbortSignal): Promise<number>;
  /**
   * Hands over a recorded chunk as a zstd frame. `sha256` is of what it decompresses to, which is at most
   * `maxChunkBytes` long.
   */
  putRecording(sha256: string, zstd: Uint8Array, signal: AbortSignal): Promise<void>;
  /** Hands over a policy snapshot: the UTF-8 of a JSON text, `digest` its SHA-256. */
  putSnapshot(digest: string, content: Uint8Array, signal: AbortSignal): Promise<void>;
}

/**
 * Where events go that the collector does not take before the program ends. It keeps them and hands them on; what
 * it has taken is not yet stored, and counts for no durability. A rejection is taken as passing.
 */
export interface RelayTransport {
  /** Events of one session, as in `ShipTransport.ship`. Resolves when they are kept there. */
  handOver(events: EventBatch, signal: AbortSignal): Promise<void>;
  /** The same for events that say which others will not come: for these there is room even where it is full. */
  announce(events: EventBatch, signal: AbortSignal): Promise<void>;
  /** A policy snapshot, as in `ShipTransport.putSnapshot`. */
  handOverSnapshot(digest: string, content: Uint8Array, signal: AbortSignal): Promise<void>;
}

/** The receiver will never take these events, however often they are sent. */
export class ShipRefused extends ChaperoneError {
  constructor(message: string, cause?: unknown) {
    super('CHP-4009', message, { cause });
  }
}

/** One event as JSON. */
export interface ShippedEvent {
  readonly seq: number;
  readonly line: string;
  readonly parts: readonly {
    readonly name: string;
    /** Base64, 16 bytes. */
    readonly salt: string;
    readonly content: string;
  }[];
}
