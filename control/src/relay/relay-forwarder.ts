import type { Clock, Timer } from '@chaperone/runtime/clock.ts';
import type { FollowedFile } from '@chaperone/runtime/files/followed-file.ts';
import { HttpClient, type HttpResponse, problemText } from '@chaperone/runtime/http/client.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import { Backoff } from '@chaperone/runtime/recorder/backoff.ts';
import type { RelayEntry, RelayStore } from './relay-store.ts';

export interface RelayForwarderOptions {
  readonly store: RelayStore;
  /** `https://host:port`. */
  readonly collectorUrl: string;
  /** PEM of the authorities that its certificate may come from. */
  readonly ca: FollowedFile;
  readonly clock: Clock;
  /** 0 ≤ x < 1, for jitter. */
  readonly random: () => number;
  readonly logger: Logger;
  /** `Lost`: the collector will never take it, and it is kept no longer. */
  readonly onOutcome: (outcome: 'Forwarded' | 'Lost') => void;
}

/** Sources that are forwarded for at once; each in the order of its batches. */
const maxConcurrent = 4;
const firstRetryMs = 200;
/** Below the time that the collector grants events to come out of order. */
const maxRetryMs = 5000;
const timeoutMs = 10_000;
/** The content will not be taken, now or later. */
const finalStatuses: ReadonlySet<number> = new Set([400, 404, 409, 413, 415, 422]);
/** A token is refused for a while after its signing key changed; one that stays refused has ended. */
const maxTokenRefusals = 9;

type Outcome = 'Done' | 'TokenRefused' | 'Away';

/** Hands on to the collector what the relay keeps, until the collector has it durably. */
export class RelayForwarder {
  readonly #options: RelayForwarderOptions;
  readonly #backoff: Backoff;
  readonly #tokenRefusals = new Map<RelayEntry, number>();
  readonly #abort = new AbortController();
  #client: HttpClient | undefined;
  #trusted = '';
  #timer: Timer | undefined;
  #running: Promise<void> | undefined;

  constructor(options: RelayForwarderOptions) {
    this.#options = options;
    this.#backoff = new Backoff(options.random, firstRetryMs, maxRetryMs);
    this.notify();
  }

  /** Something was taken. */
  notify(): void {
    if (this.#timer !== undefined || this.#running !== undefined || this.#abort.signal.aborted) {
      return;
    }
    this.#running = this.#pass()
      .catch((error: unknown) => {
        this.#options.logger.error({ err: error }, 'relayed events could not be looked after');
        this.#backoff.next();
      })
      .then(() => {
        this.#running = undefined;
        this.#again();
      });
  }

  /** Tries once more, for `graceMs` at most; what the collector has not taken then stays in the directory. */
  async close(graceMs: number): Promise<void> {
    const deadline = this.#options.clock.setTimer(graceMs, () => this.#abort.abort());
    this.#timer?.cancel();
    this.#timer = undefined;
    this.notify();
    while (this.#running !== undefined) await this.#running;
    deadline.cancel();
    this.#abort.abort();
    (this.#timer as Timer | undefined)?.cancel();
    this.#client?.close();
    const left = this.#options.store.heldBytes;
    if (left > 0) {
      this.#options.logger.error(
        { code: 'CHP-7007', bytes: left },
        'relayed events are left: they go out if this container starts again, and are lost with the pod',
      );
    }
  }

  #again(): void {
    const { store, clock } = this.#options;
    if (store.sources().size === 0 || this.#abort.signal.aborted) return;
    if (this.#backoff.failures === 0) {
      this.notify(); // what came meanwhile
      return;
    }
    this.#timer = clock.setTimer(this.#backoff.next(), () => {
      this.#timer = undefined;
      this.notify();
    });
  }

  /** Each source until its first batch that does not go through. */
  async #pass(): Promise<void> {
    const { store } = this.#options;
    const queue = [...store.sources().values()];
    let waits = false;
    let away = false;
    const worker = async (): Promise<void> => {
      for (let entries = queue.shift(); entries !== undefined; entries = queue.shift()) {
        for (const entry of entries) {
          if (away || this.#abort.signal.aborted) return;
          const outcome = await this.#forward(entry);
          if (outcome === 'Done') continue;
          waits = true;
          away ||= outcome === 'Away';
          break;
        }
      }
    };
    await Promise.all(Array.from({ length: Math.min(maxConcurrent, queue.length) }, worker));
    if (!waits) this.#backoff.reset();
    else if (this.#backoff.failures === 0) this.#backoff.next();
  }

  async #forward(entry: RelayEntry): Promise<Outcome> {
    const { store, logger } = this.#options;
    const body = store.body(entry);
    if (body === undefined) return this.#lose(entry, 'it could not be read back');
    const answer = await this.#send(entry, body).catch((error: unknown) => {
      logger.info({ err: error }, 'the collector does not take relayed events yet');
      return undefined;
    });
    if (answer === undefined) return 'Away';
    const { status } = answer;
    if (status >= 200 && status <= 299) {
      store.remove(entry);
      this.#tokenRefusals.delete(entry);
      this.#options.onOutcome('Forwarded');
      return 'Done';
    }
    const said = `the collector answered ${status}${problemText(answer.body.toString('utf8'))}`;
    if (finalStatuses.has(status)) return this.#lose(entry, said);
    if (status !== 401 && status !== 403) return 'Away';
    const refusals = (this.#tokenRefusals.get(entry) ?? 0) + 1;
    if (refusals >= maxTokenRefusals) return this.#lose(entry, said);
    this.#tokenRefusals.set(entry, refusals);
    return 'TokenRefused';
  }

  async #send({ kind, name, token }: RelayEntry, body: Buffer): Promise<HttpResponse> {
    const isSnapshot = kind === 'Snapshot';
    return this.#current().request({
      method: isSnapshot ? 'PUT' : 'POST',
      path: isSnapshot ? `/v1/snapshots/${name}` : `/v1/sessions/${name}/events`,
      headers: {
        authorization: `Bearer ${token}`,
        'content-type': isSnapshot ? 'application/json' : 'application/x-ndjson',
        'content-encoding': 'gzip',
      },
      body,
      signal: this.#abort.signal,
    });
  }

  #lose(entry: RelayEntry, why: string): Outcome {
    const { kind, name, source, namespace, bytes } = entry;
    this.#options.logger.error(
      { code: 'CHP-7007', kind, name, source, namespace, bytes, why },
      'what was relayed is lost',
    );
    this.#options.store.remove(entry);
    this.#tokenRefusals.delete(entry);
    this.#options.onOutcome('Lost');
    return 'Done';
  }

  /** A client that trusts what the file holds now. */
  #current(): HttpClient {
    const { collectorUrl: baseUrl, ca: file, clock } = this.#options;
    const ca = file.text();
    if (this.#client === undefined || ca !== this.#trusted) {
      this.#client?.close();
      this.#trusted = ca;
      this.#client = new HttpClient({ baseUrl, ca, clock, timeoutMs, maxResponseBytes: 64 * 1024 });
    }
    return this.#client;
  }
}
