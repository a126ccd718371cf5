import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Reader } from '@chaperone/collector/http/access.ts';
import type { Collector, CollectorOptions } from '@chaperone/collector/index.ts';
import { startCollector } from '@chaperone/collector/index.ts';
import { ndjson } from '@chaperone/collector/testing/events.ts';
import { systemClock } from '@chaperone/runtime/clock.ts';
import { createRegistry } from '@chaperone/runtime/metrics/metrics.ts';
import type { ShippedEvent } from '@chaperone/runtime/recorder/transport.ts';

export const silent = { info() {}, warn() {}, error() {} };

const readers: Readonly<Record<string, Reader>> = {
  auditor: { name: 'alice', role: 'auditor' },
  operator: { name: 'olga', role: 'operator' },
  owner: { name: 'otto', role: 'owner', owners: ['payments'] },
  stranger: { name: 'stan', role: 'owner', owners: [] },
};

/** Options of a collector for tests: token `ship-NAME` ships as source NAME, tokens of `readers` read. */
export function collectorOptions(directory: string): CollectorOptions {
  return {
    directory,
    listen: { host: '127.0.0.1', port: 0 },
    authorizeIngest: (token) =>
      token.startsWith('ship-') ? { source: token.slice('ship-'.length) } : undefined,
    authorizeRead: (token) => (Object.hasOwn(readers, token) ? readers[token] : undefined),
    logger: silent,
    metrics: createRegistry('collector', '0.0.0'),
    clock: systemClock(),
    version: '0.0.0',
  };
}

/** A collector over a directory of its own, with what a test asks of it. */
export class TestCollector {
  readonly directory: string;
  readonly #overrides: Partial<CollectorOptions>;
  #collector: Collector | undefined;

  constructor(overrides: Partial<CollectorOptions> = {}) {
    this.directory = mkdtempSync(join(tmpdir(), 'chaperone-collector-'));
    this.#overrides = overrides;
  }

  get collector(): Collector {
    return this.#collector!;
  }

  get url(): string {
    return this.collector.url;
  }

  async start(): Promise<this> {
    this.#collector = await startCollector({
      ...collectorOptions(this.directory),
      ...this.#overrides,
    });
    return this;
  }

  async restart(): Promise<void> {
    await this.stop();
    await this.start();
  }

  async stop(): Promise<void> {
    await this.#collector?.close();
    this.#collector = undefined;
  }

  async remove(): Promise<void> {
    await this.stop();
    rmSync(this.directory, { recursive: true });
  }

  post(
    session: string,
    body: readonly ShippedEvent[] | string | Uint8Array<ArrayBuffer>,
    headers: Record<string, string> = {},
  ): Promise<Response> {
    return fetch(`${this.url}/v1/sessions/${session}/events`, {
      method: 'POST',
      headers: {
        authorization: 'Bearer ship-one',
        'content-type': 'application/x-ndjson',
        ...headers,
      },
      body: typeof body === 'string' || body instanceof Uint8Array ? body : ndjson(body),
    });
  }

  /** Ships and returns what is acknowledged; throws on any other answer. */
  async ship(session: string, events: readonly ShippedEvent[]): Promise<number> {
    const response = await this.post(session, events);
    if (response.status !== 200) throw new Error(await response.text());
    return ((await response.json()) as { acknowledged: number }).acknowledged;
  }

  get(path: string, token = 'auditor', headers: Record<string, string> = {}): Promise<Response> {
    return fetch(`${this.url}${path}`, {
      headers: { authorization: `Bearer ${token}`, ...headers },
    });
  }

  // biome-ignore lint/suspicious/noExplicitAny: answers are looked into freely by tests
  async json(path: string, token = 'auditor'): Promise<any> {
    const response = await this.get(path, token);
    if (!response.ok) throw new Error(`${response.status} ${await response.text()}`);
    return response.json();
  }
}
