import type { ProtocolViolation } from '@chaperone/core/events/types.ts';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { Recorder } from '@chaperone/runtime/recorder/types.ts';

export interface ViolationRecordsOptions {
  readonly recorder: Pick<Recorder, 'openSession'>;
  readonly clock: Clock;
  /** An event was recorded: for the log. */
  readonly onRecorded: (event: ProtocolViolation) => void;
}

type Violation = Pick<ProtocolViolation, 'code' | 'message'>;

interface Tally {
  count: number;
  last: Violation;
  timer: Timer;
}

const minuteMs = 60_000;
/** Told apart; those of more are counted together. */
const maxAddresses = 64;
const others = 'others';

/**
 * Records what clients send that is no login. The first of an address is recorded as it is, and then once a
 * minute how many more there were: whoever has proven nothing can write no more than that into the record.
 */
export class ViolationRecords {
  readonly #options: ViolationRecordsOptions;
  readonly #tallies = new Map<string, Tally>();

  constructor(options: ViolationRecordsOptions) {
    this.#options = options;
  }

  add(from: string, violation: Violation): void {
    const known = this.#tallies.has(from) || this.#tallies.size < maxAddresses;
    const address = known ? from : others;
    const tally = this.#tallies.get(address);
    if (tally !== undefined) {
      tally.count += 1;
      tally.last = violation;
      return;
    }
    this.#tallies.set(address, { count: 0, last: violation, timer: this.#nextMinute(address) });
    this.#record(address, violation);
  }

  /** Records what has been counted. */
  close(): void {
    for (const [address, { count, last, timer }] of this.#tallies) {
      timer.cancel();
      if (count > 0) this.#record(address, last, count);
    }
    this.#tallies.clear();
  }

  #nextMinute(address: string): Timer {
    return this.#options.clock.setTimer(minuteMs, () => {
      const tally = this.#tallies.get(address);
      if (tally === undefined) return;
      if (tally.count === 0) {
        this.#tallies.delete(address);
        return;
      }
      this.#record(address, tally.last, tally.count);
      tally.count = 0;
      tally.timer = this.#nextMinute(address);
    });
  }

  #record(address: string, { code, message }: Violation, count?: number): void {
    const event: ProtocolViolation = {
      type: 'ProtocolViolation',
      side: 'Client',
      code,
      message,
      address,
      ...(count !== undefined && { count }),
    };
    const session = this.#options.recorder.openSession();
    session.append(event);
    session.close();
    this.#options.onRecorded(event);
  }
}
