import type { Clock } from '@chaperone/runtime/clock.ts';
import { ChaperoneError } from '@chaperone/runtime/errors/chaperone-error.ts';
import { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { RelayForwarder } from './relay-forwarder.ts';
import { type RelayedBatch, RelayStore } from './relay-store.ts';

/** Where it keeps what, and whom it is for. */
export interface RelayConfig {
  /** Of this replica alone; should be in memory (tmpfs): what it holds are statements and tokens. */
  readonly directory: string;
  readonly maxBytes: number;
  /** `https://host:port`. */
  readonly collectorUrl: string;
  /** PEM of the authorities that the collector's certificate may come from. Read again when it changes. */
  readonly caFile: string;
}

export interface RelayOptions extends RelayConfig {
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  readonly onOutcome: (outcome: 'Taken' | 'Refused' | 'Forwarded' | 'Lost') => void;
}

/** Keeps events of programs that end while the collector is away, and hands them on. */
export class Relay {
  readonly #store: RelayStore;
  readonly #forwarder: RelayForwarder;
  readonly #onOutcome: RelayOptions['onOutcome'];

  /** Throws ChaperoneError CHP-1004. */
  constructor(options: RelayOptions) {
    const { directory, maxBytes } = options;
    this.#onOutcome = options.onOutcome;
    try {
      this.#store = new RelayStore(directory, maxBytes);
    } catch (cause) {
      const reason = cause instanceof Error ? cause.message : String(cause);
      throw new ChaperoneError('CHP-1004', `${directory} cannot be used: ${reason}`, { cause });
    }
    const ca = new FollowedFile(options.caFile);
    this.#forwarder = new RelayForwarder({ ...options, store: this.#store, ca });
  }

  get heldBytes(): number {
    return this.#store.heldBytes;
  }

  /** Whether it is kept now: false for want of room. */
  take(batch: RelayedBatch, body: Uint8Array): boolean {
    const isTaken = this.#store.take(batch, body);
    this.#onOutcome(isTaken ? 'Taken' : 'Refused');
    if (isTaken) this.#forwarder.notify();
    return isTaken;
  }

  /** See RelayForwarder.close. */
  close(graceMs: number): Promise<void> {
    return this.#forwarder.close(graceMs);
  }
}
