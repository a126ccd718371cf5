import type { Socket } from 'node:net';
import { limitConnections } from '@chaperone/runtime/http/connection-limit.ts';
import type { Logger } from '@chaperone/runtime/logging/logger.ts';
import Fastify, { type FastifyInstance } from 'fastify';
import { answerOf, RequestProblem, sendAnswer } from './problems.ts';
import type { Route } from './routes.ts';
import type { ServingPair } from './serving-certificate.ts';

/** A request, but for a stream's answer, within this. */
const requestTimeoutMs = 10_000;
const bodyBytes = 64 * 1024;
const maxHeaderBytes = 16 * 1024;
const maxConnections = 10_000;

/** Refusals of who pretends to be what it is not, perhaps. */
const suspicious: ReadonlySet<string> = new Set(['CHP-2001', 'CHP-2006']);

/** The server without its routes; every error is answered as a ControlProblem. */
export function buildServer(
  pair: ServingPair,
  logger: Logger,
  onAnswer: (route: Route | 'other', status: number) => void,
): FastifyInstance {
  const server = Fastify({
    logger: false,
    exposeHeadRoutes: false, // a HEAD of a stream would open it
    bodyLimit: bodyBytes,
    requestTimeout: requestTimeoutMs,
    forceCloseConnections: 'idle',
    routerOptions: { maxParamLength: 128 },
    ajv: {
      customOptions: {
        removeAdditional: false,
        coerceTypes: false,
        useDefaults: false,
        allErrors: false,
      },
    },
    // What is refused before there is a route: a path that cannot be decoded, say.
    frameworkErrors: (error, _request, reply) => void sendAnswer(reply, answerOf(error)),
    clientErrorHandler: answerUnreadable,
    https: { ...pair, minVersion: 'TLSv1.2', maxHeaderSize: maxHeaderBytes },
  }) as unknown as FastifyInstance;
  limitConnections(server.server, maxConnections);
  server.addHook('onSend', async (_request, reply) => {
    if (!reply.hasHeader('cache-control')) reply.header('cache-control', 'no-store');
  });
  server.addHook('onResponse', async (request, reply) => {
    const { route = 'other' } = request.routeOptions.config;
    // A stream is counted when it begins.
    const streams = route === 'policy' || route === 'targets';
    if (!streams || reply.statusCode >= 400) onAnswer(route, reply.statusCode);
  });
  server.setErrorHandler((error, request, reply) => {
    const answer = answerOf(error);
    const fields = {
      code: answer.problem.code,
      status: answer.status,
      route: request.routeOptions.url,
      ...(typeof answer.detail === 'string' && { detail: answer.detail }),
      ...(answer.detail instanceof Error && { err: answer.detail }),
    };
    const { code, message } = answer.problem;
    if (answer.status >= 500 && answer.expected !== true) logger.error(fields, message);
    else if (suspicious.has(code)) logger.warn(fields, message);
    else logger.info(fields, message);
    return sendAnswer(reply, answer);
  });
  server.setNotFoundHandler((_request, reply) =>
    sendAnswer(
      reply,
      answerOf(new RequestProblem(404, 'CHP-7001', 'There is no such path or method.')),
    ),
  );
  return server;
}

/** To what is no HTTP request, or one that is not whole in time. */
function answerUnreadable(error: NodeJS.ErrnoException, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const { problem } = answerOf(new RequestProblem(400, 'CHP-7001', 'The request cannot be read.'));
  const text = JSON.stringify(problem);
  socket.end(
    `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}
