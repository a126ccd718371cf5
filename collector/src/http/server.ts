import type { ServerOptions } from 'node:https';
import { limitConnections } from '@chaperone/runtime/http/connection-limit.ts';
import Fastify, { type FastifyInstance } from 'fastify';
import type { Ingest } from '../ingest/ingest.ts';
import type { IngestLimits } from '../ingest/limits.ts';
import { ingestRoutes } from '../ingest/routes.ts';
import type { CollectorLogger } from '../logger.ts';
import type { CollectorMetrics, MetricRegistry } from '../metrics.ts';
import { type QueryParts, queryRoutes } from '../query/routes.ts';
import type { AuthorizeIngest } from './access.ts';
import { Problem, sendProblem, toProblem } from './problem.ts';

export interface ServerParts {
  readonly ingest: Ingest;
  readonly limits: IngestLimits;
  readonly authorizeIngest: AuthorizeIngest;
  readonly query: QueryParts;
  readonly registry: MetricRegistry;
  readonly metrics: Pick<CollectorMetrics, 'batch' | 'query'>;
  readonly tls?: Pick<ServerOptions, 'key' | 'cert' | 'ca'>;
  readonly logger: CollectorLogger;
  /** Whether the record can be written: what /readyz says. */
  readonly ready: () => Promise<boolean>;
  /** Whether /healthz, /readyz and /metrics are answered here. */
  readonly servesOps: boolean;
}

/** A request and its body within this, or the connection is closed. */
const requestTimeoutMs = 60_000;
const maxConnections = 1024;

/** The collector's server with all its routes, not listening yet. */
export function buildServer(parts: ServerParts): FastifyInstance {
  const { logger } = parts;
  const options = {
    logger: false,
    exposeHeadRoutes: false, // a HEAD would run the whole question, and record that it was asked
    bodyLimit: 64 << 10,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: true,
    routerOptions: { maxParamLength: 128 },
  } as const;
  const server: FastifyInstance = parts.tls
    ? (Fastify({
        ...options,
        https: { ...parts.tls, minVersion: 'TLSv1.2' },
      }) as unknown as FastifyInstance)
    : Fastify(options);
  limitConnections(server.server, maxConnections);

  server.setErrorHandler((error, request, reply) => {
    const problem = toProblem(error);
    const fields = {
      code: problem.code,
      status: problem.status,
      method: request.method,
      route: request.routeOptions.url,
      err: problem.cause,
    };
    if (problem.status >= 500) logger.error(fields, problem.message);
    else logger.info(fields, problem.message);
    return sendProblem(reply, problem);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendProblem(reply, new Problem(404, 'CHP-6007', 'there is no such path or method')),
  );

  if (parts.servesOps) opsRoutes(server, parts);
  server.register(async (scope) => {
    scope.addHook('onResponse', async (request, reply) => {
      if (request.method === 'POST') parts.metrics.batch(reply.statusCode);
    });
    ingestRoutes(scope, parts.ingest, parts.authorizeIngest, parts.limits);
  });
  server.register(async (scope) => {
    scope.addHook('onResponse', async (_request, reply) => parts.metrics.query(reply.statusCode));
    queryRoutes(scope, parts.query);
  });
  return server;
}

function opsRoutes(server: FastifyInstance, { ready, registry }: ServerParts): void {
  server.get('/healthz', async () => ({ status: 'ok' }));
  server.get('/readyz', async (_request, reply) => {
    const isReady = await ready();
    return reply.code(isReady ? 200 : 503).send({ status: isReady ? 'ok' : 'not ready' });
  });
  server.get('/metrics', async (_request, reply) =>
    reply.type(registry.contentType).send(await registry.metrics()),
  );
}
