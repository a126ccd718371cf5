/**
 * The relay: what a program could not ship before its end, kept for the collector. `api/policy-api.openapi.yaml`
 * describes it.
 */
import type { Readable } from 'node:stream';
import { isUuid } from '@chaperone/core/events/uuid.ts';
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { RequestProblem } from '../policy-api/problems.ts';
import type { TokenBearer } from '../policy-api/tokens.ts';
import type { Relay } from './relay.ts';

/** A batch of a recorder, compressed: 128 KiB of events, or a single one of 2.5 MiB, and some more. */
const maxBatchBytes = 4 * 1024 * 1024;
/** Announcements of gaps are a line or two for each session. */
const maxGapBytes = 32 * 1024;
/** Bodies in memory at once. */
const maxConcurrent = 8;
const contentType = 'application/x-ndjson';

export interface RelayRouteParts {
  readonly relay: Relay;
  /** Whose ingest token that is. Throws ControlRefusal CHP-2007. */
  readonly verifyIngest: (token: string) => Promise<TokenBearer>;
  readonly tokenOf: (request: FastifyRequest) => string;
}

export function relayRoutes(server: FastifyInstance, parts: RelayRouteParts): void {
  // In a scope of its own: no other route takes a body like these.
  server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Read by the handler, after the token was checked and there was room.
    scope.addContentTypeParser(contentType, (_request, body, done) => done(null, body));
    const room = { underWay: 0 };
    for (const kind of ['sessions', 'gaps'] as const) addRoute(scope, parts, kind, room);
  });
}

function addRoute(
  scope: FastifyInstance,
  { relay, verifyIngest, tokenOf }: RelayRouteParts,
  kind: 'sessions' | 'gaps',
  room: { underWay: number },
): void {
  const isGap = kind === 'gaps';
  scope.post<{ Params: { id: string }; Body: Readable | undefined }>(
    `/v1/relay/${kind}/:id/events`,
    { config: { route: 'relay' } },
    async (request, reply) => {
      const token = tokenOf(request);
      const { sub: source, namespace } = await verifyIngest(token);
      const { id: session } = request.params;
      if (!isUuid(session)) {
        throw new RequestProblem(400, 'CHP-7001', 'The session is not a UUID.');
      }
      if (request.body === undefined || request.headers['content-encoding'] !== 'gzip') {
        throw new RequestProblem(415, 'CHP-7001', `A body of ${contentType} in gzip is needed.`);
      }
      if (room.underWay >= maxConcurrent) throw full();
      room.underWay += 1;
      try {
        const body = await readBody(request, isGap ? maxGapBytes : maxBatchBytes);
        if (!relay.take({ source, namespace, session, token, isGap }, body)) throw full();
      } finally {
        room.underWay -= 1;
      }
      return reply.code(202).send({ handedOver: true });
    },
  );
}

const full = (): RequestProblem =>
  new RequestProblem(507, 'CHP-7006', 'The relay has no room for this now.', {
    retryAfterSeconds: 5,
    expected: true,
  });

/** Not decompressed: that is the collector's to do, with its checks. Throws RequestProblem 413. */
async function readBody(
  { headers, body }: FastifyRequest<{ Body: Readable | undefined }>,
  maxBytes: number,
): Promise<Buffer> {
  const tooLarge = (): RequestProblem =>
    new RequestProblem(413, 'CHP-7001', `The body is larger than ${maxBytes} bytes.`);
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body!) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
