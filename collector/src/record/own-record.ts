import { randomFillSync } from 'node:crypto';
import { encodeLine } from '@chaperone/core/events/encode.ts';
import { MicrosecondTime } from '@chaperone/core/events/time.ts';
import type { EventBody } from '@chaperone/core/events/types.ts';
import { UuidGenerator } from '@chaperone/core/events/uuid.ts';
import type { Ingest } from '../ingest/ingest.ts';
import { readFacts } from './facts.ts';

/** The source of the collector's own events; nobody else may ship under it. */
export const ownSource = 'collector';

/**
 * The collector's own session in the record: its start and stop, who read what, what was purged. Written like
 * any other event, so that it is proven like any other.
 */
export class OwnRecord {
  readonly #ingest: Ingest;
  readonly #nowUs: () => number;
  readonly #uuids = new UuidGenerator((target) => void randomFillSync(target));
  readonly #time = new MicrosecondTime();
  readonly session: string;
  #lastSeq = 0;
  #tail: Promise<void> = Promise.resolve();

  constructor(ingest: Ingest, nowUs: () => number) {
    this.#ingest = ingest;
    this.#nowUs = nowUs;
    this.session = this.#uuids.next(nowUs());
  }

  /** Durable when it resolves. One at a time, so that a failed one leaves no hole in the numbers. */
  append(body: EventBody): Promise<void> {
    const written = this.#tail.then(() => this.#write(body));
    this.#tail = written.catch(() => {});
    return written;
  }

  async #write(body: EventBody): Promise<void> {
    const nowUs = this.#nowUs();
    const { session } = this;
    const seq = this.#lastSeq + 1;
    const header = { id: this.#uuids.next(nowUs), session, seq, time: this.#time.format(nowUs) };
    const line = encodeLine(header, body, '', '');
    const facts = readFacts(line, session, seq);
    await this.#ingest.append(ownSource, session, [{ seq, line, facts, parts: [] }]);
    this.#lastSeq = seq;
  }
}
