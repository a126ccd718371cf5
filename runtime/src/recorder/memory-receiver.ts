import { hash } from 'node:crypto';
import { zstdDecompressSync } from 'node:zlib';
import type { EventBatch } from './event-batch.ts';
import type { ShippedEvent, ShipTransport } from './transport.ts';

/**
 * A receiver in memory that behaves as a collector does: idempotent by (session, seq), acknowledging what
 * has nothing missing before it. For tests of whatever records.
 */
export class MemoryReceiver implements ShipTransport {
  /** Session → seq → event. */
  readonly sessions = new Map<string, Map<number, ShippedEvent>>();
  /** SHA-256 → bytes. */
  readonly recordings = new Map<string, Uint8Array>();
  /** Digest → text. */
  readonly snapshots = new Map<string, string>();
  /** Announced gaps: session → ranges. */
  readonly gaps = new Map<string, [from: number, to: number][]>();
  /** Events whose (session, seq) had come with another content. */
  readonly contradictions: ShippedEvent[] = [];
  duplicates = 0;
  calls = 0;
  /** Throws to refuse a call, before anything is taken; may be async. */
  before: () => void | Promise<void> = () => {};
  /** Throws to lose the answer, after everything is taken. */
  after: () => void | Promise<void> = () => {};

  async ship(batch: EventBatch, _signal?: AbortSignal): Promise<number> {
    const { session } = batch;
    this.calls += 1;
    await this.before();
    const events = this.sessions.get(session) ?? new Map<number, ShippedEvent>();
    this.sessions.set(session, events);
    for (const line of batch.lines()) {
      this.#take(session, events, JSON.parse(line) as ShippedEvent);
    }
    await this.after();
    return this.acknowledged(session);
  }

  async putRecording(sha256: string, zstd: Uint8Array): Promise<void> {
    this.calls += 1;
    await this.before();
    const bytes = zstdDecompressSync(zstd);
    if (hash('sha256', bytes, 'hex') !== sha256) throw new Error('not the bytes of that digest');
    this.recordings.set(sha256, bytes);
    await this.after();
  }

  async putSnapshot(digest: string, content: Uint8Array): Promise<void> {
    this.calls += 1;
    await this.before();
    if (hash('sha256', content, 'hex') !== digest) throw new Error('not the bytes of that digest');
    this.snapshots.set(digest, new TextDecoder().decode(content));
    await this.after();
  }

  /** The last sequence number before which nothing is missing. */
  acknowledged(session: string): number {
    const events = this.sessions.get(session);
    let seq = 0;
    for (;;) {
      const gap = this.gaps.get(session)?.find(([from, to]) => from <= seq + 1 && seq + 1 <= to);
      if (events?.has(seq + 1)) seq += 1;
      else if (gap !== undefined) seq = gap[1];
      else return seq;
    }
  }

  /** The parsed metadata lines of a session, in order. */
  lines(session: string): Record<string, unknown>[] {
    return [...(this.sessions.get(session) ?? [])]
      .sort(([a], [b]) => a - b)
      .map(([, event]) => JSON.parse(event.line) as Record<string, unknown>);
  }

  #take(session: string, events: Map<number, ShippedEvent>, event: ShippedEvent): void {
    const known = events.get(event.seq);
    if (known !== undefined) {
      if (JSON.stringify(known) === JSON.stringify(event)) this.duplicates += 1;
      else this.contradictions.push(event);
      return;
    }
    events.set(event.seq, event);
    const line = JSON.parse(event.line) as Record<string, unknown>;
    if (line.type !== 'RecordGap') return;
    const about = (line.ofSession as string | undefined) ?? session;
    const gaps = this.gaps.get(about) ?? [];
    this.gaps.set(about, [...gaps, [line.from as number, line.to as number]]);
  }
}
