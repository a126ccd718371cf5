import { randomBytes } from 'node:crypto';
import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { toApiError } from './api-error.ts';
import type { KubernetesApi } from './client.ts';
import type { KubernetesMetrics } from './metrics.ts';
import type { KubernetesObject } from './object.ts';
import { resourceTypes } from './resource-types.ts';
import { microTime, pause } from './time.ts';

/** Objects hold their Events one by one: a burst of different ones, then one every 5 minutes. */
const burst = 25;
const refillMs = 300_000;
/** The same Event again within that time counts on the one that is there. */
const seriesMs = 360_000;
/** How often counts are written. */
const flushMs = 30_000;
const stopMs = 2000;
const maxQueued = 1000;
const maxRemembered = 4096;
const maxNoteChars = 1024;

/** The object that an Event is about. */
export interface EventSubject {
  readonly apiVersion: string;
  readonly kind: string;
  readonly namespace?: string;
  readonly name: string;
  readonly uid?: string;
}

export interface EventDetails {
  readonly type: 'Normal' | 'Warning';
  /** PascalCase: why. */
  readonly reason: string;
  /** PascalCase: what was done, or not. */
  readonly action: string;
  /** For people; up to 1024 characters are kept. Never a secret. */
  readonly note: string;
  readonly related?: EventSubject;
}

export interface EventRecorderOptions {
  readonly api: KubernetesApi;
  /** As `chaperone.dev/controllers`. */
  readonly controller: string;
  /** The pod's name. */
  readonly instance: string;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: KubernetesMetrics;
}

interface Series {
  readonly namespace: string;
  /** Of the Event; undefined while it has not been written. */
  name: string | undefined;
  count: number;
  writtenCount: number;
  lastUs: number;
}

/** Writes Kubernetes Events: few, bounded, and never at the cost of the work they tell of. */
export class EventRecorder {
  readonly #options: EventRecorderOptions;
  readonly #series = new Map<string, Series>();
  readonly #budgets = new Map<string, { tokens: number; atMs: number }>();
  readonly #queue: (() => Promise<void>)[] = [];
  #writing: Promise<void> | undefined;
  #timer: Timer | undefined;
  readonly #stopping = new AbortController();
  #stopped = false;

  constructor(options: EventRecorderOptions) {
    this.#options = options;
  }

  /** Notes an Event on `subject` and returns at once. Never throws: what cannot be written is counted. */
  record(subject: EventSubject, details: EventDetails): void {
    if (this.#stopped) return;
    const { clock } = this.#options;
    const about = [subject.apiVersion, subject.kind, subject.namespace, subject.name, subject.uid];
    const { type, reason, action, note } = details;
    const key = JSON.stringify([...about, type, reason, action, note]);
    const nowUs = clock.nowUs();
    const known = this.#series.get(key);
    if (known !== undefined && nowUs - known.lastUs < seriesMs * 1000) {
      known.count += 1;
      known.lastUs = nowUs;
      this.#timer ??= clock.setTimer(flushMs, () => {
        this.#timer = undefined;
        this.#enqueueCounts();
      });
      return;
    }
    if (!this.#spend(JSON.stringify(about))) {
      this.#options.metrics.eventsDropped.inc({ cause: 'RateLimit' });
      return;
    }
    const namespace = subject.namespace || 'default';
    const series: Series = { namespace, name: undefined, count: 1, writtenCount: 1, lastUs: nowUs };
    remember(this.#series, key, series);
    this.#enqueue(() => this.#create(series, subject, details, nowUs));
  }

  /** Resolves when everything recorded so far is written, counts included, or given up. */
  async flush(): Promise<void> {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#enqueueCounts();
    await this.#writing;
  }

  /** As flush, but for 2 s at the most: what is not written then is given up. Nothing is recorded any more. */
  async stop(): Promise<void> {
    this.#stopped = true;
    const { clock } = this.#options;
    const written = new AbortController();
    const flushed = this.flush().finally(() => written.abort());
    await pause(clock, stopMs, written.signal);
    this.#queue.length = 0;
    this.#stopping.abort();
    await flushed;
  }

  #spend(about: string): boolean {
    const nowMs = this.#options.clock.nowMs();
    const { tokens, atMs } = this.#budgets.get(about) ?? { tokens: burst, atMs: nowMs };
    const available = Math.min(burst, tokens + Math.max(0, nowMs - atMs) / refillMs);
    const spent = available >= 1;
    remember(this.#budgets, about, { tokens: spent ? available - 1 : available, atMs: nowMs });
    return spent;
  }

  #enqueueCounts(): void {
    for (const series of this.#series.values()) {
      if (series.count > series.writtenCount) this.#enqueue(() => this.#count(series));
    }
  }

  #enqueue(write: () => Promise<void>): void {
    if (this.#queue.length >= maxQueued) {
      this.#options.metrics.eventsDropped.inc({ cause: 'QueueFull' });
      return;
    }
    this.#queue.push(write);
    this.#writing ??= this.#write();
  }

  async #write(): Promise<void> {
    // Begins after `record` has returned.
    await Promise.resolve();
    for (let write = this.#queue.shift(); write !== undefined; write = this.#queue.shift()) {
      try {
        await write();
      } catch (error) {
        const { metrics, logger } = this.#options;
        metrics.eventsDropped.inc({ cause: 'Failed' });
        logger.warn({ err: toApiError(error) }, 'an Event could not be written');
      }
    }
    this.#writing = undefined;
  }

  async #create(
    series: Series,
    subject: EventSubject,
    details: EventDetails,
    nowUs: number,
  ): Promise<void> {
    const { api, controller, instance } = this.#options;
    const { note, related, ...rest } = details;
    const prefix = subject.name.slice(0, 200).replace(/[-.]+$/, '');
    const event = {
      apiVersion: 'events.k8s.io/v1',
      kind: 'Event',
      metadata: {
        namespace: series.namespace,
        name: `${prefix}.${randomBytes(8).toString('hex')}`,
      },
      ...rest,
      note: note.slice(0, maxNoteChars),
      regarding: subject,
      ...(related !== undefined && { related }),
      eventTime: microTime(nowUs),
      reportingController: controller,
      reportingInstance: instance.slice(0, 128),
    };
    const { metadata } = await api.create<KubernetesObject>(resourceTypes.Event, event, {
      signal: this.#stopping.signal,
    });
    series.name = metadata.name;
  }

  async #count(series: Series): Promise<void> {
    const { count, name, namespace } = series;
    if (name === undefined || count <= series.writtenCount) return;
    series.writtenCount = count;
    await this.#options.api.mergePatch(
      resourceTypes.Event,
      { namespace, name },
      { series: { count, lastObservedTime: microTime(series.lastUs) } },
      { signal: this.#stopping.signal },
    );
  }
}

/** Sets an entry of a map that holds the newest ones. */
function remember<V>(map: Map<string, V>, key: string, value: V): void {
  map.delete(key);
  map.set(key, value);
  const [oldest] = map.keys();
  if (map.size > maxRemembered && oldest !== undefined) map.delete(oldest);
}
