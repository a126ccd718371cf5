import { encodeBody, encodeTail } from '@chaperone/core/events/encode.ts';
import { EnvelopeWriter, maxEnvelopeBytes } from '@chaperone/core/events/envelope.ts';
import { encodeParameters, PartSealer } from '@chaperone/core/events/parts.ts';
import type { FillRandom } from '@chaperone/core/events/random.ts';
import type { EventBody, EventParts } from '@chaperone/core/events/types.ts';
import { UuidGenerator } from '@chaperone/core/events/uuid.ts';
import type { Clock } from '../clock.ts';
import { type EventBatch, wholeFrames } from './event-batch.ts';
import { FrameBatch } from './frame.ts';
import { SessionName } from './session-name.ts';

/** Longest content of a part, in bytes; the line says when one was cut. */
export const maxPartBytes = 1024 * 1024;

/** Turns bodies into metadata lines and frames. One for all sessions: it reuses its buffers. */
export class EventWriter {
  readonly #clock: Clock;
  readonly #ids: UuidGenerator;
  readonly #envelopes: EnvelopeWriter;
  readonly #sealer: PartSealer;
  /** Decisions are made once and recorded often: the text of such a body, as it goes into the line. */
  readonly #decisions = new WeakMap<EventBody, Buffer>();

  constructor(clock: Clock, fill: FillRandom) {
    this.#clock = clock;
    this.#ids = new UuidGenerator(fill);
    this.#envelopes = new EnvelopeWriter(this.#ids);
    this.#sealer = new PartSealer(fill);
  }

  /** A UUIDv7 of now, for a session. */
  newSession(): SessionName {
    return new SessionName(this.#ids.next(this.#clock.nowUs()));
  }

  /** A session that consists of these events, one at least. */
  session(bodies: readonly EventBody[]): EventBatch {
    const session = this.newSession();
    const batch = new FrameBatch();
    for (const [at, body] of bodies.entries()) this.write(batch, session, at + 1, body, undefined);
    return wholeFrames(batch.buffer.subarray(0, batch.length), true).events[0]!;
  }

  /** Adds one event to the batch, or throws and leaves it as it was. */
  write(
    batch: FrameBatch,
    session: SessionName,
    seq: number,
    body: EventBody,
    parts: EventParts | undefined,
  ): void {
    batch.begin(session.bytes, seq);
    try {
      this.#fill(batch, session, seq, body, parts);
    } catch (error) {
      batch.abandon();
      throw error;
    }
  }

  #fill(
    batch: FrameBatch,
    session: SessionName,
    seq: number,
    body: EventBody,
    parts: EventParts | undefined,
  ): void {
    let digests = '';
    let truncated = '';
    const sealer = this.#sealer;
    if (parts?.statement !== undefined) {
      sealer.seal(parts.statement, maxPartBytes);
      this.#add(batch, 'statement');
      digests = `"statement":"${sealer.hmac}"`;
      if (sealer.cutFrom > 0) truncated = `"statement":${sealer.cutFrom}`;
    }
    if (parts?.parameters !== undefined) {
      const { text, cutFrom } = encodeParameters(parts.parameters, maxPartBytes);
      sealer.seal(text, maxPartBytes);
      this.#add(batch, 'parameters');
      digests += `${digests === '' ? '' : ','}"parameters":"${sealer.hmac}"`;
      if (cutFrom > 0) truncated += `${truncated === '' ? '' : ','}"parameters":${cutFrom}`;
    }
    if (parts?.result !== undefined) {
      sealer.sealBase64(parts.result);
      this.#add(batch, 'result');
      digests += `${digests === '' ? '' : ','}"result":"${sealer.hmac}"`;
    }
    const { piece } = session;
    const at = batch.room(maxEnvelopeBytes + piece.length);
    batch.wrote(this.#envelopes.write(batch.buffer, at, piece, seq, this.#clock.nowUs()));
    batch.ascii(encodeTail(digests, truncated, this.#body(batch, body)));
    batch.end();
  }

  /** Adds the body's text; returns its length before it was shortened, or 0. */
  #body(batch: FrameBatch, body: EventBody): number {
    const known = this.#decisions.get(body);
    if (known !== undefined) {
      batch.bytes(known);
      return 0;
    }
    const { text, cutFrom } = encodeBody(body);
    batch.text(text);
    if (body.type === 'OperationDecided' && cutFrom === 0) {
      // Not of Node's pool: what is kept for long would hold a whole slab of it.
      const kept = Buffer.allocUnsafeSlow(Buffer.byteLength(text));
      kept.write(text);
      this.#decisions.set(body, kept);
    }
    return cutFrom;
  }

  #add(batch: FrameBatch, name: string): void {
    const { salts, saltOffset, bytes, start, length } = this.#sealer;
    batch.part(name, salts, saltOffset, bytes, start, length);
  }
}
