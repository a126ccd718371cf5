/**
 * A server in the place of an API server that does what a test says, request by request: nothing is answered
 * by itself.
 */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { text } from 'node:stream/consumers';
import { KubernetesApi } from '@chaperone/operator/kubernetes/client.ts';
import { SharedKubeConfig } from '@chaperone/operator/kubernetes/config.ts';
import type { Clock } from '@chaperone/runtime/clock.ts';

/** One request, and the means to answer it. */
export interface Exchange {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage['headers'];
  readonly body: string;
  /** Resolves when the client has gone or the answer is whole. */
  readonly closed: Promise<void>;
  json(value: unknown, code?: number): void;
  /** `close`: and closes the connection, as one that shuts down. */
  list(items: readonly object[], resourceVersion: string, next?: string, close?: boolean): void;
  /** An answer that is no success: a Status object. */
  status(code: number, reason: string, message: string, headers?: Record<string, string>): void;
  /** Raw: for what is no Status. */
  raw(code: number, body: string): void;
  /** The beginning of an answer, and then a broken connection. */
  half(body: string): void;
  /** Accepts a watch. */
  open(): void;
  event(type: string, object: object): void;
  write(bytes: string | Uint8Array): void;
  end(): void;
  /** Breaks the connection. */
  destroy(): void;
}

export interface MisbehavingApi {
  readonly url: string;
  /** A client of it. */
  readonly api: KubernetesApi;
  /** The next request that has not been taken; waits for one. */
  take(): Promise<Exchange>;
  /** Requests that nobody took. */
  pending(): number;
  /** Connections opened so far. */
  connections(): number;
  /** As a crash: every connection breaks and new ones are refused. */
  down(): Promise<void>;
  up(): Promise<void>;
  close(): Promise<void>;
}

export async function startMisbehavingApi(clock: Clock): Promise<MisbehavingApi> {
  const waiting: Exchange[] = [];
  const takers: ((exchange: Exchange) => void)[] = [];
  const sockets = new Set<Socket>();
  let connections = 0;
  let port = 0;
  const server = createServer((request, response) => {
    void text(request).then((body) => {
      const exchange = exchangeOf(request, response, body);
      const taker = takers.shift();
      if (taker === undefined) waiting.push(exchange);
      else taker(exchange);
    });
  });
  server.on('connection', (socket) => {
    connections += 1;
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  const up = (): Promise<void> =>
    new Promise((resolve) => {
      server.listen(port, '127.0.0.1', () => {
        port = (server.address() as AddressInfo).port;
        resolve();
      });
    });
  const down = async (): Promise<void> => {
    const closed = new Promise((resolve) => server.close(resolve));
    for (const socket of sockets) socket.destroy();
    await closed;
  };
  await up();
  const url = `http://127.0.0.1:${port}`;
  const config = new SharedKubeConfig();
  config.loadFromClusterAndUser({ name: 'test', server: url, skipTLSVerify: true }, { name: 'u' });
  return {
    url,
    api: new KubernetesApi(config, clock),
    take() {
      const exchange = waiting.shift();
      if (exchange !== undefined) return Promise.resolve(exchange);
      return new Promise((resolve) => takers.push(resolve));
    },
    pending: () => waiting.length,
    connections: () => connections,
    up,
    down,
    async close() {
      await config.close();
      if (server.listening) await down();
    },
  };
}

function exchangeOf(request: IncomingMessage, response: ServerResponse, body: string): Exchange {
  const url = new URL(request.url ?? '/', 'http://localhost');
  response.on('error', () => {});
  const json = (value: unknown, code = 200, headers: Record<string, string> = {}): void => {
    response.writeHead(code, { 'Content-Type': 'application/json', ...headers });
    response.end(JSON.stringify(value));
  };
  return {
    method: request.method ?? '',
    path: url.pathname,
    query: url.searchParams,
    headers: request.headers,
    body,
    closed: new Promise((resolve) => response.on('close', resolve)),
    json,
    list(items, resourceVersion, next, close = false) {
      if (close) response.setHeader('Connection', 'close');
      json({ kind: 'List', metadata: { resourceVersion, ...(next && { continue: next }) }, items });
    },
    status(code, reason, message, headers) {
      json({ kind: 'Status', status: 'Failure', reason, message, code }, code, headers);
    },
    raw(code, content) {
      response.writeHead(code);
      response.end(content);
    },
    half(beginning) {
      response.writeHead(200);
      response.write(beginning, () => response.destroy());
    },
    open() {
      response.writeHead(200, { 'Content-Type': 'application/json' });
      response.flushHeaders();
    },
    event(type, object) {
      response.write(`${JSON.stringify({ type, object })}\n`);
    },
    write(bytes) {
      response.write(bytes);
    },
    end() {
      response.end();
    },
    destroy() {
      response.destroy();
    },
  };
}

/** An object as such a server tells of it. */
export function configMap(
  name: string,
  resourceVersion: string,
  extra: { readonly uid?: string; readonly data?: Record<string, string> } = {},
): {
  readonly metadata: {
    readonly name: string;
    readonly namespace: string;
    readonly uid: string;
    readonly resourceVersion: string;
    readonly creationTimestamp: string;
  };
} {
  const { uid = `uid-${name}`, ...rest } = extra;
  const metadata = { name, namespace: 'ns', uid, resourceVersion };
  return { ...rest, metadata: { ...metadata, creationTimestamp: '2026-01-01T00:00:00Z' } };
}

/**
 * The machine's clock, but what waits for `heldMs` or longer waits until told, and all else fires at once.
 * For tests of what to do after a while, without the while.
 */
export interface ImpatientClock extends Clock {
  /** Delays asked for, in order, but for those held. */
  readonly delays: readonly number[];
  /** Fires what was held for exactly so long; says how many that were. */
  fire(delayMs: number): number;
  held(delayMs: number): number;
  /** How often exactly so long was asked for, held or not. */
  asked(delayMs: number): number;
}

export function impatientClock(base: Clock, heldMs = 30_000): ImpatientClock {
  const held = new Set<{ readonly delayMs: number; readonly callback: () => void }>();
  const delays: number[] = [];
  const all: number[] = [];
  const of = (delayMs: number) => [...held].filter((each) => each.delayMs === delayMs);
  return {
    ...base,
    delays,
    held: (delayMs) => of(delayMs).length,
    asked: (delayMs) => all.filter((each) => each === delayMs).length,
    fire(delayMs) {
      const due = of(delayMs);
      for (const each of due) {
        held.delete(each);
        each.callback();
      }
      return due.length;
    },
    setTimer(delayMs, callback) {
      all.push(delayMs);
      if (delayMs >= heldMs) {
        const entry = { delayMs, callback };
        held.add(entry);
        return { cancel: () => void held.delete(entry) };
      }
      delays.push(delayMs);
      return base.setTimer(0, callback);
    },
  };
}
