import type { FillRandom } from '@chaperone/core/events/random.ts';
import type { EventBody } from '@chaperone/core/events/types.ts';
import type { Clock } from '../clock.ts';
import type { SpoolFiles } from './spool-files.ts';
import type { RelayTransport, ShipTransport } from './transport.ts';
import type { Recorder } from './types.ts';

/** The part of a pino logger that the recorder uses. */
export interface RecorderLogger {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

/** What the recorder counts. */
export interface RecorderMetrics {
  recorded(type: EventBody['type']): void;
  shipped(events: number): void;
  lost(events: number): void;
  shipFailed(): void;
}

export interface RecorderOptions {
  /** Of this program alone; made when it is missing. */
  readonly directory: string;
  /** Bound of the spool, recordings included, in bytes; at least 16 MiB. Default 256 MiB. */
  readonly maxBytes?: number;
  /** Where events go; absent: they stay in the spool until it is full. */
  readonly transport?: ShipTransport;
  /** Used by `close` alone, for what the collector does not take. */
  readonly relay?: RelayTransport;
  /** Key of the fingerprints, 16 bytes at least, the same for the whole installation. */
  readonly installationKey: Uint8Array;
  readonly program: { readonly name: string; readonly version: string };
  readonly clock: Clock;
  /** Fills with cryptographically strong random bytes. */
  readonly random: FillRandom;
  readonly logger: RecorderLogger;
  readonly metrics?: RecorderMetrics;
  /** Time between Heartbeat events. Default 30 s. */
  readonly heartbeatMs?: number;
  /** How long durability Collector waits for an acknowledgement before the statement is refused. Default 10 s. */
  readonly collectorTimeoutMs?: number;
  /** How long `close` ships on. Default 5 s. */
  readonly closeGraceMs?: number;
  /** How long a first event waits for others before it is shipped, unless 256 KiB wait. Default 50 ms. */
  readonly lingerMs?: number;
  readonly segmentBytes?: number;
  readonly files?: SpoolFiles;
}

/** For metrics and readiness. */
export interface RecorderState {
  readonly spoolBytes: number;
  readonly spoolMaxBytes: number;
  /** Age of the oldest event that is not acknowledged, in milliseconds; 0 when there is none. */
  readonly spoolAgeMs: number;
  readonly openSessions: number;
  /** Why statements are refused now, where they are. */
  readonly failure?: { readonly code: string; readonly message: string };
}

/** What `createRecorder` makes. */
export interface SpoolRecorder extends Recorder {
  state(): RecorderState;
  /** `state().failure`, which each statement asks for. */
  readonly failure: RecorderState['failure'];
  /** `graceMs`: how long it ships on, instead of the option. */
  close(graceMs?: number): Promise<void>;
}
