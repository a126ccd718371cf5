import http from 'node:http';
import https from 'node:https';
import type { AddressInfo } from 'node:net';
import type { Registry } from 'prom-client';
import { ChaperoneError } from '../errors/chaperone-error.ts';
import { limitConnections } from './connection-limit.ts';
import type { Readiness } from './readiness.ts';

const maxConnections = 64;

export interface OpsServerOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly registry: Registry;
  readonly readiness: Readiness;
  /** PEM; absent: plain HTTP. */
  readonly tls?: { readonly cert: string; readonly key: string };
}

export interface OpsServer {
  readonly port: number;
  /** Resolves when every connection is closed. */
  close(): Promise<void>;
}

interface Answer {
  readonly status: number;
  readonly type?: string;
  readonly body: string;
}

async function answer(path: string, options: OpsServerOptions): Promise<Answer> {
  const { registry, readiness } = options;
  if (path === '/metrics') {
    return { status: 200, type: registry.contentType, body: await registry.metrics() };
  }
  // Alive is whoever can answer; a liveness probe that depended on others would restart a good program.
  if (path === '/healthz') return { status: 200, body: 'ok\n' };
  if (path !== '/readyz') return { status: 404, body: 'not found\n' };
  const reasons = Object.entries(readiness.reasons());
  if (reasons.length === 0) return { status: 200, body: 'ok\n' };
  const lines = reasons.map(([name, reason]) => `${name}: ${reason}\n`);
  return { status: 503, body: lines.join('') };
}

/**
 * Serves `/metrics`, `/healthz` and `/readyz`, and nothing else. Throws ChaperoneError CHP-1020 when the
 * address cannot be had.
 */
export async function startOpsServer(options: OpsServerOptions): Promise<OpsServer> {
  const handler: http.RequestListener = (request, response) => {
    const reply = ({ status, type = 'text/plain; charset=utf-8', body }: Answer): void => {
      response.writeHead(status, {
        'content-type': type,
        'content-length': Buffer.byteLength(body),
        'cache-control': 'no-store',
        ...(status === 405 ? { allow: 'GET, HEAD' } : {}),
      });
      response.end(request.method === 'HEAD' ? undefined : body);
    };
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      reply({ status: 405, body: 'method not allowed\n' });
      return;
    }
    const path = (request.url ?? '').split('?', 1)[0] ?? '';
    answer(path, options).then(reply, () => reply({ status: 500, body: 'internal error\n' }));
  };
  const limits = { requestTimeout: 10_000, headersTimeout: 10_000, maxHeaderSize: 8192 };
  const server =
    options.tls === undefined
      ? http.createServer(limits, handler)
      : https.createServer({ ...limits, ...options.tls, minVersion: 'TLSv1.2' }, handler);
  limitConnections(server, maxConnections);
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const address = `${options.host}:${options.port}`;
      reject(
        new ChaperoneError('CHP-1020', `cannot listen on ${address}: ${cause.message}`, { cause }),
      );
    });
    server.listen(options.port, options.host, resolve);
  });
  const { port } = server.address() as AddressInfo;
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}
