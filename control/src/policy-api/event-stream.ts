/** One reader of server-sent events: always the newest state, never a queue. */
import type { ServerResponse } from 'node:http';
import type { VersionVector } from '@chaperone/core/control/wire.ts';
import { dominates, merge } from './versions.ts';

export type StreamName = 'policy' | 'targets';
export type StreamEnd = 'TokenOver' | 'Displaced' | 'Slow' | 'SourceGone' | 'Stale' | 'Stopping';

/** What a stream tells now. */
export interface StreamContent {
  /** Equal if and only if `fields` are. */
  readonly key: string;
  /** The event's data but for its versions: the inside of a JSON object, not empty. */
  readonly fields: string;
}

/** What is written to. */
export type StreamResponse = Pick<
  ServerResponse,
  'writeHead' | 'flushHeaders' | 'write' | 'end' | 'destroy' | 'destroyed' | 'writableEnded'
>;

export interface EventStreamOptions {
  readonly name: StreamName;
  readonly response: StreamResponse;
  /** Whose it is: the pod's uid. */
  readonly source: string;
  /** Whether that pod is known to be gone. */
  readonly sourceGone: () => boolean;
  /** Epoch ms: when the token is over that it was opened with. */
  readonly expiresMs: number;
  /** What the reader has seen. */
  readonly held: VersionVector;
  readonly content: () => StreamContent;
  readonly onSnapshot: () => void;
}

/** What a replica has seen; see Snapshot. */
export interface ReplicaVersions {
  readonly versions: VersionVector;
  readonly complete: VersionVector;
}

export class EventStream {
  readonly #options: EventStreamOptions;
  #held: VersionVector;
  /** Key of what was sent last. */
  #sent: string | undefined;
  /** The id that was sent last. */
  #sentId = '';
  /** Since when (epoch ms) the reader has not taken what was written. */
  #blockedSinceMs: number | undefined;
  /** Something is to be told once it has. */
  #waiting = false;
  #heldBack = false;

  constructor(options: EventStreamOptions) {
    this.#options = options;
    this.#held = options.held;
    options.response.writeHead(200, {
      'content-type': 'text/event-stream',
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    });
    options.response.flushHeaders();
  }

  get source(): string {
    return this.#options.source;
  }

  get sourceGone(): boolean {
    return this.#options.sourceGone();
  }

  get name(): StreamName {
    return this.#options.name;
  }

  get expiresMs(): number {
    return this.#options.expiresMs;
  }

  /** Whether the reader has seen more than this replica, and is told nothing until that has changed. */
  get heldBack(): boolean {
    return this.#heldBack;
  }

  /** Since when the reader takes nothing, epoch ms; undefined while it does. */
  get blockedSinceMs(): number | undefined {
    return this.#blockedSinceMs;
  }

  /**
   * Tells what is new. A reader that takes nothing is told the newest state when it does again. `fresh`:
   * whether this replica knows itself to be up to date.
   */
  update(replica: ReplicaVersions, fresh: boolean, nowMs: number): void {
    if (this.#blockedSinceMs !== undefined) {
      this.#waiting = true;
      return;
    }
    this.#heldBack = !dominates(replica.complete, this.#held);
    if (this.#heldBack) return;
    const { content, name, onSnapshot } = this.#options;
    const { key, fields } = content();
    this.#held = merge(this.#held, replica.versions);
    const versions = JSON.stringify(this.#held);
    if (key !== this.#sent) {
      this.#sent = key;
      this.#sentId = versions;
      onSnapshot();
      this.#write(
        `event: ${name}\nid: ${versions}\ndata: {"versions":${versions},${fields}}\n\n`,
        nowMs,
      );
    } else if (versions !== this.#sentId && fresh) {
      // What the reader has now is as new as this: it must not take from others what is older.
      this.heartbeat(nowMs);
    }
  }

  /** Only for a replica that is up to date. */
  heartbeat(nowMs: number): void {
    if (this.#blockedSinceMs !== undefined) return;
    const id = this.#sent === undefined ? '' : JSON.stringify(this.#held);
    this.#sentId = id;
    this.#write(`event: heartbeat\n${id === '' ? '' : `id: ${id}\n`}data: {}\n\n`, nowMs);
  }

  /** The reader takes again. Whether something waits to be told. */
  drained(): boolean {
    this.#blockedSinceMs = undefined;
    const waiting = this.#waiting;
    this.#waiting = false;
    return waiting;
  }

  end(): void {
    const { response } = this.#options;
    // One that takes nothing would not take the end either.
    if (this.#blockedSinceMs === undefined) response.end();
    else response.destroy();
  }

  #write(text: string, nowMs: number): void {
    const { response } = this.#options;
    if (response.destroyed || response.writableEnded) return;
    if (!response.write(text)) this.#blockedSinceMs = nowMs;
  }
}
