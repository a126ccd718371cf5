/**
 * The relay: what a program could not ship before its end, kept for the collector. `api/policy-api.openapi.yaml`
 * describes it.
 */
import type { Readable } from 'node:stream';
import { isUuid } from '@chaperone/core/events/uuid.ts';
import { FairSlots } from '@chaperone/runtime/limits/fair-slots.ts';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { RequestProblem } from '../policy-api/problems.ts';
import type { TokenBearer } from '../policy-api/tokens.ts';
import type { Relay } from './relay.ts';
import type { RelayedBatch } from './relay-store.ts';

export interface RelayRouteParts {
  readonly relay: Relay;
  /** Whose ingest token that is. Throws ControlRefusal CHP-2007. */
  readonly verifyIngest: (token: string) => Promise<TokenBearer>;
  readonly tokenOf: (request: FastifyRequest) => string;
}

interface Kind {
  readonly kind: RelayedBatch['kind'];
  readonly contentType: string;
  readonly isName: (name: string) => boolean;
  /** Of the body as it comes, compressed. */
  readonly maxBytes: number;
}

const kinds = {
  // A batch of a recorder: 256 KiB of events, or a single one of 2.5 MiB, and some more.
  sessions: {
    kind: 'Events',
    contentType: 'application/x-ndjson',
    isName: isUuid,
    maxBytes: 4 * 1024 * 1024,
  },
  // A line or two for each session.
  gaps: {
    kind: 'Gap',
    contentType: 'application/x-ndjson',
    isName: isUuid,
    maxBytes: 32 * 1024,
  },
  // No bundle of one identity comes near.
  snapshots: {
    kind: 'Snapshot',
    contentType: 'application/json',
    isName: (name) => /^[0-9a-f]{64}$/.test(name),
    maxBytes: 1024 * 1024,
  },
} as const satisfies Record<string, Kind>;

/** Bodies in memory at once, and of these a namespace's: whoever sends slowly keeps out no other tenant. */
const bodies = { slots: 8, perKey: 4, waiting: 64 };

type RelayRequest = FastifyRequest<{
  Params: { id: string } | { digest: string };
  Body: Readable | undefined;
}>;

export function relayRoutes(server: FastifyInstance, parts: RelayRouteParts): void {
  const { relay, verifyIngest, tokenOf } = parts;
  const slots = new FairSlots(bodies);

  const take =
    ({ kind, contentType, isName, maxBytes }: Kind) =>
    async (request: RelayRequest, reply: FastifyReply): Promise<FastifyReply> => {
      const token = tokenOf(request);
      const { sub: source, namespace } = await verifyIngest(token);
      const name = Object.values(request.params)[0] as string;
      if (!isName(name)) {
        throw new RequestProblem(
          400,
          'CHP-7001',
          'The name is no UUID of a session, or no digest.',
        );
      }
      const { 'content-type': type, 'content-encoding': encoding } = request.headers;
      if (type !== contentType || encoding !== 'gzip') {
        throw new RequestProblem(415, 'CHP-7001', `A body of ${contentType} in gzip is needed.`);
      }
      const release = await slots.acquire(namespace);
      if (release === undefined) throw full();
      try {
        const body = await readBody(request, maxBytes);
        if (!relay.take({ kind, name, source, namespace, token }, body)) throw full();
      } finally {
        release();
      }
      return reply.code(202).send({ handedOver: true });
    };

  // In a scope of its own: no other route takes a body like these.
  server.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    // Read by the handler, after the token was checked and there was room.
    scope.addContentTypeParser('*', (_request, body, done) => done(null, body));
    const config = { route: 'relay' } as const;
    scope.post('/v1/relay/sessions/:id/events', { config }, take(kinds.sessions));
    scope.post('/v1/relay/gaps/:id/events', { config }, take(kinds.gaps));
    scope.put('/v1/relay/snapshots/:digest', { config }, take(kinds.snapshots));
  });
}

const full = (): RequestProblem =>
  new RequestProblem(507, 'CHP-7006', 'The relay has no room for this now.', {
    retryAfterSeconds: 5,
    expected: true,
  });

/** Not decompressed: that is the collector's to do, with its checks. Throws RequestProblem 413. */
async function readBody({ headers, body }: RelayRequest, maxBytes: number): Promise<Buffer> {
  const tooLarge = (): RequestProblem =>
    new RequestProblem(413, 'CHP-7001', `The body is larger than ${maxBytes} bytes.`);
  if (Number(headers['content-length'] ?? 0) > maxBytes) throw tooLarge();
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of body ?? []) {
    bytes += (chunk as Buffer).length;
    if (bytes > maxBytes) throw tooLarge();
    chunks.push(chunk as Buffer);
  }
  return Buffer.concat(chunks);
}
